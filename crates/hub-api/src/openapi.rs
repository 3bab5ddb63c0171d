//! The OpenAPI 3.1 document of the hub, made from the messages and a table of operations.
//!
//! The table is in [`mod@operations`], schemas come from the types of [`messages`](crate::messages)
//! with their doc comments. A test of `hub` sees to it that the router and the table name the
//! same routes, and another that `docs/openapi.json` is what [`document`] gives.

mod operations;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use self::operations::{Method, Operation, operations};
use crate::{
    AccountsPage, AddressedDelivery, AdmissionSettings, AuditChainPage, AuditPage,
    BeginningDocument, BeginningsPage, BookDocument, BookKept, ChallengeRequest, ChallengeResponse,
    ChangesPage, CharterDocument, ChartersPage, CommunityEvent, DelegationDocument, DeliveriesPage,
    DeliveryAnnouncement, DeliveryEnding, DeliveryInfo, DeliveryStatus, DeliveryVerified,
    DetailsChange, DeviceRoom, DevicesDocument, EntriesPage, Envelopes, GrantSettings, GrantsPage,
    HeadDocuments, HeartbeatEvent, HubInfo, HubStatus, InvitationCreated, InvitationRequest,
    InvitationsPage, JoinAccepted, JoinDocument, JoinEnd, JoinKnock, Joining, JoiningsPage,
    LockerRequest, LoginRequest, MEDIA_BYTES, MEDIA_EVENTS, MEDIA_JSON, MEDIA_PROBLEM,
    ManifestDocument, MembersPage, MyPerson, NameInfo, NameSettings, NamesPage, NewestRelease,
    OwnerSettings, PasswordChange, PendingSenders, PersonCard, PersonDetails, PersonEvent,
    PersonRequest, Problem, ProblemCode, QueuePage, Queued, QueuedTargetsPage, ReceiptsPage,
    RecipientCheck, Recovery, RecoveryRequest, RegistrationRequest, RegistrationResponse,
    RelayReports, RelayReportsTaken, RelayStates, ReleaseAccepted, ReleaseEvent, ReleaseInfo,
    ReleasesPage, RenewalDocument, Retention, RosterChange, SegmentTaken, SegmentsTaken,
    SenderVerdict, SessionRequest, SessionResponse, SharedTaken, Standing, TOKEN_PREFIX,
    TakenReceipts, TokenCreated, TokenRequest, TokensPage, UploadResponse, WaitingPage, limits,
};

/// What goes into a body, by media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// JSON with the schema of this name.
    Json(&'static str),
    /// Any JSON.
    AnyJson,
    /// Bytes.
    Bytes,
    /// Server-sent events.
    Events,
    /// Text for people.
    Text,
    /// Nothing.
    Empty,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// Behind the question mark.
    Query,
    /// In a header field.
    Header,
}

impl Place {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// The document.
///
/// `version` is that of the program that serves it.
#[must_use]
pub fn document(version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = operation.path.replace("{*", "{");
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[operation.method.as_str()] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Consign hub",
            "version": version,
            "description": "Names, releases and chunks. The hub is not trusted: whoever uses a \
                signed document or a chunk verifies it. Times are seconds since 1970, sizes are \
                bytes. Every refusal is a problem document (RFC 9457) with a stable `code`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "session": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A session token, from a proof of a node key.",
                },
                "machineToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": format!("A machine token, `{TOKEN_PREFIX}…`."),
                },
            },
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let mut responses = Map::new();
    for (status, content, description) in operation.answers {
        responses.insert(status.to_string(), response(description, *content, &operation.headers()));
    }
    if operation.is_conditional {
        let unchanged =
            response("As `If-None-Match` has it.", Content::Empty, &operation.headers());
        responses.insert("304".to_owned(), unchanged);
    }
    let mut by_status: Vec<(u16, Vec<ProblemCode>)> = Vec::new();
    for code in operation.problems() {
        match by_status.iter_mut().find(|(status, _)| *status == code.status()) {
            Some((_, codes)) => codes.push(code),
            None => by_status.push((code.status(), vec![code])),
        }
    }
    for (status, codes) in by_status {
        if operation.answers.iter().any(|(answered, ..)| *answered == status) {
            continue;
        }
        let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let mut problem = json!({
            "description": codes.join(", "),
            "content": { MEDIA_PROBLEM: { "schema": reference("Problem") } },
        });
        if status == 503 || status == 429 {
            problem["headers"]["Retry-After"] =
                json!({ "schema": { "type": "integer", "minimum": 0 } });
        }
        responses.insert(status.to_string(), problem);
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": responses,
    });
    if !operation.note.is_empty() {
        described["description"] = json!(operation.note);
    }
    let parameters: Vec<Value> = operation
        .parameters()
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "in": parameter.place.as_str(),
                "required": parameter.place == Place::Path || parameter.is_required,
                "description": parameter.description,
                "schema": parameter.schema(),
            })
        })
        .collect();
    if !parameters.is_empty() {
        described["parameters"] = json!(parameters);
    }
    if operation.request != Content::Empty {
        described["requestBody"] =
            json!({ "required": true, "content": content(operation.request) });
    }
    let schemes = operation.schemes();
    if !schemes.is_empty() {
        described["security"] = json!(schemes);
    }
    described
}

fn response(description: &str, body: Content, headers: &Map<String, Value>) -> Value {
    let mut response = json!({ "description": description });
    if body != Content::Empty {
        response["content"] = content(body);
    }
    if !headers.is_empty() {
        response["headers"] = json!(headers);
    }
    response
}

fn content(body: Content) -> Value {
    match body {
        Content::Json(name) => json!({ MEDIA_JSON: { "schema": reference(name) } }),
        Content::AnyJson => json!({ MEDIA_JSON: { "schema": { "type": "object" } } }),
        Content::Bytes => json!({ MEDIA_BYTES: {} }),
        Content::Events => json!({ MEDIA_EVENTS: { "schema": { "type": "string" } } }),
        Content::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Content::Empty => json!({}),
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Schemas of all messages by name.
fn schemas() -> Value {
    let mut found: Vec<(String, RefOr<Schema>)> = Vec::new();
    macro_rules! add {
        ($($message:ty),* $(,)?) => {
            $(
                found.push((<$message>::name().into_owned(), <$message>::schema()));
                <$message>::schemas(&mut found);
            )*
        };
    }
    add!(
        AccountsPage,
        AddressedDelivery,
        AdmissionSettings,
        AuditChainPage,
        AuditPage,
        BeginningDocument,
        BeginningsPage,
        BookDocument,
        BookKept,
        ChallengeRequest,
        ChallengeResponse,
        ChangesPage,
        CharterDocument,
        ChartersPage,
        CommunityEvent,
        DelegationDocument,
        DeliveriesPage,
        DeliveryAnnouncement,
        DeliveryEnding,
        DeliveryInfo,
        DeliveryStatus,
        DeliveryVerified,
        DeviceRoom,
        DevicesDocument,
        EntriesPage,
        Envelopes,
        GrantSettings,
        GrantsPage,
        HeadDocuments,
        HubInfo,
        HubStatus,
        InvitationCreated,
        InvitationRequest,
        InvitationsPage,
        JoinAccepted,
        JoinDocument,
        JoinEnd,
        JoinKnock,
        Joining,
        JoiningsPage,
        LockerRequest,
        LoginRequest,
        ManifestDocument,
        MembersPage,
        MyPerson,
        NameInfo,
        NameSettings,
        NamesPage,
        NewestRelease,
        OwnerSettings,
        PasswordChange,
        DetailsChange,
        PendingSenders,
        PersonCard,
        PersonDetails,
        PersonEvent,
        PersonRequest,
        Problem,
        QueuePage,
        Queued,
        QueuedTargetsPage,
        ReceiptsPage,
        RecipientCheck,
        Recovery,
        RecoveryRequest,
        RegistrationRequest,
        RegistrationResponse,
        RelayReports,
        RelayReportsTaken,
        RelayStates,
        ReleaseAccepted,
        ReleaseEvent,
        HeartbeatEvent,
        ReleaseInfo,
        ReleasesPage,
        RenewalDocument,
        Retention,
        RosterChange,
        SegmentTaken,
        SegmentsTaken,
        SharedTaken,
        SenderVerdict,
        SessionRequest,
        SessionResponse,
        Standing,
        TakenReceipts,
        TokenCreated,
        TokenRequest,
        TokensPage,
        UploadResponse,
        WaitingPage,
    );
    let mut schemas = Map::new();
    for (name, schema) in found {
        let mut schema = serde_json::to_value(schema).expect("a schema is plain data");
        plain_descriptions(&mut schema);
        schemas.insert(name, schema);
    }
    json!(schemas)
}

/// Turns links between Rust items into the names they show: `` [`X`](crate::X) `` into `` `X` ``.
fn plain_descriptions(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = without_links(text),
                    Value::String(_)
                    | Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::Array(_)
                    | Value::Object(_) => plain_descriptions(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain_descriptions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((shown, behind)) = link.split_once("`]") else {
            plain.push_str("[`");
            rest = link;
            continue;
        };
        plain.push('`');
        plain.push_str(shown);
        plain.push('`');
        rest = behind;
        if behind.starts_with('(')
            && let Some((_, behind)) = behind.split_once(')')
        {
            rest = behind;
        }
    }
    plain.push_str(rest);
    plain
}

/// The names of the limits that parameters state.
fn idempotency_key() -> Value {
    json!({
        "type": "string",
        "minLength": limits::IDEMPOTENCY_KEY_CHARS_MIN,
        "maxLength": limits::IDEMPOTENCY_KEY_CHARS_MAX,
        "pattern": "^[!-~]+$",
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("0");
        let mut open = vec![&document];
        let mut seen = 0;
        while let Some(value) = open.pop() {
            if let Some(Value::String(target)) = value.get("$ref") {
                let pointer = target.strip_prefix('#').expect("within the document");
                assert!(document.pointer(pointer).is_some(), "{target}");
                seen += 1;
            }
            match value {
                Value::Object(members) => open.extend(members.values()),
                Value::Array(items) => open.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn operations_have_names_of_their_own_and_all_their_path_parameters() {
        let mut ids = HashSet::new();
        let mut routes = HashSet::new();
        for operation in operations() {
            assert!(ids.insert(operation.id), "{} twice", operation.id);
            assert!(routes.insert((operation.method, operation.path)), "{}", operation.path);
            let in_path = operation.path.split('/').filter(|segment| segment.starts_with('{'));
            let parameters = operation.parameters();
            let described = parameters.iter().filter(|parameter| parameter.place == Place::Path);
            let described: HashSet<_> = described.map(|parameter| parameter.name).collect();
            let in_path: HashSet<_> =
                in_path.map(|segment| segment.trim_matches(['{', '}', '*'])).collect();
            assert_eq!(described, in_path, "{}", operation.path);
        }
    }

    #[test]
    fn descriptions_hold_no_rust_links() {
        assert_eq!(without_links("see [`a`](crate::a) and [`b`], [c"), "see `a` and `b`, [c");
        let text = document("0").to_string();
        assert!(!text.contains("crate::"), "a link was left");
        assert!(!text.contains("[`"), "a link was left");
    }
}
