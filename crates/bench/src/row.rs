//! One row of the table: contenders that did the same work, and what was to be reached.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::measure::Sample;

/// A row as measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) title: String,
    /// When it was measured, in UTC.
    pub(super) measured: String,
    pub(super) contenders: Vec<Contender>,
    /// What the samples' own figure counts, as in "requests/s", where they have one.
    #[serde(default)]
    pub(super) figure: Option<String>,
    pub(super) goals: Vec<Goal>,
    pub(super) notes: Vec<String>,
}

/// One program, or one way to use it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Contender {
    pub(super) name: String,
    /// Whether it is consign and not a peer.
    #[serde(default)]
    pub(super) is_ours: bool,
    pub(super) samples: Vec<Sample>,
    /// Why there are no more samples.
    pub(super) absent: Option<String>,
}

/// What was to be reached, and what was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Goal {
    /// As in "wall / curl".
    pub(super) what: String,
    /// Nothing when a contender is absent.
    pub(super) reached: Option<f64>,
    pub(super) limit: f64,
    #[serde(default)]
    pub(super) bound: Bound,
    /// As in "×" or "MiB".
    pub(super) unit: String,
    /// Wanted, but not yet asked for.
    pub(super) is_beyond: bool,
}

/// On which side of its limit a goal is met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Bound {
    #[default]
    AtMost,
    AtLeast,
}

impl Goal {
    pub(super) fn is_met(&self) -> Option<bool> {
        self.reached.map(|reached| match self.bound {
            Bound::AtMost => reached <= self.limit,
            Bound::AtLeast => reached >= self.limit,
        })
    }
}

/// What a goal looks at; runs are compared by their medians.
pub(super) type Measure = fn(&Sample) -> Option<f64>;

pub(super) const WALL: Measure = |sample| Some(sample.wall_s);
pub(super) const CPU: Measure = |sample| Some(sample.cpu_s());
pub(super) const WIRE: Measure = |sample| sample.wire_bytes.map(|bytes| bytes as f64);
pub(super) const CLIENT_MIB: Measure =
    |sample| Some(sample.client_rss_bytes as f64 / f64::from(1 << 20));
pub(super) const SERVER_MIB: Measure =
    |sample| Some(sample.server_rss_bytes as f64 / f64::from(1 << 20));
pub(super) const FIGURE: Measure = |sample| sample.figure;

impl Row {
    pub(super) fn new(id: &str, title: &str, contenders: Vec<Contender>) -> Self {
        let measured = super::report::now();
        let (id, title) = (id.to_owned(), title.to_owned());
        let (goals, notes) = (Vec::new(), Vec::new());
        Self { id, title, measured, contenders, figure: None, goals, notes }
    }

    /// Says what the samples' own figure counts.
    pub(super) fn figure(mut self, unit: &str) -> Self {
        self.figure = Some(unit.to_owned());
        self
    }

    fn median(&self, name: &str, measure: Measure) -> Option<f64> {
        self.contenders.iter().find(|one| one.name == name)?.median(measure)
    }

    /// Ours over theirs is to be at most `limit`.
    pub(super) fn ratio(
        self,
        what: &str,
        ours: &str,
        theirs: &str,
        measure: Measure,
        limit: f64,
    ) -> Self {
        let reached = self.quotient(ours, theirs, measure);
        self.goal(format!("{ours}: {what} / {theirs}"), reached, Bound::AtMost, limit, "×")
    }

    /// Ours over theirs is to be at least `limit`.
    pub(super) fn ratio_at_least(
        self,
        what: &str,
        ours: &str,
        theirs: &str,
        measure: Measure,
        limit: f64,
    ) -> Self {
        let reached = self.quotient(ours, theirs, measure);
        self.goal(format!("{ours}: {what} / {theirs}"), reached, Bound::AtLeast, limit, "×")
    }

    /// Ours is to be at most `limit`, whatever others do.
    pub(super) fn at_most(
        self,
        what: &str,
        ours: &str,
        measure: Measure,
        limit: f64,
        unit: &str,
    ) -> Self {
        let reached = self.median(ours, measure);
        self.goal(format!("{ours}: {what}"), reached, Bound::AtMost, limit, unit)
    }

    /// Ours is to be at least `limit`, whatever others do.
    pub(super) fn at_least(
        self,
        what: &str,
        ours: &str,
        measure: Measure,
        limit: f64,
        unit: &str,
    ) -> Self {
        let reached = self.median(ours, measure);
        self.goal(format!("{ours}: {what}"), reached, Bound::AtLeast, limit, unit)
    }

    fn quotient(&self, ours: &str, theirs: &str, measure: Measure) -> Option<f64> {
        let both = self.median(ours, measure).zip(self.median(theirs, measure));
        both.map(|(ours, theirs)| ours / theirs)
    }

    fn goal(
        mut self,
        what: String,
        reached: Option<f64>,
        bound: Bound,
        limit: f64,
        unit: &str,
    ) -> Self {
        let unit = unit.to_owned();
        self.goals.push(Goal { what, reached, limit, bound, unit, is_beyond: false });
        self
    }

    /// The goal before is one to go for later.
    pub(super) fn beyond(mut self) -> Self {
        if let Some(goal) = self.goals.last_mut() {
            goal.is_beyond = true;
        }
        self
    }

    pub(super) fn note(mut self, note: &str) -> Self {
        self.notes.push(note.to_owned());
        self
    }
}

impl Contender {
    pub(super) fn median(&self, measure: Measure) -> Option<f64> {
        let mut values: Vec<f64> = self.samples.iter().filter_map(measure).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }
}

/// A number as people write it, with a comma every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// One run of a contender.
pub(super) type Runner<'a> = Box<dyn FnMut() -> Result<Sample> + 'a>;

/// Lets the contenders run in turn, so that whatever else the machine does meets all of them.
/// One that fails says why and is not asked again.
pub(super) fn alternate(runs: usize, contenders: Vec<(&str, Runner<'_>)>) -> Vec<Contender> {
    let mut done: Vec<Contender> = contenders
        .iter()
        .map(|(name, _)| Contender { name: (*name).to_owned(), ..Contender::default() })
        .collect();
    let mut runners: Vec<Runner<'_>> = contenders.into_iter().map(|(_, runner)| runner).collect();
    for round in 1..=runs {
        for (contender, runner) in done.iter_mut().zip(&mut runners) {
            if contender.absent.is_some() {
                continue;
            }
            match runner() {
                Ok(sample) => {
                    let (wall, cpu) = (sample.wall_s, sample.cpu_s());
                    eprintln!(
                        "xtask: run {round}: {}: {wall:.2} s, {cpu:.2} CPU s",
                        contender.name
                    );
                    contender.samples.push(sample);
                }
                Err(error) => {
                    eprintln!("xtask: run {round}: {}: {error:#}", contender.name);
                    contender.absent = Some(format!("{error:#}"));
                }
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([1, 999, 1_000, 1_234_567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
    }

    fn walls(name: &str, walls: &[f64]) -> Contender {
        let samples =
            walls.iter().map(|wall_s| Sample { wall_s: *wall_s, ..Sample::default() }).collect();
        Contender { name: name.to_owned(), samples, ..Contender::default() }
    }

    #[test]
    fn medians_are_compared_and_an_absent_peer_leaves_the_goal_open() {
        let contenders =
            vec![walls("ours", &[9.0, 1.0, 2.0]), walls("peer", &[4.0, 6.0]), walls("gone", &[])];
        let row = Row::new("T0", "", contenders)
            .ratio("wall", "ours", "peer", WALL, 0.5)
            .ratio("wall", "ours", "gone", WALL, 0.5)
            .at_most("wall", "ours", WALL, 1.0, "s")
            .beyond()
            .at_least("wall", "ours", WALL, 3.0, "s")
            .ratio_at_least("wall", "ours", "peer", WALL, 0.4);
        let reached: Vec<_> = row.goals.iter().map(|goal| (goal.reached, goal.is_met())).collect();
        let expected = [
            (Some(0.4), Some(true)),
            (None, None),
            (Some(2.0), Some(false)),
            (Some(2.0), Some(false)),
            (Some(0.4), Some(true)),
        ];
        assert_eq!(reached, expected);
        assert!(row.goals[2].is_beyond && !row.goals[1].is_beyond);
    }

    #[test]
    fn contenders_take_turns_and_a_failing_one_is_left_out() {
        let order = std::cell::RefCell::new(Vec::new());
        let runner = |name: &'static str, fails: bool| -> Runner<'_> {
            let order = &order;
            Box::new(move || {
                order.borrow_mut().push(name);
                if fails { anyhow::bail!("broken") } else { Ok(Sample::default()) }
            })
        };
        let done = alternate(
            2,
            vec![("a", runner("a", false)), ("b", runner("b", true)), ("c", runner("c", false))],
        );
        assert_eq!(*order.borrow(), ["a", "b", "c", "a", "c"]);
        assert_eq!(done[1].absent.as_deref(), Some("broken"));
        assert_eq!(done[2].samples.len(), 2);
    }
}
