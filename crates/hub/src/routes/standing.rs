//! `GET /v1/communities/{community}/standing?charter=`: how a community stands, for one of its peers.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::CHARTERS_PAGE_MAX;
use hub_api::{Base64Bytes, Hex, MembershipProof, Standing};
use serde::Deserialize;

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::{Belonging, Community};
use crate::conditional;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Known {
    charter: Option<u64>,
}

/// Nothing is found before the first roster.
pub(crate) async fn standing(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    known: Result<Query<Known>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(known) = known?;
    let Belonging { community, peer, .. } = Community::of(&app, &segments, &account).await?;
    let (order, roster) = community.record.roster.ok_or_else(Refusal::not_found)?;
    let after = known.charter.unwrap_or(0);
    let charters = app.db.charters(&community.key, after, CHARTERS_PAGE_MAX).await?;
    let membership = match peer {
        None => None,
        Some(peer) => {
            let tree = app.member_trees.of(&*app.db, &community.key, order).await?;
            // It may have come with a roster behind this one.
            let changing = || Refusal::busy("the roster is changing");
            let inclusion = tree.inclusion(&peer.peer, &peer.payload).ok_or_else(changing)?;
            Some(MembershipProof {
                membership: Base64Bytes(peer.payload),
                index: inclusion.index,
                path: inclusion.path.into_iter().map(Hex).collect(),
            })
        }
    };
    let standing = Standing {
        charters: charters.into_iter().map(Base64Bytes).collect(),
        roster: Base64Bytes(roster),
        renewal: community.record.renewal.map(|renewal| Base64Bytes(renewal.signed)),
        membership,
    };
    Ok(conditional::json(&headers, &standing))
}
