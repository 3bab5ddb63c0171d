//! Deliveries whose ticket is handed over by a code.

use std::fs;
use std::io;
use std::sync::Arc;

use deliver::{CodeNews, CodeOffer, DeliveryProgress, Sent};
use delivery::{Code, Ticket};
use serde::{Deserialize, Serialize};

use super::{DeliveryError, Prepared};
use crate::hubs::HubChoiceError;
use crate::state::{Node, StateError, create_private_directory, read_json, write_json};

/// `code.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redeemed {
    code: String,
    ticket: String,
}

const CODE: &str = "code.json";

impl Prepared {
    /// Shows codes by `told` until somebody has the ticket, and sends until the recipient's receipt is here.
    ///
    /// # Errors
    /// See [`DeliveryError`]. A hub or a recipient that is away is waited for.
    pub async fn send_by_code(
        &mut self,
        progress: &DeliveryProgress,
        told: impl FnMut(CodeNews) -> io::Result<()>,
    ) -> Result<Sent, DeliveryError> {
        let _alone = self.alone()?;
        let client = Arc::clone(&self.hub.client);
        let offer = CodeOffer::new(client, self.ticket.clone(), fill).run(progress, told);
        let offer = async {
            match offer.await {
                // The rest is the delivery's.
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        let sent = tokio::select! {
            sent = self.sending.run(progress) => sent.map_err(|error| self.noted(error))?,
            error = offer => return Err(error.into()),
        };
        self.keep(sent)
    }
}

impl Node {
    /// The ticket for a code, from whoever shows it at the hub at `url`, or at the first one this node
    /// registered with. It is kept until the delivery is here, so that the same code does for going on.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub async fn redeem_code(
        &self,
        code: &Code,
        url: Option<&str>,
        progress: &DeliveryProgress,
    ) -> Result<Ticket, DeliveryError> {
        if let Some(ticket) = self.redeemed(code)? {
            return Ok(ticket);
        }
        let client = self.unproven_hub(url).map_err(|error| match error {
            HubChoiceError::NoneKnown => DeliveryError::CodeWithoutHub,
            HubChoiceError::NotRegistered(_)
            | HubChoiceError::Fingerprint(_)
            | HubChoiceError::OtherCertificate(_)
            | HubChoiceError::Url { .. }
            | HubChoiceError::State(_) => error.into(),
        })?;
        let ticket = deliver::redeem(&client, code, fill, progress).await?;
        let memory = self.deliveries("in")?.join(ticket.id.to_string());
        create_private_directory(&memory)?;
        let redeemed = Redeemed { code: code.to_string(), ticket: ticket.to_string() };
        write_json(&memory.join(CODE), &redeemed)?;
        Ok(ticket)
    }

    /// What an earlier try with this code got.
    fn redeemed(&self, code: &Code) -> Result<Option<Ticket>, StateError> {
        let directory = self.deliveries("in")?;
        let failed = |source| StateError::Io { action: "list", path: directory.clone(), source };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path().join(CODE);
            let Some(redeemed) = read_json::<Redeemed>(&path)? else { continue };
            if redeemed.code == code.to_string() {
                let damaged = |reason: delivery::ParseTicketError| StateError::Damaged {
                    path: path.clone(),
                    reason: reason.to_string(),
                };
                return redeemed.ticket.parse().map(Some).map_err(damaged);
            }
        }
        Ok(None)
    }
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}
