//! What a machine is to do.

mod bounds;
mod encoding;
mod limits;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::label::Expression;

pub use self::bounds::{
    ARGUMENTS_MAX, CODES_MAX, DESCRIPTION_BYTES_MAX, MODE_MAX, PACKAGES_MAX, SYSTEMS_MAX,
    VARIABLES_MAX, WRITES_MAX,
};
pub use self::limits::{
    Limits, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, OPEN_FILES_MAX, OPEN_FILES_MIN, PROCESSES,
    PROCESSES_MAX, PROCESSOR_MIN,
};

/// Where the instructions are in a package's tree.
pub const INSTRUCTIONS: &str = "package.cbor";
/// The longest encoding of a [`Package`], in bytes: contents and scripts are beside it.
pub const INSTRUCTIONS_BYTES_MAX: usize = 1 << 20;
/// Most steps of a package.
pub const STEPS_MAX: usize = 1000;
/// The longest a script may be given.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most of each output of a script that a receipt keeps, in bytes.
pub const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// Steps that a machine carries out in order, without a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What it is called: 1 to 64 of `a-z`, `0-9`, `.`, `_`, `-`; the first is a letter or digit.
    pub name: String,
    /// For people; nothing is derived from it. 1 to 64 bytes without control characters, and no
    /// white space at its ends.
    pub version: String,
    /// For people; at most 4096 bytes.
    pub description: String,
    /// Packages that have to be there, passed; at most [`PACKAGES_MAX`], none twice.
    pub requires: Vec<Requirement>,
    /// Names of packages that must not be there; at most [`PACKAGES_MAX`], none twice.
    pub conflicts: Vec<String>,
    /// Which machines it is for; others report [`crate::Verdict::NotApplicable`].
    pub when: Condition,
    /// What to do, in order; at most [`STEPS_MAX`].
    pub steps: Vec<Step>,
}

impl Package {
    /// Where it puts files: absolute paths.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Files(set) => Some(set.target.as_str()),
            Action::Script(_) => None,
        })
    }
}

/// A package that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Its name.
    pub name: String,
    /// Exactly this version, if one is asked for.
    pub version: Option<String>,
}

/// Which machines something is for. Empty lists and no expression leave nobody out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Operating systems, as `std::env::consts::OS` names them; at most [`SYSTEMS_MAX`].
    pub os: Vec<String>,
    /// Architectures, as `std::env::consts::ARCH` names them; at most [`SYSTEMS_MAX`].
    pub arch: Vec<String>,
    /// What the machine's labels have to fit.
    pub labels: Option<Expression>,
}

impl Condition {
    /// Whether it leaves nobody out.
    #[must_use]
    pub fn is_anywhere(&self) -> bool {
        self.os.is_empty() && self.arch.is_empty() && self.labels.is_none()
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// For people: unique in the package, at most 128 bytes, no control characters.
    pub name: String,
    /// Where it does not fit, the step is reported as not applicable and left out.
    pub when: Condition,
    /// What follows when it fails.
    pub on_failure: OnFailure,
    /// The thing itself.
    pub action: Action,
}

/// What follows when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Later steps are left out; the package fails; what was done stays.
    Stop,
    /// Later steps are done all the same; the package fails.
    Continue,
    /// Later steps are left out, and the file sets before it are put back, last one first; the
    /// package fails.
    RollBack,
}

/// What follows when the machine stopped in the middle of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// It counts as failed: nobody knows how far it came.
    Fail,
    /// It is run again from its beginning: it says of itself that this does no harm.
    Repeat,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Puts files in place.
    Files(FileSet),
    /// Runs a command or script.
    Script(Script),
}

/// Files to put in place, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    /// A file or directory of the package's tree, such as `contents/0`.
    pub contents: String,
    /// Absolute path on the machine; `/` only with [`Placing::Merge`].
    pub target: String,
    /// How a directory is put there; a single file always replaces what is at `target`.
    pub placing: Placing,
    /// Who owns all of it; without it, whoever runs the node.
    pub owner: Option<Owner>,
    /// Permission bits of a single file, or of all files of a directory, at most [`MODE_MAX`];
    /// without it, as they were with the publisher.
    pub mode: Option<u32>,
}

/// How a directory is put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// The whole directory is the package's: it is exchanged for the new one in one step, and what
    /// else was in it goes.
    Replace,
    /// Its files are put among others, each in one step.
    Merge,
}

/// Names of a user and, if another than that user's own, of a group; decimal numbers are ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The group.
    pub group: Option<String>,
}

/// A command or script to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// A file of the package's tree, such as `scripts/3`, that is given to the interpreter; without
    /// it, `interpreter` and `arguments` are the whole command.
    pub file: Option<String>,
    /// Program and first arguments: 1 to [`ARGUMENTS_MAX`]. The program is an absolute path, or is looked
    /// for in the machine's usual places.
    pub interpreter: Vec<String>,
    /// What follows, after the script's file if there is one; at most [`ARGUMENTS_MAX`].
    pub arguments: Vec<String>,
    /// Added to an environment that is otherwise empty but for what is documented; at most
    /// [`VARIABLES_MAX`].
    pub environment: BTreeMap<String, String>,
    /// Absolute working directory; without it, an empty one that is removed afterwards.
    pub directory: Option<String>,
    /// Runs as this user; without it, as whoever runs the node.
    pub user: Option<Owner>,
    /// It is killed, with all it started, when it takes longer; whole milliseconds, from 1 to
    /// [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// How much of each output is kept for the receipt, in bytes; at most [`OUTPUT_BYTES_MAX`].
    pub output_bytes_max: u64,
    /// Exit codes that count as success: at least one, ascending, each once.
    pub expected: Vec<u8>,
    /// What follows when the machine stopped in the middle of it.
    pub on_interrupt: OnInterrupt,
    /// Absolute paths beneath which it may change files, beside its own temporary directory; at most
    /// [`WRITES_MAX`]; a machine that cannot keep it to them does not start it. With `/` it is kept to nothing.
    /// `None`: its usual [places](Script::places), as far as they are there and the machine can keep it to
    /// them.
    pub writes: Option<Vec<String>>,
    /// How much of the machine it may use. A machine that cannot keep it to memory or processes
    /// that are named here does not start it.
    pub limits: Limits,
}

impl Script {
    /// Beneath which absolute paths it may change files, beside its temporary directory; `None`: wherever its user
    /// may. One that names none has the [targets](Package::targets) of its package, and its working directory.
    #[must_use]
    pub fn places<'a>(&'a self, targets: impl Iterator<Item = &'a str>) -> Option<Vec<&'a str>> {
        // Whoever works in "/" wants nothing in particular.
        let directory = self.directory.as_deref().filter(|path| *path != "/");
        let mut places: Vec<&str> = match &self.writes {
            Some(named) => named.iter().map(String::as_str).collect(),
            None => targets.chain(directory).collect(),
        };
        places.sort_unstable();
        places.dedup();
        (!places.contains(&"/")).then_some(places)
    }
}

#[cfg(test)]
pub(crate) mod tests;
