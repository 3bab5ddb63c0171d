//! The switch from one release to another, back again, and what a crash left of either.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{
    Exchange, HookDue, NEXT, RELEASES, Releases, ReleasesError, Step, failed, remove_file, sync,
};
use crate::watch::Switch;

impl Releases {
    /// Makes the release before current again, because the hook of `due` failed. Cut off at any
    /// point it is finished when the directory is opened again.
    ///
    /// # Errors
    /// See [`ReleasesError`].
    pub fn roll_back(&mut self, due: HookDue, previous: u64) -> Result<(), ReleasesError> {
        self.roll_back_until(due, previous, None)
    }

    pub(super) fn roll_back_until(
        &mut self,
        due: HookDue,
        previous: u64,
        stop: Option<Step>,
    ) -> Result<(), ReleasesError> {
        self.known.refused = Some(due.release);
        if self.known.hold == Some(due.release) {
            self.known.hold = Some(previous);
        }
        self.save()?;
        if stop == Some(Step::Refused) {
            return Ok(());
        }
        self.switch_until(previous, stop)
    }

    /// Where a rollback that was cut off was going.
    fn unfinished_rollback(&self) -> Result<Option<u64>, ReleasesError> {
        let (Some(due), Some(refused)) = (self.known.hook_due, self.known.refused) else {
            return Ok(None);
        };
        if self.current()? != Some(refused) {
            return Ok(None);
        }
        // The way back was written down and not gone, or not even written down.
        let back = if due.release == refused { due.previous } else { Some(due.release) };
        Ok(back.filter(|back| self.kept().contains(back)))
    }

    /// Makes a kept release current in one step. The hook is due from then on.
    ///
    /// # Errors
    /// See [`ReleasesError`]; `current` is then what it was, or already the release.
    pub fn switch(&mut self, sequence: u64) -> Result<(), ReleasesError> {
        self.switch_until(sequence, None)
    }

    pub(super) fn switch_until(
        &mut self,
        sequence: u64,
        stop: Option<Step>,
    ) -> Result<(), ReleasesError> {
        let from = self.current()?;
        if from == Some(sequence) {
            return Ok(());
        }
        if !self.kept().contains(&sequence) {
            return Err(ReleasesError::NotKept { path: self.to.clone(), sequence });
        }
        self.known.hook_due = Some(HookDue { release: sequence, previous: from });
        match self.switch {
            Switch::Link => self.switch_link(sequence, stop),
            Switch::Exchange => self.switch_exchange(from, sequence, stop),
        }
    }

    fn switch_link(&mut self, sequence: u64, stop: Option<Step>) -> Result<(), ReleasesError> {
        // A hook that is due for a switch that did not happen is dropped when it is opened.
        self.save()?;
        let (next, current) = (self.to.join(NEXT), self.current_path());
        remove_file(&next)?;
        let target = Path::new(RELEASES).join(sequence.to_string());
        std::os::unix::fs::symlink(target, &next).map_err(failed("create", &next))?;
        if stop == Some(Step::Prepared) {
            return Ok(());
        }
        fs::rename(&next, &current).map_err(failed("replace", &current))?;
        sync(&self.to)
    }

    fn switch_exchange(
        &mut self,
        from: Option<u64>,
        to: u64,
        stop: Option<Step>,
    ) -> Result<(), ReleasesError> {
        let (new, current) = (self.path_of(to), self.current_path());
        let inode = inode(&new)?
            .ok_or_else(|| ReleasesError::NotKept { path: self.to.clone(), sequence: to })?;
        self.known.exchange = Some(Exchange { from, to, inode });
        self.save()?;
        if stop == Some(Step::Prepared) {
            return Ok(());
        }
        let flags = if from.is_some() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        match renameat_with(CWD, &new, CWD, &current, flags) {
            Ok(()) => {}
            Err(errno) => {
                self.known.exchange = None;
                self.known.hook_due = None;
                self.save()?;
                return Err(match errno {
                    Errno::EXIST | Errno::NOTEMPTY => ReleasesError::InTheWay { path: current },
                    Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
                        ReleasesError::NoExchange { path: self.to.clone() }
                    }
                    errno => failed("exchange", &current)(errno.into()),
                });
            }
        }
        if stop == Some(Step::Switched) {
            return Ok(());
        }
        self.complete_exchange(stop)
    }

    /// Gives the old release its name back and notes which one is current.
    fn complete_exchange(&mut self, stop: Option<Step>) -> Result<(), ReleasesError> {
        let Some(Exchange { from, to, .. }) = self.known.exchange else { return Ok(()) };
        let below = self.to.join(RELEASES);
        sync(&self.to)?;
        // The exchange changed both directories, and the name given next must not outlast it.
        sync(&below)?;
        if let Some(from) = from {
            let (swapped, named) = (below.join(to.to_string()), below.join(from.to_string()));
            match renameat_with(CWD, &swapped, CWD, &named, RenameFlags::NOREPLACE) {
                // Done before the crash.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed("rename", &swapped)(errno.into())),
            }
            sync(&below)?;
        }
        if stop == Some(Step::Named) {
            return Ok(());
        }
        self.known.current = Some(to);
        self.known.exchange = None;
        self.save()
    }

    /// Completes what a crash left, either way.
    pub(super) fn recover(&mut self) -> Result<(), ReleasesError> {
        remove_file(&self.to.join(NEXT))?;
        let current = self.current_path();
        match self.switch {
            Switch::Link => {
                if let Some(sequence) = self.linked()?
                    && !self.path_of(sequence).is_dir()
                {
                    // Somebody removed the release: it is fetched again.
                    remove_file(&current)?;
                }
            }
            Switch::Exchange => {
                if let Some(exchange) = self.known.exchange {
                    if inode(&current)? == Some(exchange.inode) {
                        self.complete_exchange(None)?;
                    } else {
                        self.known.exchange = None;
                        self.save()?;
                    }
                }
                let there = fs::symlink_metadata(&current).is_ok();
                if there != self.known.current.is_some() {
                    if there {
                        return Err(ReleasesError::InTheWay { path: current });
                    }
                    // Somebody removed it: it is fetched again.
                    self.known.current = None;
                    self.save()?;
                }
            }
        }
        self.forget_missing()?;
        if let Some(back) = self.unfinished_rollback()? {
            self.switch(back)?;
        }
        if let Some(due) = self.known.hook_due
            && self.current()? != Some(due.release)
        {
            self.known.hook_due = None;
            self.save()?;
        }
        self.sweep()
    }
}

fn inode(path: &Path) -> Result<Option<(u64, u64)>, ReleasesError> {
    match fs::symlink_metadata(path) {
        Ok(facts) => Ok(Some((facts.dev(), facts.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}
