//! Feeds every target the golden files and mutations of them; the same ones on every run.

use fuzz_targets::{TARGETS, Verdict, corpus, seeds};
use random::Random;

const MUTATIONS: u64 = 5_000;

/// Mutations of an input that goes through files, or through key exchanges: each takes milliseconds.
const MUTATIONS_SLOW: u64 = 250;

fn mutations(target: &str) -> u64 {
    let slow =
        ["store_pack", "directory_index", "checkout_records", "checkout_journal", "code_message"];
    if slow.contains(&target) { MUTATIONS_SLOW } else { MUTATIONS }
}

/// Takes any bytes there can be in a few kilobytes: a stream of events has no wrong ones, and a
/// store that was damaged is a store with less in it.
fn takes_anything(target: &str) -> bool {
    ["event_stream", "store_pack"].contains(&target)
}

/// Numbers of a target's own.
fn numbers_for(target: &str) -> Random {
    Random::new(target.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// Bytes that mean something in CBOR or at the edge of an integer.
const TELLING: [u8; 16] = [
    0x00, 0x01, 0x17, 0x18, 0x1b, 0x3b, 0x5a, 0x5f, 0x7f, 0x80, 0x9b, 0x9f, 0xbf, 0xf6, 0xfe, 0xff,
];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Random) {
    let at = numbers.index(bytes.len());
    let span = numbers.index(9).min(bytes.len() - at);
    match numbers.index(9) {
        _ if bytes.is_empty() => bytes.push(numbers.next_u64() as u8),
        0 => bytes[at] ^= 1 << numbers.index(8),
        1 => bytes[at] = TELLING[numbers.index(TELLING.len())],
        2 => bytes[at] = bytes[at].wrapping_add(1),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..at + span)),
        5 => {
            let copy = bytes[at..at + span].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => {
            let fresh: Vec<u8> = (0..span).map(|_| numbers.next_u64() as u8).collect();
            bytes.splice(at..at, fresh);
        }
        7 => bytes[at..at + span].fill([0, 0xff, 0x7f][numbers.index(3)]),
        _ => {
            let from = numbers.index(other.len());
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
        let mut numbers = numbers_for(target.name);
        let mut refused = 0;
        for _ in 0..mutations(target.name) {
            let mut bytes = seeds[numbers.index(seeds.len())].clone();
            let other = &seeds[numbers.index(seeds.len())];
            for _ in 0..=numbers.index(4) {
                mutate(&mut bytes, other, &mut numbers);
            }
            let run = std::panic::AssertUnwindSafe(|| (target.run)(&bytes));
            match std::panic::catch_unwind(run) {
                Ok(Verdict::Accepted) => {}
                Ok(Verdict::Refused) => refused += 1,
                Err(_) => panic!("{} fails on {}", target.name, hex::encode(&bytes)),
            }
        }
        let enough = refused > mutations(target.name) / 20 || takes_anything(target.name);
        assert!(enough, "{}: mutations that change nothing", target.name);
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

/// What the fuzzer kept, and what it once found.
#[test]
fn every_target_survives_its_corpus_and_earlier_findings() {
    for target in TARGETS {
        for bytes in corpus::inputs(target.name).expect("a corpus") {
            let run = std::panic::AssertUnwindSafe(|| (target.run)(&bytes));
            if std::panic::catch_unwind(run).is_err() {
                panic!("{} fails on {}", target.name, hex::encode(&bytes));
            }
        }
    }
}
