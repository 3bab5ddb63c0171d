//! The journal of the package that is under way.
//!
//! A text file: one line for each record, `CHECK JSON`, where `CHECK` is the first 16 hexadecimal
//! digits of the BLAKE3 of the JSON. The first line says which package it is and which of its
//! steps apply here, so that labels that change meanwhile change nothing of it. A line counts
//! once it is synced; a last line that is torn was never acknowledged, and is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use deploy_plan::{Back, Ended, Record, StepNumber};
use package::{Receipt, StepReceipt, Verdict};
use serde::{Deserialize, Serialize};

use crate::durable;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused; what was acknowledged before is there. See to the disk, do it again.
    #[error("cannot use the journal {path}")]
    System {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It was changed, or the disk lost some of it. Nobody knows what was done: look at the
    /// machine, then remove the file.
    #[error("the journal {path} is damaged in line {line}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Which package is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) version: String,
    /// BLAKE3 of its instructions.
    pub(crate) instructions: String,
    /// Why a step does not apply here, of each step that does not.
    pub(crate) not_applicable: Vec<Option<String>>,
}

/// One line after the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Entry {
    Begun {
        step: usize,
        at_ms: u64,
    },
    /// The receipt of the step is kept as a receipt of that step alone, in hexadecimal digits.
    Ended {
        step: usize,
        how: How,
        receipt: String,
    },
    PutBack {
        step: usize,
        failed: Option<String>,
    },
    Finished,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum How {
    Succeeded,
    Failed,
    Interrupted,
}

impl Entry {
    pub(crate) fn ended(step: StepNumber, ended: Ended, receipt: StepReceipt) -> Option<Self> {
        let how = match ended {
            Ended::Succeeded => How::Succeeded,
            Ended::Failed => How::Failed,
            Ended::Interrupted => How::Interrupted,
        };
        let mut alone = Receipt {
            package: String::new(),
            version: String::new(),
            verdict: Verdict::Passed,
            steps: vec![receipt],
        };
        alone.shorten();
        let receipt = hex::encode(alone.encode().ok()?);
        Some(Self::Ended { step: step.0, how, receipt })
    }

    /// What it is to the plan.
    pub(crate) fn record(&self) -> Record {
        match self {
            Self::Begun { step, .. } => Record::Begun(StepNumber(*step)),
            Self::Ended { step, how, .. } => {
                let ended = match how {
                    How::Succeeded => Ended::Succeeded,
                    How::Failed => Ended::Failed,
                    How::Interrupted => Ended::Interrupted,
                };
                Record::Ended(StepNumber(*step), ended)
            }
            Self::PutBack { step, failed } => {
                let back = if failed.is_some() { Back::Failed } else { Back::Done };
                Record::PutBack(StepNumber(*step), back)
            }
            Self::Finished => Record::Finished,
        }
    }

    /// The receipt of the step that it ends.
    pub(crate) fn receipt(&self) -> Option<StepReceipt> {
        let Self::Ended { receipt, .. } = self else { return None };
        Receipt::decode(&hex::decode(receipt).ok()?).ok()?.steps.pop()
    }
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins one in place of any other.
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Self, JournalError> {
        let failed = failed(path);
        let line = line(header).map_err(&failed)?;
        durable::write(path, &line).map_err(&failed)?;
        let file = OpenOptions::new().append(true).open(path).map_err(&failed)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Opens what an earlier process left, if it left anything.
    pub(crate) fn open(path: &Path) -> Result<Option<(Self, Header, Vec<Entry>)>, JournalError> {
        let failed = failed(path);
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(&failed)?,
        };
        let damaged = |line| JournalError::Damaged { path: path.to_owned(), line };
        // What follows the last end of a line was never acknowledged.
        let mut whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut lines: Vec<_> = bytes[..whole].split_inclusive(|byte| *byte == b'\n').collect();
        // Neither was a last line whose bytes did not all reach the disk.
        if lines.len() > 1
            && let Some(last) = lines.pop_if(|last| check(last).is_none())
        {
            whole -= last.len();
        }
        let mut lines = lines.into_iter().enumerate();
        let header = lines.next().and_then(|(_, first)| parse(first)).ok_or_else(|| damaged(1))?;
        let entries = lines.map(|(at, line)| parse(line).ok_or_else(|| damaged(at + 1)));
        let entries = entries.collect::<Result<_, _>>()?;
        let file = OpenOptions::new().append(true).open(path).map_err(&failed)?;
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(&failed)?;
        }
        // Who wrote the last entry may have been killed before it was sure to last.
        file.sync_all().map_err(&failed)?;
        Ok(Some((Self { path: path.to_owned(), file }, header, entries)))
    }

    /// Writes an entry so that it outlasts a power cut. After a failure nothing more may be written:
    /// nobody knows what is on the disk.
    pub(crate) fn write(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let failed = failed(&self.path);
        let line = line(entry).map_err(&failed)?;
        self.file.write_all(&line).map_err(&failed)?;
        self.file.sync_data().map_err(&failed)
    }

    /// The package is over.
    pub(crate) fn remove(self) -> Result<(), JournalError> {
        durable::remove(&self.path).map_err(failed(&self.path))
    }
}

fn line(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(what)?;
    let mut line = digest(&json).into_bytes();
    line.push(b' ');
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn digest(json: &[u8]) -> String {
    hex::encode(&blake3::hash(json).as_bytes()[..8])
}

/// The JSON of a line, if the line is whole.
fn check(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (check, json) = line.split_at_checked(17)?;
    (check.strip_suffix(b" ")? == digest(json).as_bytes()).then_some(json)
}

fn parse<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(check(line)?).ok()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> JournalError {
    move |source| JournalError::System { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            name: "tools".into(),
            version: "1".into(),
            instructions: "00".into(),
            not_applicable: vec![None, Some("not here".into())],
        }
    }

    #[test]
    fn a_torn_end_is_cut_off_and_anything_else_is_damage() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let mut journal = Journal::create(&path, &header()).expect("made");
        journal.write(&Entry::Begun { step: 0, at_ms: 7 }).expect("written");
        let one = fs::read(&path).expect("there");
        journal.write(&Entry::PutBack { step: 0, failed: None }).expect("written");
        journal.write(&Entry::Finished).expect("written");
        let whole = fs::read(&path).expect("there");
        let first = one.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            let opened = Journal::open(&path);
            if length < first {
                assert!(matches!(opened, Err(JournalError::Damaged { line: 1, .. })), "{length}");
                continue;
            }
            let (mut again, known, entries) = opened.expect("readable").expect("there");
            let ends = whole[first..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!((known, entries.len()), (header(), ends), "{length}");
            again.write(&Entry::Finished).expect("written");
            let (_, _, entries) = Journal::open(&path).expect("readable").expect("there");
            assert_eq!(entries.len(), ends + 1, "{length}");
        }
        // A byte of a line that others follow was acknowledged.
        let mut changed = whole.clone();
        changed[one.len() - 5] ^= 1;
        fs::write(&path, &changed).expect("written");
        let opened = Journal::open(&path);
        assert!(matches!(opened, Err(JournalError::Damaged { line: 2, .. })), "{opened:?}");
    }
}
