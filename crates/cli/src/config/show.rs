//! Which value every option has, and where it comes from.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{GLOBAL, Layers, options};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    BuiltIn,
    File { path: PathBuf, line: usize },
    Environment(String),
    CommandLine,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// An option that has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effective {
    pub(crate) section: String,
    pub(crate) key: String,
    /// As TOML writes it.
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// Every option that has a value, by section.
pub(crate) fn effective(
    command: &Command,
    matches: &ArgMatches,
    layers: &Layers,
) -> Vec<Effective> {
    let mut all = Vec::new();
    for (key, argument) in options(command) {
        let source = matches.value_source(argument.get_id().as_str());
        let typed = source == Some(ValueSource::CommandLine);
        all.extend(of(GLOBAL, key, argument, layers, typed.then_some(matches)));
    }
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        for (key, argument) in options(sub) {
            all.extend(of(sub.get_name(), key, argument, layers, None));
        }
    }
    all
}

fn of(
    section: &str,
    key: String,
    argument: &Arg,
    layers: &Layers,
    typed: Option<&ArgMatches>,
) -> Option<Effective> {
    let (values, origin) = if let Some(matches) = typed {
        let raw = matches.get_raw(argument.get_id().as_str()).into_iter().flatten();
        let values: Vec<String> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        let values = if values.is_empty() { vec!["true".into()] } else { values };
        (values, Origin::CommandLine)
    } else if let Some((name, value)) = environment(argument) {
        (vec![value], Origin::Environment(name))
    } else if let Some(setting) = layers.find(section, &key) {
        let (path, line) = (setting.path.clone(), setting.line);
        (setting.values.clone(), Origin::File { path, line })
    } else {
        let defaults = argument.get_default_values().iter();
        let values: Vec<String> =
            defaults.map(|value| value.to_string_lossy().into_owned()).collect();
        // A flag is off unless somebody says otherwise.
        let is_off = !argument.get_action().takes_values() && values == ["false"];
        if values.is_empty() || is_off {
            return None;
        }
        (values, Origin::BuiltIn)
    };
    let value = written(argument, &values);
    Some(Effective { section: section.to_owned(), key, value, origin })
}

fn environment(argument: &Arg) -> Option<(String, String)> {
    let name = argument.get_env()?;
    let value = std::env::var_os(name)?;
    let value = if argument.is_hide_env_values_set() {
        "…".into()
    } else {
        value.to_string_lossy().into_owned()
    };
    Some((name.to_string_lossy().into_owned(), value))
}

/// The value as TOML writes it, passwords left out.
fn written(argument: &Arg, values: &[String]) -> String {
    let number = |text: &str| text.parse::<u64>().is_ok_and(|number| number.to_string() == text);
    let one = |text: &String| {
        if !argument.get_action().takes_values() || number(text) {
            text.clone()
        } else {
            quoted(&crate::doctor::without_passwords(text))
        }
    };
    if matches!(argument.get_action(), ArgAction::Append) {
        format!("[{}]", values.iter().map(one).collect::<Vec<_>>().join(", "))
    } else {
        values.first().map(one).unwrap_or_default()
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn values_are_shown_with_their_origin_and_without_passwords() {
        let command = crate::args::Args::command();
        let mut layers = Layers::default();
        let text = "[get]\nsource = [\"/a b\", \"http://me:secret@x/\"]\nto = \"q\\\"\\\\\"";
        layers.add("/file.toml".into(), text, &command);
        let matches = command.clone().get_matches_from(["consign", "--quiet", "id"]);
        let shown = effective(&command, &matches, &layers);
        let find = |section: &str, key: &str| {
            shown.iter().find(|one| one.section == section && one.key == key).expect("shown")
        };
        assert_eq!(find("global", "quiet").origin, Origin::CommandLine);
        assert_eq!(find("get", "source").value, r#"["/a b", "http://…@x/"]"#);
        assert_eq!(find("get", "to").value, r#""q\"\\""#);
        assert_eq!(find("get", "to").origin.to_string(), "/file.toml:3");
        assert_eq!(
            (find("gc", "grace").value.as_str(), &find("gc", "grace").origin),
            ("24", &Origin::BuiltIn)
        );
    }
}
