//! Which requests are for another front-end, and handing them over.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use hub_api::{Hex, routes as paths};
use hub_db::{DbError, FrontEnd};

use super::between::{ASKED_BY, Between, NotPassed, WORD};
use crate::app::App;
use crate::peer::Peer;
use crate::refusal::{Chain, Refusal};

/// The home of all codes is one, so that what an address may try is counted once.
pub(crate) const CODES: [u8; 16] = *b"codes of the hub";

/// How often it is asked, while an answer does not come, whether whoever is to give it is still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Routes that need the chunks, or what only goes with them. A page or a list that needs the database alone is
/// answered by whoever is asked.
const OF_CHUNKS: [&str; 16] = [
    // Lockers are where the chunks are.
    paths::DELIVERY_LOCKER,
    paths::CHUNKS_HAVE,
    paths::CHUNKS_FETCH,
    paths::CHUNKS,
    paths::CHUNK,
    paths::HEAD,
    paths::RELEASES,
    paths::ROOT_ENTRIES,
    paths::ENTRIES,
    paths::FILE,
    paths::CHANGES,
    paths::MIRRORED,
    paths::RELAYS,
    "/console/names/{team}/{name}/changes",
    "/console/names/{team}/{name}/{sequence}/tree",
    "/console/names/{team}/{name}/{sequence}/file",
];

/// A request that another front-end passed on: it is answered here, whatever it is about.
#[derive(Debug, Clone, Copy)]
struct PassedOn;

/// What a request is about that is in one front-end's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing: any front-end answers.
    Anywhere,
    Chunks,
    Codes,
    Delivery([u8; 16]),
}

fn place(route: &str, path: &str) -> Place {
    match route {
        paths::DELIVERY
        | paths::DELIVERY_SEGMENT
        | paths::DELIVERY_TOGETHER
        | paths::DELIVERY_SEGMENTS
        | paths::DELIVERY_VERIFIED => {
            let id = path.split('/').nth(3).and_then(|id| id.parse::<Hex<16>>().ok());
            id.map_or(Place::Anywhere, |id| Place::Delivery(id.0))
        }
        paths::CODE | paths::CODE_MESSAGE => Place::Codes,
        route if OF_CHUNKS.contains(&route) => Place::Chunks,
        _ => Place::Anywhere,
    }
}

/// Passes a request on when what it is about is in another front-end's memory.
pub(crate) async fn pass_on(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_passed_on = request.extensions().get::<PassedOn>().is_some();
    let Some(between) = app.cluster.between().filter(|_| !is_passed_on) else {
        return next.run(request).await;
    };
    let route = request.extensions().get::<MatchedPath>();
    let place = route.map_or(Place::Anywhere, |it| place(it.as_str(), request.uri().path()));
    match elsewhere(&app, place).await {
        Ok(None) => next.run(request).await,
        Ok(Some(other)) => {
            let passed = hand_over(&app, between, place, &other, request).await;
            passed.unwrap_or_else(|refusal| refusal.closing().into_response())
        }
        Err(refusal) => refusal.closing().into_response(),
    }
}

/// The other front-end that has what a request is about; `None` when this one answers.
async fn elsewhere(app: &App, place: Place) -> Result<Option<FrontEnd>, Refusal> {
    let is_other = |front_end: &FrontEnd| front_end.id != app.cluster.id();
    match place {
        Place::Anywhere => Ok(None),
        Place::Chunks if app.cluster.keeps_chunks() => Ok(None),
        Place::Chunks => match app.cluster.chunk_keeper(&*app.db).await? {
            Some(keeper) => Ok(Some(keeper).filter(is_other)),
            None => Err(soon("the front-end that keeps the chunks is away")),
        },
        Place::Delivery(id) if app.deliveries.has(&id) || app.lockers.has(&id) => Ok(None),
        Place::Delivery(id) => Ok(app.db.home(&id).await?.filter(is_other)),
        Place::Codes => match app.db.home(&CODES).await? {
            Some(home) => Ok(Some(home).filter(is_other)),
            None if app.cluster.is_home(&*app.db, &CODES).await? => Ok(None),
            None => Ok(app.db.home(&CODES).await?.filter(is_other)),
        },
    }
}

/// To be asked again soon: another front-end takes the place of one that is gone within a lease.
fn soon(what: &str) -> Refusal {
    Refusal::busy(what).after(2)
}

/// Whether a front-end still has it.
async fn has_still(app: &App, place: Place, other: &FrontEnd) -> Result<bool, DbError> {
    let now = match place {
        Place::Anywhere => None,
        Place::Chunks => app.cluster.chunk_keeper(&*app.db).await?,
        Place::Delivery(id) => app.db.home(&id).await?,
        Place::Codes => app.db.home(&CODES).await?,
    };
    Ok(now.is_some_and(|now| now.id == other.id))
}

async fn hand_over(
    app: &App,
    between: &Between,
    place: Place,
    other: &FrontEnd,
    request: Request,
) -> Result<Response, Refusal> {
    let Some(address) = &other.address else {
        return Err(soon("another hub uses this database, and is not one of its front-ends"));
    };
    let asked_by = request.extensions().get::<Peer>().map_or(
        // Every request that came over a connection has one.
        std::net::Ipv6Addr::UNSPECIFIED.into(),
        |peer| peer.0,
    );
    app.metrics.passed_on.inc();
    let (parts, body) = request.into_parts();
    let mut passed = hyper::Request::new(body);
    *passed.method_mut() = parts.method;
    *passed.uri_mut() = parts.uri;
    *passed.headers_mut() = parts.headers;
    let gone = async {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            // A database that is away says nothing about the front-end.
            if matches!(has_still(app, place, other).await, Ok(false)) {
                return;
            }
        }
    };
    let passing = between.pass(address, asked_by, passed);
    let answer = tokio::select! {
        answer = passing => answer,
        () = gone => return Err(soon("the front-end that was asked is gone")),
    };
    match answer {
        Ok(mut answer) => {
            if *app.stopping.borrow() {
                answer.headers_mut().insert(
                    axum::http::header::CONNECTION,
                    axum::http::HeaderValue::from_static("close"),
                );
            }
            Ok(answer.map(Body::new))
        }
        Err(error @ (NotPassed::Unreached(_) | NotPassed::Broken(_))) => {
            tracing::warn!(front_end = %address, error = %Chain(&error), "a request was not passed on");
            Err(soon("the front-end that has it is not reached; another will take its place"))
        }
    }
}

/// What front-ends answer each other: everything, and what they alone ask, to those who say the word.
pub(crate) fn router(app: &Arc<App>, everything: Router) -> Router {
    everything
        .merge(super::standing::router(app))
        .layer(middleware::from_fn_with_state(Arc::clone(app), let_in))
}

async fn let_in(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let asked_by = app.cluster.between().and_then(|it| it.asked_by(request.headers()));
    let Some(asked_by) = asked_by else {
        return Refusal::not_found().closing().into_response();
    };
    for name in [WORD, ASKED_BY] {
        request.headers_mut().remove(name);
    }
    request.extensions_mut().insert(Peer(asked_by));
    request.extensions_mut().insert(PassedOn);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_one_memory_is_told_from_what_all_know() {
        let id = "ab".repeat(16);
        let at = |route, path: &str| place(route, path);
        let delivery = Place::Delivery([0xab; 16]);
        assert_eq!(at(paths::DELIVERY, &format!("/v1/deliveries/{id}")), delivery);
        let segment = format!("/v1/deliveries/{id}/segments/7");
        assert_eq!(at(paths::DELIVERY_SEGMENT, &segment), delivery);
        let together = format!("/v1/deliveries/{id}/together/7");
        assert_eq!(at(paths::DELIVERY_TOGETHER, &together), delivery);
        assert_eq!(at(paths::DELIVERY, "/v1/deliveries/nonsense"), Place::Anywhere);
        let address = format!("/v1/deliveries/{id}/address");
        assert_eq!(at(paths::DELIVERY_ADDRESS, &address), Place::Anywhere);
        assert_eq!(at(paths::CODE, "/v1/codes/7"), Place::Codes);
        assert_eq!(at(paths::CHUNKS_FETCH, paths::CHUNKS_FETCH), Place::Chunks);
        assert_eq!(at(paths::NAMES, paths::NAMES), Place::Anywhere);
    }
}
