//! Bit rot: files of the program at rest, damaged one at a time.
//!
//! A hash over content is no help for a file without one, such as a database; so the rule is not
//! that all damage is found, but that none leads to wrong bytes, a panic or silence.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use random::Random;

use crate::campaign::{BEFORE, Campaign, DOCUMENTED, Finding};
use crate::scenarios::{Different, Hub};

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit, somewhere.
    Bit,
    /// A page of zeros.
    Page,
    /// The second half is gone.
    Half,
    /// All of it is gone, but not its name.
    Empty,
}

impl Damage {
    /// All of them; single bits are the most telling.
    pub const ALL: [Self; 6] =
        [Self::Bit, Self::Bit, Self::Bit, Self::Page, Self::Half, Self::Empty];

    fn apply(self, path: &Path, random: &mut Random) -> anyhow::Result<()> {
        let mut bytes = fs::read(path)?;
        let length = bytes.len();
        match self {
            Self::Bit => bytes[random.below(length as u64) as usize] ^= 1 << random.below(8),
            Self::Page => {
                let start = random.below(length as u64) as usize & !4095;
                bytes[start..length.min(start + 4096)].fill(0);
            }
            Self::Half => bytes.truncate(length / 2),
            Self::Empty => bytes.clear(),
        }
        Ok(fs::write(path, bytes)?)
    }
}

impl Campaign {
    /// The files that can be damaged, in an order of their own.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut open: Vec<PathBuf> = self.scenario.roots().iter().map(PathBuf::from).collect();
        let mut files = Vec::new();
        while let Some(path) = open.pop() {
            let kept = self.world.beside(BEFORE).join(&path);
            let Ok(found) = kept.symlink_metadata() else { continue };
            if found.is_dir() {
                let entries = fs::read_dir(&kept)?.map(|entry| Ok(path.join(entry?.file_name())));
                open.extend(entries.collect::<anyhow::Result<Vec<_>>>()?);
            } else if found.is_file() && found.len() > 0 && !self.scenario.is_taken_as_it_is(&path)
            {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Damages a file before the job is run.
    ///
    /// # Errors
    /// When wrong bytes are delivered, the program panics, or it fails and does not say why.
    pub fn try_damage(&mut self, file: &Path, kind: usize) -> Result<bool, Finding> {
        let damage = Damage::ALL[kind % Damage::ALL.len()];
        self.damaged(file, damage, kind).map(|()| true).map_err(|error| {
            let tried = format!("{damage:?} in {}", file.display());
            self.finding(
                &tried,
                &format!("--faults rot --file {} --sample {kind}", file.display()),
                &error,
            )
        })
    }

    fn damaged(&mut self, file: &Path, damage: Damage, kind: usize) -> anyhow::Result<()> {
        self.begin(BEFORE)?;
        let name = file.to_string_lossy();
        let seed =
            name.bytes().fold(self.seed, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
        damage.apply(&self.world.path(&name), &mut Random::new(seed ^ kind as u64))?;
        if let Err(refused) = self.open() {
            // A hub may refuse to open what is damaged, if it says so.
            ensure!(self.scenario.hub() == Hub::Subject, "{refused:#}");
            return self.says_why(&format!("{refused:#} {}", self.hub_said()?));
        }
        let mut command = std::process::Command::new("timeout");
        let job = self.scenario.command(&self.world);
        command.arg("60").arg(job.get_program()).args(job.get_args());
        for (name, value) in job.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.current_dir(self.world.path("")).output()?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let code = output.status.code().context("ended by a signal")?;
        ensure!(DOCUMENTED.contains(&code), "undocumented exit code {code}: {said}");
        ensure!(!said.contains("panicked"), "a panic: {said}");
        let looked = if code == 0 {
            self.scenario.delivered(&self.world)
        } else {
            self.says_why(&said)?;
            self.scenario.always(&self.world)
        };
        match looked {
            Ok(()) => {}
            Err(error) if error.chain().any(|cause| cause.is::<Different>()) => return Err(error),
            Err(error) => self.says_why(&format!("{error:#}"))?,
        }
        ensure!(!self.hub_said()?.contains("panicked"), "the hub panics: {}", self.hub_said()?);
        Ok(())
    }

    fn hub_said(&self) -> anyhow::Result<String> {
        let path = self.world.beside("hub.log");
        if path.exists() { Ok(fs::read_to_string(path)?) } else { Ok(String::new()) }
    }

    fn says_why(&self, said: &str) -> anyhow::Result<()> {
        ensure!(!said.contains("panicked"), "a panic: {said}");
        if said.contains("error") || said.contains("damaged") {
            return Ok(());
        }
        bail!("it fails and does not say why: {said}")
    }
}
