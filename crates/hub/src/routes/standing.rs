//! `GET /v1/communities/{community}/standing?charter=`: how a community stands, for one of its peers.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::CHARTERS_PAGE_MAX;
use hub_api::{Base64Bytes, Hex, MembershipProof, Standing};
use hub_db::{Member, RosterOrder};
use serde::Deserialize;

use crate::app::App;
use crate::caller::{self, Segments};
use crate::communities::{Belonging, Community};
use crate::conditional;
use crate::refusal::Refusal;

/// How often it is read once more when the roster changes meanwhile.
const ATTEMPTS: usize = 3;

#[derive(Deserialize)]
pub(crate) struct Known {
    charter: Option<u64>,
}

/// Nothing is found before the first roster.
pub(crate) async fn standing(
    State(app): State<Arc<App>>,
    caller::Member(account): caller::Member,
    segments: Segments,
    known: Result<Query<Known>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(known) = known?;
    let mut attempts = 0;
    let (community, roster, membership) = loop {
        let Belonging { community, peer, .. } = Community::of(&app, &segments, &account).await?;
        let (order, roster) = community.record.roster.clone().ok_or_else(Refusal::not_found)?;
        match membership(&app, &community, order, peer).await {
            Ok(membership) => break (community, roster, membership),
            // The roster changed between two reads: what is there now is of one moment again.
            Err(refusal) if attempts == ATTEMPTS => return Err(refusal),
            Err(_) => attempts += 1,
        }
    };
    let after = known.charter.unwrap_or(0);
    // Most who ask have the newest, which was read with the community.
    let charters = if after < community.charter.number {
        app.db.charters(&community.key, after, CHARTERS_PAGE_MAX).await?
    } else {
        Vec::new()
    };
    let standing = Standing {
        charters: charters.into_iter().map(Base64Bytes).collect(),
        roster: Base64Bytes(roster),
        renewal: community.record.renewal.map(|renewal| Base64Bytes(renewal.signed)),
        membership,
    };
    Ok(conditional::json(&headers, &standing))
}

/// What shows that the roster counts the peer.
async fn membership(
    app: &App,
    community: &Community,
    order: RosterOrder,
    peer: Option<Member>,
) -> Result<Option<MembershipProof>, Refusal> {
    let Some(peer) = peer else { return Ok(None) };
    let tree = app.member_trees.of(&*app.db, &community.key, order).await?;
    // It may have come with a roster behind this one.
    let changing = || Refusal::busy("the roster is changing");
    let inclusion = tree.inclusion(&peer.peer, &peer.payload).ok_or_else(changing)?;
    Ok(Some(MembershipProof {
        membership: Base64Bytes(peer.payload),
        index: inclusion.index,
        path: inclusion.path.into_iter().map(Hex).collect(),
    }))
}
