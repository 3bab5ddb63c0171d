//! Every route of the hub, and what applies to all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use hub_api::limits::{HEADER_BYTES_MAX, HEADERS_MAX};
use hub_api::{ProblemCode, routes as paths};

use crate::app::App;
use crate::clients;
use crate::cluster::pass_on;
use crate::console;
use crate::delivery_page;
use crate::guest_page;
use crate::metrics::count;
use crate::peer::Peer;
use crate::person_page;
use crate::refusal::Refusal;
use crate::routes;
use crate::switch::let_through;

/// The hub's endpoints.
pub(crate) fn router(app: Arc<App>) -> Router {
    let quick = app.limits.request_time;
    let transfer = app.limits.transfer_time;
    let within = |time: Duration, route: MethodRouter<Arc<App>>| {
        route.layer(middleware::from_fn_with_state(time, limit_time))
    };
    Router::new()
        .route(paths::HEALTH, get(routes::health::health))
        .route(paths::READY, within(quick, get(routes::ready::ready)))
        .route(paths::HUB, within(quick, get(routes::hub::hub)))
        .route(paths::REGISTRATIONS, within(quick, post(routes::register::register)))
        .route(paths::SESSION_CHALLENGE, within(quick, post(routes::challenge::challenge)))
        .route(paths::SESSIONS, within(quick, post(routes::open_session::open_session)))
        .route(paths::CHUNKS_HAVE, within(quick, post(routes::have_chunks::have_chunks)))
        .route(paths::CHUNKS_FETCH, within(quick, post(routes::fetch_chunks::fetch_chunks)))
        .route(paths::CHUNKS, within(transfer, post(routes::upload_chunks::upload_chunks)))
        .route(paths::CHUNK, within(quick, get(routes::one_chunk::one_chunk)))
        .route(paths::NAMES, within(quick, get(routes::list_names::list_names)))
        .route(
            paths::NAME,
            within(
                quick,
                get(routes::one_name::one_name)
                    .put(routes::put_name::put_name)
                    .delete(routes::delete_name::delete_name),
            ),
        )
        .route(
            paths::GRANT,
            within(
                quick,
                put(routes::put_grant::put_grant).delete(routes::delete_grant::delete_grant),
            ),
        )
        .route(paths::GRANTS, within(quick, get(routes::list_grants::list_grants)))
        .route(
            paths::DELEGATION,
            within(
                quick,
                get(routes::read_delegation::read_delegation)
                    .put(routes::put_delegation::put_delegation),
            ),
        )
        .route(paths::OWNER, within(quick, put(routes::transfer_name::transfer_name)))
        .route(
            paths::RETENTION,
            within(
                quick,
                get(routes::read_retention::read_retention)
                    .put(routes::put_retention::put_retention),
            ),
        )
        .route(paths::HEAD, within(quick, get(routes::head::head)))
        .route(
            paths::RELEASES,
            within(
                transfer,
                get(routes::list_releases::list_releases).post(routes::publish::publish),
            ),
        )
        .route(paths::RELEASE, within(quick, get(routes::one_release::one_release)))
        .route(
            paths::PIN,
            within(
                quick,
                put(routes::pin_release::pin_release).delete(routes::pin_release::unpin_release),
            ),
        )
        .route(paths::ROOT_ENTRIES, within(quick, get(routes::list_entries::list_entries)))
        .route(paths::ENTRIES, within(quick, get(routes::list_entries::list_entries)))
        .route(paths::FILE, within(quick, get(routes::read_file::read_file)))
        .route(paths::CHANGES, within(quick, get(routes::list_changes::list_changes)))
        .route(paths::EVENTS, within(quick, get(routes::events::events)))
        .route(
            paths::TOKENS,
            within(
                quick,
                get(routes::list_tokens::list_tokens).post(routes::create_token::create_token),
            ),
        )
        .route(paths::TOKEN, within(quick, delete(routes::delete_token::delete_token)))
        .route(paths::ACCOUNTS, within(quick, get(routes::list_accounts::list_accounts)))
        .route(paths::ACCOUNT, within(quick, delete(routes::revoke_account::revoke_account)))
        .route(
            paths::INVITATIONS,
            within(
                quick,
                get(routes::list_invitations::list_invitations).post(routes::invite::invite),
            ),
        )
        .route(
            paths::INVITATION,
            within(quick, delete(routes::revoke_invitation::revoke_invitation)),
        )
        .route(paths::AUDIT, within(quick, get(routes::audit::audit)))
        .route(paths::STATUS, within(quick, get(routes::status::status)))
        .route(paths::AUDIT_CHAIN, within(quick, get(routes::audit_chain::audit_chain)))
        .route(paths::COMMUNITIES, within(quick, post(routes::create_community::create_community)))
        .route(paths::MIRRORS, within(quick, post(routes::mirror_community::mirror_community)))
        .route(
            paths::CHARTERS,
            within(
                quick,
                get(routes::list_charters::list_charters).post(routes::add_charter::add_charter),
            ),
        )
        .route(paths::STANDING, within(quick, get(routes::standing::standing)))
        .route(paths::ROSTER, within(transfer, put(routes::put_roster::put_roster)))
        .route(paths::RENEWAL, within(quick, put(routes::put_renewal::put_renewal)))
        .route(paths::MEMBERS, within(quick, get(routes::list_members::list_members)))
        .route(
            paths::ADMISSION,
            within(
                quick,
                put(routes::put_admission::put_admission)
                    .delete(routes::delete_admission::delete_admission),
            ),
        )
        .route(
            paths::JOINS,
            within(quick, get(routes::list_joins::list_joins).post(routes::knock::knock)),
        )
        // It waits by itself, and no longer than any other.
        .route(paths::JOIN, within(quick, get(routes::read_join::read_join)))
        .route(paths::JOIN_CHALLENGE, within(quick, put(routes::challenge_join::challenge_join)))
        .route(paths::JOIN_ANSWER, within(quick, put(routes::answer_join::answer_join)))
        .route(paths::JOIN_END, within(quick, put(routes::end_join::end_join)))
        .route(paths::QUEUE, within(quick, get(routes::queue::queue)))
        .route(paths::WAITING, within(quick, get(routes::waiting::waiting)))
        .route(
            paths::RELAYS,
            within(
                quick,
                get(routes::read_relays::read_relays).put(routes::tell_relays::tell_relays),
            ),
        )
        .route(
            paths::COMMUNITY_EVENTS,
            within(quick, get(routes::community_events::community_events)),
        )
        .route(paths::ENVELOPES, within(quick, post(routes::enqueue::enqueue)))
        .route(paths::TARGETS, within(quick, get(routes::targets::targets)))
        .route(
            paths::TARGET,
            within(
                quick,
                delete(routes::withdraw_entry::withdraw_entry)
                    .put(routes::begin_release::begin_release),
            ),
        )
        .route(paths::MIRRORED, within(transfer, put(routes::mirror_release::mirror_release)))
        .route(
            paths::RECEIPT,
            within(
                transfer,
                get(routes::read_receipt::read_receipt).put(routes::put_receipt::put_receipt),
            ),
        )
        .route(paths::BEGINNINGS, within(quick, get(routes::list_beginnings::list_beginnings)))
        .route(paths::RECEIPTS, within(quick, get(routes::list_receipts::list_receipts)))
        .route(paths::RECEIPTS_TAKEN, within(quick, post(routes::receipts_taken::receipts_taken)))
        .route(paths::DELIVERIES, within(quick, get(routes::list_deliveries::list_deliveries)))
        // Both wait by themselves, and no longer than any other.
        .route(
            paths::DELIVERY,
            within(
                quick,
                get(routes::read_delivery::read_delivery)
                    .put(routes::announce_delivery::announce_delivery)
                    .delete(routes::end_delivery::end_delivery),
            ),
        )
        .route(paths::DELIVERY_LOCKER, within(quick, put(routes::open_locker::open_locker)))
        .route(paths::DELIVERY_SEGMENT, within(transfer, put(routes::put_segment::put_segment)))
        .route(paths::DELIVERY_TOGETHER, within(transfer, put(routes::put_together::put_together)))
        .route(paths::DELIVERY_SEGMENTS, within(quick, get(routes::read_segments::read_segments)))
        .route(
            paths::DELIVERY_VERIFIED,
            within(quick, post(routes::verified_segments::verified_segments)),
        )
        .route(paths::CODE, within(quick, put(routes::announce_code::announce_code)))
        // It waits by itself, and no longer than any other.
        .route(
            paths::CODE_MESSAGE,
            within(
                quick,
                get(routes::read_code_message::read_code_message)
                    .put(routes::put_code_message::put_code_message),
            ),
        )
        .route(paths::PEOPLE, within(quick, post(routes::create_person::create_person)))
        .route(paths::PERSON, within(quick, get(routes::read_person::read_person)))
        .route(paths::LOGINS, within(quick, post(routes::log_in::log_in)))
        .route(
            paths::RECOVERIES,
            within(quick, post(routes::ask_recovery::ask_recovery).put(routes::recover::recover)),
        )
        .route(paths::ME, within(quick, get(routes::read_me::read_me).put(routes::put_me::put_me)))
        .route(paths::MY_PASSWORD, within(quick, put(routes::put_password::put_password)))
        .route(paths::MY_DEVICES, within(quick, put(routes::put_devices::put_devices)))
        .route(paths::MY_DEVICE, within(quick, delete(routes::delete_device::delete_device)))
        .route(paths::PERSON_CHECK, within(quick, get(routes::check_person::check_person)))
        .route(
            paths::MY_BOOK,
            within(quick, get(routes::read_book::read_book).put(routes::put_book::put_book)),
        )
        .route(paths::MY_ROOM, within(quick, put(routes::put_room::put_room)))
        .route(paths::MY_EVENTS, within(quick, get(routes::person_events::person_events)))
        .route(paths::INBOX, within(quick, get(routes::list_inbox::list_inbox)))
        .route(paths::OUTBOX, within(quick, get(routes::list_outbox::list_outbox)))
        .route(paths::SENDERS, within(quick, get(routes::list_senders::list_senders)))
        .route(paths::SENDER, within(quick, put(routes::put_sender::put_sender)))
        .route(
            paths::DELIVERY_ADDRESS,
            within(quick, put(routes::address_delivery::address_delivery)),
        )
        .route(paths::OPENAPI, within(quick, get(routes::openapi::openapi)))
        .route(paths::ERROR, within(quick, get(routes::explain_error::explain_error)))
        .merge(delivery_page::router().layer(middleware::from_fn_with_state(quick, limit_time)))
        .merge(person_page::router().layer(middleware::from_fn_with_state(quick, limit_time)))
        .merge(guest_page::router().layer(middleware::from_fn_with_state(quick, limit_time)))
        .merge(console::router(&app).layer(middleware::from_fn_with_state(quick, limit_time)))
        .fallback(async || Refusal::not_found())
        .method_not_allowed_fallback(async || {
            Refusal::new(ProblemCode::MethodNotAllowed, "").closing()
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&app), pass_on))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), clients::let_through))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), let_through))
        .layer(middleware::from_fn(limit_headers))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), log))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), count))
        .with_state(app)
}

/// Ends requests that take too long to be answered. The body of a response is not counted: a
/// client that takes none of it is noticed by the connection.
async fn limit_time(State(time): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let taken = format!("more than {} s", time.as_secs());
            Refusal::new(ProblemCode::RequestTimeout, taken).closing().into_response()
        }
    }
}

async fn limit_headers(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let bytes = bytes.sum::<usize>() + request.uri().path().len();
    if headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        let refusal = Refusal::new(ProblemCode::HeadersTooLarge, "");
        return refusal.closing().into_response();
    }
    next.run(request).await
}

/// Logs each request by its route: no header, no query, no id, no name.
async fn log(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let peer = request.extensions().get::<Peer>();
    let client = peer.map(|peer| peer.client(request.headers(), &app.trusted_proxies));
    let mut response = next.run(request).await;
    tracing::debug!(
        %method,
        client = client.map(tracing::field::display),
        route = route.as_ref().map_or("none", MatchedPath::as_str),
        status = response.status().as_u16(),
        duration_ms = started.elapsed().as_millis() as u64,
        "answered"
    );
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}
