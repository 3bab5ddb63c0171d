//! What a machine of the simulation reaches beyond itself.

use bytes::Bytes;
use random::Random;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Sabotage;
use crate::clock::Moment;
use crate::judge::Judge;
use crate::network::{CallId, Kind, Network, Party, Route};
use crate::trace::Trace;

/// How long an answer, or the next part of it, is waited for: as `hub-client` does.
const ANSWER_MAX: Moment = Moment::from_secs(30);

pub(crate) struct Context<'a> {
    pub(crate) now: Moment,
    pub(crate) network: &'a mut Network,
    pub(crate) random: &'a mut Random,
    pub(crate) judge: &'a mut Judge,
    pub(crate) trace: &'a mut Trace,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Context<'_> {
    pub(crate) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    pub(crate) fn is(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    pub(crate) fn ask(&mut self, from: Party, to: Party, route: Route, body: Bytes) -> Asked {
        self.ask_once(from, to, route, body, None)
    }

    pub(crate) fn ask_once(
        &mut self,
        from: Party,
        to: Party,
        route: Route,
        body: Bytes,
        key: Option<u64>,
    ) -> Asked {
        // The answer is waited for from when the last byte was taken: 10 kB/s at the slowest.
        let taken = Moment::from_millis(body.len() as u64 / 10);
        let call = self.network.ask(self.now, (from, to), route, key, body);
        Asked { call, body: Vec::new(), deadline: self.now + taken + ANSWER_MAX }
    }

    pub(crate) fn stop(&mut self, call: CallId) {
        self.network.stop(self.now, call);
    }

    pub(crate) fn answer(&mut self, call: CallId, status: u16, part: Bytes, end: bool) {
        self.network.answer(self.now, call, status, part, end);
    }
}

/// A question whose answer is a document.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) call: CallId,
    body: Vec<u8>,
    pub(crate) deadline: Moment,
}

/// How a question ended.
#[derive(Debug)]
pub(crate) enum Reply {
    /// With an answer.
    Whole(u16, Vec<u8>),
    /// Without one.
    Failed,
}

impl Asked {
    /// Takes what came; something when the question has ended.
    pub(crate) fn take(&mut self, now: Moment, kind: &Kind) -> Option<Reply> {
        match kind {
            Kind::Answer { status, part, end } => {
                self.body.extend_from_slice(part);
                self.deadline = now + ANSWER_MAX;
                end.then(|| Reply::Whole(*status, std::mem::take(&mut self.body)))
            }
            Kind::Broken => Some(Reply::Failed),
            Kind::Ask { .. } | Kind::Stop => None,
        }
    }
}

impl Reply {
    /// The document in an answer that is good.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        match self {
            Self::Whole(200..300, body) => {
                serde_json::from_slice(body).map_err(|error| error.to_string())
            }
            Self::Whole(status, body) => {
                Err(format!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(120)])))
            }
            Self::Failed => Err("no answer".to_owned()),
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Whole(404, _))
    }
}

pub(crate) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("messages are JSON").into()
}
