//! Durations, sizes, modes, owners and interpreters as texts.

use std::time::Duration;

use crate::instructions::Owner;

/// Milliseconds in each unit, the longer names first.
const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A time such as `90s`, `10m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_ms: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|sign: char| !sign.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|sign: char| !sign.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, factor) = TIMES.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        total_ms = total_ms.checked_add(number.checked_mul(*factor)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(Duration::from_millis(total_ms))
}

/// Bytes in each unit, as the command line has them.
const SIZES: [(&str, u64); 11] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
];

/// An amount of bytes such as `65536`, `64 KiB` or `1MB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len());
    let unit = text[digits..].trim_start().to_ascii_lowercase();
    let (_, factor) = SIZES.iter().find(|(known, _)| *known == unit)?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*factor)
}

/// Permission bits such as `0755`.
pub(super) fn mode(text: &str) -> Option<u32> {
    let is_octal = text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal)?;
    ((3..=5).contains(&text.len()) && mode <= 0o7777).then_some(mode)
}

/// A user and perhaps a group: `root` or `root:adm`.
pub(super) fn owner(text: &str) -> Owner {
    match text.split_once(':') {
        Some((user, group)) => Owner { user: user.to_owned(), group: Some(group.to_owned()) },
        None => Owner { user: text.to_owned(), group: None },
    }
}

/// What the first line of a script says it is to be given to; else `/bin/sh`. What follows the
/// program is one argument, as for Linux.
pub(super) fn interpreter(script: &str) -> Vec<String> {
    let line = script.strip_prefix("#!").and_then(|rest| rest.lines().next()).unwrap_or_default();
    let line = line.trim();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if !program.starts_with('/') || line.contains('\0') {
        return vec!["/bin/sh".to_owned()];
    }
    let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
    std::iter::once(program).chain(argument).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let seconds = |text| duration(text).map(|time| time.as_secs_f64());
        for (text, expected) in [
            ("90s", 90.0),
            ("10m", 600.0),
            ("1h 30m", 5400.0),
            ("1h30m", 5400.0),
            ("2 d", 172_800.0),
            ("1500ms", 1.5),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in [
            "",
            " ",
            "10",
            "m",
            "10 parsecs",
            "1.5h",
            "-1s",
            "99999999999999999999s",
            "999999999999999999d",
            "1ü",
            "1sü",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, expected) in [
            ("17", 17),
            ("17B", 17),
            ("64 KiB", 65_536),
            ("1M", 1 << 20),
            ("2kB", 2000),
            ("3GiB", 3 << 30),
        ] {
            assert_eq!(size(text), Some(expected), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5M", "1 TB", "99999999999999999999"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(
            ["755", "0755", "00644", "4755"].map(mode),
            [0o755, 0o755, 0o644, 0o4755].map(Some)
        );
        for text in ["", "0", "75", "0855", "u+x", "+755", "10000", "0o755", "000755"] {
            assert_eq!(mode(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_line_names_the_interpreter() {
        for (script, expected) in [
            ("echo hello", &["/bin/sh"][..]),
            ("#!/bin/bash\nx", &["/bin/bash"]),
            ("#! /usr/bin/env python3\r\nx", &["/usr/bin/env", "python3"]),
            ("#!/usr/bin/env -S python3 -u", &["/usr/bin/env", "-S python3 -u"]),
            ("#!python3", &["/bin/sh"]),
            ("#!", &["/bin/sh"]),
            ("", &["/bin/sh"]),
        ] {
            assert_eq!(interpreter(script), expected, "{script}");
        }
    }
}
