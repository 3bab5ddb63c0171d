//! Numbers, keys and words as rows hold them, the same in both databases.

use std::time::Duration;

use community::{CommunityId, PeerName};
use content::ChunkId;
use documents::{DocumentHash, PublicKey};
use package::label::Labels;
use package::receipt::{End, Limit, Output, Placed, Ran};
use package::{Outcome, StepReceipt};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::{
    Addressee, Answer, Counts, Latest, LedgerError, PackageId, PackageRecord, PlannedRecord,
    PlannedState, Report, RolloutProgress, RolloutState, TargetId, TargetRecord, Verdict,
};

/// Columns of a row by their place, whichever database it is from.
pub(crate) trait Columns {
    fn maybe_number(&self, index: usize) -> Result<Option<i64>, LedgerError>;
    fn maybe_text(&self, index: usize) -> Result<Option<String>, LedgerError>;
    fn maybe_bytes(&self, index: usize) -> Result<Option<Vec<u8>>, LedgerError>;
    fn maybe_flag(&self, index: usize) -> Result<Option<bool>, LedgerError>;

    fn text(&self, index: usize) -> Result<String, LedgerError> {
        self.maybe_text(index)?.ok_or(LedgerError::Damaged("a text is missing"))
    }

    fn id(&self, index: usize) -> Result<i64, LedgerError> {
        self.maybe_number(index)?.ok_or(LedgerError::Damaged("a number is missing"))
    }

    fn maybe_unsigned(&self, index: usize) -> Result<Option<u64>, LedgerError> {
        let unsigned = |it: i64| u64::try_from(it);
        let number = self.maybe_number(index)?.map(unsigned).transpose();
        number.map_err(|_| LedgerError::Damaged("a negative number"))
    }

    fn unsigned(&self, index: usize) -> Result<u64, LedgerError> {
        self.maybe_unsigned(index)?.ok_or(LedgerError::Damaged("a number is missing"))
    }

    fn array<const N: usize>(&self, index: usize) -> Result<[u8; N], LedgerError> {
        let bytes = self.maybe_bytes(index)?.unwrap_or_default();
        bytes.try_into().map_err(|_| LedgerError::Damaged("a hash, key or id of another length"))
    }
}

macro_rules! columns {
    ($row:ty) => {
        impl Columns for $row {
            fn maybe_number(&self, index: usize) -> Result<Option<i64>, LedgerError> {
                Ok(sqlx::Row::try_get(self, index)?)
            }
            fn maybe_text(&self, index: usize) -> Result<Option<String>, LedgerError> {
                Ok(sqlx::Row::try_get(self, index)?)
            }
            fn maybe_bytes(&self, index: usize) -> Result<Option<Vec<u8>>, LedgerError> {
                Ok(sqlx::Row::try_get(self, index)?)
            }
            fn maybe_flag(&self, index: usize) -> Result<Option<bool>, LedgerError> {
                Ok(sqlx::Row::try_get(self, index)?)
            }
        }
    };
}

columns!(SqliteRow);
columns!(PgRow);

/// An unsigned number as a database has it; what is beyond its range is as good as endless.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Text of a target, which may hold the zero character: PostgreSQL takes none, and what is said in one
/// database is to be the same in the other.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) fn labels_json(labels: &Labels) -> String {
    serde_json::to_string(labels).expect("texts by texts are JSON")
}

fn labels(text: &str) -> Result<Labels, LedgerError> {
    serde_json::from_str(text).map_err(|_| LedgerError::Damaged("labels that are none"))
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, LedgerError> {
    text.parse().map_err(|_| LedgerError::Damaged("a name that is none"))
}

pub(crate) fn key(row: &impl Columns, index: usize) -> Result<PublicKey, LedgerError> {
    row.array(index).map(PublicKey::from_bytes)
}

/// id, community, feed, sequence, manifest, name, version, description, tree, bytes, selector, built,
/// expires, sent, pending, lost, passed, failed, not applicable, unreadable, running
pub(crate) fn package(row: &impl Columns) -> Result<PackageRecord, LedgerError> {
    Ok(PackageRecord {
        id: PackageId(row.id(0)?),
        community: CommunityId::from_bytes(row.array(1)?),
        feed: parsed(&row.text(2)?)?,
        sequence: row.unsigned(3)?,
        manifest: DocumentHash::from_bytes(row.array(4)?),
        name: row.text(5)?,
        version: row.text(6)?,
        description: row.text(7)?,
        tree: ChunkId::from_bytes(row.array(8)?),
        bytes: row.unsigned(9)?,
        selector: row.text(10)?,
        built: row.unsigned(11)?,
        expires: row.unsigned(12)?,
        sent: row.maybe_unsigned(13)?,
        counts: Counts {
            pending: row.unsigned(14)?,
            lost: row.unsigned(15)?,
            passed: row.unsigned(16)?,
            failed: row.unsigned(17)?,
            not_applicable: row.unsigned(18)?,
            unreadable: row.unsigned(19)?,
            running: row.unsigned(20)?,
        },
    })
}

pub(crate) fn peer(row: &impl Columns, index: usize) -> Result<PeerName, LedgerError> {
    parsed(&row.text(index)?)
}

/// key, peer, labels
pub(crate) fn addressee(row: &impl Columns) -> Result<Addressee, LedgerError> {
    let (key, peer) = (key(row, 0)?, parsed(&row.text(1)?)?);
    Ok(Addressee { key, peer, labels: labels(&row.text(2)?)? })
}

/// id, key, peer, labels, sent, answered, verdict, reason, bytes of the receipt, lost, why, begun
pub(crate) fn target(row: &impl Columns) -> Result<TargetRecord, LedgerError> {
    let verdict = verdict_of(row, 6)?;
    Ok(TargetRecord {
        id: TargetId(row.id(0)?),
        key: key(row, 1)?,
        peer: parsed(&row.text(2)?)?,
        labels: labels(&row.text(3)?)?,
        sent: row.maybe_unsigned(4)?,
        lost: if verdict.is_none() { lost(row, 9)? } else { None },
        answered: row.maybe_unsigned(5)?.zip(verdict),
        receipt_bytes: row.unsigned(8)?,
        begun: row.maybe_unsigned(11)?,
    })
}

/// Since when something is lost, and why.
fn lost(row: &impl Columns, index: usize) -> Result<Option<(u64, String)>, LedgerError> {
    let reason = row.maybe_text(index + 1)?.unwrap_or_default();
    Ok(row.maybe_unsigned(index)?.map(|since| (since, reason)))
}

/// A verdict, and the reason after it.
fn verdict_of(row: &impl Columns, index: usize) -> Result<Option<Verdict>, LedgerError> {
    let reason = row.maybe_text(index + 1)?.unwrap_or_default();
    Ok(match row.maybe_text(index)?.as_deref() {
        None => None,
        Some("passed") => Some(Verdict::Passed),
        Some("failed") => Some(Verdict::Failed(reason)),
        Some("not_applicable") => Some(Verdict::NotApplicable(reason)),
        Some("unreadable") => Some(Verdict::Unreadable(reason)),
        Some(_) => return Err(LedgerError::Damaged("an unknown verdict")),
    })
}

/// At an index: state, since, reason, forgiven failures, answers and time
pub(crate) fn progress(row: &impl Columns, index: usize) -> Result<RolloutProgress, LedgerError> {
    let state = match row.text(index)?.as_str() {
        "running" => RolloutState::Running,
        "paused" => RolloutState::Paused,
        "stopped" => RolloutState::Stopped,
        "aborted" => RolloutState::Aborted,
        "expired" => RolloutState::Expired,
        "finished" => RolloutState::Finished,
        _ => return Err(LedgerError::Damaged("an unknown state of a roll-out")),
    };
    Ok(RolloutProgress {
        state,
        since: row.unsigned(index + 1)?,
        reason: row.maybe_text(index + 2)?,
        forgiven_failed: row.unsigned(index + 3)?,
        forgiven_answered: row.unsigned(index + 4)?,
        forgiven_until: row.unsigned(index + 5)?,
    })
}

/// key, peer, labels, wave, skipped, reason, target, sent, answered, verdict, reason, lost, why, begun
pub(crate) fn planned(row: &impl Columns) -> Result<PlannedRecord, LedgerError> {
    let wave = u32::try_from(row.unsigned(3)?);
    let skipped = row.maybe_unsigned(4)?;
    let answered = row.maybe_unsigned(8)?.zip(verdict_of(row, 9)?);
    let skipped = match (lost(row, 11)?, skipped) {
        (Some(lost), _) => Some(lost),
        (None, Some(since)) => Some((since, row.maybe_text(5)?.unwrap_or_default())),
        (None, None) => None,
    };
    let state = match (row.maybe_number(6)?, row.maybe_unsigned(7)?, answered, skipped) {
        (Some(_), Some(sent), Some((answered, verdict)), _) => {
            PlannedState::Answered { sent, answered, verdict }
        }
        (_, _, None, Some((since, reason))) => PlannedState::Skipped(since, reason),
        (Some(_), Some(sent), None, None) => match row.maybe_unsigned(13)? {
            Some(begun) => PlannedState::Running { sent, begun },
            None => PlannedState::Sent(sent),
        },
        (Some(_), None, _, _) => PlannedState::Drafted,
        (None, _, _, _) => PlannedState::Waiting,
    };
    Ok(PlannedRecord {
        key: key(row, 0)?,
        peer: parsed(&row.text(1)?)?,
        labels: labels(&row.text(2)?)?,
        wave: wave.map_err(|_| LedgerError::Damaged("a wave out of range"))?,
        state,
    })
}

/// As [`target`], then package, name, version, sequence
pub(crate) fn latest(row: &impl Columns) -> Result<Latest, LedgerError> {
    Ok(Latest {
        target: target(row)?,
        package: PackageId(row.id(12)?),
        name: row.text(13)?,
        version: row.text(14)?,
        sequence: row.unsigned(15)?,
    })
}

/// What an answer comes to, and its steps.
pub(crate) fn verdict(answer: &Answer) -> (Verdict, &[StepReceipt]) {
    match &answer.report {
        Report::Unreadable(why) => (Verdict::Unreadable(text(why)), &[]),
        Report::Readable { receipt, .. } => {
            let verdict = match &receipt.verdict {
                package::Verdict::Passed => Verdict::Passed,
                package::Verdict::Failed(why) => Verdict::Failed(text(why)),
                package::Verdict::NotApplicable(why) => Verdict::NotApplicable(text(why)),
            };
            (verdict, &receipt.steps)
        }
    }
}

/// The word for an outcome, as in `docs/json.md`; its reason, its script and its files.
pub(crate) fn outcome(
    outcome: &Outcome,
) -> (&'static str, Option<String>, Option<&Ran>, Option<&Placed>) {
    match outcome {
        Outcome::NotApplicable(why) => ("not_applicable", Some(text(why)), None, None),
        Outcome::LeftOut => ("left_out", None, None, None),
        Outcome::Placed(placed) => ("placed", None, None, Some(placed)),
        Outcome::PutBack(placed) => ("put_back", None, None, Some(placed)),
        Outcome::NotPlaced(why) => ("not_placed", Some(text(why)), None, None),
        Outcome::Ran(ran) => ("ran", None, Some(ran), None),
        Outcome::NotStarted(why) => ("not_started", Some(text(why)), None, None),
        Outcome::Interrupted => ("interrupted", None, None, None),
    }
}

/// Exit code, signal, and whether it took too long.
pub(crate) fn end(end: End) -> (Option<i64>, Option<i64>, bool) {
    match end {
        End::Code(code) => (Some(code.into()), None, false),
        End::Signal(signal) => (None, Some(signal.into()), false),
        End::TimedOut => (None, None, true),
    }
}

pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// name, outcome, reason, begun, took, exit code, signal, timed out, expected, stdout and its total,
/// stderr and its total, cpu, memory, added, changed, kept, removed, bytes, limit, memory together
pub(crate) fn step(row: &impl Columns) -> Result<StepReceipt, LedgerError> {
    let reason = || Ok::<_, LedgerError>(row.maybe_text(2)?.unwrap_or_default());
    let outcome = match row.text(1)?.as_str() {
        "not_applicable" => Outcome::NotApplicable(reason()?),
        "left_out" => Outcome::LeftOut,
        "placed" => Outcome::Placed(placed(row)?),
        "put_back" => Outcome::PutBack(placed(row)?),
        "not_placed" => Outcome::NotPlaced(reason()?),
        "ran" => Outcome::Ran(ran(row)?),
        "not_started" => Outcome::NotStarted(reason()?),
        "interrupted" => Outcome::Interrupted,
        _ => return Err(LedgerError::Damaged("an unknown outcome")),
    };
    Ok(StepReceipt {
        name: row.text(0)?,
        outcome,
        begun_ms: row.maybe_unsigned(3)?.unwrap_or(0),
        took: Duration::from_micros(row.unsigned(4)?),
    })
}

fn placed(row: &impl Columns) -> Result<Placed, LedgerError> {
    Ok(Placed {
        added: row.unsigned(15)?,
        changed: row.unsigned(16)?,
        kept: row.unsigned(17)?,
        removed: row.unsigned(18)?,
        bytes: row.unsigned(19)?,
    })
}

fn ran(row: &impl Columns) -> Result<Ran, LedgerError> {
    let small = |index| {
        let number = row.maybe_unsigned(index)?.map(u8::try_from).transpose();
        number.map_err(|_| LedgerError::Damaged("an exit code or signal out of range"))
    };
    let end = match (small(5)?, small(6)?, row.maybe_flag(7)?) {
        (Some(code), None, Some(false)) => End::Code(code),
        (None, Some(signal), Some(false)) => End::Signal(signal),
        (None, None, Some(true)) => End::TimedOut,
        (_, _, _) => return Err(LedgerError::Damaged("a script with no single end")),
    };
    let limit = row.maybe_text(20)?.map(|key| Limit::from_key(&key));
    let limit = limit.map(|it| it.ok_or(LedgerError::Damaged("an unknown limit"))).transpose()?;
    let said = |index| {
        let bytes = row.maybe_bytes(index)?.unwrap_or_default();
        Ok::<_, LedgerError>(Output { bytes, bytes_total: row.unsigned(index + 1)? })
    };
    Ok(Ran {
        end,
        is_expected: row.maybe_flag(8)?.unwrap_or(false),
        output: said(9)?,
        error: said(11)?,
        processor: Duration::from_micros(row.unsigned(13)?),
        memory_bytes_max: row.unsigned(14)?,
        limit,
        memory_together_bytes_max: row.maybe_unsigned(21)?,
    })
}
