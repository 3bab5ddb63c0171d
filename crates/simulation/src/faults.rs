//! What goes wrong in a run, and when it stops.

use std::time::Duration;

use random::Random;

use crate::clock::Moment;
use crate::hub::{Lie, Manner};
use crate::network::Party;

/// Something that happens to a machine or a link.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening {
    Cut(Party, Party),
    Heal(Party, Party),
    Crash(Party),
    Start(Party),
    /// The date of a machine is wrong by so many seconds from now on.
    Jump(Party, i64),
    Lie(Option<Lie>),
    Manner(Option<Manner>),
    /// So many writes of the hub's store fail.
    FullDisk(u64),
    /// Somebody wants a watcher to stay at a release, or to follow again.
    Hold(Party, bool),
    /// Some chunks of the hub reach its mirror, and the hostile source.
    Mirror,
    /// Nothing goes wrong from now on.
    End,
}

/// Who there is in a run.
pub(crate) struct Cast {
    pub(crate) publishers: Vec<Party>,
    pub(crate) watchers: Vec<Party>,
    pub(crate) nodes: Vec<Party>,
}

const LIES: [Lie; 4] = [Lie::Old, Lie::Mixed, Lie::Forged, Lie::OldList];
const MANNERS: [Manner; 5] =
    [Manner::WrongBytes, Manner::Silent, Manner::LacksAll, Manner::Unasked, Manner::NeverEnds];
/// A minute, an hour, two days and more than a year, back and forth.
const JUMPS: [i64; 8] = [60, -60, 3600, -3600, 172_800, -172_800, 40_000_000, -40_000_000];

/// A run's faults, each with its time.
pub(crate) fn agenda(random: &mut Random, cast: &Cast, end: Moment) -> Vec<(Moment, Happening)> {
    let hub = Party::Hub(0);
    let mut agenda = vec![(Moment::ZERO, Happening::Manner(Some(random.pick(&MANNERS))))];
    let everybody: Vec<Party> =
        cast.publishers.iter().chain(&cast.nodes).copied().chain([hub]).collect();
    for _ in 0..10 + random.below(30) {
        let at = random.millis(0, end.as_secs() * 1000);
        // Never over when everything is to be well.
        let until = (at + random.millis(500, 90_000)).min(end);
        let one = random.pick(&everybody);
        match random.below(16) {
            0..4 => {
                let source = Party::Hub(u8::try_from(random.below(3)).unwrap_or(0));
                let other = random.pick(&everybody);
                let source = if other == source { Party::Hub(1) } else { source };
                agenda.push((at, Happening::Cut(other, source)));
                agenda.push((until, Happening::Heal(other, source)));
            }
            4..6 => {
                agenda.push((at, Happening::Crash(hub)));
                agenda.push((until.min(at + Duration::from_secs(20)), Happening::Start(hub)));
            }
            6..9 => {
                agenda.push((at, Happening::Crash(one)));
                agenda.push((until, Happening::Start(one)));
            }
            9..11 => {
                agenda.push((at, Happening::Jump(one, random.pick(&JUMPS))));
                agenda.push((until, Happening::Jump(one, 0)));
            }
            11..13 => {
                agenda.push((at, Happening::Lie(Some(random.pick(&LIES)))));
                agenda.push((until, Happening::Lie(None)));
            }
            13 => agenda.push((at, Happening::FullDisk(1 + random.below(6)))),
            14 => {
                let watcher = random.pick(&cast.watchers);
                agenda.push((at, Happening::Hold(watcher, true)));
                agenda.push((until, Happening::Hold(watcher, false)));
            }
            _ => agenda.push((at, Happening::Manner(Some(random.pick(&MANNERS))))),
        }
    }
    for _ in 0..8 {
        agenda.push((random.millis(0, end.as_secs() * 1000), Happening::Mirror));
    }
    agenda.push((end, Happening::End));
    agenda
}
