//! What tests of formats share: golden files, which a released format never leaves, and damage, which
//! every decoder survives.

/// Compares with `golden/NAME.hex` below `directory`, that of the crate: `env!("CARGO_MANIFEST_DIR")`.
/// `UPDATE_GOLDEN=1` writes a file that does not exist yet; none is ever overwritten.
///
/// # Panics
/// When the bytes are other ones, or the file cannot be read.
pub fn compare(directory: &str, name: &str, bytes: &[u8]) {
    let path = format!("{directory}/golden/{name}.hex");
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

/// Gives a decoder every truncation and every flip of a single bit of `bytes`. `decode` says how what was
/// decoded is encoded: nothing, or the very bytes it was given.
///
/// # Panics
/// When `bytes` are not their own encoding, or damaged ones are decoded to something else.
pub fn survives_damage(bytes: &[u8], mut decode: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    assert_eq!(decode(bytes).as_deref(), Some(bytes));
    for length in 0..bytes.len() {
        if let Some(again) = decode(&bytes[..length]) {
            assert_eq!(again, &bytes[..length]);
        }
    }
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        if let Some(again) = decode(&altered) {
            assert_eq!(again, altered);
        }
    }
}

/// As [`survives_damage`], for what says its own length: no part of it is a whole.
///
/// # Panics
/// As [`survives_damage`], and when a truncation is decoded.
pub fn is_whole_or_nothing(bytes: &[u8], mut decode: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    survives_damage(bytes, &mut decode);
    for length in 0..bytes.len() {
        assert_eq!(decode(&bytes[..length]), None, "{length} bytes of {}", bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::{compare, is_whole_or_nothing, survives_damage};

    /// A length, and so many bytes.
    fn counted(bytes: &[u8]) -> Option<Vec<u8>> {
        let (length, rest) = bytes.split_first()?;
        (usize::from(*length) == rest.len()).then(|| bytes.to_vec())
    }

    #[test]
    fn what_says_its_length_is_whole_or_nothing() {
        is_whole_or_nothing(&[3, 1, 2, 3], counted);
        survives_damage(b"any bytes", |bytes| Some(bytes.to_vec()));
    }

    #[test]
    #[should_panic(expected = "2 bytes of 3")]
    fn a_part_that_is_taken_for_a_whole_is_seen() {
        is_whole_or_nothing(&[1, 2, 3], |bytes| (bytes.len() > 1).then(|| bytes.to_vec()));
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn damage_that_is_smoothed_over_is_seen() {
        survives_damage(&[4, 5], |_| Some(vec![4, 5]));
    }

    #[test]
    #[should_panic(expected = "cannot-be-there.hex")]
    fn a_golden_file_that_is_missing_is_named() {
        compare(env!("CARGO_MANIFEST_DIR"), "cannot-be-there", b"anything");
    }
}
