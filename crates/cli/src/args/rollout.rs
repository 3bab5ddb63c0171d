//! Options of roll-outs.

use std::str::FromStr;

use clap::{ArgGroup, Args as ClapArgs};
use node::communities::rollout::{Share, Window};
use package::label::Expression;

/// How a package reaches its targets wave after wave.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Roll-out, wave after wave (docs/rollouts.md)")]
#[command(group = ArgGroup::new("waves").multiple(true))]
pub(crate) struct StagingArgs {
    /// How many targets get it first: a number, or a percentage of all
    #[arg(long, value_name = "N|N%", group = "waves")]
    pub(crate) canary: Option<Share>,
    /// How many get it next (may be given several times; the last one is used again)
    #[arg(long, value_name = "N|N%", group = "waves")]
    pub(crate) wave: Vec<Share>,
    /// Those that get it first are among targets whose labels fit
    #[arg(long, value_name = "EXPRESSION", group = "waves")]
    pub(crate) canary_labels: Option<Expression>,
    /// When waves may begin, as in 'Mon-Fri 20:00-06:00 UTC' (may be given several times)
    #[arg(long, value_name = "WINDOW", group = "waves")]
    pub(crate) window: Vec<Window>,
    /// How long it rests after a wave, as in 30m
    #[arg(long, value_name = "TIME", requires = "waves")]
    pub(crate) pause_between: Option<Span>,
    /// How many failures stop it: a number, or a percentage of those that answered [default: 1]
    #[arg(long, value_name = "N|N%", requires = "waves")]
    pub(crate) stop_at: Option<Share>,
    /// Go on without targets that have not answered after this time [default: wait for them]
    #[arg(long, value_name = "TIME", requires = "waves", conflicts_with = "stop_after")]
    pub(crate) go_on_after: Option<Span>,
    /// Stop when targets have not answered after this time
    #[arg(long, value_name = "TIME", requires = "waves")]
    pub(crate) stop_after: Option<Span>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package pause 7\n  consign package resume 7\n  \
                  consign package abort 7\n\n\
                  What went to a target stays there: this is about those whose wave has not come.")]
pub(crate) struct OrderArgs {
    /// Number of the release
    #[arg(value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sequence: u64,
    /// Which community, by its id or name [default: the only one this node knows]
    #[arg(long, value_name = "COMMUNITY")]
    pub(crate) community: Option<String>,
}

/// A length of time in seconds, written as `90s`, `30m`, `12h` or `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) u64);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a time is written as 90s, 30m, 12h or 2d";
        let unit = match text.chars().next_back() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some(_) | None => return Err(FORM),
        };
        let number = &text[..text.len() - 1];
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORM);
        }
        let seconds = number.parse::<u32>().map_err(|_| FORM)?;
        Ok(Self(u64::from(seconds).saturating_mul(unit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("12h", 43_200), ("2d", 172_800)] {
            assert_eq!(text.parse(), Ok(Span(seconds)), "{text}");
        }
        for text in ["", "s", "30", "30 m", "-1s", "+1s", "1.5h", "9é", "99999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
