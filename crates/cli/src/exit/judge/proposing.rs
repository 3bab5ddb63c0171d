//! Exit codes and advice about changes that several managers sign.

use community::ProposalError;
use node::communities::manager::ProposingError;

use crate::exit::Ended;

pub(super) fn judge(error: &ProposingError) -> (Ended, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        ProposingError::Review(ProposalError::Overtaken { .. } | ProposalError::Expired { .. }) => {
            (Ended::InUse, hint("make the change again, on what is in force now"))
        }
        ProposingError::Review(ProposalError::InForce) => {
            (Ended::InUse, hint("there is nothing left to do"))
        }
        ProposingError::Review(ProposalError::Ahead { .. }) => (
            Ended::Refused,
            hint("ask who made it what it follows; the hub may be hiding that from this node"),
        ),
        ProposingError::Review(ProposalError::OtherCommunity { .. }) => {
            (Ended::NotFound, hint("name its community with --community"))
        }
        ProposingError::Review(
            ProposalError::Forked(_)
            | ProposalError::Charter(_)
            | ProposalError::Roster(_)
            | ProposalError::TooLong { .. }
            | ProposalError::Untrue(_),
        )
        | ProposingError::Signatures(_) => (
            Ended::Refused,
            hint("do not sign it; speak with the manager who made it, by another way"),
        ),
        ProposingError::Incomplete { .. } => (
            Ended::NotAllowed,
            hint("carry the file to other managers, who sign it: consign community sign FILE"),
        ),
        ProposingError::NotAfterwards => {
            (Ended::NotAllowed, hint("carry the file to a manager who stays one"))
        }
        ProposingError::OutOfReach { .. } => (
            Ended::Failed,
            hint("add managers first, have them open the seed, then raise the threshold"),
        ),
        ProposingError::NonePending => (Ended::NotFound, hint("name the file with the proposal")),
        ProposingError::Other { .. } => {
            (Ended::Refused, hint("look at it again: consign community proposal show FILE"))
        }
    }
}
