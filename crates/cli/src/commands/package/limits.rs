//! What a step asks to be kept to, for people and for programs.

use package::Limits;
use package::receipt::Limit;
use serde_json::{Value, json};

use crate::output::{bytes, number};
use crate::progress::duration;

/// Behind what the step does; empty when it asks for nothing.
pub(super) fn text(limits: &Limits) -> String {
    let Limits { memory_bytes, processes, processor, open_files } = *limits;
    let count = |count: u32| number(count.into());
    let told: Vec<String> = [
        memory_bytes.map(|it| format!("{} of memory", bytes(it))),
        processes.map(|it| format!("{} processes", count(it))),
        processor.map(|it| format!("{} of processor", duration(it))),
        open_files.map(|it| format!("{} open files", count(it))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if told.is_empty() { String::new() } else { format!(", at most {}", told.join(", ")) }
}

/// `None` when it asks for nothing.
pub(super) fn value(limits: &Limits) -> Option<Value> {
    let Limits { memory_bytes, processes, processor, open_files } = *limits;
    let value = json!({
        "memory_bytes": memory_bytes,
        "processes": processes,
        "processor_ms": processor.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
        "open_files": open_files,
    });
    (!limits.is_empty()).then_some(value)
}

/// Why a script ended as it did, behind how it did.
pub(super) fn reached(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory => " at its limit of memory",
        Limit::Processes => " at its limit of processes",
        Limit::Processor => " at its limit of processor time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_in_units() {
        assert_eq!((text(&Limits::default()), value(&Limits::default())), (String::new(), None));
        let all = Limits {
            memory_bytes: Some(512 << 20),
            processes: Some(64),
            processor: Some(std::time::Duration::from_secs(300)),
            open_files: Some(1024),
        };
        assert_eq!(
            text(&all),
            ", at most 537 MB of memory, 64 processes, 5 min 0 s of processor, 1,024 open files"
        );
        assert_eq!(value(&all).expect("some")["processor_ms"], 300_000);
    }
}
