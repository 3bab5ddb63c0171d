//! `PUT /v1/me/senders/{handle}`: decides about a pending sender.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{PersonNews, SenderDecision, SenderVerdict};
use hub_db::Decision;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::files::unix_now;
use crate::people::{PersonCaller, tell_settled};
use crate::refusal::Refusal;

/// Whoever is accepted becomes a contact, with no details until a device puts the next book.
pub(crate) async fn put_sender(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    segments: Segments,
    Json(SenderVerdict { decision }): Json<SenderVerdict>,
) -> Result<StatusCode, Refusal> {
    let handle = segments.handle()?;
    let (decision, action) = match decision {
        SenderDecision::Accept => (Decision::Accept, "accept-sender"),
        SenderDecision::Refuse => (Decision::Refuse, "refuse-sender"),
        SenderDecision::Block => (Decision::Block, "block-sender"),
    };
    let act = Act::new(&app, &caller.account, action, &handle);
    let (db, person) = (Arc::clone(&app.db), caller.person);
    let done = async move {
        let settled = db.decide(person, handle.as_str(), decision, unix_now()).await?;
        Ok(Outcome::Changed(settled.ok_or_else(Refusal::not_found)?))
    };
    let settled = act.run(done).await?;
    app.people.presence.tell(person, PersonNews::Senders);
    if decision != Decision::Refuse {
        app.people.presence.tell(person, PersonNews::Book);
    }
    tell_settled(&app, &settled).await;
    Ok(StatusCode::NO_CONTENT)
}
