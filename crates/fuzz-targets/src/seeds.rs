//! Inputs that each target takes, to begin from.

use std::io;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn golden(file: &str) -> Vec<u8> {
    let path = crates().join(file.replacen('/', "/golden/", 1)).with_extension("hex");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::decode(text.trim()).expect("hexadecimal")
}

/// What is inside a golden document's envelope.
fn payload(file: &str) -> Vec<u8> {
    in_envelope(&golden(file))
}

fn in_envelope(signed: &[u8]) -> Vec<u8> {
    let (envelope, rest) = signed.split_at(7);
    assert_eq!(envelope, [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0]);
    let (start, length) = match rest {
        [0x58, length, ..] => (2, usize::from(*length)),
        [0x59, high, low, ..] => (3, usize::from(u16::from_be_bytes([*high, *low]))),
        _ => panic!("an unexpected envelope"),
    };
    rest[start..start + length].to_vec()
}

/// What is inside a golden jointly signed document.
fn joint_payload(file: &str) -> Vec<u8> {
    let signed = golden(file);
    let (envelope, rest) = signed.split_at(5);
    assert_eq!(envelope, [0xd8, 0x62, 0x84, 0x40, 0xa0]);
    match rest {
        [0x58, length, rest @ ..] => rest[..usize::from(*length)].to_vec(),
        [0x59, high, low, rest @ ..] => {
            rest[..usize::from(u16::from_be_bytes([*high, *low]))].to_vec()
        }
        _ => panic!("{file}: an unexpected envelope"),
    }
}

/// What is inside the golden request of a device: it is text, and longer than a golden file's envelope.
fn device_request() -> Vec<u8> {
    use base64::Engine as _;
    let text = golden("people/device-request-1");
    let coded = text.strip_prefix(b"consign-device-1:").expect("a request");
    let signed = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(coded).expect("base64url");
    in_envelope(&signed)
}

/// The smallest address book, and one contact.
fn people_book() -> Vec<u8> {
    let contact = b"\x85\x63ben\x63Ben\x60\x64oboe\x00";
    [&b"\xa3\x00\x01\x01\x81"[..], contact, b"\x02\x64Anna"].concat()
}

fn behind(prefix: &[u8], bytes: Vec<u8>) -> Vec<u8> {
    [prefix, &bytes].concat()
}

/// Valid inputs of a target.
///
/// # Panics
/// When there is no such target.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "node" => vec![golden("content/node-1")],
        "tree_root" => vec![golden("content/tree-root-1")],
        "piece_list" => vec![golden("content/piece-list-1")],
        "closure_segment" => vec![golden("content/closure-segment-1")],
        "closure_head" => vec![golden("content/closure-head-1")],
        "frame" => vec![golden("content/frame-1")],
        // The key is another one: damage alone decides, and it must always be refused.
        "sealed_chunk" => vec![behind(&6u32.to_le_bytes(), golden("content/sealed-chunk-1"))],
        "sealed_message" => vec![behind(&5u32.to_le_bytes(), b"\0plain".to_vec()), {
            // zstd: magic, single segment of 5 bytes, one last raw block of 5 bytes.
            let packed = b"\x01\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00plain".to_vec();
            behind(&5u32.to_le_bytes(), packed)
        }],
        "manifest" => {
            vec![golden("documents/manifest-plain-1"), golden("documents/manifest-sealed-1")]
        }
        "manifest_payload" => {
            vec![payload("documents/manifest-plain-1"), payload("documents/manifest-sealed-1")]
        }
        "head" => vec![golden("documents/head-1")],
        "head_payload" => vec![payload("documents/head-1")],
        "audit_head" => vec![golden("documents/audit-head-1")],
        "audit_head_payload" => vec![payload("documents/audit-head-1")],
        "delegation" => vec![golden("documents/delegation-1")],
        "delegation_payload" => vec![payload("documents/delegation-1")],
        "session_proof" => vec![golden("documents/session-proof-1")],
        "session_proof_payload" => vec![payload("documents/session-proof-1")],
        "registration" => vec![golden("documents/registration-1")],
        "registration_payload" => vec![payload("documents/registration-1")],
        "session_token" => vec![golden("documents/session-token-1")],
        "session_token_payload" => vec![payload("documents/session-token-1")],
        "accept_head" => {
            let head = golden("documents/head-1");
            let length = u16::try_from(head.len()).expect("short").to_le_bytes();
            vec![[&length[..], &head, &golden("documents/manifest-sealed-1")].concat()]
        }
        "sealed_root" => vec![sealed_plain_root()],
        "capability_text" => vec![golden("documents/capability-1")],
        "invitation_text" => vec![golden("documents/invitation-1")],
        "package_instructions" => vec![golden("package/package-1")],
        "package_receipt" => vec![golden("package/receipt-1")],
        "package_specification" => texts(&SPECIFICATIONS),
        "label_expression" => texts(&["site=berlin & !(lab | ring=0)", "a|b&!!c", "x="]),
        "release_name" => vec![b"team/tools".to_vec(), b"a/b".to_vec()],
        "charter" => vec![golden("community/charter-1")],
        "charter_payload" => vec![joint_payload("community/charter-1")],
        "roster_payload" => vec![joint_payload("community/roster-1")],
        "renewal_payload" => vec![payload("community/renewal-1")],
        "membership" => vec![golden("community/membership-1")],
        "join_request" => vec![golden("community/join-request-1")],
        "join_request_payload" => vec![payload("community/join-request-1")],
        "join_challenge_payload" => vec![payload("community/join-challenge-1")],
        "join_answer_payload" => vec![payload("community/join-answer-1")],
        "beginning" => vec![golden("community/beginning-1")],
        "beginning_payload" => vec![payload("community/beginning-1")],
        "receipt_payload" => vec![payload("community/receipt-1")],
        "signed_receipt" => vec![golden("community/receipt-1")],
        "relay_report" => vec![golden("community/relay-report-1")],
        "relay_report_payload" => vec![
            payload("community/relay-report-1"),
            payload("community/relay-report-of-silence-1"),
        ],
        "seed_text" => vec![golden("community/seed-1")],
        "join_secret_text" => vec![golden("community/join-secret-1")],
        "proposal_text" => vec![golden("community/proposal-1")],
        "community_word" => vec![
            behind(&[0], b"06060606-0606-4606-8606-060606060606".to_vec()),
            behind(&[1], b"berlin-1".to_vec()),
            behind(&[2], golden("community/envelope-1")),
        ],
        "certificate_validity" => vec![
            certificate(&[(0x17, b"991231235959Z"), (0x17, b"491231235960Z")]),
            certificate(&[(0x17, b"000229000000Z"), (0x18, b"99991231235959Z")]),
        ],
        "frame_stream" => [[1, 0], [100, 0], [0, 255]]
            .iter()
            .map(|step| behind(step, golden("wire/frame-stream-1")))
            .collect(),
        "segment_stream" => [[1, 0], [100, 0], [0, 255]]
            .iter()
            .map(|step| behind(step, golden("wire/segment-stream-1")))
            .collect(),
        "code_text" => texts(&["4821-acid-lemon-orbit", " 1000 ACID  about-Orbit\n"]),
        "code_message" => ["claim", "answer", "proof", "handover", "refusal"]
            .iter()
            .map(|message| golden(&format!("delivery/code-{message}-1")))
            .collect(),
        "ticket_text" => vec![golden("delivery/ticket-1")],
        "link_text" => vec![golden("delivery/link-1"), golden("delivery/locked-link-1")],
        "direct_path" => {
            vec![crate::delivery_targets::golden_direct_path(&golden("delivery/direct-path-1"))]
        }
        "delivery_header" => vec![golden("delivery/header-1")],
        "delivery_prefix" => vec![257u64.to_le_bytes().to_vec()],
        "delivery_segment" => {
            vec![golden("delivery/segment-raw-1"), golden("delivery/segment-shared-1")]
        }
        "delivery_receipt" => vec![golden("delivery/receipt-1")],
        "delivery_receipt_payload" => vec![payload("delivery/receipt-1")],
        "devices_payload" => vec![payload("people/devices-1"), payload("people/devices-2")],
        "device_request_payload" => vec![device_request()],
        "device_request_text" => vec![golden("people/device-request-1")],
        "sealed_book" => vec![golden("people/book-1")],
        "book" => vec![people_book()],
        "receipt_file" => vec![golden("people/receipt-file-1")],
        "id_list" => vec![golden("wire/id-list-1")],
        "have_bitmap" => vec![behind(&10u16.to_le_bytes(), golden("wire/have-bitmap-1"))],
        "node_frame_stream" => {
            [[1, 0], [7, 0], [0, 255]].iter().map(|step| behind(step, node_frames())).collect()
        }
        "front_end_news" => {
            let from = "01".repeat(16);
            let told = |wake| format!("{{\"from\":\"{from}\",\"wake\":{wake}}}").into_bytes();
            FRONT_END_NEWS.iter().map(told).collect()
        }
        "locker_facts" => texts(&[
            "{\"version\":1,\"sender\":\"0101010101010101010101010101010101010101010101010101010101010101\",\
              \"recipient\":\"0202020202020202020202020202020202020202020202020202020202020202\",\
              \"segments\":1,\"bytes\":9,\"is_addressed\":false,\"until\":7,\"downloads_max\":2,\
              \"downloads\":[{\"id\":\"03030303030303030303030303030303\",\"is_received\":true}],\
              \"receipt\":\"_w\",\"ended\":{\"by\":\"hub\",\"reason\":\"x\"},\"over\":5}",
        ]),
        "node_hello" => texts(&[
            r#"{"protocol":1,"version":"0.1.0","process":77}"#,
            r#"{"protocol":9,"version":"9.1","process":4,"more":[1,{}]}"#,
        ]),
        "to_node" => texts(&TO_NODE),
        "from_node" => texts(&FROM_NODE),
        "node_text" => texts(&[r#""tools/gr\u00f6\u00dfe""#, r#"{"hex":"fffe2f61"}"#]),
        "hub_request" => hub_bodies(&HUB_REQUESTS),
        "hub_response" => hub_bodies(&HUB_RESPONSES),
        "id_text" => {
            let digits = "0123456789abcdef".repeat(4);
            let texts = [&*digits, &digits, &digits, &digits[..32], "_-AZaz09", "not-found"];
            texts
                .iter()
                .zip(0..)
                .map(|(text, kind)| behind(&[kind], text.as_bytes().to_vec()))
                .collect()
        }
        "event_stream" => {
            [[1, 0], [0, 1]].iter().map(|step| behind(step, EVENTS.as_bytes().to_vec())).collect()
        }
        "http_date" => texts(&["Sun, 06 Nov 1994 08:49:37 GMT", "Tue, 29 Feb 2000 00:00:60 GMT"]),
        "range_header" => ["bytes=0-3", "bytes=8-", "bytes=-30", "bytes=5-18446744073709551615"]
            .iter()
            .map(|text| behind(&10u64.to_le_bytes(), text.as_bytes().to_vec()))
            .collect(),
        "if_none_match" => texts(&[
            "*",
            "\"0123456789abcdef\"",
            "\"b\", W/\"0123456789abcdef\"",
            "\"b\"\n\"0123456789abcdef\"",
        ]),
        "forwarded_for" => texts(&[
            "198.51.100.7",
            "10.0.0.9, 198.51.100.7:4711, 10.0.0.2",
            "::ffff:192.0.2.1\n[2001:db8::7]:80",
        ]),
        "page_query" => ["", "after=3&limit=2", "limit=4294967295", "since=1&after=0"]
            .iter()
            .map(|text| behind(&[20], text.as_bytes().to_vec()))
            .collect(),
        "console_form" => texts(&[
            "token=00&role=reader&names=team%2Ftools+a%2Fb%0D%0Ac%2Fd&hours=24",
            "role=administrator&hours=8760",
        ]),
        "console_query" => texts(&["from=100&path=docs/%C3%BC%FF", "path=a&path=b"]),
        "store_pack" => {
            let frame = golden("content/frame-1");
            let [one, two] = [vec![0, 0], vec![3, 0]].map(|how| [how, frame.clone()].concat());
            let damaged = [&[3, 0][..], &frame, b"torn", &frame, &frame[..60]].concat();
            let behind = [&[7, 0][..], &frame, &frame[..70]].concat();
            let over = [&[11, 1][..], &frame[..40]].concat();
            let lost = [&[27, 2][..], &frame].concat();
            vec![one, two, damaged, behind, over, lost]
        }
        "directory_index" => {
            let path = crates().join("directory/golden/index-1.bin");
            let index = std::fs::read(path).expect("the golden index");
            vec![behind(&[0], index.clone()), behind(&[1], index[..index.len() - 32].to_vec())]
        }
        "checkout_records" => {
            let plan = written(checkout::fuzzing::write_records);
            vec![behind(&[0], plan.clone()), behind(&[1], plan[..plan.len() - 32].to_vec())]
        }
        "checkout_journal" => {
            let journal = written(checkout::fuzzing::write_journal);
            vec![behind(&[0], journal.clone()), behind(&[1], journal)]
        }
        other => panic!("target {other} has no seeds: add some here"),
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// As much of a certificate as its dates need to be found: tags and contents of the two.
fn certificate(dates: &[(u8, &[u8])]) -> Vec<u8> {
    let element = |tag: u8, contents: &[u8]| {
        // In the long form, as certificates of the usual size have it.
        let length = u16::try_from(contents.len()).expect("short").to_be_bytes();
        [&[tag, 0x82][..], &length, contents].concat()
    };
    let dates = dates.iter().flat_map(|(tag, date)| element(*tag, date)).collect::<Vec<_>>();
    let [version, serial] = [element(0xa0, &[2, 1, 2]), vec![2, 1, 7]];
    let [algorithm, issuer] = [element(0x30, &[6, 1, 42]), element(0x30, &[])];
    let body = [version, serial, algorithm, issuer, element(0x30, &dates)].concat();
    element(0x30, &element(0x30, &body))
}

/// One of each thing that a command says to a node.
const TO_NODE: [&str; 4] = [
    r#"{"say":"run","arguments":["get","team/site",{"hex":"ff"}],"directory":"/home/a","hub":null,"config":null,"json":true,"quiet":false,"capability":"consign-capability-1:x"}"#,
    r#"{"say":"status"}"#,
    r#"{"say":"answer","text":"a word"}"#,
    r#"{"say":"answer","text":null}"#,
];

/// One of each thing that is new at another front-end.
const FRONT_END_NEWS: [&str; 10] = [
    r#"{"kind":"released","name":-7}"#,
    r#"{"kind":"changed","community":"02020202020202020202020202020202"}"#,
    r#"{"kind":"queued","community":"02020202020202020202020202020202","targets":["0303030303030303030303030303030303030303030303030303030303030303"]}"#,
    r#"{"kind":"answered","community":"02020202020202020202020202020202","publisher":"0303030303030303030303030303030303030303030303030303030303030303"}"#,
    r#"{"kind":"joined","community":"02020202020202020202020202020202"}"#,
    r#"{"kind":"person","person":3,"news":"outbox"}"#,
    r#"{"kind":"listens","person":3,"key":"0303030303030303030303030303030303030303030303030303030303030303"}"#,
    r#"{"kind":"ended","delivery":"02020202020202020202020202020202"}"#,
    r#"{"kind":"taken-away"}"#,
    r#"{"kind":"everything"}"#,
];

/// One of each thing that a node says to a command.
const FROM_NODE: [&str; 8] = [
    r#"{"say":"fact","human":"team/site@1","json":{"event":"done","files":[1,-2,null,"x"]}}"#,
    r#"{"say":"warning","human":"left out a","json":{"event":"skipped","path":"a"}}"#,
    r#"{"say":"remark","text":"stopped"}"#,
    r#"{"say":"look","phase":"writing, 12 files","done":5,"total":9,"waits_for":"the hub"}"#,
    r#"{"say":"ask","question":"capability: "}"#,
    r#"{"say":"status","version":"0.1.0","process":7,"started":1700000000,"state":"/s","waits_for":{"what":"the store","since":1,"next":"it is tried again"},"jobs":[{"id":1,"what":"get a/b","started":2,"phase":"","bytes_done":3,"bytes_total":null,"waits_for":null}],"watches":[{"to":"/d","name":"a/b","state":"backing-off","current":4,"hold":null,"kept":[3,4],"waits_for":null,"last_error":"no","next_try":5}],"communities":[{"community":"c","name":"n","state":"listening","since":6,"waits_for":null,"last":"a receipt came"}]}"#,
    r#"{"say":"ended","exit_code":3}"#,
    r#"{"say":"failed","exit_code":7,"causes":["no","because"],"hint":"try again"}"#,
];

/// A conversation as bytes: head (kind, length), then the message or contents.
fn node_frames() -> Vec<u8> {
    let mut stream = Vec::new();
    let bodies = [(0, TO_NODE[1].as_bytes()), (1, b"contents"), (0, b""), (1, &[0; 300])];
    for (kind, body) in bodies {
        stream.push(kind);
        stream.extend_from_slice(&u32::try_from(body.len()).expect("short").to_le_bytes());
        stream.extend_from_slice(body);
    }
    stream
}

fn sealed_plain_root() -> Vec<u8> {
    let name = "team/tools".parse().expect("a name");
    let tree = content::ChunkRef::plain(content::ChunkId::of(b"tree"), 150);
    documents::Capability::derive(&[6; 32], &name).seal_root(
        &content::TreeRef(tree),
        &name,
        2,
        [3; 12],
    )
}

/// What a writer leaves in a file.
fn written(write: fn(&Path) -> io::Result<()>) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    write(&path).expect("room");
    std::fs::read(path).expect("just written")
}

fn hub_bodies(bodies: &[(u8, &str)]) -> Vec<Vec<u8>> {
    bodies.iter().map(|(kind, body)| behind(&[*kind], body.as_bytes().to_vec())).collect()
}

/// Bodies of requests, with the number of their kind.
const HUB_REQUESTS: [(u8, &str); 5] = [
    (3, r#"{"public":true}"#),
    (4, r#"{"head":"AAEC","manifest":"AwQF"}"#),
    (6, r#"{"grant":"reader"}"#),
    (9, r#"{"label":"builds","scope":"read","names":["team/tools"],"lifetime_s":3600}"#),
    (10, "{}"),
];

/// Answers, with the number of their kind.
const HUB_RESPONSES: [(u8, &str); 4] = [
    (
        6,
        r#"{"names":[{"name":"a/b","public":true,"publisher":"0000000000000000000000000000000000000000000000000000000000000000","latest":3}],"next":"a/b"}"#,
    ),
    (9, r#"{"releases":[],"next":4}"#),
    (10, r#"{"name":"team/site","sequence":7}"#),
    (
        20,
        r#"{"type":"/errors/not-found","title":"no","status":404,"detail":"","code":"not-found"}"#,
    ),
];

const EVENTS: &str = "\u{feff}: hello\r\n\r\nevent: release\r\nid: 7\r\ndata: {\"a\":1}\r\n\r\n\
    data:one\ndata\ndata:  two\n\n: beat\n\nid\revent:x\r\rdata: end\r\rdata: cut";

const SPECIFICATIONS: [&str; 2] = [
    r#"[package]
name = "tools"
version = "1"
requires = ["base", "runtime 3.1"]
conflicts = ["old"]
os = ["linux"]
arch = ["x86_64"]
labels = "site=berlin & !lab"
[variables]
prefix = "/opt/tools"
[[step]]
name = "files"
files = "build"
target = "{prefix}/a"
placing = "replace"
owner = "root:adm"
mode = "0755"
on-failure = "roll-back"
[[step]]
command = ["echo", "{prefix}", "{{}}"]
timeout = "1h 30m"
expect = [0, 3]
output-limit = "64 KiB"
on-interrupt = "repeat"
"#,
    r#"package = { name = "a", version = "1" }
step = [{ script = "x", interpreter = ["sh"], arguments = ["a"], environment = { A = "b" }, directory = "/tmp", user = "nobody", writes = [] }, { script-file = "x" }]
"#,
];
