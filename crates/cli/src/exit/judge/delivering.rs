//! Verdicts on what stops a delivery.

use deliver::{CodeError, ReceiveError, SendError};
use node::deliveries::DeliveryError;

use super::{judge_client, judge_one};
use crate::exit::Ended;

const ANOTHER: &str = "ask the sender for the code that `consign send` shows now";

pub(super) fn judge_delivery(error: &DeliveryError) -> Option<(Ended, Option<String>)> {
    match error {
        DeliveryError::Code(error) => judge_code(error),
        DeliveryError::CodeWithoutHub => Some((
            Ended::Failed,
            Some("name the hub that `consign send` named beside the code: --hub URL".to_owned()),
        )),
        DeliveryError::Hub(error) => judge_one(error),
        DeliveryError::Receive(ReceiveError::Ended { .. }) => {
            Some((Ended::Refused, Some("ask the sender to send it anew".to_owned())))
        }
        DeliveryError::InUse(_) | DeliveryError::Receiving(_) => Some((
            Ended::InUse,
            Some("leave it to that process, perhaps `consign node`, or end that first".to_owned()),
        )),
        DeliveryError::NoReceipt(_) => Some((
            Ended::NotFound,
            Some("`consign receipts` lists them; give more of the id".to_owned()),
        )),
        DeliveryError::Unknown(_) => Some((
            Ended::NotFound,
            Some("`consign deliveries` lists them; give more of the id".to_owned()),
        )),
        DeliveryError::Arrived(id) => Some((
            Ended::Refused,
            Some(format!("`consign send --resume {id}` takes it; the hub keeps nothing then")),
        )),
        DeliveryError::Send(SendError::Ended { .. }) => Some((Ended::Refused, None)),
        DeliveryError::Survey(_)
        | DeliveryError::TooLarge(_)
        | DeliveryError::Send(_)
        | DeliveryError::Receive(_)
        | DeliveryError::State(_) => None,
    }
}

fn judge_code(error: &CodeError) -> Option<(Ended, Option<String>)> {
    match error {
        CodeError::Hub(source) => Some(judge_client(source)),
        CodeError::Unknown { .. } => Some((
            Ended::NotFound,
            Some(
                "compare the code and the hub with what `consign send` shows now; it has to run meanwhile"
                    .to_owned(),
            ),
        )),
        CodeError::Wrong { .. } => Some((Ended::Refused, Some(ANOTHER.to_owned()))),
        CodeError::Used(_) | CodeError::BrokenOff { .. } => {
            Some((Ended::Failed, Some(ANOTHER.to_owned())))
        }
        CodeError::Told(_) | CodeError::Random(_) => None,
    }
}
