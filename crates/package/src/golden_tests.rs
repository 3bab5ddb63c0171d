//! Golden files: the bytes of each released version of each format.

use crate::{Package, Receipt, instructions, receipt};

/// Compares with `golden/NAME.hex`; `UPDATE_GOLDEN=1` writes a file that does not exist yet.
#[expect(clippy::disallowed_methods, reason = "golden files are files")]
fn golden(name: &str, bytes: &[u8]) {
    let path = format!("{}/golden/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if std::env::var_os("UPDATE_GOLDEN").is_some() => {
            std::fs::write(&path, format!("{}\n", hex::encode(bytes))).expect("writable");
            return;
        }
        Err(error) => panic!("{path}: {error}"),
    };
    assert_eq!(text.trim(), hex::encode(bytes), "{name}: a released format must not change");
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
    fn damage(bytes: &[u8], decode: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        assert_eq!(decode(bytes).as_deref(), Some(bytes));
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), None, "{length} bytes of {}", bytes.len());
        }
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            if let Some(again) = decode(&altered) {
                assert_eq!(again, altered);
            }
        }
    }
    for package in [instructions::tests::sample(), instructions::tests::sample_with_limits()] {
        let bytes = package.encode().expect("sound");
        damage(&bytes, |bytes| Some(Package::decode(bytes).ok()?.encode().expect("decoded")));
    }
    for receipt in [receipt::tests::sample(), receipt::tests::sample_with_limits()] {
        let bytes = receipt.encode().expect("sound");
        damage(&bytes, |bytes| Some(Receipt::decode(bytes).ok()?.encode().expect("decoded")));
    }
}
