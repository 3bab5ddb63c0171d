//! People who are signed in and wait: an account, a handle and an event stream for each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use community::ExchangeKey;
use documents::Invitation;
use hub_api::{Base64Bytes, Hidden, PersonDetails, PersonRequest, routes};
use hub_client::{HubClient, Pin};
use people::{Device, Devices, Handle};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::idle::{Idle, SETTLING, open, resident_bytes};
use super::plant::{now, target_key};

/// Who registers at once: each has the hub hash a password.
const AT_ONCE: usize = 4;

/// Registers a person by each invitation; the closing line says how many.
pub(crate) async fn make(invitations: &[Invitation], count: usize) -> Result<String> {
    ensure!(invitations.len() >= count, "each person needs an invitation");
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut making = JoinSet::new();
    for (number, invitation) in invitations.iter().take(count).cloned().enumerate() {
        let turns = Arc::clone(&turns);
        making.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            person(&invitation, number).await
        });
    }
    while let Some(made) = making.join_next().await {
        made??;
    }
    Ok(format!("{{\"people\":{count}}}"))
}

async fn person(invitation: &Invitation, number: usize) -> Result<()> {
    let (key, pin) = (target_key(number), Pin::Fingerprint(invitation.fingerprint));
    let client = HubClient::new(&invitation.url, pin, Some(target_key(number)))?;
    client.register(invitation).await?;
    let handle: Handle = format!("person-{number}").parse()?;
    let exchange = ExchangeKey::derive(&key).public();
    let device = Device { exchange, name: "desk".to_owned(), since: now() };
    let list = Devices {
        handle: handle.clone(),
        number: 1,
        previous: None,
        issued: now(),
        devices: [(key.public(), device)].into(),
        signer: key.public(),
    };
    let request = PersonRequest {
        handle: handle.to_string(),
        password: Hidden("correct horse".to_owned()),
        details: PersonDetails::default(),
        devices: Base64Bytes(list.sign(&key)),
    };
    client.create_person(&request).await?;
    Ok(())
}

/// Opens a stream for each person, and looks at the memory of the process `hub`.
pub(crate) async fn measure(invitation: &Invitation, count: usize, hub: u32) -> Result<Idle> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before_bytes = resident_bytes(hub)?;
    let path = routes::MY_EVENTS.to_owned();
    let streams = open(&invitation.url, invitation.fingerprint, path, 0..count).await?;
    tokio::time::sleep(SETTLING).await;
    let with_bytes = resident_bytes(hub)?;
    drop(streams);
    Ok(Idle { before_bytes, with_bytes })
}
