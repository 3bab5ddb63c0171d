//! What instructions have to be, whoever made them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Action, Condition, FileSet, OUTPUT_BYTES_MAX, Package, Placing, STEPS_MAX, Script, Step,
    TIMEOUT_MAX,
};
use crate::encoding::{At as _, at_most};
use crate::instructions::Owner;
use crate::{BoundsError, rules};

/// Most packages that one may require, and with which it may be in conflict.
pub const PACKAGES_MAX: usize = 256;
/// Most operating systems, and most architectures, of a condition.
pub const SYSTEMS_MAX: usize = 64;
/// Most parts of an interpreter, and most arguments.
pub const ARGUMENTS_MAX: usize = 1024;
/// Most variables that a step adds to the environment.
pub const VARIABLES_MAX: usize = 256;
/// Most expected exit codes: all there are.
pub const CODES_MAX: usize = 256;
/// Most paths beneath which a script may write.
pub const WRITES_MAX: usize = 64;
/// The longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4096;
/// All bits that a mode has.
pub const MODE_MAX: u32 = 0o7777;

impl Package {
    /// Whether every bound holds that is documented on the types.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), BoundsError> {
        rules::package_name(&self.name).at(|| "name".into())?;
        rules::version(&self.version).at(|| "version".into())?;
        at_most(self.description.len(), DESCRIPTION_BYTES_MAX, || {
            "bytes of the description".into()
        })?;
        at_most(self.requires.len(), PACKAGES_MAX, || "requires".into())?;
        at_most(self.conflicts.len(), PACKAGES_MAX, || "conflicts".into())?;
        for required in &self.requires {
            rules::package_name(&required.name).at(|| "requires".into())?;
            required.version.as_deref().map_or(Ok(()), rules::version).at(|| "requires".into())?;
        }
        unique(self.requires.iter().map(|required| &required.name), "requires")?;
        for name in &self.conflicts {
            rules::package_name(name).at(|| "conflicts".into())?;
        }
        unique(self.conflicts.iter(), "conflicts")?;
        check_condition(&self.when, "package")?;
        at_most(self.steps.len(), STEPS_MAX, || "steps".into())?;
        unique(self.steps.iter().map(|step| &step.name), "steps")?;
        self.steps.iter().try_for_each(check_step)
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a String>, place: &str) -> Result<(), BoundsError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(BoundsError::new(place, format!("{name:?} twice")));
        }
    }
    Ok(())
}

fn check_condition(when: &Condition, place: &str) -> Result<(), BoundsError> {
    for (what, systems) in [("os", &when.os), ("arch", &when.arch)] {
        at_most(systems.len(), SYSTEMS_MAX, || format!("{place}, {what}"))?;
        for system in systems {
            rules::system(system).at(|| format!("{place}, {what}"))?;
        }
    }
    let Some(labels) = &when.labels else { return Ok(()) };
    match labels.to_string().parse() {
        Ok(again) if *labels == again => Ok(()),
        Ok(_) => Err(BoundsError::new(format!("{place}, labels"), "a list of less than two parts")),
        Err(error) => Err(BoundsError::new(format!("{place}, labels"), format!("{error}"))),
    }
}

fn check_step(step: &Step) -> Result<(), BoundsError> {
    let place = || format!("step {:?}", step.name);
    rules::step_name(&step.name).at(place)?;
    check_condition(&step.when, &place())?;
    match &step.action {
        Action::Files(files) => check_files(files, &place()),
        Action::Script(script) => check_script(script, &place()),
    }
}

fn check_files(files: &FileSet, place: &str) -> Result<(), BoundsError> {
    rules::tree_path(&files.contents).at(|| format!("{place}, contents"))?;
    rules::absolute_path(&files.target).at(|| format!("{place}, target"))?;
    if files.placing == Placing::Replace && files.target == "/" {
        return Err(BoundsError::new(place, "/ cannot be replaced"));
    }
    check_owner(files.owner.as_ref(), place)?;
    match files.mode {
        Some(mode) if mode > MODE_MAX => {
            Err(BoundsError::new(place, format!("mode {mode:o} has more than twelve bits")))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_owner(owner: Option<&Owner>, place: &str) -> Result<(), BoundsError> {
    let names = owner.into_iter().flat_map(|owner| [Some(&owner.user), owner.group.as_ref()]);
    names.flatten().try_for_each(|name| rules::account(name).at(|| place.to_owned()))
}

fn check_script(script: &Script, place: &str) -> Result<(), BoundsError> {
    let wrong = |rule: &str| Err(BoundsError::new(place, rule));
    script.file.as_deref().map_or(Ok(()), rules::tree_path).at(|| format!("{place}, file"))?;
    if script.interpreter.first().is_none_or(String::is_empty) {
        return wrong("the interpreter has at least a program");
    }
    for (what, arguments) in
        [("interpreter", &script.interpreter), ("arguments", &script.arguments)]
    {
        at_most(arguments.len(), ARGUMENTS_MAX, || format!("{place}, {what}"))?;
        arguments
            .iter()
            .try_for_each(|one| rules::argument(one).at(|| format!("{place}, {what}")))?;
    }
    at_most(script.environment.len(), VARIABLES_MAX, || format!("{place}, environment"))?;
    for (variable, value) in &script.environment {
        let place = || format!("{place}, environment {variable:?}");
        rules::variable(variable).at(place)?;
        rules::argument(value).at(place)?;
    }
    let directory = script.directory.as_deref();
    directory.map_or(Ok(()), rules::absolute_path).at(|| format!("{place}, directory"))?;
    check_owner(script.user.as_ref(), place)?;
    if script.timeout < Duration::from_millis(1) || script.timeout > TIMEOUT_MAX {
        return wrong("a timeout is from 1 ms to 7 days");
    }
    if !script.timeout.subsec_nanos().is_multiple_of(1_000_000) {
        return wrong("a timeout is whole milliseconds");
    }
    if script.output_bytes_max > OUTPUT_BYTES_MAX {
        return wrong("at most 1 MiB of each output is kept");
    }
    if script.expected.is_empty() || !script.expected.is_sorted_by(|one, next| one < next) {
        return wrong("expected exit codes are at least one, ascending, each once");
    }
    let writes = script.writes.as_deref().unwrap_or_default();
    at_most(writes.len(), WRITES_MAX, || format!("{place}, writes"))?;
    for path in writes {
        rules::absolute_path(path).at(|| format!("{place}, writes"))?;
    }
    script.limits.check().at(|| format!("{place}, limits"))
}
