//! `DELETE /v1/names/{team}/{name}/readers/{key}`: takes a grant back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::Hex;
use hub_db::AccountKey;

use crate::app::App;
use crate::caller::{Publisher, Segments};
use crate::refusal::Refusal;

/// Says the same whether there was a grant or not: afterwards there is none.
pub(crate) async fn revoke_reader(
    State(app): State<Arc<App>>,
    Publisher(account): Publisher,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let name = segments.owned(&app, &account).await?;
    let key: Hex<32> = segments.parse("key")?;
    // A task of its own: a caller that goes away must not leave the cache behind the database.
    let revoked = tokio::spawn(async move {
        let revoked = app.db.revoke_reader(&name.name, &AccountKey(key.0)).await;
        app.access.forget();
        revoked
    });
    revoked.await.map_err(|error| Refusal::internal(&error))??;
    Ok(StatusCode::NO_CONTENT)
}
