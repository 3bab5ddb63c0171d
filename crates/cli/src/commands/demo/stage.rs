//! What every demonstration of several processes stands on: a directory, a hub, and a voice.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use super::processes::{HubProcess, Program, Shelf, end};
use crate::output::Output;

/// What runs, and where.
pub(super) struct Stage {
    pub(super) output: Output,
    pub(super) base: PathBuf,
    pub(super) hub: HubProcess,
    pub(super) shelf: Shelf,
}

impl Stage {
    pub(super) fn new(output: Output, base: PathBuf, shelf: Shelf) -> anyhow::Result<Self> {
        fs::create_dir_all(&base).with_context(|| format!("cannot create {}", base.display()))?;
        let hub = HubProcess::start(&base, "hub", shelf.clone())?;
        Ok(Self { output, base, hub, shelf })
    }

    pub(super) fn say(&self, who: &str, text: impl AsRef<str>) {
        self.output.remark(format!("{who:<9}{}", text.as_ref()));
    }

    /// Runs a command of a node to its end; the last it said.
    pub(super) fn run(&self, node: &str, args: &[&str]) -> anyhow::Result<Value> {
        Program::of_node(&self.base.join(node))?.json(args)
    }

    pub(super) fn text(&self, name: &str) -> anyhow::Result<String> {
        let path = self.base.join(name);
        Ok(path.to_str().context("the temporary directory is not UTF-8")?.to_owned())
    }

    /// Ends all that runs; what is there is removed when all went well.
    pub(super) fn end(&self, ok: bool) {
        end(&self.shelf);
        if ok || std::env::var_os("CONSIGN_DEMO_CLEAN").is_some() {
            if let Err(error) = fs::remove_dir_all(&self.base) {
                self.say("", format!("could not remove {}: {error}", self.base.display()));
            }
        } else {
            self.say("", format!("left for inspection: {}", self.base.display()));
        }
    }
}

pub(super) fn number(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_default()
}

pub(super) fn word<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}
