//! A community, its publisher's ledger, and its console.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderName, Method, Request, StatusCode, header};
use community::report::Beside;
use community::{CommunityId, ExchangeKey, Membership, Passed, RelayReport, Role, RosterSeen};
use community_console::{Console, Known, Records, Source};
use content::ChunkId;
use documents::{DocumentHash, NodeKey, PublicKey, ReleaseName};
use futures_util::StreamExt as _;
use ledger::{
    Addressee, Answer, DatabaseUrl, Ledger, NewPackage, NewRollout, PackageId, Recorded, Report,
    RolloutProgress, RolloutState, TargetFilter,
};
use node::communities::CommunityError;
use node::communities::relay::{RelayTold, RelaysTold};
use node::publish::unix_now;
use package::label::Labels;
use package::receipt::{End, Output, Placed, Ran};
use package::{Outcome, Receipt, StepReceipt, Verdict};
use tower::ServiceExt as _;

pub(crate) const HOST: &str = "127.0.0.1:8000";
/// Far longer than anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What would run if it were markup.
pub(crate) const HOSTILE: &str =
    "<script>window.ran=true</script><img src=x onerror=\"window.ran=true\">";

pub(crate) fn community() -> CommunityId {
    CommunityId::from_bytes([7; 16])
}

fn key(name: &str) -> PublicKey {
    PublicKey::from_bytes(*ChunkId::of(name.as_bytes()).as_bytes())
}

fn feed() -> ReleaseName {
    community().feed(&key("ci"))
}

fn exchange() -> community::ExchangePublic {
    ExchangeKey::derive(&NodeKey::from_secret_bytes([1; 32])).public()
}

fn member(name: &str, role: Role, labels: &[(&str, &str)]) -> Membership {
    Membership {
        community: community(),
        peer: name.parse().expect("a name"),
        key: key(name),
        exchange: exchange(),
        roles: BTreeSet::from([role]),
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        routes: Vec::new(),
        issued: 1,
        description: Some(HOSTILE.into()),
        host: Some(HOSTILE.into()),
        addresses: Vec::new(),
    }
}

/// What relay `boss` told a moment ago.
fn relays() -> RelaysTold {
    let (now, relay) = (unix_now(), key("boss"));
    let report = RelayReport {
        community: community(),
        relay,
        made: now,
        since: now - 7200,
        total: Passed { down: 3_000_000_000, up: 700_000 },
        seconds: 5,
        recent: Passed { down: 40_000_000, up: 900 },
        turns: Some((2, now - 600)),
        beside: Beside::Waiting { entries: 12, oldest: now - 180 },
    };
    // One that says it of itself and is no relay.
    let target = RelayReport { relay: key("press-1"), ..report.clone() };
    let told = [report, target].map(|report| (report.relay, RelayTold { heard: now, report }));
    RelaysTold { waiting: 15, oldest: Some(now - 200), relays: told.into() }
}

/// A hub as the test wants it.
struct Told {
    members: Arc<Vec<Membership>>,
    fails: AtomicBool,
}

#[async_trait]
impl Source for Told {
    fn id(&self) -> CommunityId {
        community()
    }

    fn name(&self) -> Result<String, CommunityError> {
        Ok("Plant 7".into())
    }

    async fn look(&self, _before: Option<&Known>) -> Result<Known, CommunityError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(CommunityError::Contended);
        }
        let hash = DocumentHash::from_bytes([1; 32]);
        Ok(Known {
            hub: "https://hub.example:7400".into(),
            own: Some("ci".parse().expect("a name")),
            managers: vec![key("boss")],
            charter: 1,
            roster: RosterSeen { charter: 1, number: 4, hash },
            until: unix_now() + 6 * 86_400,
            members: Arc::clone(&self.members),
            expected: Vec::new(),
            relays: Some(relays()),
        })
    }
}

pub(crate) struct Scene {
    router: Router,
    console: Console,
    links: Mutex<community_console::Links>,
    link: Mutex<String>,
    source: Arc<Told>,
    ledger: Arc<dyn Ledger>,
    /// The first release.
    pub(crate) package: i64,
    _directory: tempfile::TempDir,
}

/// What came back.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    headers: header::HeaderMap,
}

impl Page {
    pub(crate) fn header(&self, name: HeaderName) -> String {
        let value = self.headers.get(name).map(|value| value.to_str().expect("text"));
        value.unwrap_or_default().to_owned()
    }
}

/// Events, one after the other.
pub(crate) struct Events(BodyDataStream);

impl Events {
    pub(crate) async fn next(&mut self) -> Option<String> {
        let bytes = self.0.next().await?.expect("no part fails");
        Some(String::from_utf8(bytes.to_vec()).expect("UTF-8"))
    }
}

/// What a target answers: files that were put back, and a script that said something.
pub(crate) fn answer(verdict: Verdict, said: &str) -> Receipt {
    let ran = Ran {
        end: End::Code(3),
        is_expected: false,
        output: Output { bytes: said.as_bytes().to_vec(), bytes_total: said.len() as u64 },
        error: Output { bytes: b"no such press\n".to_vec(), bytes_total: 90 },
        processor: Duration::from_millis(20),
        memory_bytes_max: 1 << 20,
        limit: None,
        memory_together_bytes_max: None,
    };
    let placed = Placed { added: 3, changed: 2, kept: 1000, removed: 1, bytes: 123_456 };
    let step = |name: &str, outcome| StepReceipt {
        name: name.into(),
        outcome,
        begun_ms: unix_now() * 1000,
        took: Duration::from_millis(1500),
    };
    let steps = vec![step("files", Outcome::PutBack(placed)), step("look", Outcome::Ran(ran))];
    Receipt { package: "tools".into(), version: "1.1".into(), verdict, steps }
}

impl Scene {
    async fn new(members: Vec<Membership>, fails: bool) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let url = DatabaseUrl::Sqlite(directory.path().join("ledger.sqlite"));
        let ledger = ledger::open(&url).await.expect("opens");
        let source = Arc::new(Told { members: Arc::new(members), fails: AtomicBool::new(fails) });
        let listens = HOST.parse().expect("an address");
        let shared: Arc<dyn Source> = source.clone();
        let console = Console::new(shared, Records::new(url), listens).expect("made");
        let mut links = console.links();
        let link = links.next().await.expect("the first one");
        console.look().await;
        Self {
            router: console.router(),
            console,
            links: Mutex::new(links),
            link: Mutex::new(link),
            source,
            ledger,
            package: 0,
            _directory: directory,
        }
    }

    /// Nobody has joined, nothing was sent.
    pub(crate) async fn empty() -> Self {
        Self::new(Vec::new(), false).await
    }

    /// A package went to three machines: one passed, one failed, one did not answer.
    pub(crate) async fn sent() -> Self {
        Self::new(Self::plant(), false).await.fill().await
    }

    /// The same, and the hub has not answered yet.
    pub(crate) async fn sent_without_hub() -> Self {
        Self::new(Vec::new(), true).await.fill().await
    }

    /// So many targets, of which nobody has answered.
    pub(crate) async fn large(targets: usize) -> Self {
        let name = |number: usize| format!("press-{number:05}");
        let site = |number: usize| ["berlin", "lyon", "oslo"][number % 3];
        let one = |number| member(&name(number), Role::Target, &[("site", site(number))]);
        let mut scene = Self::new((0..targets).map(one).collect(), false).await;
        let all: Vec<(String, Labels)> = (0..targets).map(|it| (name(it), Labels::new())).collect();
        let all: Vec<(&str, Labels)> = all.iter().map(|(name, it)| (&**name, it.clone())).collect();
        scene.package = scene.send("tools", 1, &all).await;
        scene
    }

    fn plant() -> Vec<Membership> {
        vec![
            member("boss", Role::Relay, &[]),
            member("ci", Role::Publisher, &[]),
            member("press-1", Role::Target, &[("site", "berlin")]),
            member("press-2", Role::Target, &[("site", "berlin"), ("lab", "")]),
            member("press-3", Role::Target, &[("site", "oslo")]),
        ]
    }

    async fn fill(mut self) -> Self {
        let targets = ["press-1", "press-2", "press-3"].map(|name| (name, Labels::new()));
        self.package = self.send("tools", 1, &targets).await;
        self.answer(1, "press-1", answer(Verdict::Passed, "")).await;
        let failed = answer(Verdict::Failed("look failed".into()), "hello & goodbye\n");
        self.answer(1, "press-2", failed).await;
        self
    }

    fn new_package(name: &str, sequence: u64) -> NewPackage {
        let now = unix_now();
        NewPackage {
            community: community(),
            feed: feed(),
            sequence,
            manifest: DocumentHash::from_bytes([u8::try_from(sequence).expect("small"); 32]),
            name: name.into(),
            version: format!("1.{sequence}"),
            description: HOSTILE.into(),
            tree: ChunkId::of(b"tree"),
            bytes: 1_234_567,
            selector: HOSTILE.into(),
            built: now,
            expires: now + 86_400,
            resume: vec![1],
        }
    }

    fn addressee(name: &str, labels: &Labels) -> Addressee {
        let peer = name.parse().expect("a name");
        Addressee { key: key(name), peer, labels: labels.clone() }
    }

    pub(crate) async fn send(&self, name: &str, sequence: u64, to: &[(&str, Labels)]) -> i64 {
        let to: Vec<Addressee> = to.iter().map(|(name, it)| Self::addressee(name, it)).collect();
        let id = self.ledger.draft(&Self::new_package(name, sequence), &to).await.expect("drafts");
        self.ledger.confirm(id, unix_now()).await.expect("confirms");
        id.number()
    }

    /// A target has told that it began, so many seconds ago.
    pub(crate) async fn begin(&self, package: i64, target: &str, ago: u64) {
        let told = [(key(target), unix_now() - ago)];
        let noted = self.ledger.begin(PackageId::from_number(package), &told).await;
        assert_eq!(noted.expect("writes"), 1);
    }

    pub(crate) async fn answer(&self, sequence: u64, target: &str, receipt: Receipt) {
        let manifest = DocumentHash::from_bytes([u8::try_from(sequence).expect("small"); 32]);
        let answer = Answer {
            target: key(target),
            answered: unix_now(),
            report: Report::Readable { manifest, receipt },
            receipt: None,
        };
        let recorded = self.ledger.record(&feed(), sequence, &answer).await.expect("records");
        assert_eq!(recorded, Recorded::Now);
    }

    /// A release whose first wave is the first target, and whose second is the rest.
    pub(crate) async fn roll_out(&self, sequence: u64, targets: &[&str]) -> i64 {
        let planned = targets
            .iter()
            .enumerate()
            .map(|(at, name)| (u32::from(at > 0), Self::addressee(name, &Labels::new())));
        let targets: Vec<(u32, Addressee)> = planned.collect();
        let canary = targets[0].1.clone();
        let rollout = NewRollout {
            rules: "stop-at 1; canary 1".into(),
            root: vec![0; 40],
            began: unix_now(),
            targets,
        };
        let new = Self::new_package("tools", sequence);
        let id = self.ledger.draft_rollout(&new, &rollout).await.expect("drafts");
        self.ledger.confirm(id, unix_now()).await.expect("confirms");
        self.ledger.draft_wave(id, &[canary], &[1]).await.expect("drafts");
        self.ledger.confirm(id, unix_now()).await.expect("confirms");
        id.number()
    }

    /// Stops a roll-out as its rules do.
    pub(crate) async fn stop(&self, package: i64, why: &str) {
        let id = PackageId::from_number(package);
        let from = self.ledger.rollout(id).await.expect("reads").expect("there").progress;
        let to = RolloutProgress {
            state: RolloutState::Stopped,
            since: unix_now(),
            reason: Some(why.into()),
            ..from.clone()
        };
        assert!(self.ledger.set_rollout(id, &from, &to).await.expect("sets"));
    }

    pub(crate) fn hub_fails(&self) {
        self.source.fails.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn look(&self) {
        self.console.look().await;
    }

    pub(crate) async fn receipt(&self, target: &str) -> String {
        self.receipt_of(self.package, target).await
    }

    pub(crate) async fn receipt_of(&self, package: i64, target: &str) -> String {
        let id = PackageId::from_number(package);
        let all = self.ledger.targets(id, TargetFilter::All, None, 100).await.expect("reads");
        let found = all.iter().find(|it| it.peer.as_str() == target).expect("was sent to");
        format!("/releases/{package}/targets/{}", found.id.number())
    }

    /// The link that was printed last.
    pub(crate) fn link(&self) -> String {
        self.link.lock().expect("not poisoned").clone()
    }

    pub(crate) fn secret(&self) -> String {
        self.link().split_once('#').expect("a fragment").1.to_owned()
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        cookie: &str,
        host: &str,
        form: &str,
    ) -> Page {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::COOKIE, cookie)
            .body(Body::from(form.to_owned()))
            .expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("infallible");
        let (head, body) = answer.into_parts();
        // A stream has no end; who asks for one uses `events`.
        let is_stream =
            head.headers.get(header::CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
        let body = if is_stream {
            Vec::new()
        } else {
            axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec()
        };
        // A link that was spent is followed by another.
        let next = self.links.lock().expect("not poisoned").newest();
        *self.link.lock().expect("not poisoned") = next;
        // Fonts are no text.
        let body = String::from_utf8_lossy(&body).into_owned();
        Page { status: head.status, body, headers: head.headers }
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Page {
        self.request(Method::GET, path, cookie, HOST, "").await
    }

    pub(crate) async fn events(&self, path: &str, cookie: &str) -> Events {
        let request = Request::get(path).header(header::HOST, HOST).header(header::COOKIE, cookie);
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("infallible");
        assert_eq!(answer.status(), StatusCode::OK);
        Events(answer.into_body().into_data_stream())
    }

    /// Spends the newest link; the cookie.
    pub(crate) async fn signed_in(&self) -> String {
        let form = format!("secret={}", self.secret());
        let answer = self.request(Method::POST, "/sign-in", "", HOST, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let cookie = answer.header(header::SET_COOKIE);
        cookie.split(';').next().expect("a pair").to_owned()
    }
}
