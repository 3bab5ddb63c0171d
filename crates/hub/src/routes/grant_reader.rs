//! `PUT /v1/names/{team}/{name}/readers/{key}`: lets a key read a name.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::Hex;
use hub_db::AccountKey;

use crate::app::App;
use crate::caller::{Publisher, Segments};
use crate::refusal::Refusal;

/// The key need not be registered yet; it must be before it can read.
pub(crate) async fn grant_reader(
    State(app): State<Arc<App>>,
    Publisher(account): Publisher,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let name = segments.owned(&app, &account).await?;
    let key: Hex<32> = segments.parse("key")?;
    app.db.grant_reader(&name.name, &AccountKey(key.0)).await?;
    Ok(StatusCode::NO_CONTENT)
}
