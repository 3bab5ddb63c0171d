//! People in messages.

use hub_api::limits::PERSON_TEXT_CHARS_MAX;
use hub_api::{
    Base64Bytes, BookDocument, DeliveryEnd, DeliveryInfo, DeliveryParty, DeliveryState,
    DeliveryTotals, Hex, LockerStatus, MyPerson, PendingSender, PersonCard, PersonDetails,
    SenderPolicy, UnlistedDevice,
};
use hub_db::{
    AddressedRecord, Book, Details, DeviceRecord, EndedBy, PendingRecord, Person, Totals,
};

use crate::refusal::Refusal;

/// Refuses what is too long, or more than a line.
pub(crate) fn check_details(details: PersonDetails) -> Result<Details, Refusal> {
    let PersonDetails { first_name, last_name, organisation, address, email } = details;
    let is_fine = |text: &String| {
        text.chars().count() <= PERSON_TEXT_CHARS_MAX && !text.chars().any(char::is_control)
    };
    if ![&first_name, &last_name, &organisation, &address, &email].into_iter().all(is_fine) {
        let bounds = format!("each detail is a line of at most {PERSON_TEXT_CHARS_MAX} characters");
        return Err(Refusal::malformed(bounds));
    }
    Ok(Details { first_name, last_name, organisation, address, email })
}

fn details_of(details: Details) -> PersonDetails {
    let Details { first_name, last_name, organisation, address, email } = details;
    PersonDetails { first_name, last_name, organisation, address, email }
}

fn shown(lists: Vec<Vec<u8>>) -> Vec<Base64Bytes> {
    lists.into_iter().map(Base64Bytes).collect()
}

pub(crate) fn my_person(
    person: Person,
    lists: Vec<Vec<u8>>,
    devices: &[DeviceRecord],
    totals: Totals,
) -> MyPerson {
    let unlisted = devices.iter().filter(|device| !device.is_listed);
    let unlisted =
        unlisted.map(|device| UnlistedDevice { key: Hex(device.key.0), since: device.since });
    MyPerson {
        handle: person.handle,
        details: details_of(person.details),
        created: person.created,
        lists: shown(lists),
        unlisted: unlisted.collect(),
        totals: DeliveryTotals {
            sent_deliveries: totals.sent_deliveries,
            sent_bytes: totals.sent_bytes,
            received_deliveries: totals.received_deliveries,
            received_bytes: totals.received_bytes,
        },
    }
}

pub(crate) fn person_card(person: Person, lists: Vec<Vec<u8>>) -> PersonCard {
    let Details { first_name, last_name, organisation, .. } = person.details;
    let lists = shown(lists);
    PersonCard { handle: person.handle, first_name, last_name, organisation, lists }
}

fn shown_state(state: hub_db::DeliveryState) -> DeliveryState {
    match state {
        hub_db::DeliveryState::PendingApproval => DeliveryState::PendingApproval,
        hub_db::DeliveryState::Waiting => DeliveryState::Waiting,
        hub_db::DeliveryState::Running => DeliveryState::Running,
        hub_db::DeliveryState::Received => DeliveryState::Received,
        hub_db::DeliveryState::Terminated => DeliveryState::Terminated,
        hub_db::DeliveryState::Removed => DeliveryState::Removed,
    }
}

pub(crate) fn shown_party(by: EndedBy) -> DeliveryParty {
    match by {
        EndedBy::Sender => DeliveryParty::Sender,
        EndedBy::Recipient => DeliveryParty::Recipient,
        EndedBy::Hub => DeliveryParty::Hub,
    }
}

pub(crate) fn delivery_info(
    record: AddressedRecord,
    letter: Option<Vec<u8>>,
    other_online: bool,
    locker: Option<LockerStatus>,
) -> DeliveryInfo {
    let ended = record.ended;
    let ended = ended.map(|(by, reason)| DeliveryEnd { by: shown_party(by), reason });
    DeliveryInfo {
        delivery: Hex(record.delivery),
        number: record.number,
        from: record.from,
        device: Hex(record.account.0),
        to: record.to,
        state: shown_state(record.state),
        since: record.since,
        created: record.created,
        segments: record.segments,
        verified: record.verified,
        bytes: record.bytes,
        files: record.files,
        letter: letter.map(Base64Bytes),
        other_online,
        ended,
        locker,
    }
}

pub(crate) fn book_document(book: Book) -> BookDocument {
    BookDocument {
        number: book.number,
        sealed: book.sealed.map(Base64Bytes),
        contacts: book.contacts,
        blocked: book.blocked,
        policy: match book.policy {
            hub_db::SenderPolicy::AddressBook => SenderPolicy::AddressBook,
            hub_db::SenderPolicy::BlockAll => SenderPolicy::BlockAll,
        },
    }
}

pub(crate) fn pending_sender(record: PendingRecord) -> PendingSender {
    let PendingRecord { handle, first_name, last_name, organisation, since, deliveries } = record;
    PendingSender { handle, first_name, last_name, organisation, since, deliveries }
}
