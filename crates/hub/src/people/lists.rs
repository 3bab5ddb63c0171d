//! The signed lists of a person's devices, as the hub follows them.

use ::people::{DevicesError, Handle, Known};
use hub_api::ProblemCode;
use hub_api::limits::DEVICE_LISTS_BYTES_MAX;
use hub_db::AccountKey;

use crate::refusal::{Chain, Refusal};

/// A list that may be kept.
pub(crate) struct Followed {
    pub(crate) known: Known,
    /// The list before.
    pub(crate) previous: Option<Vec<u8>>,
}

/// The devices on a list.
pub(crate) fn keys_of(known: &Known) -> Vec<AccountKey> {
    known.list.devices.keys().map(|key| AccountKey(*key.as_bytes())).collect()
}

/// Believes `signed` as the list after `kept`, or as the first when there is none.
pub(crate) fn follow(
    handle: &Handle,
    kept: Vec<Vec<u8>>,
    signed: &[u8],
) -> Result<Followed, Refusal> {
    let bytes = kept.iter().map(Vec::len).sum::<usize>() + signed.len();
    if bytes > DEVICE_LISTS_BYTES_MAX {
        let full = "the lists of this person's devices take as much room as they may";
        return Err(Refusal::new(ProblemCode::DocumentRefused, full));
    }
    let known = if kept.is_empty() {
        Known::first(handle, signed)
    } else {
        let newest = Known::chain(handle, kept.iter().map(Vec::as_slice));
        // What the hub kept it believed before.
        newest.map_err(|error| Refusal::internal(&error))?.next(signed)
    };
    let known = known.map_err(|error| match error {
        DevicesError::DoesNotFollow { .. } => {
            Refusal::new(ProblemCode::PersonConflict, error.to_string())
        }
        DevicesError::Document(_)
        | DevicesError::OtherHandle(_)
        | DevicesError::NotTheirs(_)
        | DevicesError::WeakKey(_) => {
            Refusal::new(ProblemCode::DocumentRefused, Chain(&error).to_string())
        }
    })?;
    Ok(Followed { known, previous: kept.into_iter().next_back() })
}
