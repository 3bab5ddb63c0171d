//! The tables of operations: one row for every method of every route, in a file for each noun.

mod accounts;
mod chunks;
mod codes;
mod communities;
mod deliveries;
mod hub;
mod joins;
mod names;
mod people;
mod queues;
mod releases;
mod sessions;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{Content, Place, idempotency_key};
use crate::{ProblemCode, routes};

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `GET`; `HEAD` answers the same without a body.
    Get,
    /// `PUT`.
    Put,
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Get, Self::Put, Self::Post, Self::Delete];

    /// The method as OpenAPI writes it, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anybody; a token is not looked at.
    Anybody,
    /// Anybody, with or without session or machine token: what they see depends on it.
    Visitor,
    /// A publisher's session, or a machine token with the scope `publish`.
    Publisher,
    /// A session of an account.
    Account,
    /// A session of any account, and of a guest where the hub has guests.
    Sender,
    /// A session of an administrator.
    Administrator,
}

/// A parameter of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) is_required: bool,
    pub(crate) description: &'static str,
    schema: fn() -> Value,
}

impl Parameter {
    pub(crate) fn schema(&self) -> Value {
        (self.schema)()
    }
}

/// One method of one route.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The template, as the router has it.
    pub path: &'static str,
    /// A name for generated clients.
    pub id: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// What else there is to know; may be empty.
    pub(crate) note: &'static str,
    pub(crate) who: Who,
    pub(crate) request: Content,
    /// Statuses other than problems.
    pub(crate) answers: &'static [(u16, Content, &'static str)],
    query: &'static [Parameter],
    /// Problems beside those that its parameters, caller and body imply.
    problems: &'static [ProblemCode],
    pub(crate) is_conditional: bool,
    is_idempotent_by_key: bool,
}

const fn get(path: &'static str, id: &'static str, summary: &'static str, who: Who) -> Operation {
    Operation {
        method: Method::Get,
        path,
        id,
        summary,
        note: "",
        who,
        request: Content::Empty,
        answers: &[],
        query: &[],
        problems: &[],
        is_conditional: false,
        is_idempotent_by_key: false,
    }
}

const fn put(path: &'static str, id: &'static str, summary: &'static str, who: Who) -> Operation {
    Operation { method: Method::Put, ..get(path, id, summary, who) }
}

const fn post(path: &'static str, id: &'static str, summary: &'static str, who: Who) -> Operation {
    Operation { method: Method::Post, ..get(path, id, summary, who) }
}

const fn delete(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    who: Who,
) -> Operation {
    let answers = &[(204, Content::Empty, "It is gone.")];
    Operation { method: Method::Delete, answers, ..get(path, id, summary, who) }
}

const fn query(name: &'static str, description: &'static str, schema: fn() -> Value) -> Parameter {
    Parameter { name, place: Place::Query, is_required: false, description, schema }
}

fn unsigned() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0 })
}

fn limit() -> Value {
    json!({ "type": "integer", "format": "int32", "minimum": 1 })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn reading() -> Value {
    json!({ "type": "string", "enum": ["reading"] })
}

fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn hex16() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-fA-F]{32}$" })
}

fn hex32() -> Value {
    json!({ "$ref": "#/components/schemas/Hex32" })
}

const AFTER: &str = "The `next` of the page before; without it the first page.";
const LIMIT: Parameter =
    query("limit", "Most rows on the page; larger than the hub's limit means that.", limit);
const AFTER_NUMBER: &[Parameter] = &[query("after", AFTER, unsigned), LIMIT];
const AFTER_TEXT: &[Parameter] = &[query("after", AFTER, text), LIMIT];
const AFTER_KEY: &[Parameter] = &[query("after", AFTER, hex32), LIMIT];
const BEFORE: &[Parameter] = &[query("before", AFTER, unsigned), LIMIT];

use ProblemCode as P;

const DONE: &[(u16, Content, &str)] = &[(204, Content::Empty, "It is done.")];

/// All operations, in the order of their nouns.
#[must_use]
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    [
        hub::OPERATIONS,
        sessions::OPERATIONS,
        chunks::OPERATIONS,
        names::OPERATIONS,
        releases::OPERATIONS,
        accounts::OPERATIONS,
        communities::OPERATIONS,
        joins::OPERATIONS,
        queues::OPERATIONS,
        deliveries::OPERATIONS,
        codes::OPERATIONS,
        people::OPERATIONS,
    ]
    .concat()
});

impl Operation {
    /// Those of its path, its query and its headers.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let in_path = self.path.split('/').filter(|segment| segment.starts_with('{'));
        let mut all: Vec<Parameter> = in_path.map(path_parameter).collect();
        all.extend(self.query);
        if self.is_conditional {
            all.push(Parameter {
                name: "If-None-Match",
                place: Place::Header,
                is_required: false,
                description: "Tags the caller has; when the answer has one of them, it is 304.",
                schema: text,
            });
        }
        if self.answers.iter().any(|(status, ..)| *status == 206) {
            all.push(Parameter {
                name: "Range",
                place: Place::Header,
                is_required: false,
                description: "One range of bytes, as `bytes=0-99`.",
                schema: text,
            });
        }
        if self.is_idempotent_by_key {
            all.push(Parameter {
                name: "Idempotency-Key",
                place: Place::Header,
                is_required: false,
                description: "The same request under the same key is done once in 24 hours; \
                              its answer is repeated. A random text of at least 16 characters.",
                schema: idempotency_key,
            });
        }
        all
    }

    /// Fields of the head of its answers.
    pub(crate) fn headers(&self) -> Map<String, Value> {
        let mut headers = Map::new();
        if self.is_conditional {
            headers.insert("ETag".to_owned(), json!({ "schema": { "type": "string" } }));
        }
        headers
    }

    /// Every problem it may answer.
    pub(crate) fn problems(&self) -> Vec<ProblemCode> {
        let mut all = vec![P::HeadersTooLarge, P::RequestTimeout, P::Internal, P::Unavailable];
        // By these the oldest client learns what is wrong.
        let to_all = [routes::HEALTH, routes::READY, routes::HUB, routes::ERROR, routes::OPENAPI];
        if !to_all.contains(&self.path) {
            all.push(P::ClientTooOld);
        }
        if !self.query.is_empty() || self.request != Content::Empty || self.is_idempotent_by_key {
            all.push(P::MalformedRequest);
        }
        if self.path.contains('{') || self.path == routes::EVENTS {
            all.push(P::NotFound);
        }
        match self.request {
            Content::Empty => {}
            Content::Json(_) | Content::AnyJson => {
                all.extend([P::BodyTooLarge, P::UnsupportedMediaType]);
            }
            Content::Bytes | Content::Events | Content::Text => all.push(P::BodyTooLarge),
        }
        match self.who {
            Who::Anybody => {}
            Who::Visitor => all.extend([P::SessionExpired, P::NotRegistered]),
            Who::Publisher | Who::Account | Who::Sender | Who::Administrator => {
                all.extend([P::SessionRequired, P::SessionExpired, P::NotRegistered, P::Forbidden]);
            }
        }
        if self.is_idempotent_by_key {
            all.extend([P::IdempotencyRunning, P::IdempotencyMismatch]);
        }
        all.extend(self.problems);
        all.sort_by_key(|code| ProblemCode::ALL.iter().position(|other| other == code));
        all.dedup();
        all
    }

    /// What may stand in `Authorization`; an empty one means that nothing may.
    pub(crate) fn schemes(&self) -> Vec<Value> {
        match self.who {
            Who::Anybody => Vec::new(),
            Who::Visitor => {
                vec![json!({}), json!({ "session": [] }), json!({ "machineToken": [] })]
            }
            Who::Publisher => vec![json!({ "session": [] }), json!({ "machineToken": [] })],
            Who::Account | Who::Sender | Who::Administrator => vec![json!({ "session": [] })],
        }
    }
}

fn path_parameter(segment: &str) -> Parameter {
    let (name, description, schema): (_, _, fn() -> Value) = match segment {
        "{team}" => ("team", "The first part of the name.", name_part),
        "{name}" => ("name", "The second part of the name.", name_part),
        "{key}" => ("key", "A public key.", hex32),
        "{handle}" => ("handle", "What a person is called.", handle),
        "{sequence}" => ("sequence", "Number of the release.", unsigned),
        "{community}" => ("community", "The id of the community.", uuid),
        "{delivery}" => ("delivery", "The id of the delivery.", hex16),
        "{number}" => ("number", "Number of the segment, from 0, or of the code.", unsigned),
        "{index}" => ("index", "Which of the four messages, from 0.", unsigned),
        "{admission}" => ("admission", "What the join secret's holder names.", hex16),
        "{code}" => ("code", "A problem code.", text),
        "{*path}" => ("path", "Path in the tree, percent-encoded; slashes as they are.", text),
        "{id}" => ("id", "The id or number.", text),
        other => unreachable!("{other} is described nowhere; a test reads all operations"),
    };
    Parameter { name, place: Place::Path, is_required: true, description, schema }
}

fn handle() -> Value {
    json!({ "type": "string", "pattern": "^[a-z][a-z0-9._-]{2,31}$" })
}

fn name_part() -> Value {
    json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$" })
}
