//! What a publisher sees of what it sent: the ledger is filled here as `package send` and the node fill it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use community::CommunityId;
use content::ChunkId;
use documents::{DocumentHash, PublicKey, ReleaseName};
use ledger::{Addressee, Answer, DatabaseUrl, Ledger, NewPackage, Recorded, Report};
use package::receipt::{End, Output, Ran};
use package::{Outcome, Receipt, StepReceipt, Verdict};
use testkit::Postgres;

use crate::documented::Documented;
use crate::process::{lines, told};
use crate::world::Node;

const SENT: u64 = 1_795_000_000;

fn feed() -> ReleaseName {
    CommunityId::from_bytes([7; 16]).feed(&PublicKey::from_bytes([9; 32]))
}

fn package(sequence: u64, name: &str, expires: u64) -> NewPackage {
    NewPackage {
        community: CommunityId::from_bytes([7; 16]),
        feed: feed(),
        sequence,
        manifest: DocumentHash::from_bytes([sequence as u8; 32]),
        name: name.into(),
        version: format!("1.{sequence}"),
        description: "What we need".into(),
        tree: ChunkId::of(b"tree"),
        bytes: 1_234_567,
        selector: "labels site=berlin".into(),
        built: SENT - 10,
        expires,
        resume: vec![1],
    }
}

fn addressees(numbers: &[u8]) -> Vec<Addressee> {
    let one = |number: &u8| Addressee {
        key: PublicKey::from_bytes([*number; 32]),
        peer: format!("press-{number}").parse().expect("a name"),
        labels: [("site".to_owned(), "berlin".to_owned())].into(),
    };
    numbers.iter().map(one).collect()
}

fn answer(target: u8, sequence: u64, verdict: Verdict) -> Answer {
    let ran = Ran {
        end: End::Code(3),
        is_expected: false,
        output: Output { bytes: b"=1+1\n".to_vec(), bytes_total: 5 },
        error: Output { bytes: b"\xff\x1b[2Jno such press\n".to_vec(), bytes_total: 90 },
        processor: Duration::from_millis(20),
        memory_bytes_max: 1 << 20,
        limit: None,
        memory_together_bytes_max: None,
    };
    let step = StepReceipt {
        name: "look".into(),
        outcome: Outcome::Ran(ran),
        begun_ms: SENT * 1000,
        took: Duration::from_millis(1500),
    };
    let steps = if verdict == Verdict::Passed { vec![] } else { vec![step] };
    let receipt = Receipt { package: "tools".into(), version: "1.1".into(), verdict, steps };
    Answer {
        target: PublicKey::from_bytes([target; 32]),
        answered: SENT + 60,
        report: Report::Readable {
            manifest: DocumentHash::from_bytes([sequence as u8; 32]),
            receipt,
        },
        receipt: None,
    }
}

/// A package that went to four machines, one that nobody has answered for, and one that was cut off.
async fn fill(ledger: &dyn Ledger) {
    let id = ledger.draft(&package(1, "tools", SENT + 100), &addressees(&[1, 2, 3, 4])).await;
    ledger.confirm(id.expect("drafts"), SENT).await.expect("confirms");
    let failed = Verdict::Failed("look failed".into());
    let elsewhere = Verdict::NotApplicable("this is x86_64".into());
    for (target, verdict) in [(1, Verdict::Passed), (2, failed), (3, elsewhere)] {
        let recorded = ledger.record(&feed(), 1, &answer(target, 1, verdict)).await;
        assert_eq!(recorded.expect("records"), Recorded::Now);
    }
    let later = u64::from(u32::MAX);
    let id = ledger.draft(&package(2, "certificates", later), &addressees(&[1])).await;
    ledger.confirm(id.expect("drafts"), SENT + 5).await.expect("confirms");
    ledger.draft(&package(3, "tools", later), &addressees(&[1, 2])).await.expect("drafts");
    ledger.close().await;
}

/// A world in which the node `ci` has sent packages; the address of its ledger.
fn world() -> (Documented, String) {
    let world = Documented::new();
    world.tells("ci", &["id"], &["id"]);
    let address = format!("sqlite:{}", world.text("ci/ledger.sqlite"));
    let url: DatabaseUrl = address.parse().expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { fill(&*ledger::open(&url).await.expect("opens")).await });
    (world, address)
}

/// What people are told.
fn plain(node: &Node, args: &[&str]) -> String {
    let output = node.plain(args).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", told(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn what_was_sent_is_listed_with_its_counts() {
    let (world, address) = world();
    let last = world.tells("ci", &["package", "list"], &["package"]);
    assert_eq!((last["sequence"].as_u64(), last["sent"].as_u64()), (Some(1), Some(SENT)));
    assert_eq!(last["targets"], 4);
    let counts = ["passed", "failed", "not_applicable", "pending", "unreadable"];
    assert_eq!(counts.map(|word| last[word].as_u64()), [1, 1, 1, 1, 0].map(Some));
    let text = plain(&world.node("ci"), &["package", "list"]);
    let listed: Vec<&str> = text.lines().collect();
    assert_eq!(listed.len(), 3, "{text}");
    assert!(
        listed[0].contains("tools 1.3") && listed[0].contains("not known to be sent"),
        "{text}"
    );
    let counts = "4 targets: 1 passed, 1 failed, 1 not applicable, 1 pending";
    assert!(listed[2].ends_with(counts), "{text}");
    let last = world.tells("ci", &["package", "list", "--last", "1"], &["package"]);
    assert_eq!((last["sequence"].as_u64(), last["sent"].is_null()), (Some(3), true));
    let named = ["package", "list", "--name", "certificates"];
    assert_eq!(world.lines("ci", &named, 0).len(), 1);

    // Another node names the ledger, by argument or in its configuration.
    assert_eq!(world.lines("other", &["package", "list"], 0).len(), 0);
    assert!(!world.path("other/ledger.sqlite").exists(), "nothing is made by looking");
    assert_eq!(world.lines("other", &["package", "list", "--ledger", &address], 0).len(), 3);
    let config = world.path("ledger.toml");
    fs::write(&config, format!("[global]\nledger = \"{address}\"")).expect("written");
    let config = config.to_str().expect("UTF-8");
    assert_eq!(world.lines("other", &["package", "list", "--config", config], 0).len(), 3);
    let secret = ["package", "list", "--ledger", "postgres://me:hunter2@127.0.0.1/x"];
    let refused = world.fails("other", &secret, 2);
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

#[test]
fn who_has_not_answered_is_named_since_when_and_what_comes_next() {
    let (world, _) = world();
    let last = world.tells("ci", &["package", "show", "1"], &["package", "addressed"]);
    assert_eq!((last["peer"].as_str(), last["state"].as_str()), (Some("press-4"), Some("pending")));
    let text = plain(&world.node("ci"), &["package", "show", "1"]);
    for part in [
        "tools 1.1, release 1 of c-0707",
        "for labels site=berlin",
        "press-1               passed 2026-11-18 11:07 UTC\n",
        "press-2               failed 2026-11-18 11:07 UTC: look failed\n",
        "press-3               not applicable 2026-11-18 11:07 UTC: this is x86_64\n",
        "press-4               pending since 2026-11-18 11:06 UTC (",
        "): not answered; it has expired",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = plain(&world.node("ci"), &["package", "show", "2", "--pending"]);
    assert!(text.contains("not answered; the hub keeps it until the machine comes"), "{text}");
    // By name the newest, which was cut off.
    let text = plain(&world.node("ci"), &["package", "show", "tools"]);
    assert!(text.contains("tools 1.3, release 3") && text.contains("not known to be"), "{text}");
    assert!(text.contains("press-2               drafted: "), "{text}");
    for unknown in ["9", "nothing"] {
        let told = world.fails("ci", &["package", "show", unknown], 4);
        assert!(told["hint"].as_str().is_some_and(|it| it.contains("package list")), "{told}");
    }
    world.fails("other", &["package", "show", "tools"], 4);
}

#[test]
fn receipts_are_told_and_exported() {
    let (world, _) = world();
    let last = world.tells("ci", &["package", "receipts", "1"], &["answer"]);
    assert_eq!(last["peer"], "press-3");
    let failed = ["package", "receipts", "--peer", "press-2"];
    let failed = world.tells("ci", &failed, &["answer"]);
    assert_eq!(failed["steps"][0]["details"]["code"], 3, "{failed}");
    let text = plain(&world.node("ci"), &["package", "receipts", "--peer", "press-2"]);
    for part in ["press-2  tools 1.1 (1)  failed", "\n  1 look: ended with code 3", "no such press"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\x1b'), "a script does not move the cursor: {text:?}");
    world.fails("ci", &["package", "receipts", "9"], 4);
    world.fails("ci", &["package", "receipts", "--output", "x"], 2);

    let csv = plain(&world.node("ci"), &["package", "receipts", "--format", "csv"]);
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), 1 + 4 + 1 + 2, "{csv}");
    assert!(rows[0].starts_with("package,target,community,feed,sequence,name,"), "{csv}");
    assert!(
        rows[2].contains("\"press-2\"") && rows[2].contains("\"failed\",\"look failed\""),
        "{csv}"
    );

    let file = world.path("steps.jsonl");
    let path = file.to_str().expect("UTF-8");
    for _ in 0..2 {
        let args = ["package", "receipts", "1", "--steps", "--format", "jsonl", "--output", path];
        let done = world.tells("ci", &args, &["exported"]);
        assert_eq!((done["rows"].as_u64(), done["path"].as_str()), (Some(2), Some(path)));
    }
    let written = fs::read_to_string(&file).expect("there");
    let first: serde_json::Value =
        serde_json::from_str(written.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (first["peer"].as_str(), first["stdout"].as_str()),
        (Some("press-2"), Some("=1+1\n"))
    );
    assert!(first["stderr_base64"].is_string() && first["stderr"].is_null(), "{first}");
    let mode = file.metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what scripts say is not for everybody");
    assert!(!world.path("steps.jsonl.consign.tmp").exists());

    let nowhere = world.text("nowhere/x.csv");
    let args = ["package", "receipts", "--format", "csv", "--output", &nowhere];
    world.fails("ci", &args, 4);
}

#[test]
fn a_ledger_on_postgresql_is_chosen_by_configuration() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    let url: DatabaseUrl = address.parse().expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { fill(&*ledger::open(&url).await.expect("opens")).await });
    let directory = tempfile::tempdir().expect("a directory");
    let mut node = Node::new(directory.path().join("ci"));
    // It holds a password, which an argument would show to everybody.
    let refused = node.run(&["package", "list", "--ledger", &address]);
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    node.environment.push(("CONSIGN_LEDGER", address.into()));
    let last = node.ok(&["package", "list"]);
    assert_eq!((&last["sequence"], &last["passed"]), (&1.into(), &1.into()));
    let steps = plain(&node, &["package", "receipts", "--steps", "--format", "csv"]);
    assert!(steps.contains("\"'=1+1\n\""), "{steps}");
    assert!(!directory.path().join("ci/ledger.sqlite").exists());
    drop(server);
    let away = node.run(&["package", "show", "1"]);
    assert_eq!(away.status.code(), Some(7), "{}", told(&away));
    assert!(!told(&away).contains("not-a-secret"), "{}", told(&away));
}

#[test]
fn what_is_no_ledger_is_named() {
    let (world, _) = world();
    fs::write(world.path("notes"), "no database at all ".repeat(500)).expect("written");
    let address = format!("sqlite:{}", world.text("notes"));
    let told = world.fails("ci", &["package", "list", "--ledger", &address], 1);
    let message = told["message"].as_str().expect("a text");
    assert!(message.contains("notes") && message.contains("not a publisher's database"), "{told}");
    assert_eq!(lines(&world.run("ci", &["package", "list"])).len(), 3);
}
