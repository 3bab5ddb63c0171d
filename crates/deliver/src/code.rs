//! A ticket that is handed over to whoever has the code: both ends.
//!
//! The sender's end is a `CodePlan`, driven here; the recipient's is four messages one after the other.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use backoff::Delay;
use bytes::Bytes;
use delivery::{Answer, Claim, Code, HandoverError, Ticket, refusal};
use delivery_plan::{
    CodeAction, CodeEvent, CodePhase, CodePlan, DeliveryConfig, EXCHANGE_TIME, TRIES_MAX,
};
use futures_util::future::BoxFuture;
use hub_api::ProblemCode;
use hub_client::{ClientError, HubClient};

use crate::progress::DeliveryProgress;
use crate::send::sleep_until;

/// Why a ticket is not handed over.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The hub refuses; trying again does not help.
    #[error("the hub does not pass the messages of a code on")]
    Hub(#[source] ClientError),
    /// Nobody who sends has such a number: the code was used or replaced, the sender is gone, or this is
    /// another hub than the sender's. Compare the code, and the hub's address.
    #[error("no sender at {hub} has the code {number}-…")]
    Unknown {
        /// Which hub was asked.
        hub: String,
        /// The code's number.
        number: u16,
    },
    /// Somebody else used the code. Ask the sender for the one that it shows now.
    #[error("the code {0}-… was used already")]
    Used(u16),
    /// The code is wrong, or somebody who does not know it is between the two. It is of no use any more: ask
    /// the sender for the one that it shows now.
    #[error("the code {number}-… was not right")]
    Wrong {
        /// The code's number.
        number: u16,
        /// What was wrong.
        #[source]
        source: HandoverError,
    },
    /// The other side, or the hub, went away in the middle. The code is of no use any more: ask the sender for
    /// the one that it shows now.
    #[error("the code {number}-… came to nothing: {reason}")]
    BrokenOff {
        /// The code's number.
        number: u16,
        /// Why.
        reason: &'static str,
    },
    /// The code cannot be shown to whoever is to tell it to the recipient.
    #[error("cannot show the code")]
    Told(#[source] io::Error),
    /// The system gives no random numbers.
    #[error("the system has no random numbers")]
    Random(#[source] io::Error),
}

/// What a sender hears of its codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeNews {
    /// This one can be told to the recipient.
    Ready(Code),
    /// The recipient has the ticket.
    HandedOver(Code),
    /// Somebody tried the number with other words. Another code follows.
    TriedInVain(Code),
    /// Somebody began and did not go on. Another code follows.
    BrokenOff(Code),
    /// The number is another sender's now. Another code follows.
    NumberTaken(Code),
}

/// Fills an array with random bytes of the system.
type Random = fn(&mut [u8]) -> io::Result<()>;

/// Codes for one ticket, as the sender has them.
pub struct CodeOffer {
    client: Arc<HubClient>,
    ticket: Ticket,
    random: Random,
    code: Option<Code>,
    answer: Option<Answer>,
    /// What [`CodeAction::Close`] sends.
    closing: Vec<u8>,
}

enum Outcome {
    Sent(Result<(), ClientError>),
    Came(Result<Option<Bytes>, ClientError>),
}

impl CodeOffer {
    /// Prepares to hand `ticket` over through a hub where this machine has an account.
    #[must_use]
    pub fn new(client: Arc<HubClient>, ticket: Ticket, random: Random) -> Self {
        Self { client, ticket, random, code: None, answer: None, closing: Vec::new() }
    }

    /// Shows one code after the other by `told` until the ticket is handed over.
    ///
    /// # Errors
    /// See [`CodeError`], also when `told` fails. A hub that is away, and codes that were tried in vain, are
    /// waited for.
    pub async fn run(
        mut self,
        progress: &DeliveryProgress,
        mut told: impl FnMut(CodeNews) -> io::Result<()>,
    ) -> Result<(), CodeError> {
        let mut plan = CodePlan::new(DeliveryConfig::default(), crate::seed(), Instant::now());
        let mut running: Option<(CodeAction, BoxFuture<'static, Outcome>)> = None;
        loop {
            let now = Instant::now();
            if plan.handle_timeout(now) {
                running = None;
            }
            while let Some(event) = plan.poll_event() {
                self.tell(event, &mut told)?;
            }
            if let Some(action) = plan.poll_action(now) {
                running = Some((action, self.perform(action)?));
            }
            let phase = plan.phase(now);
            if phase == CodePhase::Done {
                progress.offers_code(None);
                return Ok(());
            }
            progress.offers_code(waits_for(phase, now));
            let timeout = plan.poll_timeout();
            let (action, outcome) = match &mut running {
                Some((action, running)) => tokio::select! {
                    outcome = running => (*action, outcome),
                    () = sleep_until(timeout) => continue,
                },
                None => {
                    sleep_until(timeout).await;
                    continue;
                }
            };
            running = None;
            self.take(&mut plan, action, outcome)?;
        }
    }

    fn tell(
        &self,
        event: CodeEvent,
        told: &mut impl FnMut(CodeNews) -> io::Result<()>,
    ) -> Result<(), CodeError> {
        let code = self.code.expect("nothing happens before a code is drawn");
        told(match event {
            CodeEvent::Ready => CodeNews::Ready(code),
            CodeEvent::HandedOver => CodeNews::HandedOver(code),
            CodeEvent::TriedInVain => CodeNews::TriedInVain(code),
            CodeEvent::BrokenOff => CodeNews::BrokenOff(code),
            CodeEvent::NumberTaken => CodeNews::NumberTaken(code),
        })
        .map_err(CodeError::Told)
    }

    /// Begins what the plan wants.
    fn perform(&mut self, action: CodeAction) -> Result<BoxFuture<'static, Outcome>, CodeError> {
        let client = Arc::clone(&self.client);
        if action == (CodeAction::Announce { anew: true }) {
            self.code = Some(Code::from_random(drawn(self.random)?));
            self.answer = None;
        }
        let number = self.code.expect("a code is drawn before anything is done with it").number();
        let put = |index: u8, message: Vec<u8>| {
            let client = Arc::clone(&self.client);
            async move { Outcome::Sent(client.put_code_message(number, index, None, message).await) }
        };
        let came = |index: u8| async move {
            Outcome::Came(client.code_message(number, index, None).await)
        };
        Ok(match action {
            CodeAction::Announce { .. } => {
                let client = Arc::clone(&self.client);
                Box::pin(async move { Outcome::Sent(client.announce_code(number).await) })
            }
            CodeAction::AwaitClaim => Box::pin(came(CLAIM)),
            CodeAction::Answer => {
                let answer = self.answer.as_ref().expect("a claim was answered");
                Box::pin(put(ANSWER, answer.message().to_vec()))
            }
            CodeAction::AwaitProof => Box::pin(came(PROOF)),
            CodeAction::Close => Box::pin(put(CLOSING, self.closing.clone())),
        })
    }

    /// Tells the plan how it ended.
    fn take(
        &mut self,
        plan: &mut CodePlan,
        action: CodeAction,
        outcome: Outcome,
    ) -> Result<(), CodeError> {
        let now = Instant::now();
        let message = match outcome {
            Outcome::Sent(Ok(())) if matches!(action, CodeAction::Announce { .. }) => {
                plan.handle_announced();
                return Ok(());
            }
            Outcome::Sent(Ok(())) => {
                plan.handle_sent(now);
                return Ok(());
            }
            Outcome::Came(Ok(None)) => {
                plan.handle_silence();
                return Ok(());
            }
            Outcome::Came(Ok(Some(message))) => message,
            Outcome::Sent(Err(error)) | Outcome::Came(Err(error)) => {
                return failed(plan, action, error, now);
            }
        };
        match action {
            CodeAction::AwaitProof => {
                let answer = self.answer.take().expect("a claim was answered");
                let handed = answer.hand_over(&message, &self.ticket);
                plan.handle_proof(handed.is_ok());
                self.closing = handed.unwrap_or_else(|_| refusal());
            }
            CodeAction::AwaitClaim
            | CodeAction::Announce { .. }
            | CodeAction::Answer
            | CodeAction::Close => {
                let code = self.code.expect("a code was claimed");
                match Answer::new(&code, drawn(self.random)?, &message) {
                    Ok(answer) => {
                        self.answer = Some(answer);
                        plan.handle_claim(now);
                    }
                    Err(_) => plan.handle_nonsense(now),
                }
            }
        }
        Ok(())
    }
}

/// Which message is which.
const CLAIM: u8 = 0;
const ANSWER: u8 = 1;
const PROOF: u8 = 2;
const CLOSING: u8 = 3;

fn drawn<const N: usize>(random: Random) -> Result<[u8; N], CodeError> {
    let mut bytes = [0; N];
    random(&mut bytes).map_err(CodeError::Random)?;
    Ok(bytes)
}

fn failed(
    plan: &mut CodePlan,
    action: CodeAction,
    error: ClientError,
    now: Instant,
) -> Result<(), CodeError> {
    let is_taken = error.code() == Some(ProblemCode::CodeTaken);
    if is_taken && matches!(action, CodeAction::Announce { .. }) {
        plan.handle_taken(now);
        return Ok(());
    }
    // Who says otherwise what was said is a hub that mixes things up: the exchange is over.
    let is_forgotten = error.is_not_found() || is_taken;
    if !is_forgotten && !error.is_retryable() {
        return Err(CodeError::Hub(error));
    }
    tracing::debug!(%error, "a code waits for its hub");
    plan.handle_failed(is_forgotten, now);
    Ok(())
}

fn waits_for(phase: CodePhase, now: Instant) -> Option<String> {
    match phase {
        CodePhase::WaitingForHub => Some("the hub, to make the code known".into()),
        CodePhase::WaitingForClaim => Some("the recipient to enter the code".into()),
        CodePhase::HandingOver => Some("the recipient, who entered the code, to prove it".into()),
        CodePhase::Pausing(until) => Some(format!(
            "the next code, in {} s: {TRIES_MAX} were tried in vain within a minute",
            until.saturating_duration_since(now).as_secs() + 1
        )),
        CodePhase::Done => None,
    }
}

/// Gets the ticket for a code from whoever shows it at the hub of `client`, which has no key: the hub is not
/// to learn who collects, and need not be known.
///
/// # Errors
/// See [`CodeError`]. A hub that is away is waited for, while the code may be good.
pub async fn redeem(
    client: &HubClient,
    code: &Code,
    random: Random,
    progress: &DeliveryProgress,
) -> Result<Ticket, CodeError> {
    let number = code.number();
    let wrong = |source| CodeError::Wrong { number, source };
    let token: [u8; 32] = drawn(random)?;
    let redeeming = Redeeming { client, number, token: &token, progress };
    let claim = Claim::new(code, drawn(random)?);
    redeeming.put(CLAIM, claim.message()).await?;
    // From here on the code is spent.
    let exchange = async {
        let answer = redeeming.message(ANSWER, "the sender to answer").await?;
        let proven = claim.prove(&answer).map_err(wrong)?;
        redeeming.put(PROOF, &proven.message()).await?;
        let closing = redeeming.message(CLOSING, "the sender to hand the ticket over").await?;
        proven.open(&closing).map_err(wrong)
    };
    let ended = tokio::time::timeout(EXCHANGE_TIME, exchange).await;
    progress.waits(None);
    ended.unwrap_or(Err(CodeError::BrokenOff { number, reason: "the sender does not answer" }))
}

struct Redeeming<'a> {
    client: &'a HubClient,
    number: u16,
    token: &'a [u8; 32],
    progress: &'a DeliveryProgress,
}

impl Redeeming<'_> {
    async fn put(&self, index: u8, message: &[u8]) -> Result<(), CodeError> {
        let mut delay = Delay::new(DeliveryConfig::default().retry, crate::seed());
        loop {
            let token = Some(self.token);
            let put =
                self.client.put_code_message(self.number, index, token, message.to_vec()).await;
            let Err(error) = put else { return Ok(()) };
            self.may_go_on(index, error)?;
            tokio::time::sleep(delay.next_delay()).await;
        }
    }

    async fn message(&self, index: u8, what: &'static str) -> Result<Bytes, CodeError> {
        let mut delay = Delay::new(DeliveryConfig::default().retry, crate::seed());
        loop {
            self.progress.waits(Some(what.into()));
            match self.client.code_message(self.number, index, Some(self.token)).await {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => {
                    self.may_go_on(index, error)?;
                    tokio::time::sleep(delay.next_delay()).await;
                }
            }
        }
    }

    fn may_go_on(&self, index: u8, error: ClientError) -> Result<(), CodeError> {
        let number = self.number;
        if error.code() == Some(ProblemCode::CodeTaken) {
            return Err(CodeError::Used(number));
        }
        if error.is_not_found() {
            return Err(match index {
                CLAIM => CodeError::Unknown { hub: self.client.url().to_owned(), number },
                _ => CodeError::BrokenOff { number, reason: "the hub forgot it" },
            });
        }
        if !error.is_retryable() {
            return Err(CodeError::Hub(error));
        }
        tracing::debug!(%error, "a code waits for its hub");
        self.progress.waits(Some("the hub".into()));
        Ok(())
    }
}
