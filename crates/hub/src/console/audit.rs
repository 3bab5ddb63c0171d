//! `GET /console/audit?before=`: what was done, by whom.

use askama::Template;
use axum::extract::Query;
use hub_db::Actor;
use serde::Deserialize;
use serde_json::Value;

use super::page::{Layout, Page, Section, Shown, State};
use super::session::Operator;
use crate::files::unix_now;
use pages::format::{self, Moment, shown};

/// Entries on a page.
const PAGE: usize = 50;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "audit.html")]
pub(super) struct Audit {
    layout: Layout,
    entries: Vec<Row>,
    is_later_page: bool,
    next: Option<i64>,
}

struct Row {
    time: Moment,
    actor: &'static str,
    /// What tells actors of one kind apart.
    actor_id: String,
    action: String,
    subject: String,
    details: Vec<(String, String)>,
}

pub(super) async fn audit(
    state: State,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Shown<Audit> {
    let now = unix_now();
    let mut found = state.db.audit(wanted.before, PAGE as u32 + 1).await?;
    let has_more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().map(|(number, _)| *number).filter(|_| has_more);
    let entries = found
        .into_iter()
        .map(|(_, entry)| {
            let (actor, actor_id) = match entry.actor {
                Actor::Local => ("terminal", String::new()),
                Actor::Account(key) => ("account", format::handle(&key.0)),
                Actor::Console(session) => ("console", shown(session.as_bytes())),
            };
            Row {
                time: Moment::new(entry.time, now),
                actor,
                actor_id,
                action: shown(entry.action.replace('-', " ").as_bytes()),
                subject: subject(&entry.subject),
                details: details(&entry.detail, now),
            }
        })
        .collect();
    let layout = Layout::new(&state, &operator, Section::Audit, "Audit log");
    Ok(Page(Audit { layout, entries, is_later_page: wanted.before.is_some(), next }))
}

/// Keys are told apart by their first digits.
fn subject(text: &str) -> String {
    let is_key = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_key { format!("{}…", &text[..16]) } else { shown(text.as_bytes()) }
}

/// The members of a JSON object that say something.
fn details(text: &str, now: u64) -> Vec<(String, String)> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return Vec::new() };
    let word = |value: &Value| match value {
        Value::String(text) => subject(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            shown(value.to_string().as_bytes())
        }
    };
    let said = members.iter().filter_map(|(name, value)| {
        let text = match value {
            Value::Null => return None,
            Value::Array(list) if list.is_empty() => return None,
            Value::Array(list) => list.iter().map(word).collect::<Vec<_>>().join(", "),
            Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
            Value::Number(time) if name == "expires" => {
                time.as_u64().map_or_else(String::new, |time| Moment::new(time, now).exact)
            }
            Value::String(_) | Value::Number(_) | Value::Object(_) => word(value),
        };
        Some((shown(name.as_bytes()), text))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_say_what_there_is_and_no_more() {
        let text = r#"{"role":"reader","names":["a/b","c/d"],"days":null,"none":[],"public":true,
                       "expires":0,"key":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}"#;
        let mut said: Vec<String> =
            details(text, 0).into_iter().map(|(name, text)| format!("{name}={text}")).collect();
        said.sort();
        assert_eq!(
            said,
            [
                "expires=1970-01-01 00:00 UTC",
                "key=0011223344556677…",
                "names=a/b, c/d",
                "public=yes",
                "role=reader"
            ]
        );
        assert_eq!(details("no JSON", 0), []);
    }
}
