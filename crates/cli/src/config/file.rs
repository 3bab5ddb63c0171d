//! One configuration file: from text to settings, or to what is wrong with it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problem::{ConfigProblem, Kind, near};
use super::{GLOBAL, options, section};

/// One option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) section: String,
    pub(crate) key: String,
    /// The argument's id in the parser.
    pub(super) argument: String,
    /// One value, or those of an option that may be given several times.
    pub(crate) values: Vec<String>,
    pub(crate) path: PathBuf,
    pub(crate) line: usize,
}

/// Reads a file; what is wrong in one place does not hide the rest.
pub(super) fn parse(
    path: &Path,
    text: &str,
    command: &Command,
) -> (Vec<Setting>, Vec<ConfigProblem>) {
    let mut reader = Reader { path, text, settings: Vec::new(), problems: Vec::new() };
    match DeTable::parse(text) {
        Ok(table) => reader.sections(table.get_ref(), command),
        Err(error) => {
            let what = error.message().trim().replace('\n', ", ");
            reader.problem(Kind::Malformed, error.span().unwrap_or(0..0), what);
        }
    }
    (reader.settings, reader.problems)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    settings: Vec<Setting>,
    problems: Vec<ConfigProblem>,
}

type Key<'a> = Spanned<DeString<'a>>;
type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        (line, column)
    }

    fn problem(&mut self, kind: Kind, at: Range<usize>, what: String) {
        let place = Some(self.place(at.start));
        self.problems.push(ConfigProblem { kind, path: self.path.to_owned(), place, what });
    }

    fn sections(&mut self, table: &DeTable<'_>, command: &Command) {
        for (name, value) in table {
            let text: &str = name.get_ref();
            let Some(keys) = value.get_ref().as_table() else {
                let known = options(command).any(|(key, _)| key == text);
                let hint = if known {
                    format!("put it under [{GLOBAL}]")
                } else {
                    "every key belongs to a command, as in [get]".into()
                };
                self.problem(
                    Kind::UnknownKey,
                    name.span(),
                    format!("{text} stands in no section: {hint}"),
                );
                continue;
            };
            match section(command, text) {
                Some(sub) => self.keys(text, keys, sub),
                None => {
                    let known = command.get_subcommands().map(Command::get_name).chain([GLOBAL]);
                    let meant = near(text, known).map(|one| format!(", did you mean [{one}]?"));
                    let what = format!("there is no section [{text}]{}", meant.unwrap_or_default());
                    self.problem(Kind::UnknownKey, name.span(), what);
                }
            }
        }
    }

    fn keys(&mut self, section: &str, keys: &DeTable<'_>, command: &Command) {
        for (key, value) in keys {
            let text: &str = key.get_ref();
            let known: Vec<(String, &Arg)> = options(command).collect();
            match known.iter().find(|(name, _)| name == text) {
                Some((_, argument)) => self.value(section, key, value, argument),
                None => {
                    let names = known.iter().map(|(name, _)| name.as_str());
                    let meant = near(text, names).map(|one| format!(", did you mean {one}?"));
                    let what =
                        format!("[{section}] has no key {text}{}", meant.unwrap_or_default());
                    self.problem(Kind::UnknownKey, key.span(), what);
                }
            }
        }
    }

    fn value(&mut self, section: &str, key: &Key<'_>, value: &Value<'_>, argument: &Arg) {
        let name: &str = key.get_ref();
        let read = if argument.get_action().takes_values() {
            typed(section, name, value, argument)
        } else if let DeValue::Boolean(flag) = value.get_ref() {
            Ok(vec![flag.to_string()])
        } else {
            Err((value.span(), format!("[{section}] {name} takes true or false")))
        };
        match read {
            Ok(values) => {
                let line = self.place(key.span().start).0;
                let (section, key) = (section.to_owned(), name.to_owned());
                let argument = argument.get_id().to_string();
                let path = self.path.to_owned();
                self.settings.push(Setting { section, key, argument, values, path, line });
            }
            Err((at, what)) => self.problem(Kind::Value, at, what),
        }
    }
}

type Wrong = (Range<usize>, String);

/// The texts of a value that the parser takes.
fn typed(
    section: &str,
    name: &str,
    value: &Value<'_>,
    argument: &Arg,
) -> Result<Vec<String>, Wrong> {
    let many = matches!(argument.get_action(), ArgAction::Append);
    let texts = match value.get_ref() {
        DeValue::Array(_) if !many => {
            return Err((value.span(), format!("[{section}] {name} takes one value, not a list")));
        }
        DeValue::Array(values) => values.iter().map(|one| text(section, name, one)).collect(),
        DeValue::Boolean(_)
        | DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => text(section, name, value).map(|one| vec![one]),
    }?;
    check(section, name, &texts, argument)?;
    Ok(texts.into_iter().map(|(_, text)| text).collect())
}

/// One text, with its place.
fn text(section: &str, name: &str, value: &Value<'_>) -> Result<(Range<usize>, String), Wrong> {
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return Err((value.span(), format!("[{section}] {name} takes texts and numbers")));
        }
    };
    Ok((value.span(), text))
}

/// Lets the parser judge the values as if they had been typed.
fn check(
    section: &str,
    name: &str,
    texts: &[(Range<usize>, String)],
    argument: &Arg,
) -> Result<(), Wrong> {
    for (at, text) in texts {
        let alone = Arg::new("value")
            .long("value")
            .num_args(1)
            .value_parser(argument.get_value_parser().clone());
        let parsed = Command::new("check")
            .no_binary_name(true)
            .arg(alone)
            .try_get_matches_from([format!("--value={text}")]);
        if let Err(error) = parsed {
            let cause = std::error::Error::source(&error)
                .map_or_else(|| error.kind().to_string(), |cause| cause.to_string());
            return Err((at.clone(), format!("[{section}] {name}: {cause}")));
        }
    }
    Ok(())
}
