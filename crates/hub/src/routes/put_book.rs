//! `PUT /v1/me/book`: the next version of the calling person's address book.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use axum::extract::State;
use hub_api::limits::{BOOK_BYTES_MAX, BOOK_HANDLES_MAX};
use hub_api::{BookDocument, BookKept, PersonNews, ProblemCode, SenderPolicy};
use hub_db::Book;

use crate::app::App;
use crate::body::Json;
use crate::files::unix_now;
use crate::people::{Handle, PersonCaller, tell_settled};
use crate::refusal::Refusal;

/// The sealed contacts in base64, and two full lists of handles.
const BODY_BYTES_MAX: usize = BOOK_BYTES_MAX / 3 * 4 + 2 * BOOK_HANDLES_MAX * 40 + 4096;

/// Pending senders who are contacts now are let in. A new contact that nobody is called counts as any other
/// question for a handle, or names could be tried by thousands.
pub(crate) async fn put_book(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    Json(document): Json<BookDocument, BODY_BYTES_MAX>,
) -> Result<axum::Json<BookKept>, Refusal> {
    let book = checked(document)?;
    let now = unix_now();
    let conflict = || Refusal::new(ProblemCode::PersonConflict, "there is a newer address book");
    let before = app.db.book(caller.person).await?;
    if before.number.checked_add(1) != Some(book.number) {
        return Err(conflict());
    }
    let unknown = app.db.unknown_handles(&book.contacts).await?;
    let known: HashSet<&String> = before.contacts.iter().collect();
    let new = unknown.iter().filter(|handle| !known.contains(handle)).count();
    app.people.unknown.count(caller.person, new, now)?;
    let settled = app.db.put_book(caller.person, &book, now).await?.ok_or_else(conflict)?;
    app.people.presence.tell(caller.person, PersonNews::Book);
    tell_settled(&app, &settled).await;
    Ok(axum::Json(BookKept { unknown }))
}

fn checked(document: BookDocument) -> Result<Book, Refusal> {
    if document.sealed.as_ref().is_some_and(|sealed| sealed.0.len() > BOOK_BYTES_MAX) {
        return Err(Refusal::malformed(format!("a book has at most {BOOK_BYTES_MAX} bytes")));
    }
    Ok(Book {
        number: document.number,
        sealed: document.sealed.map(|sealed| sealed.0),
        contacts: handles(document.contacts)?,
        blocked: handles(document.blocked)?,
        policy: match document.policy {
            SenderPolicy::AddressBook => hub_db::SenderPolicy::AddressBook,
            SenderPolicy::BlockAll => hub_db::SenderPolicy::BlockAll,
        },
    })
}

/// Each once, in order.
fn handles(handles: Vec<String>) -> Result<Vec<String>, Refusal> {
    if handles.len() > BOOK_HANDLES_MAX {
        return Err(Refusal::malformed(format!("a list has at most {BOOK_HANDLES_MAX} handles")));
    }
    if !handles.iter().all(|handle| handle.parse::<Handle>().is_ok()) {
        return Err(Refusal::malformed("a text that is no handle"));
    }
    Ok(handles.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
}
