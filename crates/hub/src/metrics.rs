//! What `/metrics` tells: counters kept as things happen, gauges asked for when somebody looks.
//!
//! Every name is in the table of `docs/operations.md`, and a test compares the two. No label
//! holds anything a client chooses: routes are the router's patterns, methods and statuses are
//! from closed lists, so the number of series is bounded. Names, accounts and addresses are in
//! none of them.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use store::GcReport;

use crate::app::App;
use crate::files::unix_now;
use crate::readiness::Readiness;

/// Media type of the text that [`Metrics::text`] makes.
pub(crate) const MEDIA_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds: from a lookup in memory to the longest a quick request may take.
const ANSWER_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0, 120.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    check: &'static str,
}

/// Everything counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    answer_seconds: Family<Route, Histogram>,
    received_bytes: Counter,
    sent_bytes: Counter,
    /// Releases accepted.
    pub(crate) releases: Counter,
    /// Releases let go of because no rule kept them.
    pub(crate) releases_expired: Counter,
    deliveries: Gauge,
    lockers: Gauge,
    locker_bytes: Gauge,
    codes: Gauge,
    /// Requests passed on to other front-ends.
    pub(crate) passed_on: Counter,
    /// Segments of deliveries handed to recipients.
    pub(crate) delivered_segments: Counter,
    /// Their bytes.
    pub(crate) delivered_bytes: Counter,
    /// Bytes that were handed over without an account.
    pub(crate) guest_bytes: Counter,
    collections: Family<Outcome, Counter>,
    collected_chunks: Counter,
    collected_bytes: Counter,
    collection_seconds: Gauge<f64, AtomicU64>,
    collection_time: Gauge,
    under_way: Family<Kind, Gauge>,
    places: Family<Kind, Gauge>,
    ready: Family<Check, Gauge>,
    store_chunks: Gauge,
    store_plain_bytes: Gauge,
    store_bytes: Gauge,
    store_packs: Gauge,
    free_bytes: Gauge,
    resident_bytes: Gauge,
    open_files: Gauge,
    certificate_ends: Gauge,
    certificate_stale: Gauge,
}

impl Metrics {
    /// All of them, at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("consign_hub_build", "Version of the program", version);
        let start = Gauge::<i64>::default();
        start.set(signed(unix_now()));
        registry.register(
            "consign_hub_start_time_seconds",
            "When the hub started, in seconds since 1970",
            start,
        );
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            answer_seconds: Family::new_with_constructor(|| Histogram::new(ANSWER_SECONDS)),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            releases: Counter::default(),
            releases_expired: Counter::default(),
            deliveries: Gauge::default(),
            lockers: Gauge::default(),
            locker_bytes: Gauge::default(),
            codes: Gauge::default(),
            passed_on: Counter::default(),
            delivered_segments: Counter::default(),
            delivered_bytes: Counter::default(),
            guest_bytes: Counter::default(),
            collections: Family::default(),
            collected_chunks: Counter::default(),
            collected_bytes: Counter::default(),
            collection_seconds: Gauge::default(),
            collection_time: Gauge::default(),
            under_way: Family::default(),
            places: Family::default(),
            ready: Family::default(),
            store_chunks: Gauge::default(),
            store_plain_bytes: Gauge::default(),
            store_bytes: Gauge::default(),
            store_packs: Gauge::default(),
            free_bytes: Gauge::default(),
            resident_bytes: Gauge::default(),
            open_files: Gauge::default(),
            certificate_ends: Gauge::default(),
            certificate_stale: Gauge::default(),
        };
        macro_rules! register {
            ($($field:ident $name:literal $help:literal)*) => {
                $(registry.register(concat!("consign_hub_", $name), $help, metrics.$field.clone());)*
            };
        }
        // Counters are shown with `_total` behind their names.
        register! {
            requests "http_requests" "Requests answered"
            answer_seconds "http_answer_seconds" "Time until the head of the answer, in seconds"
            received_bytes "received_bytes" "Bytes of request bodies"
            sent_bytes "sent_bytes" "Bytes of response bodies"
            releases "releases_accepted" "Releases accepted"
            releases_expired "releases_expired" "Releases let go of because no rule kept them"
            deliveries "deliveries" "Live deliveries that run"
            lockers "lockers" "Lockers that hold a delivery"
            locker_bytes "locker_bytes" "Bytes they take of the quota"
            codes "codes" "Codes of words that are known"
            passed_on "passed_on" "Requests passed on to other front-ends"
            delivered_segments "delivered_segments" "Segments of deliveries handed to recipients"
            delivered_bytes "delivered_bytes" "Bytes of those segments"
            guest_bytes "guest_bytes" "Bytes of deliveries that were handed over without an account"
            collections "collections" "Garbage collections ended"
            collected_chunks "collected_chunks" "Chunks removed"
            collected_bytes "collected_bytes" "Bytes of packs freed"
            collection_seconds "last_collection_seconds" "Time the last garbage collection took"
            collection_time "last_collection_time_seconds"
                "When garbage collection last succeeded, in seconds since 1970"
            under_way "under_way" "Transfers and streams under way"
            places "places" "Transfers and streams there may be at once"
            ready "ready" "1 for what works, as in /readyz"
            store_chunks "store_chunks" "Distinct chunks"
            store_plain_bytes "store_plain_bytes" "Their bytes before compression"
            store_bytes "store_bytes" "Bytes of packs on disk"
            store_packs "store_packs" "Packs"
            free_bytes "free_bytes" "Bytes free on the file system of the data"
            resident_bytes "resident_bytes" "Memory of the process, resident"
            open_files "open_files" "Open file descriptors of the process"
            certificate_ends "certificate_end_time_seconds"
                "When the certificate ends, in seconds since 1970; 0 without one"
            certificate_stale "certificate_stale"
                "1 while the files of the certificate hold one that is not served"
        }
        for outcome in ["done", "failed"] {
            let _ = metrics.collections.get_or_create(&Outcome { outcome });
        }
        Self { registry, ..metrics }
    }

    /// A collection that ended well, at `now`.
    pub(crate) fn collected(&self, report: &GcReport, took: Duration, now: u64) {
        self.collections.get_or_create(&Outcome { outcome: "done" }).inc();
        self.collected_chunks.inc_by(report.removed_chunks);
        self.collected_bytes.inc_by(report.freed_bytes);
        self.collection_seconds.set(took.as_secs_f64());
        self.collection_time.set(signed(now));
    }

    /// A collection that did not.
    pub(crate) fn collection_failed(&self) {
        self.collections.get_or_create(&Outcome { outcome: "failed" }).inc();
    }

    /// The text for whoever collects metrics.
    pub(crate) async fn text(&self, app: &App) -> String {
        self.ask(app).await;
        self.encode()
    }

    fn encode(&self) -> String {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            // Writing to memory does not fail; the half of it would not parse.
            text.clear();
            let _ = text.write_str("# EOF\n");
        }
        text
    }

    /// Fills in what is only known by asking. What cannot be asked keeps its last value, and
    /// `ready` says what is wrong.
    async fn ask(&self, app: &App) {
        let semaphores = [
            ("upload", &app.uploads, app.limits.uploads_max),
            ("fetch", &app.fetches, app.limits.fetches_max),
            ("publication", &app.publishes, crate::start::PUBLISHES_MAX),
            ("event_stream", &app.event_streams, app.limits.event_streams_max),
        ];
        for (kind, semaphore, places) in semaphores {
            let taken = places.saturating_sub(semaphore.available_permits());
            self.under_way.get_or_create(&Kind { kind }).set(signed(taken as u64));
            self.places.get_or_create(&Kind { kind }).set(signed(places as u64));
        }
        self.deliveries.set(signed(app.deliveries.running() as u64));
        let (lockers, bytes) = app.lockers.totals();
        self.lockers.set(signed(lockers));
        self.locker_bytes.set(signed(bytes));
        self.codes.set(signed(app.codes.known() as u64));
        let readiness = app.readiness.check(app).await;
        self.set_ready(&readiness);
        if let Ok(stats) = app.store.stats().await {
            self.store_chunks.set(signed(stats.chunks));
            self.store_plain_bytes.set(signed(stats.plain_bytes));
            self.store_bytes.set(signed(stats.stored_bytes));
            self.store_packs.set(signed(stats.packs));
        }
        if let Ok(disk) = rustix::fs::statvfs(app.data.path()) {
            self.free_bytes.set(signed(disk.f_bavail.saturating_mul(disk.f_frsize)));
        }
        let certificate = app.certificate.as_ref().map(|now| now()).unwrap_or_default();
        self.certificate_ends.set(signed(certificate.ends.unwrap_or(0)));
        self.certificate_stale.set(i64::from(certificate.is_stale));
        // Elsewhere than on Linux there is no /proc, and these stay at zero.
        if let Some(pages) = resident_pages() {
            let page = rustix::param::page_size() as u64;
            self.resident_bytes.set(signed(pages.saturating_mul(page)));
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            self.open_files.set(signed(open.count() as u64));
        }
    }

    fn set_ready(&self, readiness: &Readiness) {
        for (check, works) in readiness.checks() {
            self.ready.get_or_create(&Check { check }).set(i64::from(works));
        }
    }

    fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let labels = Answered { method: known(method), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        let route = Route { route: route.to_owned() };
        self.answer_seconds.get_or_create(&route).observe(took.as_secs_f64());
    }
}

/// A client may send any word as a method.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method == *known).unwrap_or("other")
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn resident_pages() -> Option<u64> {
    let memory = std::fs::read_to_string("/proc/self/statm").ok()?;
    memory.split(' ').nth(1)?.parse().ok()
}

/// Counts every request, and the bytes of bodies both ways.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let received = app.metrics.received_bytes.clone();
    let response = next.run(request.map(|body| Body::new(Counted { body, bytes: received }))).await;
    app.metrics.answered(&method, route, response.status().as_u16(), started.elapsed());
    let sent = app.metrics.sent_bytes.clone();
    response.map(|body| Body::new(Counted { body, bytes: sent }))
}

/// A body whose bytes are counted as they pass.
struct Counted {
    body: Body,
    bytes: Counter,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.bytes.inc_by(bytes.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/operations.md");
    const DASHBOARD: &str = include_str!("../../../packaging/grafana/consign-hub.json");
    const ALERTS: &str = include_str!("../../../packaging/grafana/consign-hub.rules.yml");

    /// Names as a collector sees them.
    fn exported() -> BTreeSet<String> {
        let metrics = Metrics::new();
        metrics.answered(&Method::GET, "/v1/hub", 200, Duration::ZERO);
        metrics.set_ready(&Readiness::default());
        metrics.under_way.get_or_create(&Kind { kind: "upload" }).set(1);
        metrics.places.get_or_create(&Kind { kind: "upload" }).set(1);
        let text = metrics.encode();
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        kinds
            .map(|line| {
                let (name, kind) = line.split_once(' ').expect("a name and a kind");
                match kind {
                    "counter" => format!("{name}_total"),
                    "info" => format!("{name}_info"),
                    _ => name.to_owned(),
                }
            })
            .collect()
    }

    /// Words that look like our metrics; a histogram's series stand for the histogram.
    fn mentioned(text: &str) -> BTreeSet<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("consign_hub_"))
            .map(|word| {
                let series = ["_bucket", "_sum", "_count"];
                series.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
            })
            .collect()
    }

    #[test]
    fn every_metric_is_documented_and_the_reverse() {
        assert_eq!(mentioned(PAGE), exported());
    }

    #[test]
    fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
        let exported = exported();
        for text in [DASHBOARD, ALERTS] {
            let asked = mentioned(text);
            assert!(asked.len() > 4, "asks for something: {asked:?}");
            let unknown: Vec<_> = asked.difference(&exported).collect();
            assert!(unknown.is_empty(), "nobody exports {unknown:?}");
        }
        let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
        assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 8));
    }

    #[test]
    fn a_client_cannot_add_series() {
        let metrics = Metrics::new();
        for number in 0..100 {
            let method = Method::from_bytes(format!("M{number}").as_bytes()).expect("a method");
            metrics.answered(&method, "none", 405, Duration::ZERO);
        }
        let text = metrics.encode();
        let series = text.lines().filter(|line| line.starts_with("consign_hub_http_requests"));
        assert_eq!(series.count(), 1, "{text}");
    }
}
