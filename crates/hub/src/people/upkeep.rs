//! What goes on beside requests: noting how deliveries stand, who came and went, and removing what is idle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_api::{DeliveryEnd, DeliveryParty, Hex, PersonNews};
use hub_db::{DeliveryState, PersonId, Settled, Sides};
use tokio::time::sleep;

use super::noting::{Change, Noting};
use super::shown::shown_party;
use crate::app::App;
use crate::cluster::Wake;
use crate::files::unix_now;
use crate::refusal::Chain;

/// The least time between two looks at the deliveries, however much they change.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// The longest: sides are found gone by looking.
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Most people who are told that somebody came or went; others see it when they ask.
const TOLD_MAX: u32 = 1000;
/// Most deliveries that are removed in one transaction.
const SWEEP_MAX: u32 = 500;
/// How long what is over stays in lists.
const OVER_TIME: Duration = Duration::from_hours(90 * 24);

/// Pause after it could not be noted who came or went.
const NOTE_AGAIN_TIME: Duration = Duration::from_secs(1);

/// Why the hub ends a delivery.
const IDLE_REASON: &str = "nothing happened to it for too long";

/// Tells both sides of a delivery that it stands otherwise.
pub(crate) fn tell_sides(app: &App, sides: &Sides) {
    app.people.presence.tell(sides.recipient, PersonNews::Inbox);
    app.people.presence.tell(sides.sender, PersonNews::Outbox);
}

/// Does in memory what a change of somebody's book made of deliveries, and tells their sides.
pub(crate) async fn tell_settled(app: &App, settled: &Settled) {
    settled.let_in.iter().for_each(|sides| tell_sides(app, sides));
    for sides in &settled.ended {
        end_live(app, &sides.delivery, DeliveryParty::Recipient, "refused".to_owned()).await;
        tell_sides(app, sides);
    }
}

/// Ends what of an addressed delivery is in memory, here or at another front-end, after it was ended in the
/// database.
pub(crate) async fn end_live(app: &App, delivery: &[u8; 16], by: DeliveryParty, reason: String) {
    app.cluster.post().tell(Wake::Ended { delivery: Hex(*delivery) });
    end_here(app, delivery, by, reason).await;
}

/// Ends what of an addressed delivery is in memory here, after another front-end ended it in the database.
pub(crate) async fn end_as_noted(app: &App, delivery: &[u8; 16]) {
    if !app.deliveries.has(delivery) && !app.lockers.has(delivery) {
        return;
    }
    let (by, reason) = match app.db.addressed(delivery).await {
        Ok(Some(record)) => match (record.state, record.ended) {
            (DeliveryState::Terminated, Some((by, reason))) => (shown_party(by), reason),
            (DeliveryState::Removed, _) => (DeliveryParty::Hub, IDLE_REASON.to_owned()),
            _ => return,
        },
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "a delivery that is over may go on");
            return;
        }
    };
    end_here(app, delivery, by, reason).await;
}

async fn end_here(app: &App, delivery: &[u8; 16], by: DeliveryParty, reason: String) {
    match app.db.addressed(delivery).await {
        Ok(Some(record)) => {
            let end = DeliveryEnd { by, reason };
            if app.lockers.end(*delivery, &end).await.is_err() {
                tracing::warn!("a locker that is over was not emptied");
            }
            app.deliveries.end(delivery, record.account, end);
        }
        Ok(None) => {}
        // Its sides find that it is over when they begin anew.
        Err(error) => tracing::warn!(error = %Chain(&error), "a delivery that is over may go on"),
    }
}

/// Notes in the database how addressed deliveries stand, as long as the hub runs.
pub(crate) async fn note_deliveries(app: Arc<App>) {
    let mut noting = Noting::default();
    loop {
        tokio::select! {
            () = app.deliveries.addressed_stirred() => {}
            () = sleep(LOOK_INTERVAL_MAX) => {}
        }
        for change in noting.handle_statuses(&app.deliveries.addressed(), Instant::now()) {
            if let Err(error) = note(&app, &change).await {
                tracing::warn!(error = %Chain(&error), "how a delivery stands was not noted yet");
                noting.handle_failure(&change.delivery);
            }
        }
        sleep(LOOK_INTERVAL).await;
    }
}

async fn note(app: &App, change: &Change) -> Result<(), hub_db::DbError> {
    let sides = app.db.note_delivery(&change.delivery, change.note, unix_now()).await?;
    if let Some(sides) = sides.filter(|_| change.is_news) {
        tell_sides(app, &sides);
    }
    Ok(())
}

/// Notes who came and went, and tells those whose deliveries wait for them.
pub(crate) async fn note_presence(app: Arc<App>) {
    loop {
        for person in app.people.presence.changed().await {
            if let Err(error) = came_or_went(&app, person).await {
                tracing::warn!(error = %Chain(&error), "that somebody came or went was not noted yet");
                app.people.presence.note_again(person);
                sleep(NOTE_AGAIN_TIME).await;
            }
        }
    }
}

async fn came_or_went(app: &App, person: PersonId) -> Result<(), hub_db::DbError> {
    if app.cluster.has_others() {
        let since = app.people.presence.online_since(person);
        app.db.set_online(person, app.cluster.id(), since).await?;
    }
    app.db.note_presence(person, unix_now()).await?;
    for sender in app.db.senders_waiting(person, TOLD_MAX).await? {
        app.people.presence.tell(sender, PersonNews::Outbox);
    }
    Ok(())
}

/// Removes deliveries to which nothing happened for `window`, while this front-end is the manager.
pub(crate) async fn sweep_deliveries(app: Arc<App>, interval: Duration, window: Duration) {
    loop {
        sleep(interval).await;
        if !app.cluster.manages(&*app.db).await {
            continue;
        }
        let now = unix_now();
        let idle_since = now.saturating_sub(window.as_secs());
        let over_before = now.saturating_sub(OVER_TIME.as_secs());
        loop {
            let removed = app.db.sweep_addressed(idle_since, over_before, SWEEP_MAX, now).await;
            match removed {
                Ok(removed) => {
                    for sides in &removed {
                        let reason = IDLE_REASON.to_owned();
                        end_live(&app, &sides.delivery, DeliveryParty::Hub, reason).await;
                        tell_sides(&app, sides);
                    }
                    if removed.len() < SWEEP_MAX as usize || !app.cluster.manages(&*app.db).await {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "idle deliveries were not removed");
                    break;
                }
            }
        }
    }
}
