//! How a release is rolled out, and the text in which that is kept.

use std::fmt;
use std::str::FromStr;

use crate::Window;

/// Some of all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// This many, at least 1.
    Count(u32),
    /// So many of a hundred, from 1 to 100.
    Percent(u8),
}

/// What follows when targets of a wave do not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// They are waited for, however long that takes.
    Wait,
    /// After so many seconds the others count.
    GoOn(u64),
    /// After so many seconds the roll-out stops.
    Stop(u64),
}

/// How a release is rolled out.
///
/// Shows itself as text that reads back to the same rules, one after the other with semicolons:
///
/// ```text
/// stop-at 10%; canary 2; wave 25%; wave 50%; pause 1800 s; window Mon-Fri 20:00-06:00 UTC;
/// unanswered 86400 s go-on
/// ```
///
/// `wave` and `window` may come several times, `unanswered … stop` is the other kind, and all but
/// `stop-at` may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How many of all targets are the first wave.
    pub canary: Option<Share>,
    /// How many of all targets the waves after it have; the last of these is used again until nobody is
    /// left. Without any the rest is one wave.
    pub waves: Vec<Share>,
    /// Seconds from the end of a wave to the next.
    pub pause: u64,
    /// How many failures stop it. A percentage is one of the targets that answered and for which the
    /// release is.
    pub stop_at: Share,
    /// When targets may be addressed; at any time when there are none.
    pub windows: Vec<Window>,
    /// What follows when targets do not answer.
    pub unanswered: Unanswered,
}

/// The text is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a share is written as `3`, from 1 on, or `25%`, from 1% to 100%")]
pub struct ParseShareError;

/// The text is no rules: this part is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rule of a roll-out")]
pub struct ParseRulesError(String);

impl Share {
    /// How many of so many, at least one: parts of one count as one.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX).max(1),
            Self::Percent(percent) => all.saturating_mul(usize::from(percent)).div_ceil(100).max(1),
        }
    }
}

impl Rules {
    /// How many targets each wave has, so that every one of `targets` is in one. When the first wave is to
    /// be taken from some of them only, `canaries` says how many those are: it has no others, and
    /// without a rule all of these.
    #[must_use]
    pub fn waves_of(&self, targets: usize, canaries: Option<usize>) -> Vec<usize> {
        let first = match (self.canary, canaries) {
            (Some(canary), canaries) => Some(canary.of(targets).min(canaries.unwrap_or(targets))),
            (None, canaries) => canaries,
        };
        let mut left = targets;
        let mut sizes = Vec::new();
        let mut next = self.waves.iter().chain(self.waves.last().into_iter().cycle());
        let mut size = first.filter(|size| *size > 0);
        while left > 0 {
            let wave = size.take().unwrap_or_else(|| next.next().map_or(left, |it| it.of(targets)));
            sizes.push(wave.min(left));
            left -= wave.min(left);
        }
        sizes
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten().ok_or(ParseShareError)
        };
        match text.strip_suffix('%') {
            Some(percent) => match u8::try_from(number(percent)?) {
                Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
                Ok(_) | Err(_) => Err(ParseShareError),
            },
            None => match number(text)? {
                0 => Err(ParseShareError),
                count => Ok(Self::Count(count)),
            },
        }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stop-at {}", self.stop_at)?;
        if let Some(canary) = &self.canary {
            write!(f, "; canary {canary}")?;
        }
        for wave in &self.waves {
            write!(f, "; wave {wave}")?;
        }
        if self.pause > 0 {
            write!(f, "; pause {} s", self.pause)?;
        }
        for window in &self.windows {
            write!(f, "; window {window}")?;
        }
        match self.unanswered {
            Unanswered::Wait => Ok(()),
            Unanswered::GoOn(after) => write!(f, "; unanswered {after} s go-on"),
            Unanswered::Stop(after) => write!(f, "; unanswered {after} s stop"),
        }
    }
}

impl FromStr for Rules {
    type Err = ParseRulesError;

    fn from_str(text: &str) -> Result<Self, ParseRulesError> {
        let mut stop_at = None;
        let mut rules = Self {
            canary: None,
            waves: Vec::new(),
            pause: 0,
            stop_at: Share::Count(1),
            windows: Vec::new(),
            unanswered: Unanswered::Wait,
        };
        for part in text.split(';').map(str::trim) {
            let wrong = || ParseRulesError(part.to_owned());
            let share = |text: &str| text.parse::<Share>().map_err(|_| wrong());
            let seconds = |text: &str| text.parse::<u64>().map_err(|_| wrong());
            match part.split_once(' ').ok_or_else(wrong)? {
                ("stop-at", rest) => stop_at = Some(share(rest)?),
                ("canary", rest) => rules.canary = Some(share(rest)?),
                ("wave", rest) => rules.waves.push(share(rest)?),
                ("pause", rest) => {
                    rules.pause = seconds(rest.strip_suffix(" s").ok_or_else(wrong)?)?;
                }
                ("window", rest) => rules.windows.push(rest.parse().map_err(|_| wrong())?),
                ("unanswered", rest) => {
                    rules.unanswered = match rest.split_once(" s ").ok_or_else(wrong)? {
                        (after, "go-on") => Unanswered::GoOn(seconds(after)?),
                        (after, "stop") => Unanswered::Stop(seconds(after)?),
                        _ => return Err(wrong()),
                    };
                }
                _ => return Err(wrong()),
            }
        }
        rules.stop_at = stop_at.ok_or_else(|| ParseRulesError(text.to_owned()))?;
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, targets: usize, canaries: Option<usize>, expected: &[usize]) {
        let rules: Rules = format!("stop-at 1; {text}").parse().expect("rules");
        assert_eq!(rules.waves_of(targets, canaries), expected, "{text}");
    }

    #[test]
    fn every_target_is_in_one_wave() {
        check("pause 1 s", 100, None, &[100]);
        check("canary 2", 100, None, &[2, 98]);
        check("canary 5%", 30, None, &[2, 28]);
        check("canary 2; wave 25%", 100, None, &[2, 25, 25, 25, 23]);
        check("wave 10%; wave 60", 100, None, &[10, 60, 30]);
        check("canary 500; wave 1", 100, None, &[100]);
        check("canary 1%; wave 1%", 3, None, &[1, 1, 1]);
        check("canary 2", 0, None, &[]);
        // Among those that fit.
        check("canary 2", 100, Some(1), &[1, 99]);
        check("canary 2; wave 50%", 100, Some(7), &[2, 50, 48]);
        check("wave 50%", 100, Some(7), &[7, 50, 43]);
    }

    #[test]
    fn rules_show_themselves_as_they_are_read() {
        for text in [
            "stop-at 1",
            "stop-at 10%; canary 2; wave 25%; wave 50; pause 1800 s; window Mon-Fri 20:00-06:00 UTC; \
             window Sat-Sun 00:00-00:00 UTC+01:00; unanswered 86400 s go-on",
            "stop-at 3; canary 100%; unanswered 60 s stop",
        ] {
            assert_eq!(text.parse::<Rules>().expect("rules").to_string(), text);
        }
        for text in [
            "",
            "canary 2",
            "stop-at 0",
            "stop-at 101%",
            "stop-at 0%",
            "stop-at +1",
            "stop-at 1;",
            "stop-at 1; wave",
            "stop-at 1; pause 5",
            "stop-at 1; unanswered 5 s",
            "stop-at 1; soon 5",
            "stop-at 1; unanswered 5 s wait",
            "stop-at 1; window Mon",
            "stop-at 4294967296",
        ] {
            assert!(text.parse::<Rules>().is_err(), "{text}");
        }
    }
}
