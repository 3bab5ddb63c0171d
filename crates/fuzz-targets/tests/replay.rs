//! Feeds every target the golden files and mutations of them; the same ones on every run.

use std::path::PathBuf;

use fuzz_targets::{TARGETS, Verdict};

const MUTATIONS: u64 = 5_000;

fn golden(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(file.replacen('/', "/golden/", 1))
        .with_extension("hex");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::decode(text.trim()).expect("hexadecimal")
}

/// What is inside a golden document's envelope.
fn payload(file: &str) -> Vec<u8> {
    let signed = golden(file);
    let (envelope, rest) = signed.split_at(7);
    assert_eq!(envelope, [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0]);
    let (start, length) = match rest {
        [0x58, length, ..] => (2, usize::from(*length)),
        [0x59, high, low, ..] => (3, usize::from(u16::from_be_bytes([*high, *low]))),
        _ => panic!("{file}: an unexpected envelope"),
    };
    rest[start..start + length].to_vec()
}

fn behind(prefix: &[u8], bytes: Vec<u8>) -> Vec<u8> {
    [prefix, &bytes].concat()
}

/// Valid inputs of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
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
        "release_name" => vec![b"team/tools".to_vec(), b"a/b".to_vec()],
        "certificate_validity" => vec![
            certificate(&[(0x17, b"991231235959Z"), (0x17, b"491231235960Z")]),
            certificate(&[(0x17, b"000229000000Z"), (0x18, b"99991231235959Z")]),
        ],
        "frame_stream" => [[1, 0], [100, 0], [0, 255]]
            .iter()
            .map(|step| behind(step, golden("wire/frame-stream-1")))
            .collect(),
        "id_list" => vec![golden("wire/id-list-1")],
        "have_bitmap" => vec![behind(&10u16.to_le_bytes(), golden("wire/have-bitmap-1"))],
        "node_frame_stream" => {
            [[1, 0], [7, 0], [0, 255]].iter().map(|step| behind(step, node_frames())).collect()
        }
        "node_hello" => texts(&[
            r#"{"protocol":1,"version":"0.1.0","process":77}"#,
            r#"{"protocol":9,"version":"9.1","process":4,"more":[1,{}]}"#,
        ]),
        "to_node" => texts(&TO_NODE),
        "from_node" => texts(&FROM_NODE),
        "node_text" => texts(&[r#""tools/gr\u00f6\u00dfe""#, r#"{"hex":"fffe2f61"}"#]),
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

/// One of each thing that a node says to a command.
const FROM_NODE: [&str; 8] = [
    r#"{"say":"fact","human":"team/site@1","json":{"event":"done","files":[1,-2,null,"x"]}}"#,
    r#"{"say":"warning","human":"left out a","json":{"event":"skipped","path":"a"}}"#,
    r#"{"say":"remark","text":"stopped"}"#,
    r#"{"say":"look","phase":"writing, 12 files","done":5,"total":9,"waits_for":"the hub"}"#,
    r#"{"say":"ask","question":"capability: "}"#,
    r#"{"say":"status","version":"0.1.0","process":7,"started":1700000000,"state":"/s","waits_for":{"what":"the store","since":1,"next":"it is tried again"},"jobs":[{"id":1,"what":"get a/b","started":2,"phase":"","bytes_done":3,"bytes_total":null,"waits_for":null}],"watches":[{"to":"/d","name":"a/b","state":"backing-off","current":4,"hold":null,"kept":[3,4],"waits_for":null,"last_error":"no","next_try":5}]}"#,
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

/// SplitMix64: small, seeded, the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn for_target(name: &str) -> Self {
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Bytes that mean something in CBOR or at the edge of an integer.
const TELLING: [u8; 16] = [
    0x00, 0x01, 0x17, 0x18, 0x1b, 0x3b, 0x5a, 0x5f, 0x7f, 0x80, 0x9b, 0x9f, 0xbf, 0xf6, 0xfe, 0xff,
];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    let span = numbers.below(9).min(bytes.len() - at);
    match numbers.below(9) {
        _ if bytes.is_empty() => bytes.push(numbers.next() as u8),
        0 => bytes[at] ^= 1 << numbers.below(8),
        1 => bytes[at] = TELLING[numbers.below(TELLING.len())],
        2 => bytes[at] = bytes[at].wrapping_add(1),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..at + span)),
        5 => {
            let copy = bytes[at..at + span].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => {
            let fresh: Vec<u8> = (0..span).map(|_| numbers.next() as u8).collect();
            bytes.splice(at..at, fresh);
        }
        7 => bytes[at..at + span].fill([0, 0xff, 0x7f][numbers.below(3)]),
        _ => {
            let from = numbers.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

#[test]
fn every_target_accepts_its_golden_seeds() {
    for target in TARGETS {
        for (index, seed) in seeds(target.name).iter().enumerate() {
            let expected =
                if target.name == "sealed_chunk" { Verdict::Refused } else { Verdict::Accepted };
            assert_eq!((target.run)(seed), expected, "{} seed {index}", target.name);
        }
    }
}

#[test]
fn every_target_survives_mutations_of_its_seeds() {
    for target in TARGETS {
        let seeds = seeds(target.name);
        let mut numbers = Numbers::for_target(target.name);
        let mut refused = 0;
        for _ in 0..MUTATIONS {
            let mut bytes = seeds[numbers.below(seeds.len())].clone();
            let other = &seeds[numbers.below(seeds.len())];
            for _ in 0..=numbers.below(4) {
                mutate(&mut bytes, other, &mut numbers);
            }
            let run = std::panic::AssertUnwindSafe(|| (target.run)(&bytes));
            match std::panic::catch_unwind(run) {
                Ok(Verdict::Accepted) => {}
                Ok(Verdict::Refused) => refused += 1,
                Err(_) => panic!("{} fails on {}", target.name, hex::encode(&bytes)),
            }
        }
        assert!(refused > MUTATIONS / 20, "{}: mutations that change nothing", target.name);
    }
}

#[test]
fn every_target_survives_truncation_at_every_byte_of_its_seeds() {
    for target in TARGETS {
        for seed in seeds(target.name) {
            for length in 0..seed.len() {
                let _ = (target.run)(&seed[..length]);
            }
        }
    }
}

/// Claims of enormous lengths, deep nesting, endless input.
#[test]
fn every_target_survives_hostile_inputs() {
    let mut hostile: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0; 70_000],
        vec![0xff; 70_000],
        // Arrays, maps and tags within each other, with and without an end in sight.
        vec![0x81; 60_000],
        vec![0x9f; 60_000],
        vec![0xa1; 60_000],
        vec![0xc1; 60_000],
        vec![0xd2; 60_000],
    ];
    for major in [0x40, 0x60, 0x80, 0xa0] {
        let claim = [&[0x82, 0x01, major | 0x1b][..], &[0xff; 8]].concat();
        hostile.push(claim.clone());
        hostile.push([&[0xd2, 0x84], &claim[..]].concat());
        hostile.push([&claim[..], &[0x80; 50_000]].concat());
        hostile.push([0x82, 0x01, major | 0x1a, 0x7f, 0xff, 0xff, 0xff].to_vec());
        hostile.push([0xd2, 0x84, major | 0x1b, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff].to_vec());
    }
    // The same in JSON: nesting without an end, also where any value may stand.
    for open in ["[", "{\"a\":", "{\"say\":"] {
        hostile.push(open.repeat(20_000).into_bytes());
        let fact = r#"{"say":"fact","human":"","json":"#;
        hostile.push([fact, &open.repeat(20_000)].concat().into_bytes());
    }
    hostile.push(b"\"".repeat(60_000));
    hostile.push([&b"{\"hex\":\""[..], &[b'f'; 60_001], b"\"}"].concat());
    for target in TARGETS {
        for bytes in &hostile {
            let _ = (target.run)(bytes);
        }
    }
}
