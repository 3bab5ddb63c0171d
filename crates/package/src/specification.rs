//! What a publisher writes: a package as TOML.
//!
//! [`Specification::parse`] takes the text and gives the instructions, with a list of what belongs
//! into the package's tree beside them; whoever builds the package reads those from the disk.
//! A mistake is a [`Diagnostic`] with its place, what is wrong, and what to write instead; all of them are
//! reported together. `docs/packages.md` describes every key.
//!
//! Reading is in three layers: `keys` takes values of the right type out of tables, `values` makes
//! durations, sizes, modes and the like of texts, and `package_table` and `steps` know which keys there are.

mod diagnostic;
mod keys;
mod limits;
mod overlaps;
mod package_table;
mod steps;
mod values;
mod variables;

use std::ops::Range;

use toml::de::{DeTable, DeValue};

pub use self::diagnostic::{Code, Diagnostic};
use self::keys::Keys;
use self::variables::Variables;
use crate::Package;
use crate::instructions::Action;

/// Name of a specification in the folder of what it packs.
pub const FILE_NAME: &str = "consign-package.toml";
/// The longest specification, in bytes: as long as the instructions may be.
pub const SPECIFICATION_BYTES_MAX: usize = 1 << 20;
/// Most mistakes that are reported; what has more is something else than a specification, and each
/// takes a walk through the text to find its line.
pub const MISTAKES_MAX: usize = 200;

/// A package as its publisher specified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specification {
    /// What a machine is to do. Every bound of it holds.
    pub package: Package,
    /// What belongs into the package's tree beside the instructions, in the order of the steps.
    pub contents: Vec<Content>,
    /// Steps that run a file whose first line is to say with what.
    undecided: Vec<usize>,
}

/// One thing in the package's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Where it is in the tree: `contents/N` or `scripts/N`, with the number of its step from 0.
    pub at: String,
    /// What it is made of.
    pub from: Source,
    /// Where the specification says so, in bytes of its text.
    pub place: Range<usize>,
}

/// What a part of the package's tree is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the publisher: a path relative to the specification's folder.
    Path(String),
    /// This text, as a file.
    Text(String),
}

impl Specification {
    /// Reads a specification.
    ///
    /// # Errors
    /// All mistakes, but no more than [`MISTAKES_MAX`], in the order of their places; at least one.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Problems { text, found: Vec::new() };
        let specification = problems.specification();
        let mut found = problems.found;
        found.sort_by_key(|one| one.span.start);
        match specification {
            Some(specification) if found.is_empty() => Ok(specification),
            Some(_) | None => Err(found),
        }
    }

    /// Scripts in files that no `interpreter` is named for: the number of the step, and the path of the
    /// file as in [`Source::Path`]. Unless [`Specification::decide`] is told what is in them, they
    /// are given to `/bin/sh`.
    pub fn undecided(&self) -> impl Iterator<Item = (usize, &str)> {
        self.undecided.iter().filter_map(|step| {
            let at = steps::script_path(*step);
            let content = self.contents.iter().find(|content| content.at == at)?;
            match &content.from {
                Source::Path(path) => Some((*step, path.as_str())),
                Source::Text(_) => None,
            }
        })
    }

    /// Lets the first line of a script in a file say what it is given to. `start` is how the file
    /// begins; 256 bytes are enough, as they are for Linux.
    pub fn decide(&mut self, step: usize, start: &[u8]) {
        let chosen = self.package.steps.get_mut(step).filter(|_| self.undecided.contains(&step));
        if let Some(Action::Script(script)) = chosen.map(|step| &mut step.action) {
            script.interpreter = values::interpreter(&String::from_utf8_lossy(start));
        }
    }
}

/// Mistakes that were found so far in a text.
struct Problems<'a> {
    text: &'a str,
    found: Vec<Diagnostic>,
}

impl Problems<'_> {
    fn add(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.found.len() == MISTAKES_MAX {
            return;
        }
        let help = Some(help.into()).filter(|help| !help.is_empty());
        self.found.push(Diagnostic::new(self.text, code, span, message.into(), help));
    }

    fn specification(&mut self) -> Option<Specification> {
        if self.text.len() > SPECIFICATION_BYTES_MAX {
            let message = format!("a specification has at most {SPECIFICATION_BYTES_MAX} bytes");
            let help = "put long scripts into files and name them with `script-file`";
            self.add(Code::TooLong, 0..0, message, help);
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            // What was recovered may be half of what was meant: nothing is said of it.
            for error in errors {
                let span = error.span().unwrap_or(0..0);
                self.add(Code::Syntax, span, format!("this is no TOML: {}", error.message()), "");
            }
            return None;
        }
        let top = Keys::new(table.get_ref(), 0..0, "the file");
        top.only(&["package", "variables", "step"], self);
        let variables = Variables::read(&top, self);
        let head = package_table::read(&top, self);
        let steps = self.steps(&top, &variables);
        let package_span = top.span_of("package").unwrap_or(0..0);
        let (mut package, steps) = (head?, steps?);
        overlaps::check(&steps, self);
        let mut contents = Vec::new();
        let mut undecided = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            contents.extend(step.content);
            undecided.extend(step.is_undecided.then_some(number));
            package.steps.push(step.step);
        }
        if !self.found.is_empty() {
            return None;
        }
        // Every rule was checked where its place is known, but for what only the whole shows.
        match package.encode() {
            Ok(_) => Some(Specification { package, contents, undecided }),
            Err(error) => {
                self.add(Code::TooLong, package_span, error.to_string(), "");
                None
            }
        }
    }

    fn steps(&mut self, top: &Keys<'_, '_>, variables: &Variables) -> Option<Vec<steps::Read>> {
        let Some((_, value)) = top.get("step") else { return Some(Vec::new()) };
        let tables = match value.get_ref() {
            DeValue::Array(values) => values,
            DeValue::Table(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                let help = "each step begins with `[[step]]`, in two pairs of brackets";
                self.add(Code::WrongType, value.span(), "`step` is not a list of tables", help);
                return None;
            }
        };
        steps::read_all(tables, variables, self)
    }
}

#[cfg(test)]
mod tests;
