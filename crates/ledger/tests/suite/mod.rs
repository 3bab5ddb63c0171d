//! What every implementation of [`Ledger`] must do.

mod drafts;
mod reading;
mod receipts;
mod reports;
mod rollouts;

use community::{CommunityId, PeerName};
use content::ChunkId;
use documents::{DocumentHash, PublicKey, ReleaseName};
pub(crate) use drafts::*;
use ledger::{Addressee, Answer, Ledger, NewPackage, PackageId, Report};
use package::receipt::{End, Limit, Output, Placed, Ran};
use package::{Outcome, Receipt, StepReceipt};
pub(crate) use reading::*;
pub(crate) use receipts::*;
pub(crate) use reports::*;
pub(crate) use rollouts::*;

/// Gives every check to a macro.
#[macro_export]
macro_rules! for_each_check {
    ($callback:ident) => {
        $callback! {
            a_release_is_a_draft_until_it_is_confirmed,
            a_feed_takes_one_draft_at_a_time_and_numbers_that_grow,
            the_same_release_again_adds_the_targets_that_are_missing,
            a_discarded_draft_leaves_nothing_behind,
            what_somebody_answered_is_not_discarded,
            of_two_racing_drafts_one_is_taken,
            the_last_release_sent_to_each_target_is_known,
            a_receipt_is_recorded_once,
            a_receipt_for_nobody_is_not_recorded,
            what_cannot_be_read_gives_way_to_what_can,
            every_outcome_comes_back_as_it_was,
            what_a_hostile_target_says_harms_nothing,
            who_began_runs_until_it_has_answered,
            whoever_has_not_answered_one_begins_with_no_later_one,
            what_a_hub_forgot_is_lost_until_it_is_answered_all_the_same,
            packages_are_listed_newest_first_with_their_counts,
            targets_are_listed_by_pages,
            every_target_has_a_newest_package,
            reports_come_row_by_row,
            reports_hold_what_was_said,
            a_roll_out_begins_with_its_draft_and_nobody_addressed,
            waves_are_drafted_one_after_the_other,
            nobody_is_addressed_by_a_roll_out_that_does_not_run,
            the_secret_of_a_roll_out_that_is_over_is_forgotten,
            who_was_addressed_is_not_skipped,
            a_discarded_roll_out_leaves_nothing_behind,
        }
    };
}

pub(crate) const NOW: u64 = 1_795_000_000;

pub(crate) fn community(number: u8) -> CommunityId {
    CommunityId::from_bytes([number; 16])
}

pub(crate) fn feed(number: u8, publisher: &str) -> ReleaseName {
    let key = ChunkId::of(publisher.as_bytes());
    community(number).feed(&PublicKey::from_bytes(*key.as_bytes()))
}

pub(crate) fn key(number: u8) -> PublicKey {
    PublicKey::from_bytes([number; 32])
}

pub(crate) fn peer(number: u8) -> PeerName {
    format!("web-{number:03}").parse().expect("a peer")
}

pub(crate) fn addressee(number: u8) -> Addressee {
    let site = if number.is_multiple_of(2) { "berlin" } else { "oslo" };
    let labels = [("site".to_owned(), site.to_owned())].into();
    Addressee { key: key(number), peer: peer(number), labels }
}

pub(crate) fn addressees(numbers: &[u8]) -> Vec<Addressee> {
    numbers.iter().map(|number| addressee(*number)).collect()
}

pub(crate) fn manifest(feed: &ReleaseName, sequence: u64) -> DocumentHash {
    let text = format!("{}:{sequence}", feed.as_str());
    DocumentHash::from_bytes(*ChunkId::of(text.as_bytes()).as_bytes())
}

/// A release of the first community.
pub(crate) fn package(sequence: u64) -> NewPackage {
    package_of(1, sequence, "tools")
}

pub(crate) fn package_of(number: u8, sequence: u64, name: &str) -> NewPackage {
    let feed = feed(number, "office");
    NewPackage {
        community: community(number),
        manifest: manifest(&feed, sequence),
        feed,
        sequence,
        name: name.to_owned(),
        version: format!("1.{sequence}"),
        description: "What we need".to_owned(),
        tree: ChunkId::of(b"tree"),
        bytes: 1000 + sequence,
        selector: "site=berlin | ring=0".to_owned(),
        built: NOW - 5,
        expires: NOW + 1_000_000,
        resume: vec![9, 8, 7],
    }
}

/// Drafts and confirms.
pub(crate) async fn sent(ledger: &dyn Ledger, new: &NewPackage, targets: &[u8]) -> PackageId {
    let id = ledger.draft(new, &addressees(targets)).await.expect("drafts");
    ledger.confirm(id, NOW).await.expect("confirms");
    id
}

pub(crate) fn receipt(verdict: package::Verdict) -> Receipt {
    let placed = Placed { added: 3, changed: 2, kept: 1000, removed: 1, bytes: 123_456 };
    let ran = |end, is_expected| {
        Outcome::Ran(Ran {
            end,
            is_expected,
            output: Output { bytes: b"=hello\n".to_vec(), bytes_total: 7 },
            error: Output { bytes: b"\xff\x00".to_vec(), bytes_total: 70_000 },
            processor: std::time::Duration::from_micros(1_234_567),
            memory_bytes_max: 12 << 20,
            limit: (end == End::Signal(9)).then_some(Limit::Memory),
            memory_together_bytes_max: (end == End::Signal(9)).then_some(64 << 20),
        })
    };
    let outcomes = [
        Outcome::NotApplicable("this is x86_64".into()),
        Outcome::Placed(placed),
        Outcome::PutBack(Placed::default()),
        Outcome::NotPlaced("no space".into()),
        ran(End::Code(0), true),
        ran(End::Signal(9), false),
        ran(End::TimedOut, false),
        Outcome::NotStarted("there is no bash".into()),
        Outcome::Interrupted,
        Outcome::LeftOut,
    ];
    let step = |(number, outcome): (usize, Outcome)| StepReceipt {
        name: format!("step {number}"),
        begun_ms: if outcome == Outcome::LeftOut { 0 } else { 1_700_000_000_023 },
        took: std::time::Duration::from_micros(number as u64 * 1000),
        outcome,
    };
    let steps = outcomes.into_iter().enumerate().map(step).collect();
    Receipt { package: "tools".into(), version: "1.4.2".into(), verdict, steps }
}

/// What a target answers to a release of the first community.
pub(crate) fn answer(target: u8, sequence: u64, verdict: package::Verdict) -> Answer {
    let manifest = manifest(&feed(1, "office"), sequence);
    let report = Report::Readable { manifest, receipt: receipt(verdict) };
    Answer { target: key(target), answered: NOW + 60, report, receipt: Some(vec![1, 2, 3, 4]) }
}
