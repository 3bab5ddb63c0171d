use proptest::prelude::*;

use super::*;
use crate::instructions::OUTPUT_BYTES_MAX;

/// One of each outcome.
pub(crate) fn sample() -> Receipt {
    let placed = Placed { added: 3, changed: 2, kept: 1000, removed: 1, bytes: 123_456 };
    let ran = |end, is_expected| {
        Outcome::Ran(Ran {
            end,
            is_expected,
            output: Output { bytes: b"hello\n".to_vec(), bytes_total: 6 },
            error: Output { bytes: b"wa".to_vec(), bytes_total: 70_000 },
            processor: Duration::from_micros(1_234_567),
            memory_bytes_max: 12 << 20,
            limit: None,
            memory_together_bytes_max: None,
        })
    };
    let outcomes = [
        Outcome::NotApplicable("this is x86_64".into()),
        Outcome::Placed(placed),
        Outcome::PutBack(placed),
        Outcome::NotPlaced("no space".into()),
        ran(End::Code(3), true),
        ran(End::Signal(9), false),
        ran(End::TimedOut, false),
        Outcome::NotStarted("there is no bash".into()),
        Outcome::Interrupted,
        Outcome::LeftOut,
    ];
    let step = |(number, outcome): (usize, Outcome)| StepReceipt {
        name: format!("step {number}"),
        begun_ms: if outcome == Outcome::LeftOut { 0 } else { 1_700_000_000_123 },
        took: Duration::from_micros(number as u64 * 1000),
        outcome,
    };
    Receipt {
        package: "tools".into(),
        version: "1.4.2".into(),
        verdict: Verdict::Failed("step 3 failed".into()),
        steps: outcomes.into_iter().enumerate().map(step).collect(),
    }
}

/// All that version 2 adds.
pub(crate) fn sample_with_limits() -> Receipt {
    let mut receipt = sample();
    for (step, limit) in receipt.steps[5..].iter_mut().zip([Limit::Memory, Limit::Processor]) {
        let Outcome::Ran(ran) = &mut step.outcome else { panic!("it ran") };
        ran.limit = Some(limit);
        ran.memory_together_bytes_max = Some(512 << 20);
    }
    receipt
}

fn with_output(lengths: &[usize]) -> Receipt {
    let step = |(number, length): (usize, &usize)| StepReceipt {
        name: format!("{number}"),
        outcome: Outcome::Ran(Ran {
            end: End::Code(0),
            is_expected: true,
            output: Output { bytes: vec![b'x'; *length], bytes_total: *length as u64 },
            error: Output::default(),
            processor: Duration::MAX,
            memory_bytes_max: u64::MAX,
            limit: None,
            memory_together_bytes_max: Some(u64::MAX),
        }),
        begun_ms: u64::MAX,
        took: Duration::MAX,
    };
    Receipt { steps: lengths.iter().enumerate().map(step).collect(), ..sample() }
}

fn output_lengths(receipt: &Receipt) -> Vec<usize> {
    let length = |step: &StepReceipt| {
        let Outcome::Ran(ran) = &step.outcome else { panic!("all ran") };
        ran.output.bytes.len()
    };
    receipt.steps.iter().map(length).collect()
}

#[test]
fn what_breaks_a_bound_is_neither_written_nor_read() {
    let step = |outcome| Receipt {
        steps: vec![StepReceipt { outcome, ..sample().steps[0].clone() }],
        ..sample()
    };
    let ran = |change: fn(&mut Ran)| {
        let Outcome::Ran(mut ran) = sample().steps[4].outcome.clone() else { panic!("it ran") };
        change(&mut ran);
        step(Outcome::Ran(ran))
    };
    let long = "x".repeat(REASON_BYTES_MAX + 1);
    for (what, receipt) in [
        ("name", Receipt { package: "Tools".into(), ..sample() }),
        ("version", Receipt { version: "\n".into(), ..sample() }),
        ("verdict", Receipt { verdict: Verdict::Failed(long.clone()), ..sample() }),
        ("steps", Receipt { steps: vec![sample().steps[0].clone(); 1001], ..sample() }),
        ("reason", step(Outcome::NotPlaced(long))),
        ("signal", ran(|ran| ran.end = End::Signal(0))),
        ("limit", ran(|ran| ran.limit = Some(Limit::Processes))),
        ("total", ran(|ran| ran.output.bytes_total = 5)),
        (
            "output",
            ran(|ran| {
                ran.output.bytes_total = OUTPUT_BYTES_MAX + 1;
                ran.output.bytes = vec![0; OUTPUT_BYTES_MAX as usize + 1];
            }),
        ),
        ("step", {
            let mut receipt = sample();
            receipt.steps[0].name = "a\nb".into();
            receipt
        }),
        ("whole", with_output(&[1 << 20; 9])),
    ] {
        assert!(receipt.encode().is_err(), "{what}");
        assert!(Receipt::decode(&encoding::encode(&receipt)).is_err(), "{what}");
    }
    assert!(Receipt::decode(&encoding::encode(&sample())).is_ok(), "it is not the encoding");
}

#[test]
fn a_package_that_could_not_be_opened_has_no_name() {
    let receipt = Receipt {
        package: String::new(),
        version: String::new(),
        verdict: Verdict::Failed("the tree cannot be read".into()),
        steps: Vec::new(),
    };
    assert_eq!(Receipt::decode(&receipt.encode().expect("sound")), Ok(receipt));
}

#[test]
fn a_receipt_is_shortened_to_what_fits_the_longest_outputs_first() {
    let mut fits = with_output(&[1 << 20; 7]);
    fits.shorten();
    assert_eq!(output_lengths(&fits), [1 << 20; 7], "nothing is cut that fits");

    let mut long = with_output(&[[100; 500], [3 << 20; 500]].concat());
    long.verdict = Verdict::Failed("ü".repeat(REASON_BYTES_MAX));
    long.steps[0].outcome = Outcome::NotStarted("x".repeat(2 * REASON_BYTES_MAX));
    long.shorten();
    let bytes = long.encode().expect("it fits");
    assert!(bytes.len() > RECEIPT_BYTES_MAX * 9 / 10, "{}: room is used", bytes.len());
    assert_eq!(long.verdict, Verdict::Failed("ü".repeat(REASON_BYTES_MAX / 2)));
    long.steps.remove(0);
    let lengths = output_lengths(&long);
    assert!(lengths[..499].iter().all(|length| *length == 100), "the short ones are whole");
    assert!(lengths[499..].iter().all(|length| *length > 10_000));
}

fn texts() -> impl Strategy<Value = String> {
    "[^\0]{0,20}"
}

fn outputs() -> impl Strategy<Value = Output> {
    (prop::collection::vec(any::<u8>(), 0..40), 0..=u64::MAX - 40)
        .prop_map(|(bytes, more)| Output { bytes_total: bytes.len() as u64 + more, bytes })
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let placed = any::<[u64; 5]>().prop_map(|[added, changed, kept, removed, bytes]| Placed {
        added,
        changed,
        kept,
        removed,
        bytes,
    });
    let end = prop_oneof![
        any::<u8>().prop_map(End::Code),
        (1..=255u8).prop_map(End::Signal),
        Just(End::TimedOut)
    ];
    let limit = prop::option::of(prop::sample::select(&Limit::ALL[..]));
    let used = (any::<u64>(), any::<u64>(), limit, prop::option::of(any::<u64>()));
    let ran = (end, any::<bool>(), outputs(), outputs(), used).prop_map(
        |(end, is_expected, output, error, (micros, memory, limit, together))| Ran {
            end,
            is_expected: is_expected && limit.is_none(),
            output,
            error,
            processor: Duration::from_micros(micros),
            memory_bytes_max: memory,
            limit,
            memory_together_bytes_max: together,
        },
    );
    prop_oneof![
        texts().prop_map(Outcome::NotApplicable),
        Just(Outcome::LeftOut),
        placed.clone().prop_map(Outcome::Placed),
        placed.prop_map(Outcome::PutBack),
        texts().prop_map(Outcome::NotPlaced),
        ran.prop_map(Outcome::Ran),
        texts().prop_map(Outcome::NotStarted),
        Just(Outcome::Interrupted),
    ]
}

proptest! {
    #[test]
    fn every_receipt_comes_back(
        package in "[a-z0-9][a-z0-9._-]{0,63}",
        version in "[!-~]{1,64}",
        verdict in prop_oneof![
            Just(Verdict::Passed),
            texts().prop_map(Verdict::Failed),
            texts().prop_map(Verdict::NotApplicable),
        ],
        steps in prop::collection::vec(("[ -~é]{1,30}", outcomes(), any::<(u64, u64)>()), 0..9),
    ) {
        let steps = steps.into_iter().map(|(name, outcome, (begun_ms, micros))| {
            StepReceipt { name, outcome, begun_ms, took: Duration::from_micros(micros) }
        });
        let receipt = Receipt { package, version, verdict, steps: steps.collect() };
        let bytes = receipt.encode().expect("sound");
        prop_assert_eq!(Receipt::decode(&bytes), Ok(receipt));
    }
}
