//! What receipts have to be, and how one is made to fit.

use super::{
    End, Outcome, Output, REASON_BYTES_MAX, RECEIPT_BYTES_MAX, Receipt, StepReceipt, Verdict,
};
use crate::encoding::{At as _, at_most};
use crate::instructions::{OUTPUT_BYTES_MAX, STEPS_MAX};
use crate::{BoundsError, rules};

/// Most bytes of a step beside its name, reason and outputs: numbers of nine bytes, and what is
/// around them.
const STEP_BYTES_MAX: usize = 128;

impl Receipt {
    /// Whether every bound holds that is documented on the types, but for the length of the whole.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), BoundsError> {
        // Nothing is known of a package that could not be opened.
        if !self.package.is_empty() {
            rules::package_name(&self.package).at(|| "package".into())?;
        }
        if !self.version.is_empty() {
            rules::version(&self.version).at(|| "version".into())?;
        }
        match &self.verdict {
            Verdict::Passed => {}
            Verdict::Failed(reason) | Verdict::NotApplicable(reason) => {
                at_most(reason.len(), REASON_BYTES_MAX, || "bytes of the reason".into())?;
            }
        }
        at_most(self.steps.len(), STEPS_MAX, || "steps".into())?;
        self.steps.iter().try_for_each(check_step)
    }

    /// Cuts off what is too long: reasons, and outputs as much as is needed for the whole to fit
    /// into [`RECEIPT_BYTES_MAX`], the longest first. An output says itself how much there was.
    pub fn shorten(&mut self) {
        match &mut self.verdict {
            Verdict::Passed => {}
            Verdict::Failed(reason) | Verdict::NotApplicable(reason) => cut(reason),
        }
        let mut left = RECEIPT_BYTES_MAX - 2 * REASON_BYTES_MAX;
        let mut outputs = Vec::new();
        for step in &mut self.steps {
            let reason_bytes = match &mut step.outcome {
                Outcome::NotApplicable(reason)
                | Outcome::NotPlaced(reason)
                | Outcome::NotStarted(reason) => {
                    cut(reason);
                    reason.len()
                }
                Outcome::Ran(ran) => {
                    outputs.extend([&mut ran.output, &mut ran.error]);
                    0
                }
                Outcome::LeftOut
                | Outcome::Placed(_)
                | Outcome::PutBack(_)
                | Outcome::Interrupted => 0,
            };
            left = left.saturating_sub(STEP_BYTES_MAX + step.name.len() + reason_bytes);
        }
        outputs.sort_by_key(|output| output.bytes.len());
        let mut count = outputs.len();
        for output in outputs {
            // What the shorter ones leave of their shares is for the longer ones.
            let share = (left / count).min(OUTPUT_BYTES_MAX as usize);
            output.bytes.truncate(share);
            left -= output.bytes.len();
            count -= 1;
        }
    }
}

/// Cuts a reason to the length it may have, between two characters.
fn cut(reason: &mut String) {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
}

fn check_step(step: &StepReceipt) -> Result<(), BoundsError> {
    let place = || format!("step {:?}", step.name);
    rules::step_name(&step.name).at(place)?;
    match &step.outcome {
        Outcome::NotApplicable(reason)
        | Outcome::NotPlaced(reason)
        | Outcome::NotStarted(reason) => at_most(reason.len(), REASON_BYTES_MAX, place),
        Outcome::Ran(ran) => {
            if ran.end == End::Signal(0) {
                return Err(BoundsError::new(place(), "there is no signal 0"));
            }
            if ran.limit.is_some() && ran.is_expected {
                return Err(BoundsError::new(place(), "what ran into a limit is not as expected"));
            }
            [&ran.output, &ran.error]
                .into_iter()
                .try_for_each(|output| check_output(output, &place()))
        }
        Outcome::LeftOut | Outcome::Placed(_) | Outcome::PutBack(_) | Outcome::Interrupted => {
            Ok(())
        }
    }
}

fn check_output(output: &Output, place: &str) -> Result<(), BoundsError> {
    at_most(output.bytes.len(), OUTPUT_BYTES_MAX as usize, || place.to_owned())?;
    if output.bytes_total < output.bytes.len() as u64 {
        return Err(BoundsError::new(place, "more of an output than there was of it"));
    }
    Ok(())
}
