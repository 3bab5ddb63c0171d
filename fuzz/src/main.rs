//! libFuzzer on one target of `fuzz-targets`, which `CONSIGN_FUZZ_TARGET` names.
//!
//! `cargo xtask fuzz` builds and starts it. The main function is libFuzzer's own.

#![no_main]

use std::alloc::System;
use std::sync::OnceLock;

use cap::Cap;
use fuzz_targets::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

/// Most bytes on the heap, the decoders' and a store's index together. An allocation beyond it
/// fails, which ends the program: memory taken for a length that nobody checked is a finding, even
/// if it is never touched.
const HEAP_BYTES_MAX: usize = 64 << 20;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, HEAP_BYTES_MAX);

static TARGET: OnceLock<Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("CONSIGN_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        eprintln!("CONSIGN_FUZZ_TARGET names no target: {name:?}");
        std::process::exit(2);
    };
    TARGET.get_or_init(|| *target);
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    if let Some(target) = TARGET.get() {
        let _verdict = (target.run)(bytes);
    }
});
