//! Why a step failed, for people.

use package::receipt::{End, Ran};
use package::{Action, Outcome, Package, StepReceipt};

use crate::script::can_confine;

/// Nobody reads a longer list.
const PLACES_SHOWN_MAX: usize = 3;

/// Why step `number` failed, and what helps.
pub(super) fn of(package: &Package, number: usize, step: &StepReceipt) -> String {
    let why = match &step.outcome {
        Outcome::NotPlaced(reason) | Outcome::NotStarted(reason) => reason.clone(),
        Outcome::Ran(Ran { end: End::Code(code), .. }) => format!("it ended with code {code}"),
        Outcome::Ran(Ran { end: End::Signal(signal), .. }) => {
            format!("it was ended by signal {signal}")
        }
        Outcome::Ran(Ran { end: End::TimedOut, .. }) => "it took too long".to_owned(),
        Outcome::Interrupted => "the machine stopped while it ran".to_owned(),
        Outcome::NotApplicable(_) | Outcome::LeftOut | Outcome::Placed(_) | Outcome::PutBack(_) => {
            "it failed".to_owned()
        }
    };
    let hint =
        hint(package, number, &step.outcome).map_or_else(String::new, |it| format!("; {it}"));
    format!("step {:?}: {why}{hint}", step.name)
}

/// Where a script may write, if it names no places and was refused a file.
fn hint(package: &Package, number: usize, outcome: &Outcome) -> Option<String> {
    let (Action::Script(script), Outcome::Ran(ran)) = (&package.steps[number].action, outcome)
    else {
        return None;
    };
    if script.writes.is_some() || ran.is_expected || !was_refused(ran) || !can_confine() {
        return None;
    }
    let places = script.places(package.targets())?;
    let mut shown = places.iter().copied().take(PLACES_SHOWN_MAX).collect::<Vec<_>>();
    let more = format!("{} more", places.len().saturating_sub(shown.len()));
    if shown.len() < places.len() {
        shown.push(&more);
    }
    shown.push("its TMPDIR");
    let shown = shown.join(", ");
    Some(format!("it may write beneath {shown} only: name other places in `writes`"))
}

/// Whether a script says that it was refused a file, as the C library words it.
fn was_refused(ran: &Ran) -> bool {
    let words = b"Permission denied";
    [&ran.error, &ran.output]
        .iter()
        .any(|output| output.bytes.windows(words.len()).any(|said| said == words))
}
