//! Changes that more than one manager has to sign.
//!
//! A node keeps the one proposal that it made last; further changes made here are added to it, which
//! takes the signatures of others off. It is gone once it is in force or something else is.

use community::proposal::{Basis, Progress, Review};
use community::{Charter, Proposal, ProposalError};
use documents::{DocumentHash, QuorumError};
use serde::{Deserialize, Serialize};

use crate::communities::{CommunityError, Place};
use crate::publish::unix_now;
use crate::state::{StateError, io, lock_for_change, read_json, write_json};

/// Why a proposal was not made, signed or handed in. Nothing was signed or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProposingError {
    /// It does not fit the community as it stands, or does something else than it says.
    #[error("the proposal is refused")]
    Review(#[from] ProposalError),
    /// A signature cannot be added.
    #[error("the proposal cannot be signed")]
    Signatures(#[from] QuorumError),
    /// Not enough managers have signed it. Carry it to others.
    #[error("{missing} more of the managers have to sign it first")]
    Incomplete {
        /// How many at least.
        missing: usize,
    },
    /// This node would be no manager any more, and could not finish. Another manager has to hand it in.
    #[error("the proposal takes this node out of the managers: another one has to hand it in")]
    NotAfterwards,
    /// More signatures would be needed than there are managers who can sign. Who is new among them can
    /// sign once the charter has it: add managers first, raise the number then.
    #[error("{needed} managers cannot sign: {can_sign} of them manage the community now")]
    OutOfReach {
        /// How many would have to sign.
        needed: usize,
        /// How many could.
        can_sign: usize,
    },
    /// Nothing is proposed on this node. Name the file with the proposal.
    #[error("no proposal was made on this node that is not in force or overtaken")]
    NonePending,
    /// It is another proposal than the one that was meant: it was made anew, or exchanged.
    #[error("the proposal is {found}, not {expected}")]
    Other {
        /// The beginning of the id that was meant.
        expected: String,
        /// The id of the one that is there.
        found: DocumentHash,
    },
}

/// A proposal as it stands.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// The proposal.
    pub proposal: Proposal,
    /// The charter that is in force.
    pub charter: Charter,
    /// What it changes.
    pub review: Review,
    /// Who has signed, and who has to.
    pub progress: Progress,
    /// Since when it waits on this node; none for one that was made elsewhere.
    pub since: Option<u64>,
}

/// The proposal that this node made last.
#[derive(Debug, Clone)]
pub struct Pending {
    /// It.
    pub proposal: Proposal,
    /// Since when it is there, in seconds since 1970.
    pub since: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPending {
    proposal: String,
    since: u64,
}

impl Place {
    pub(super) fn pending_path(&self) -> std::path::PathBuf {
        self.directory().join("proposal.json")
    }

    /// The proposal made on this node, as it was left there, without asking anybody whether it still
    /// follows what is in force.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn pending(&self) -> Result<Option<Pending>, CommunityError> {
        let path = self.pending_path();
        let Some(stored) = read_json::<StoredPending>(&path)? else { return Ok(None) };
        let proposal =
            stored.proposal.parse().map_err(|error: community::proposal::ParseProposalError| {
                StateError::Damaged { path, reason: error.to_string() }
            })?;
        Ok(Some(Pending { proposal, since: stored.since }))
    }

    /// The same with what it changes, if it can still come into force; one that cannot is forgotten.
    pub(super) fn pending_on(
        &self,
        basis: &Basis,
    ) -> Result<Option<(Pending, Review)>, CommunityError> {
        let Some(pending) = self.pending()? else { return Ok(None) };
        match pending.proposal.review(basis, unix_now()) {
            Ok(review) => Ok(Some((pending, review))),
            Err(error) => {
                let id = pending.proposal.id();
                tracing::info!(community = %self.id, proposal = %id, %error, "a proposal is over");
                self.forget_pending()?;
                Ok(None)
            }
        }
    }

    /// Keeps a proposal in the place of the one before; the caller has locked it.
    pub(super) fn keep_pending(
        &self,
        basis: &Basis,
        proposal: Proposal,
    ) -> Result<Proposed, CommunityError> {
        let since = unix_now();
        write_json(&self.pending_path(), &StoredPending { proposal: proposal.to_string(), since })?;
        let proposed = self.proposed(basis, proposal)?;
        Ok(Proposed { since: Some(since), ..proposed })
    }

    pub(super) fn forget_pending(&self) -> Result<(), CommunityError> {
        let path = self.pending_path();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", &path)(error).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Takes back what was proposed on this node. Files of it that others have signed stay valid until
    /// another roster comes.
    ///
    /// # Errors
    /// There is none, or the state cannot be written.
    pub fn drop_pending(&self) -> Result<Proposal, CommunityError> {
        let pending = self.pending()?.ok_or(ProposingError::NonePending)?;
        self.forget_pending()?;
        Ok(pending.proposal)
    }

    fn proposed(&self, basis: &Basis, proposal: Proposal) -> Result<Proposed, CommunityError> {
        let review = proposal.review(basis, unix_now()).map_err(ProposingError::from)?;
        let progress = proposal.progress(&basis.charter);
        Ok(Proposed { proposal, charter: basis.charter.clone(), review, progress, since: None })
    }

    /// What is proposed on this node and waits, held against what is in force at the hub; none when
    /// there is nothing, or it is over.
    ///
    /// # Errors
    /// See [`CommunityError`].
    pub async fn waiting(&self) -> Result<Option<Proposed>, CommunityError> {
        if self.pending()?.is_none() {
            return Ok(None);
        }
        let basis = self.basis(&self.hub()?).await?;
        let Some((pending, _)) = self.pending_on(&basis)? else { return Ok(None) };
        let proposed = self.proposed(&basis, pending.proposal)?;
        Ok(Some(Proposed { since: Some(pending.since), ..proposed }))
    }

    /// Holds a proposal against what is in force at the hub: what it would change.
    ///
    /// # Errors
    /// It is refused, or see [`CommunityError`].
    pub async fn review(&self, proposal: Proposal) -> Result<Proposed, CommunityError> {
        self.own_charter()?;
        let basis = self.basis(&self.hub()?).await?;
        self.proposed(&basis, proposal)
    }

    /// Signs a proposal, after holding it against what is in force.
    ///
    /// # Errors
    /// It is refused, or see [`CommunityError`].
    pub async fn sign(&self, mut proposal: Proposal) -> Result<Proposed, CommunityError> {
        self.own_charter()?;
        let basis = self.basis(&self.hub()?).await?;
        self.proposed(&basis, proposal.clone())?;
        proposal.sign(self.node.key(), &basis.charter).map_err(ProposingError::from)?;
        let _lock = lock_for_change(&self.pending_path())?;
        let is_own = self.pending()?.is_some_and(|own| own.proposal.id() == proposal.id());
        if is_own {
            return self.keep_pending(&basis, proposal);
        }
        self.proposed(&basis, proposal)
    }

    /// Hands in a proposal that enough managers have signed; the number of the roster in force then.
    ///
    /// # Errors
    /// It is refused, or signatures are missing, or see [`CommunityError`].
    pub async fn submit(&self, proposal: &Proposal) -> Result<u64, CommunityError> {
        self.own_charter()?;
        let hub = self.hub()?;
        let basis = self.basis(&hub).await?;
        proposal.review(&basis, unix_now()).map_err(ProposingError::from)?;
        let missing = proposal.progress(&basis.charter).missing;
        if missing > 0 {
            return Err(ProposingError::Incomplete { missing }.into());
        }
        if self.put_in_force(&hub, &basis, proposal).await? {
            return Ok(proposal.roster().number);
        }
        // Somebody was faster: what it says now is why.
        let basis = self.basis(&hub).await?;
        proposal.review(&basis, unix_now()).map_err(ProposingError::from)?;
        Err(CommunityError::Contended)
    }
}
