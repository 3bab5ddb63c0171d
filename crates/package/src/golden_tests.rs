//! Golden files: the bytes of each released version of each format.

use crate::{Package, Receipt, instructions, receipt};
use golden::is_whole_or_nothing;

fn golden(name: &str, bytes: &[u8]) {
    golden::compare(env!("CARGO_MANIFEST_DIR"), name, bytes);
}

#[test]
fn every_released_format_has_its_golden_file() {
    golden("package-1", &instructions::tests::sample().encode().expect("sound"));
    golden("receipt-1", &receipt::tests::sample().encode().expect("sound"));
    golden("package-2", &instructions::tests::sample_with_limits().encode().expect("sound"));
    golden("receipt-2", &receipt::tests::sample_with_limits().encode().expect("sound"));
}

/// Each decoder on every truncation and every single-bit flip: an error, or the same bytes again.
#[test]
fn decoders_survive_damage() {
    for package in [instructions::tests::sample(), instructions::tests::sample_with_limits()] {
        let bytes = package.encode().expect("sound");
        is_whole_or_nothing(&bytes, |bytes| {
            Some(Package::decode(bytes).ok()?.encode().expect("decoded"))
        });
    }
    for receipt in [receipt::tests::sample(), receipt::tests::sample_with_limits()] {
        let bytes = receipt.encode().expect("sound");
        is_whole_or_nothing(&bytes, |bytes| {
            Some(Receipt::decode(bytes).ok()?.encode().expect("decoded"))
        });
    }
}
