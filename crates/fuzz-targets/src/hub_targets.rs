//! Targets for what hub and client say to each other beside signed documents and chunks.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use hub_api::{
    AccountsPage, AuditPage, Base64Bytes, ChallengeRequest, ChallengeResponse, ChangesPage,
    DelegationDocument, EntriesPage, GrantSettings, GrantsPage, HeadDocuments, Hex, HubInfo,
    InvitationCreated, InvitationRequest, InvitationsPage, NameInfo, NameSettings, NamesPage,
    NewestRelease, OwnerSettings, Problem, ProblemCode, RegistrationRequest, RegistrationResponse,
    ReleaseAccepted, ReleaseEvent, ReleasesPage, Retention, SessionRequest, SessionResponse,
    TokenCreated, TokenRequest, TokensPage, UploadResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Verdict;

type Message = fn(&[u8]) -> Verdict;

/// The body of a request to the hub; the first byte says of which.
#[must_use]
pub fn hub_request(bytes: &[u8]) -> Verdict {
    const KINDS: [Message; 11] = [
        message::<RegistrationRequest>,
        message::<ChallengeRequest>,
        message::<SessionRequest>,
        message::<NameSettings>,
        message::<HeadDocuments>,
        message::<DelegationDocument>,
        message::<GrantSettings>,
        message::<OwnerSettings>,
        message::<InvitationRequest>,
        message::<TokenRequest>,
        message::<Retention>,
    ];
    one_of(&KINDS, bytes)
}

/// What a hub answers; the first byte says to what.
#[must_use]
pub fn hub_response(bytes: &[u8]) -> Verdict {
    const KINDS: [Message; 21] = [
        message::<HubInfo>,
        message::<RegistrationResponse>,
        message::<ChallengeResponse>,
        message::<SessionResponse>,
        message::<UploadResponse>,
        message::<NameInfo>,
        message::<NamesPage>,
        message::<NewestRelease>,
        message::<ReleaseAccepted>,
        message::<ReleasesPage>,
        message::<ReleaseEvent>,
        message::<GrantsPage>,
        message::<AccountsPage>,
        message::<InvitationCreated>,
        message::<InvitationsPage>,
        message::<AuditPage>,
        message::<TokenCreated>,
        message::<TokensPage>,
        message::<EntriesPage>,
        message::<ChangesPage>,
        message::<Problem>,
    ];
    one_of(&KINDS, bytes)
}

fn one_of(kinds: &[Message], bytes: &[u8]) -> Verdict {
    let Some((kind, body)) = bytes.split_first() else { return Verdict::Refused };
    kinds[usize::from(*kind) % kinds.len()](body)
}

/// What is taken is written, and that means the same.
fn message<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) -> Verdict {
    let Ok(value) = serde_json::from_slice::<T>(body) else { return Verdict::Refused };
    let again = serde_json::to_vec(&value).expect("what was read can be written");
    let read = serde_json::from_slice::<T>(&again).expect("what was written can be read");
    assert_eq!(read, value);
    Verdict::Accepted
}

/// Ids, keys and bytes as text; the first byte says which.
#[must_use]
pub fn id_text(bytes: &[u8]) -> Verdict {
    const KINDS: [Message; 6] = [
        text::<content::ChunkId>,
        text::<content::BlobId>,
        text::<documents::PublicKey>,
        text::<Hex<16>>,
        text::<Base64Bytes>,
        problem_code,
    ];
    one_of(&KINDS, bytes)
}

fn text<T: FromStr + Display + PartialEq + Debug>(bytes: &[u8]) -> Verdict {
    let value = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<T>().ok());
    let Some(value) = value else { return Verdict::Refused };
    assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    Verdict::Accepted
}

fn problem_code(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let code = ProblemCode::from_text(text);
    assert_eq!(ProblemCode::from_text(code.as_str()), code);
    Verdict::Accepted
}

/// A stream of events; the first two bytes say in how large pieces it arrives.
#[must_use]
pub fn event_stream(bytes: &[u8]) -> Verdict {
    let Some((step, stream)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let step = usize::from(u16::from_le_bytes(*step)).max(1);
    let events = hub_client::fuzzing::events(stream.chunks(step));
    assert_eq!(events, hub_client::fuzzing::events([stream]), "the pieces do not matter");
    if events.is_some() { Verdict::Accepted } else { Verdict::Refused }
}

/// The date of a hub's answer; the years are those that fit a date of four digits.
#[must_use]
pub fn http_date(bytes: &[u8]) -> Verdict {
    let date = std::str::from_utf8(bytes).ok().and_then(hub_client::fuzzing::date);
    if date.is_some() { Verdict::Accepted } else { Verdict::Refused }
}

/// What a hub reads of a locker when it starts.
#[must_use]
pub fn locker_facts(bytes: &[u8]) -> Verdict {
    let Some(facts) = hub::fuzzing::locker_facts(bytes) else { return Verdict::Refused };
    assert_eq!(hub::fuzzing::locker_facts(&facts).as_ref(), Some(&facts));
    Verdict::Accepted
}

/// What front-ends tell each other through the database.
#[must_use]
pub fn front_end_news(bytes: &[u8]) -> Verdict {
    let Some(text) = hub::fuzzing::told(bytes) else { return Verdict::Refused };
    assert_eq!(hub::fuzzing::told(text.as_bytes()).as_ref(), Some(&text));
    Verdict::Accepted
}
