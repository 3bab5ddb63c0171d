//! This machine becomes a peer of a community.
//!
//! The seed says where the community is and who manages it. Whoever answers has to show that it is a
//! manager, for this very request; what it shows then is the roster with this machine in it. When
//! anything does not fit, the machine breaks off and says why at the hub, where a manager reads it.

use community::{
    Charter, CharterError, JoinAnswer, JoinChallenge, JoinError, JoinRequest, JoinSecret, PeerName,
    Seed,
};
use hub_api::{JoinEnd, Joining};
use hub_client::ClientError;

use super::{CommunityError, Place, Standing, going_on, known_hub};
use crate::hubs::HubLink;
use crate::state::{Node, StateError, random};
use crate::waits::Waits;

/// How long one question for the next step waits at the hub, in seconds.
const WAIT_S: u64 = 20;

/// Why the machine did not join. Nothing was changed here; it can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum JoinCommunityError {
    /// The seed's charter is not sound, or the hub's do not follow it. Ask a manager for the seed again.
    #[error("the charter is refused")]
    Charter(#[from] CharterError),
    /// No hub of the seed answered, or it refused: a join secret that was used or has expired is not
    /// found there. Ask a manager for a new one.
    #[error("cannot join at {url}")]
    Hub {
        /// The hub asked last.
        url: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// Whoever answered is no manager of this community. Do not go on: somebody is in between, or the
    /// seed is of another community. Ask those who gave you the seed.
    #[error("the joining was broken off")]
    BrokenOff(#[source] JoinError),
    /// A manager refused: why, by its word.
    #[error("a manager refused: {0}")]
    Refused(String),
    /// The joining was broken off at the hub by somebody else who knew its number. Try again.
    #[error("the joining was ended: {0}")]
    Ended(String),
    /// The community's documents are not what was promised.
    #[error(transparent)]
    Community(#[from] CommunityError),
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// A machine that has joined.
#[derive(Debug)]
pub struct Joined {
    /// The community.
    pub place: Place,
    /// How it stands.
    pub standing: Standing,
    /// Whether it had joined before already.
    pub again: bool,
}

impl Node {
    /// Joins the community of a seed as `peer`. Without a secret a manager has to approve this
    /// node's key, and this waits for that.
    ///
    /// # Errors
    /// See [`JoinCommunityError`].
    pub async fn join(
        &self,
        seed: &Seed,
        peer: &PeerName,
        secret: Option<&JoinSecret>,
        waits: &Waits,
    ) -> Result<Joined, JoinCommunityError> {
        let charter = seed.open()?;
        let mut last = None;
        for route in &seed.routes {
            let hub = self.link(&known_hub(route)).map_err(CommunityError::from)?;
            match hub.client.charters(&charter.community, charter.number).await {
                Ok(later) => {
                    let (charter, signed) = newest(charter, &seed.charter, &later)?;
                    let charter = going_on(charter)?;
                    return self.join_at(&hub, seed, (charter, &signed), peer, secret, waits).await;
                }
                Err(source) => {
                    last = Some(JoinCommunityError::Hub { url: hub.url.clone(), source });
                }
            }
        }
        Err(last.expect("a seed names a hub"))
    }

    async fn join_at(
        &self,
        hub: &HubLink,
        seed: &Seed,
        (charter, signed): (Charter, &[u8]),
        peer: &PeerName,
        secret: Option<&JoinSecret>,
        waits: &Waits,
    ) -> Result<Joined, JoinCommunityError> {
        let id = charter.community;
        let fail = |source| JoinCommunityError::Hub { url: hub.url.clone(), source };
        // A run that was killed may have been admitted without knowing.
        if let Ok(standing) = hub.client.standing(&id, charter.number).await
            && standing.membership.is_some()
        {
            return self.joined(seed, &charter, signed, true).await;
        }
        let request = JoinRequest {
            community: id,
            peer: peer.clone(),
            key: self.key().public(),
            exchange: self.exchange().public(),
            nonce: random()?,
            admission: secret.map(|secret| secret.admission(&id, peer)),
        };
        let signed_request = request.sign(self.key());
        let place = hub.client.knock(&id, &signed_request).await.map_err(fail)?;
        let signers = charter.managers.threshold;
        let manager = match secret {
            _ if signers > 1 => {
                format!("a manager of {} to answer and {signers} of them to sign", charter.name)
            }
            Some(_) => format!("a manager of {} to answer", charter.name),
            None => format!("a manager of {} to approve {peer}", charter.name),
        };
        let _waits = waits.say(manager);
        let mut answered = false;
        loop {
            let joining = hub.client.joining(&id, &place.id, WAIT_S).await;
            let joining = joining.map_err(fail)?;
            match joining.end {
                Some(JoinEnd::Admitted) => {
                    return self.joined(seed, &charter, signed, false).await;
                }
                Some(JoinEnd::Refused { reason }) => {
                    return Err(JoinCommunityError::Refused(reason));
                }
                Some(JoinEnd::Aborted { reason }) => {
                    return Err(JoinCommunityError::Ended(reason));
                }
                None => {}
            }
            let Joining { challenge: Some(challenge), .. } = joining else { continue };
            if answered {
                continue;
            }
            if let Err(error) = JoinChallenge::open(&challenge.0, &charter, &signed_request) {
                tracing::error!(%error, community = %id, hub = hub.url, "joining broken off");
                // The hub tells the managers; when it does not, this machine has said so here.
                let told = hub.client.abort_join(&id, &place.id, error.to_string()).await;
                if let Err(source) = told {
                    tracing::warn!(error = %source, "the managers were not told");
                }
                return Err(JoinCommunityError::BrokenOff(error));
            }
            let answer = JoinAnswer::new(&request, &challenge.0, secret).sign(self.key());
            hub.client.answer_join(&id, &place.id, &answer).await.map_err(fail)?;
            answered = true;
        }
    }

    async fn joined(
        &self,
        seed: &Seed,
        charter: &Charter,
        signed: &[u8],
        again: bool,
    ) -> Result<Joined, JoinCommunityError> {
        let place = self.place(charter.community);
        if !place.path().is_file() {
            place.begin(signed, &seed.routes)?;
        }
        let standing = place.refresh().await?;
        Ok(Joined { place, standing, again })
    }
}

/// Follows the charters behind the seed's to the newest.
fn newest(
    mut charter: Charter,
    signed: &[u8],
    later: &[Vec<u8>],
) -> Result<(Charter, Vec<u8>), CharterError> {
    let mut newest = signed.to_vec();
    for next in later {
        charter = charter.follow(next)?;
        newest.clone_from(next);
    }
    Ok((charter, newest))
}
