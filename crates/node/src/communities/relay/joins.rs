//! A machine that reaches no hub but the one beside this relay joins through it.
//!
//! Its request is handed in above as it is; its name there is the hash of its bytes, so it is the same
//! at both hubs. What a manager asks and the machine answers goes on in the same way. The relay reads
//! what every hub reads, and like every hub it can drop that and nothing else: it can make no challenge,
//! and no answer, for the secret shows itself in neither. Nothing is remembered here: what is where, the
//! two hubs say, and everything can be done twice.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_api::{Hex, JoinEnd, Joining, ProblemCode};
use tokio::sync::watch;

use crate::causes::chain;
use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;

/// How long one question for a manager's next step waits at the hub above, in seconds.
const WAIT_S: u64 = 20;
/// How long nothing may be told before both hubs are asked all the same.
const ASK_AGAIN: Duration = Duration::from_secs(20);
/// How often a node that is no relay looks whether it has become one.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The first pause after a failure, which doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

impl Place {
    /// Carries on who asks to join at the hub beside this relay, if it is one, for ever.
    pub(in crate::communities) async fn carry_joins(&self) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.carry_until_silence().await {
                Ok(true) => pause = PAUSE_MIN,
                // It may become a relay, and the hub beside may be told of the community, at any time.
                Ok(false) => pause = LOOK_AGAIN,
                // Whatever is wrong, what the relay is there for meets it too, and says it.
                Err(error) => {
                    let error = chain(&error);
                    tracing::debug!(community = %self.id(), error, "cannot carry joinings on");
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Carries joinings on until the hub beside does not tell of them any more; whether it ever did.
    async fn carry_until_silence(&self) -> Result<bool, CommunityError> {
        let Some(beside) = self.relay_hub()? else { return Ok(false) };
        // Opened first: who comes while the others are listed is told on it.
        let Some(mut events) = self.relay_events(&beside).await? else { return Ok(false) };
        let (told, steps) = watch::channel(());
        let (mut carried, mut under_way) = (FuturesUnordered::new(), BTreeSet::new());
        loop {
            let joinings = beside.client.joinings(&self.id()).await;
            let joinings =
                joinings.map_err(|source| fail(&beside, "list who asks to join", source))?;
            for joining in joinings.into_iter().filter(|joining| joining.end.is_none()) {
                if under_way.insert(joining.id) {
                    carried.push(self.carry(&beside, joining, steps.clone()));
                }
            }
            tokio::select! {
                event = events.next() => match event {
                    Ok(Some(_)) => {
                        told.send_replace(());
                    }
                    Ok(None) | Err(_) => return Ok(true),
                },
                Some(id) = carried.next() => {
                    under_way.remove(&id);
                }
            }
        }
    }

    /// Carries one joining on until it is over; which one it was.
    async fn carry(
        &self,
        beside: &HubLink,
        joining: Joining,
        mut steps: watch::Receiver<()>,
    ) -> Hex<32> {
        let mut pause = PAUSE_MIN;
        while let Err(error) = self.carry_on(beside, &joining, &mut steps).await {
            let error = chain(&error);
            tracing::debug!(community = %self.id(), error, "a joining waits for the hub above");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        joining.id
    }

    async fn carry_on(
        &self,
        beside: &HubLink,
        joining: &Joining,
        steps: &mut watch::Receiver<()>,
    ) -> Result<(), CommunityError> {
        let (hub, community, id) = (self.hub()?, self.id(), &joining.id);
        let above = |source| fail(&hub, "pass a joining on", source);
        let below = |source| fail(beside, "pass a joining back", source);
        if let Err(error) = hub.client.knock(&community, &joining.request.0).await {
            let reason = match error.code() {
                Some(ProblemCode::NotFound) => {
                    "its join secret is unknown, was used or has expired".to_owned()
                }
                Some(ProblemCode::DocumentRefused | ProblemCode::RosterConflict) => chain(&error),
                Some(_) | None => return Err(above(error)),
            };
            let end = JoinEnd::Refused { reason: one_line(&reason) };
            return self.end_beside(beside, id, &end, steps).await;
        }
        // While it is the machine's turn there is nothing to wait for above.
        let mut wait = 0;
        loop {
            steps.borrow_and_update();
            let there = hub.client.joining(&community, id, wait).await.map_err(above)?;
            let here = match beside.client.joining(&community, id, 0).await {
                Ok(here) => here,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(source) => return Err(below(source)),
            };
            wait = WAIT_S;
            match (here.end, there.end) {
                (Some(JoinEnd::Aborted { reason }), None) => {
                    let told = hub.client.abort_join(&community, id, reason).await;
                    return told.map_err(above);
                }
                (Some(_), _) => return Ok(()),
                (None, Some(end)) => return self.end_beside(beside, id, &end, steps).await,
                (None, None) => {}
            }
            match (there.challenge, here.challenge, here.answer, there.answer) {
                (Some(challenge), None, _, _) => {
                    let put = beside.client.challenge_join(&community, id, &challenge.0).await;
                    put.map_err(below)?;
                    wait = 0;
                }
                (_, Some(_), Some(answer), None) => {
                    let put = hub.client.answer_join(&community, id, &answer.0).await;
                    put.map_err(above)?;
                }
                (_, Some(_), None, _) => {
                    wait = 0;
                    let _ = tokio::time::timeout(ASK_AGAIN, steps.changed()).await;
                }
                _ => {}
            }
        }
    }

    /// Ends a joining at the hub beside as it ended above. Who was admitted is told once the roster is
    /// there, without which the machine would find nothing.
    async fn end_beside(
        &self,
        beside: &HubLink,
        id: &Hex<32>,
        end: &JoinEnd,
        steps: &mut watch::Receiver<()>,
    ) -> Result<(), CommunityError> {
        loop {
            steps.borrow_and_update();
            let told = match end {
                JoinEnd::Aborted { reason } => {
                    beside.client.abort_join(&self.id(), id, reason.clone()).await
                }
                JoinEnd::Admitted | JoinEnd::Refused { .. } => {
                    beside.client.end_join(&self.id(), id, end).await
                }
            };
            match told {
                Ok(()) => return Ok(()),
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) if error.code() == Some(ProblemCode::RosterConflict) => {}
                Err(source) => return Err(fail(beside, "pass a joining back", source)),
            }
            let here = beside.client.joining(&self.id(), id, 0).await;
            if here.is_ok_and(|here| here.end.is_some()) {
                return Ok(());
            }
            let _ = tokio::time::timeout(ASK_AGAIN, steps.changed()).await;
        }
    }
}

/// As hubs take a reason.
fn one_line(reason: &str) -> String {
    let plain: String = reason.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let mut end = plain.len().min(200);
    while !plain.is_char_boundary(end) {
        end -= 1;
    }
    plain[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_reason_is_one_short_line_whatever_the_hub_said() {
        assert_eq!(one_line("it\nis\tover"), "it is over");
        let long = one_line(&"ü".repeat(400));
        assert!(long.len() <= 200 && long.chars().all(|it| it == 'ü'), "{long}");
    }
}
