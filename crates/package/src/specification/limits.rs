//! The table `limits` of a step.

use std::time::Duration;

use toml::de::DeValue;

use super::keys::{Keys, named};
use super::{Code, Problems, values};
use crate::instructions::{
    Limits, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, OPEN_FILES_MAX, OPEN_FILES_MIN, PROCESSES_MAX,
    PROCESSOR_MIN, TIMEOUT_MAX,
};

pub(super) const KEYS: [&str; 4] = ["memory", "processes", "cpu-time", "open-files"];
const EXAMPLE: &str = "limits = { memory = \"512 MiB\", processes = 64 }";

/// What a step asks to be kept to; nothing, where it is wrong.
pub(super) fn read(step: &Keys<'_, '_>, problems: &mut Problems<'_>) -> Limits {
    let Some((_, value)) = step.get("limits") else { return Limits::default() };
    let DeValue::Table(table) = value.get_ref() else {
        let message = format!("`limits` takes a table, not {}", named(value.get_ref()));
        problems.add(Code::WrongType, value.span(), message, format!("write {EXAMPLE}"));
        return Limits::default();
    };
    let keys = Keys::new(table, value.span(), "`limits`");
    keys.only(&KEYS, problems);
    Limits {
        memory_bytes: memory(&keys, problems),
        processes: count(&keys, "processes", 1, PROCESSES_MAX, problems),
        processor: processor(&keys, problems),
        open_files: count(&keys, "open-files", OPEN_FILES_MIN, OPEN_FILES_MAX, problems),
    }
}

fn memory(keys: &Keys<'_, '_>, problems: &mut Problems<'_>) -> Option<u64> {
    let text = with_unit(keys, "memory", "512 MiB", " MiB", problems)?;
    let size = values::size(&text.text);
    let (message, help) = match size {
        None => (
            format!("{:?} is no amount of bytes", text.text),
            "write a whole number with kB, KiB, MB, MiB, GB or GiB, as memory = \"512 MiB\"",
        ),
        Some(size) if !(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&size) => {
            (format!("{:?} is too little or too much", text.text), "it is from 1 MiB to 1 PiB")
        }
        Some(_) => return size,
    };
    problems.add(Code::WrongValue, text.span, message, help);
    None
}

fn processor(keys: &Keys<'_, '_>, problems: &mut Problems<'_>) -> Option<Duration> {
    let text = with_unit(keys, "cpu-time", "5m", "s", problems)?;
    let time = values::duration(&text.text);
    let (message, help) = match time {
        None => (
            format!("{:?} is no time", text.text),
            "write numbers with ms, s, m, h or d, as cpu-time = \"1m 30s\"",
        ),
        Some(time) if !(PROCESSOR_MIN..=TIMEOUT_MAX).contains(&time) => {
            (format!("{:?} is too short or too long", text.text), "it is from 1s to 7d")
        }
        Some(_) => return time,
    };
    problems.add(Code::WrongValue, text.span, message, help);
    None
}

/// A text that says its unit; a number gets the advice to add `unit`.
fn with_unit(
    keys: &Keys<'_, '_>,
    key: &str,
    example: &str,
    unit: &str,
    problems: &mut Problems<'_>,
) -> Option<super::keys::Text> {
    let (_, value) = keys.get(key)?;
    if let Some(number) = value.get_ref().as_integer() {
        let message = format!("`{key}` takes a text, not a number");
        let help = format!("write {key} = \"{}{unit}\", if that is meant", number.as_str());
        problems.add(Code::WrongType, value.span(), message, help);
        return None;
    }
    keys.text(key, example, problems)
}

/// A whole number in a range.
fn count(
    keys: &Keys<'_, '_>,
    key: &str,
    min: u32,
    max: u32,
    problems: &mut Problems<'_>,
) -> Option<u32> {
    let (_, value) = keys.get(key)?;
    let Some(number) = value.get_ref().as_integer() else {
        let message = format!("`{key}` takes a number, not {}", named(value.get_ref()));
        problems.add(Code::WrongType, value.span(), message, format!("write {key} = 64"));
        return None;
    };
    let found = u32::from_str_radix(number.as_str(), number.radix()).ok();
    let found = found.filter(|it| (min..=max).contains(it));
    if found.is_none() {
        let message = format!("{} is too little or too much", number.as_str());
        let help = format!("`{key}` is from {min} to {max}");
        problems.add(Code::WrongValue, value.span(), message, help);
    }
    found
}
