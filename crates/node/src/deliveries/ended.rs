//! The end of deliveries before they arrived: of those from here, when their sender says so, and of those to
//! here, of which nothing stays.

use std::fs;
use std::path::PathBuf;

use deliver::{Leftover, Offered, ReceiveError, SendError};
use delivery::DeliveryId;
use hub_api::DeliveryInfo;

use super::{DeliveryError, locked};
use crate::causes::chain;
use crate::state::{Node, StateError};

impl Node {
    /// Ends a delivery from here that was handed over as a ticket, a link or a code, running or not, and forgets
    /// what opens it.
    ///
    /// # Errors
    /// [`DeliveryError::Arrived`] when there is a receipt to be taken; see [`DeliveryError`].
    pub async fn end_sent(&self, id: DeliveryId, reason: &str) -> Result<(), DeliveryError> {
        let prepared = self.resume_delivery(&id.to_string())?;
        let (client, bytes) = (&prepared.hub.client, *id.as_bytes());
        let ended = match client.delivery_status(bytes, None, None).await {
            Ok(status) if status.receipt.is_some() => return Err(DeliveryError::Arrived(id)),
            Ok(_) => client.end_delivery(bytes, None, reason).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => {}
            // Nobody can receive it, unless somebody here is about to announce it again.
            Err(error) if error.is_not_found() => drop(prepared.alone()?),
            Err(error) => return Err(SendError::Hub(error).into()),
        }
        prepared.end(&format!("the sender: {reason}"))
    }

    /// Tells the sender that a delivery is not wanted, and removes what came of it.
    ///
    /// # Errors
    /// See [`DeliveryError`]; when the hub could not be told, what came stays.
    pub async fn refuse_delivery(
        &self,
        offered: Offered,
        reason: &str,
    ) -> Result<(), DeliveryError> {
        let id = offered.id();
        offered.refuse(reason).await.map_err(ReceiveError::Hub)?;
        self.forget_incoming(id).await.map(drop)
    }

    /// Removes what came of the deliveries among `listed` that are over, unless a process of this machine is at
    /// it. What cannot be removed is named in the log and met again next time.
    pub async fn forget_ended(&self, listed: &[DeliveryInfo]) {
        for one in listed.iter().filter(|one| one.state.is_over()) {
            self.try_to_forget(DeliveryId::from_bytes(one.delivery.0)).await;
        }
    }

    /// The same for one that ended just now, if that is what went wrong.
    pub(super) async fn forget_if_ended(&self, id: DeliveryId, error: &ReceiveError) {
        if matches!(error, ReceiveError::Ended { .. }) {
            self.try_to_forget(id).await;
        }
    }

    async fn try_to_forget(&self, id: DeliveryId) {
        match self.forget_incoming(id).await {
            // Who receives it learns of the end, and removes it.
            Ok(_) | Err(DeliveryError::Receiving(_)) => {}
            Err(error) => {
                tracing::warn!(%id, error = %chain(&error), "what came of an ended delivery stays");
            }
        }
    }

    /// Removes what came of a delivery that is over, and what is remembered of it. What is complete stays.
    async fn forget_incoming(&self, id: DeliveryId) -> Result<Leftover, DeliveryError> {
        let memory = self.incoming(id)?;
        if !memory.exists() {
            return Ok(Leftover::None);
        }
        let alone = self.receiving_alone(id)?;
        let forgotten = tokio::task::spawn_blocking(move || {
            let left = deliver::discard(&memory, id)?;
            if left != Leftover::Complete {
                let failed =
                    |source| StateError::Io { action: "remove", path: memory.clone(), source };
                fs::remove_dir_all(&memory).map_err(failed)?;
            }
            drop(alone);
            Ok(left)
        });
        forgotten.await.expect("removing does not panic")
    }

    /// Keeps other processes of this machine from receiving it, too, or from removing what came.
    pub(super) fn receiving_alone(&self, id: DeliveryId) -> Result<fs::File, DeliveryError> {
        locked(&self.incoming(id)?.join("receiving"))?.ok_or(DeliveryError::Receiving(id))
    }

    fn incoming(&self, id: DeliveryId) -> Result<PathBuf, StateError> {
        Ok(self.deliveries("in")?.join(id.to_string()))
    }
}
