//! Amounts of bytes on the command line.

use std::str::FromStr;

/// An amount of bytes, written as `1048576`, `500MB` or `20GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// Decimal and binary units, as IEC 80000-13 has them; letters alone are binary, as in coreutils.
const UNITS: [(&str, u64); 13] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let unit =
            UNITS.iter().find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor)));
        let (digits, factor) = unit.unwrap_or((&lower, &1));
        let number: Option<u64> = digits.trim_end().parse().ok();
        number
            .and_then(|number| number.checked_mul(*factor))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no amount of bytes: write 1048576, 500MB or 20GiB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_and_without_a_unit() {
        let read = |text: &str| text.parse::<Size>().map(|size| size.0).ok();
        assert_eq!(read("17"), Some(17));
        assert_eq!(read("17B"), Some(17));
        assert_eq!(read("2kB"), Some(2_000));
        assert_eq!(read("20 GiB"), Some(20 << 30));
        assert_eq!(read("1tb"), Some(1_000_000_000_000));
        for wrong in ["", "GB", "-1", "1.5GB", "1 XB", "99999999999TB"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
