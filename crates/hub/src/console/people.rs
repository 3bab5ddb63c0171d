//! `GET /console/people`: who has a handle, and what each sent and received.

use askama::Template;
use axum::extract::Query;
use serde::Deserialize;

use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use crate::people::Handle;
use pages::format::{bytes, count};

/// People on a page.
const PAGE: usize = 100;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "people.html")]
pub(super) struct People {
    layout: Layout,
    people: Vec<Row>,
    is_later_page: bool,
    next: Option<String>,
}

struct Row {
    handle: String,
    sent: String,
    sent_bytes: String,
    received: String,
    received_bytes: String,
}

/// A page of people by handle, those after one.
pub(super) async fn list(
    state: State,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Shown<People> {
    if let Some(after) = &wanted.after {
        after.parse::<Handle>().map_err(|_| Failure::not_found("Nobody is called that."))?;
    }
    let mut totals = state.db.all_totals(wanted.after.as_deref(), PAGE as u32 + 1).await?;
    let has_more = totals.len() > PAGE;
    totals.truncate(PAGE);
    let next = totals.last().map(|(handle, _)| handle.clone()).filter(|_| has_more);
    let people = totals
        .into_iter()
        .map(|(handle, totals)| Row {
            handle,
            sent: count(totals.sent_deliveries),
            sent_bytes: bytes(totals.sent_bytes),
            received: count(totals.received_deliveries),
            received_bytes: bytes(totals.received_bytes),
        })
        .collect();
    let layout = Layout::new(&state, &operator, Section::People, "People");
    Ok(Page(People { layout, people, is_later_page: wanted.after.is_some(), next }))
}
