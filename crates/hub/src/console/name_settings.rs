//! The forms on the page of a name: visibility, retention, pins, grants.

use axum::extract::Path;
use axum::response::Redirect;
use hub_api::Hex;
use hub_db::{AccountKey, Retention};
use serde::Deserialize;
use serde_json::json;

use super::name::named;
use super::page::{Failure, State};
use super::write::Write;
use crate::acts::Outcome;
use crate::communities::refuse_feed;

type Done = Result<Redirect, Failure>;

/// Back to the page of the name, with a notice.
fn back(name: &str, done: &str, section: &str) -> Redirect {
    Redirect::to(&format!("/console/names/{name}?done={done}#{section}"))
}

#[derive(Deserialize)]
pub(super) struct Visibility {
    public: bool,
}

/// `POST …/visibility`
pub(super) async fn set_visibility(
    state: State,
    Path(path): Path<(String, String)>,
    Write { operator, form }: Write<Visibility>,
) -> Done {
    let record = named(&state, &path).await?;
    refuse_feed(&record.name)?;
    let (app, public) = (state.0.clone(), form.public);
    let act = operator.act(&state, "visibility", &record.name).with(json!({ "public": public }));
    let act = if public { act } else { act.taking_away() };
    let is_there =
        act.run(async move { Ok(outcome(app.db.set_public(record.id, public).await?)) }).await?;
    let done = match (is_there, public) {
        (false, _) => "gone",
        (true, true) => "public",
        (true, false) => "private",
    };
    Ok(back(&record.name, done, "visibility"))
}

#[derive(Deserialize)]
pub(super) struct Rules {
    #[serde(default)]
    last: String,
    #[serde(default)]
    days: String,
}

fn rule(text: &str) -> Result<Option<u32>, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| {
        Failure::refused("A retention rule is a whole number from 1, or empty for none.")
    })
}

/// `POST …/retention`
pub(super) async fn set_retention(
    state: State,
    Path(path): Path<(String, String)>,
    Write { operator, form }: Write<Rules>,
) -> Done {
    let record = named(&state, &path).await?;
    let retention = Retention { last: rule(&form.last)?, days: rule(&form.days)? };
    let app = state.0.clone();
    let detail = json!({ "last": retention.last, "days": retention.days });
    let act = operator.act(&state, "retention", &record.name).with(detail);
    act.run(
        async move { Ok(Outcome::Changed(app.db.set_retention(record.id, &retention).await?)) },
    )
    .await?;
    Ok(back(&record.name, "retention", "retention"))
}

#[derive(Deserialize)]
pub(super) struct Pin {
    sequence: u64,
    pinned: bool,
}

/// `POST …/pin`
pub(super) async fn set_pin(
    state: State,
    Path(path): Path<(String, String)>,
    Write { operator, form }: Write<Pin>,
) -> Done {
    let record = named(&state, &path).await?;
    let (app, Pin { sequence, pinned }) = (state.0.clone(), form);
    let act = operator.act(&state, if pinned { "pin" } else { "unpin" }, &record.name);
    let act = act.with(json!({ "release": sequence }));
    let is_there = act
        .run(async move { Ok(outcome(app.db.set_pinned(record.id, sequence, pinned).await?)) })
        .await?;
    let done = match (is_there, pinned) {
        (false, _) => "gone",
        (true, true) => "pinned",
        (true, false) => "unpinned",
    };
    Ok(back(&record.name, done, "releases"))
}

/// Whether there was something to change.
pub(super) fn outcome(changed: bool) -> Outcome<bool> {
    if changed { Outcome::Changed(true) } else { Outcome::Unchanged(false) }
}

/// A key as people paste it.
pub(super) fn key(text: &str) -> Result<AccountKey, Failure> {
    let key: Result<Hex<32>, _> = text.trim().to_ascii_lowercase().parse();
    key.map(|key| AccountKey(key.0)).map_err(|_| {
        Failure::refused("A key has 64 hexadecimal digits. `consign id` prints it on that machine.")
    })
}

#[derive(Deserialize)]
pub(super) struct NewGrant {
    key: String,
    grant: String,
}

/// `POST …/grants`
pub(super) async fn add_grant(
    state: State,
    Path(path): Path<(String, String)>,
    Write { operator, form }: Write<NewGrant>,
) -> Done {
    let record = named(&state, &path).await?;
    refuse_feed(&record.name)?;
    let key = key(&form.key)?;
    if form.grant != "reader" {
        return Err(Failure::refused(
            "Only reading is granted here. Publishers are named by the owner, who signs for them: \
             `consign grant NAME KEY --publisher`.",
        ));
    }
    if key == record.owner_key {
        return Err(Failure::refused("This key owns the name, which is more than any grant."));
    }
    let (app, name) = (state.0.clone(), record.name.clone());
    let detail = json!({ "key": Hex(key.0), "grant": form.grant });
    // A publisher who becomes a reader loses something.
    let act = operator.act(&state, "grant", &name).with(detail).taking_away();
    act.run(async move { Ok(Outcome::Changed(app.db.add_reader(&name, &key).await?)) }).await?;
    Ok(back(&record.name, "granted", "grants"))
}

#[derive(Deserialize)]
pub(super) struct OldGrant {
    key: String,
}

/// `POST …/grants/remove`
pub(super) async fn remove_grant(
    state: State,
    Path(path): Path<(String, String)>,
    Write { operator, form }: Write<OldGrant>,
) -> Done {
    let record = named(&state, &path).await?;
    refuse_feed(&record.name)?;
    let key = key(&form.key)?;
    let (app, name) = (state.0.clone(), record.name.clone());
    let act = operator.act(&state, "ungrant", &name).with(json!({ "key": Hex(key.0) }));
    let removed = act
        .taking_away()
        .run(async move { Ok(outcome(app.db.remove_grant(&name, &key).await?)) })
        .await?;
    Ok(back(&record.name, if removed { "ungranted" } else { "gone" }, "grants"))
}
