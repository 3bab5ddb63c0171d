//! `PUT /v1/names/{team}/{name}/delegation`: who may publish, signed by the owner.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use documents::{Delegation, PublicKey};
use hub_api::{DelegationDocument, Hex, ProblemCode};
use hub_db::{AccountKey, NewDelegation};
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::refuse_feed;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// The keys need not be registered yet. Who was on the list before and is not now may not even
/// read any more, so memories are dropped.
pub(crate) async fn put_delegation(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(document): Json<DelegationDocument>,
) -> Result<StatusCode, Refusal> {
    let name = segments.owned(&app, &account).await?;
    refuse_feed(&name.name)?;
    let document = document.delegation.0;
    let owner = PublicKey::from_bytes(name.owner_key.0);
    let refused = |why: String| Refusal::new(ProblemCode::DocumentRefused, why);
    let (delegation, _) =
        Delegation::open(&document, &owner).map_err(|error| refused(error.to_string()))?;
    if delegation.name.as_str() != name.name {
        return Err(refused(format!("it is of {}", delegation.name)));
    }
    if delegation.expires <= unix_now() {
        return Err(refused("it has expired".to_owned()));
    }
    let publishers: Vec<_> = delegation.current().map(|key| AccountKey(*key.as_bytes())).collect();
    let keys: Vec<_> = publishers.iter().map(|key| Hex(key.0)).collect();
    let new = NewDelegation {
        name: name.id,
        owner: name.owner_key,
        number: delegation.number,
        document,
        publishers,
    };
    let act = Act::new(&app, &account, "delegate", &name.name)
        .with(json!({ "number": delegation.number, "publishers": keys }))
        .taking_away();
    let done = async move {
        if app.db.set_delegation(&new).await? {
            return Ok(Outcome::Changed(StatusCode::NO_CONTENT));
        }
        let why = format!("list {} is not newer than the one here", new.number);
        Err(Refusal::new(ProblemCode::DelegationConflict, why))
    };
    act.run(done).await
}
