//! The options of a job: each a name and a value.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow, ensure};

/// What was said and not yet used.
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").with_context(|| format!("{word} is no option"))?;
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    /// The value of an option, or what stands for it.
    pub(crate) fn or<T: FromStr>(&mut self, name: &str, usual: T) -> Result<T> {
        let Some(text) = self.0.remove(name) else { return Ok(usual) };
        text.parse().map_err(|_| anyhow!("--{name} cannot be {text:?}"))
    }

    pub(crate) fn path(&mut self, name: &str) -> Result<PathBuf> {
        self.0.remove(name).map(PathBuf::from).with_context(|| format!("--{name} is needed"))
    }

    /// Refuses settings that are called the program's own and are not.
    pub(crate) fn judge(&mut self, are_usual: bool) -> Result<()> {
        let chosen = self.or("chosen", false)?;
        ensure!(are_usual || !chosen, "these are not the settings the program has");
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<()> {
        ensure!(self.0.is_empty(), "options this job does not have: {:?}", self.0.keys());
        Ok(())
    }
}
