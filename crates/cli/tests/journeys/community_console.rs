//! The console of a community as people see it: a real browser, a real community, and receipts as its
//! publisher's node writes them into the ledger.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use community::report::Beside;
use community::{CommunityId, Passed, RelayReport};
use content::ChunkId;
use documents::{DocumentHash, PublicKey, ReleaseName};
use ledger::{
    Addressee, Answer, DatabaseUrl, Ledger, NewPackage, NewRollout, PackageId, Recorded, Report,
    TargetFilter,
};
use package::receipt::{End, Output, Placed, Ran};
use package::{Outcome, Receipt, StepReceipt, Verdict};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::community::Community;
use crate::console::{Driver, finished};
use crate::process::{Process, lines};

/// What a script says that would run if it were markup.
const HOSTILE: &str = "<script>window.ran = true</script><img src=x onerror=\"window.ran=true\">";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The publisher's ledger, and who its targets are.
struct Sender {
    ledger: std::sync::Arc<dyn Ledger>,
    community: CommunityId,
    feed: ReleaseName,
    targets: BTreeMap<String, Addressee>,
}

impl Sender {
    async fn open(world: &crate::world::World) -> Self {
        let status = lines(&world.run("ci", &["community", "status"]));
        let community = status[0]["community"].as_str().expect("a text");
        let community: CommunityId = community.parse().expect("an id");
        let mut targets = BTreeMap::new();
        let mut own = None;
        for line in lines(&world.run("ci", &["community", "list"])) {
            let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
            let Ok(key) = text("key").parse::<PublicKey>() else { continue };
            let labels = serde_json::from_value(line["labels"].clone()).expect("labels");
            let peer = text("peer").parse().expect("a name");
            if text("peer") == "ci" {
                own = Some(key);
            } else if line["roles"] == json!(["target"]) {
                targets.insert(text("peer"), Addressee { key, peer, labels });
            }
        }
        let url = DatabaseUrl::Sqlite(world.path("ci/ledger.sqlite"));
        let ledger = ledger::open(&url).await.expect("opens");
        let feed = community.feed(&own.expect("ci is a peer"));
        Self { ledger, community, feed, targets }
    }

    fn package(&self, sequence: u64, name: &str) -> NewPackage {
        NewPackage {
            community: self.community,
            feed: self.feed.clone(),
            sequence,
            manifest: DocumentHash::from_bytes([u8::try_from(sequence).expect("small"); 32]),
            name: name.into(),
            version: format!("1.{sequence}"),
            description: "What the presses need".into(),
            tree: ChunkId::of(b"tree"),
            bytes: 1_234_567,
            selector: "all targets".into(),
            built: now(),
            expires: now() + 30 * 86_400,
            resume: vec![1],
        }
    }

    async fn send(&self, sequence: u64, name: &str) -> PackageId {
        let all: Vec<Addressee> = self.targets.values().cloned().collect();
        let id = self.ledger.draft(&self.package(sequence, name), &all).await.expect("drafts");
        self.ledger.confirm(id, now() - 3600).await.expect("confirms");
        id
    }

    /// Two waves, of which the first is addressed.
    async fn roll_out(&self, sequence: u64, name: &str) -> PackageId {
        let wave = |(at, it): (usize, &Addressee)| (u32::from(at > 1), it.clone());
        let targets: Vec<(u32, Addressee)> = self.targets.values().enumerate().map(wave).collect();
        let first: Vec<Addressee> = targets.iter().take(2).map(|(_, it)| it.clone()).collect();
        let rollout = NewRollout {
            rules: "stop-at 50%; canary 2; wave 50%".into(),
            root: vec![0; 40],
            began: now(),
            targets,
        };
        let new = self.package(sequence, name);
        let id = self.ledger.draft_rollout(&new, &rollout).await.expect("drafts");
        self.ledger.confirm(id, now() - 600).await.expect("confirms");
        self.ledger.draft_wave(id, &first, &[1]).await.expect("drafts");
        self.ledger.confirm(id, now() - 600).await.expect("confirms");
        id
    }

    async fn answer(&self, sequence: u64, target: &str, verdict: Verdict) {
        let passed = verdict == Verdict::Passed;
        let said = format!("checking press 4 …\n{HOSTILE}\n\x1b[31mred\x1b[0m\n");
        let ran = Ran {
            end: if passed { End::Code(0) } else { End::Code(3) },
            is_expected: passed,
            output: Output { bytes: said.clone().into_bytes(), bytes_total: said.len() as u64 },
            error: if passed {
                Output::default()
            } else {
                Output { bytes: b"press: no paper in tray 2\n".to_vec(), bytes_total: 70_000 }
            },
            processor: Duration::from_millis(1234),
            memory_bytes_max: 12 << 20,
            limit: None,
            memory_together_bytes_max: None,
        };
        let placed = Placed { added: 3, changed: 2, kept: 1000, removed: 1, bytes: 123_456 };
        let files = if passed { Outcome::Placed(placed) } else { Outcome::PutBack(placed) };
        let last =
            if passed { Outcome::NotApplicable("this is x86_64".into()) } else { Outcome::LeftOut };
        let step = |name: &str, outcome: Outcome| StepReceipt {
            name: name.into(),
            begun_ms: if outcome == Outcome::LeftOut { 0 } else { now() * 1000 },
            took: Duration::from_millis(1500),
            outcome,
        };
        let steps =
            vec![step("files", files), step("check", Outcome::Ran(ran)), step("for arm", last)];
        let receipt = Receipt { package: "press".into(), version: "1".into(), verdict, steps };
        let manifest = DocumentHash::from_bytes([u8::try_from(sequence).expect("small"); 32]);
        let answer = Answer {
            target: self.targets[target].key,
            answered: now(),
            report: Report::Readable { manifest, receipt },
            receipt: Some(vec![0; 900]),
        };
        let recorded = self.ledger.record(&self.feed, sequence, &answer).await.expect("records");
        assert_eq!(recorded, Recorded::Now);
    }

    async fn receipt(&self, package: PackageId, target: &str) -> String {
        let all = self.ledger.targets(package, TargetFilter::All, None, 100).await.expect("reads");
        let found = all.iter().find(|it| it.peer.as_str() == target).expect("was sent to");
        format!("/releases/{}/targets/{}", package.number(), found.id.number())
    }
}

/// Says again and again what relay `north` passes on.
async fn north_passes_on(state: std::path::PathBuf) {
    let node = node::Node::open(&state).expect("opens");
    let place = node.community(None).expect("belongs to one");
    let hub = place.hub().expect("is known");
    loop {
        let made = now();
        let report = RelayReport {
            community: place.id(),
            relay: node.key().public(),
            made,
            since: made - 7200,
            total: Passed { down: 3_000_000_000, up: 700_000 },
            seconds: 5,
            recent: Passed { down: 40_000_000, up: 900 },
            turns: Some((2, made - 600)),
            beside: Beside::Waiting { entries: 12, oldest: made - 180 },
        };
        let reports = vec![report.sign(node.key()).into()];
        let told = hub.client.tell_relays(&report.community, reports).await;
        assert_eq!(told.expect("tells"), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

#[test]
fn a_community_is_shown_live_and_what_targets_say_stays_text() {
    let Some(driver) = Driver::find() else { return };
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("deploy", &["--role", "publisher"]);
    for (number, site) in ["berlin", "berlin", "lyon", "oslo", "oslo"].iter().enumerate() {
        let labels = ["--role", "target", "--label", &format!("site={site}")];
        community.peer(&format!("press-{}", number + 1), &labels);
    }
    community.peer("north", &["--role", "relay"]);
    let world = &community.world;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (sender, package, rollout, receipt) = runtime.block_on(async {
        let sender = Sender::open(world).await;
        let package = sender.send(1, "press").await;
        for target in ["press-1", "press-3", "press-5"] {
            sender.answer(1, target, Verdict::Passed).await;
        }
        let failed = Verdict::Failed(format!("check: exit code 3 instead of 0 {HOSTILE}"));
        sender.answer(1, "press-4", failed).await;
        let rollout = sender.roll_out(2, "colours").await;
        sender.answer(2, "press-1", Verdict::Passed).await;
        let receipt = sender.receipt(package, "press-4").await;
        (sender, package, rollout, receipt)
    });

    let north = runtime.spawn(north_passes_on(world.path("north")));
    let mut command = world.command("ci", &["community", "console"]);
    let mut console = Process::start(command.env_remove("CONSIGN_CONFIG").stdout(Stdio::piped()));
    let mut said = BufReader::new(console.0.stdout.take().expect("piped"));
    let mut link = || {
        let mut line = String::new();
        said.read_line(&mut line).expect("readable");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&line["event"], &line["community"]), (&json!("console"), &json!("Plant 7")));
        line["link"].as_str().expect("a text").to_owned()
    };
    let first = link();
    let (url, _) = first.split_once("/sign-in#").expect("a link");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let (package, release) = (package.number(), format!("/releases/{}", rollout.number()));
    let pages = [
        ["community-overview", "/"],
        ["community-groups", "/?by=site"],
        ["community-releases", "/releases"],
        ["community-release", &format!("/releases/{package}")],
        ["community-rollout", &release],
        ["community-receipt", &receipt],
        ["community-peers", "/peers"],
        ["community-peer", "/peers/press-4"],
        ["community-relay", "/peers/north"],
    ];
    let more = json!({
        "url": url, "link": first, "home": "/", "heading": "Plant 7", "pages": pages,
        "relay": "↓ 8.00 MB/s ↑ 180 B/s",
        "receipt": receipt, "hostile": HOSTILE, "release": release,
        "before": "1 passed, 1 pending, 3 waiting", "after": "2 passed, 3 waiting",
    });
    let mut watching = driver.start(world, "community", more);
    let mut talk = BufReader::new(watching.stderr.take().expect("piped"));
    let mut line = String::new();
    talk.read_line(&mut line).expect("readable");
    if line == "watching\n" {
        runtime.block_on(sender.answer(2, "press-2", Verdict::Passed));
    }
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut talk, &mut rest).expect("readable");
    assert_eq!(line, "watching\n", "{rest}");
    eprintln!("{rest}");
    finished(watching.wait_with_output().expect("ends"));
    assert!(!north.is_finished(), "the hub took every report");
    // The link was used, so there is another one.
    assert_ne!(link(), first);
    console.signal(Signal::INT);
    assert!(console.0.wait().expect("it ends").success(), "it ends well when it is interrupted");
}
