//! The configuration files: every option of every command can have its default there.
//!
//! A file is TOML with one section for each command, `[hub]`, `[publish]`, `[get]`, and
//! `[global]` for what all commands take; the keys are the long options with `_` for `-`. So the
//! file has no words of its own, and an option that is added can be configured at once.
//!
//! Flags win over the environment, the environment over the user's file, that over the system's,
//! and all of them over what is built in. It works by giving the parser other defaults: what a
//! file says passes the same checks as what is typed.

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

mod file;
mod problem;
pub(crate) mod show;

pub(crate) use file::Setting;
pub(crate) use problem::{ConfigProblem, Kind, near};

/// The section for what every command takes.
pub(crate) const GLOBAL: &str = "global";
const SYSTEM_FILE: &str = "/etc/consign/config.toml";

/// The files that count, the strongest first, and what is wrong with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) problems: Vec<ConfigProblem>,
}

impl Layers {
    /// Reads the files: the one that is named, or the user's and the system's.
    pub(crate) fn read(named: Option<&Path>, command: &Command) -> Self {
        let candidates = match named {
            Some(path) => vec![path.to_owned()],
            None => user_file().into_iter().chain([PathBuf::from(SYSTEM_FILE)]).collect(),
        };
        let mut layers = Self::default();
        for path in candidates {
            match std::fs::read_to_string(&path) {
                Ok(text) => layers.add(path, &text, command),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {}
                Err(error) => {
                    layers.problems.push(ConfigProblem::unreadable(path.clone(), &error));
                    layers.files.push(path);
                }
            }
        }
        layers
    }

    /// Adds a file that is weaker than those before.
    pub(crate) fn add(&mut self, path: PathBuf, text: &str, command: &Command) {
        let (settings, problems) = file::parse(&path, text, command);
        self.problems.extend(problems);
        for setting in settings {
            let is_excluded = self.settings.iter().any(|one| {
                one.path != setting.path
                    && one.section == setting.section
                    && one.values != ["false"]
                    && section(command, &one.section)
                        .is_some_and(|command| exclude(command, &one.argument, &setting.argument))
            });
            if !is_excluded && self.find(&setting.section, &setting.key).is_none() {
                self.settings.push(setting);
            }
        }
        self.files.push(path);
    }

    /// Those settings that nothing typed speaks against.
    ///
    /// To the parser settings are defaults, and it lets a default stand beside an option that
    /// excludes it: so the file would win over what was typed.
    pub(crate) fn beside(&self, parser: &Command, matches: &ArgMatches) -> Self {
        let mut left = self.clone();
        let Some((name, matches)) = matches.subcommand() else { return left };
        let Some(command) = section(parser, name) else { return left };
        let is_typed = |argument: &&Arg| {
            let source = matches.value_source(argument.get_id().as_str());
            matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
        };
        let typed: Vec<&str> =
            command.get_arguments().filter(is_typed).map(|one| one.get_id().as_str()).collect();
        left.settings.retain(|setting| {
            setting.section != name
                || !typed.iter().any(|typed| exclude(command, typed, &setting.argument))
        });
        left
    }

    /// The settings without those of where a hub's database is: the environment says it.
    pub(crate) fn without_database(mut self) -> Self {
        self.settings.retain(|one| !["database", "database_file"].contains(&&*one.argument));
        self
    }

    pub(crate) fn find(&self, section: &str, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|one| one.section == section && one.key == key)
    }

    /// Gives the parser these settings as its defaults.
    pub(crate) fn as_defaults(&self, mut command: Command) -> Command {
        for setting in &self.settings {
            command = if setting.section == GLOBAL {
                with_default(command, setting)
            } else {
                command.mut_subcommand(&setting.section, |sub| with_default(sub, setting))
            };
        }
        command
    }
}

/// Whether two options of a command exclude each other; either may say so.
fn exclude(command: &Command, one: &str, other: &str) -> bool {
    let names = |one: &str, other: &str| {
        let argument = command.get_arguments().find(|argument| argument.get_id() == one);
        argument.is_some_and(|argument| {
            let excluded = command.get_arg_conflicts_with(argument);
            excluded.iter().any(|excluded| excluded.get_id() == other)
        })
    };
    names(one, other) || names(other, one)
}

fn with_default(command: Command, setting: &Setting) -> Command {
    let values = setting.values.clone();
    command.mut_arg(&setting.argument, |argument| argument.required(false).default_values(values))
}

/// The file of the user who runs this.
pub(crate) fn user_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_CONFIG_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".config")))
        .map(|base| base.join("consign/config.toml"))
}

/// The command whose options a section holds.
pub(crate) fn section<'a>(command: &'a Command, name: &str) -> Option<&'a Command> {
    if name == GLOBAL {
        return Some(command);
    }
    command.get_subcommands().find(|sub| sub.get_name() == name && sub.get_name() != "help")
}

/// The options of a command that a file can set: key, and the argument's id.
pub(crate) fn options(command: &Command) -> impl Iterator<Item = (String, &Arg)> {
    let settable = |argument: &&Arg| {
        let asks = matches!(
            argument.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        let global = argument.is_global_set() && command.get_name() != "consign";
        !asks && !global && argument.get_id() != "config"
    };
    let arguments = command.get_arguments().filter(settable);
    arguments.filter_map(|argument| Some((argument.get_long()?.replace('-', "_"), argument)))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::args::{self, Args};

    fn layers(texts: &[&str]) -> Layers {
        let command = Args::command();
        let mut layers = Layers::default();
        for (number, text) in texts.iter().enumerate() {
            layers.add(format!("/file{number}.toml").into(), text, &command);
        }
        layers
    }

    fn parsed(layers: &Layers, words: &[&str]) -> Args {
        assert!(layers.problems.is_empty(), "{:?}", layers.problems);
        let words: Vec<_> = ["consign"].iter().chain(words).map(Into::into).collect();
        let understood = crate::invocation::understand(&Args::command(), layers.clone(), &words);
        let (matches, _) = understood.expect("well-formed");
        Args::from_arg_matches(&matches).expect("fits")
    }

    #[test]
    fn the_stronger_file_wins_and_a_flag_wins_over_both() {
        let layers = layers(&[
            "[gc]\ngrace = 1\n[global]\nquiet = true",
            "[gc]\ngrace = 2\n[publish]\nvalid = 7\n[get]\nsource = [\"/a\", \"/b\"]",
        ]);
        let args = parsed(&layers, &["gc"]);
        assert!(args.quiet);
        assert!(matches!(args.command, args::Command::Gc(args::GcArgs { grace: 1 })));
        let args = parsed(&layers, &["gc", "--grace", "9"]);
        assert!(matches!(args.command, args::Command::Gc(args::GcArgs { grace: 9 })));
        let args::Command::Publish(publish) = parsed(&layers, &["publish", ".", "a/b"]).command
        else {
            panic!("publish")
        };
        assert_eq!(publish.valid, 7);
        let args::Command::Get(get) = parsed(&layers, &["get", "a/b"]).command else {
            panic!("get")
        };
        assert_eq!(get.source, ["/a", "/b"]);
    }

    #[test]
    fn what_is_typed_wins_over_an_option_in_a_file_that_it_excludes() {
        let layers = layers(&["[watch]\nto_release = 4"]);
        let hold = |words: &[&str]| {
            let words = [&["watch", "a/b", "--to", "d"], words].concat();
            let args::Command::Watch(watch) = parsed(&layers, &words).command else {
                panic!("watch")
            };
            (watch.to_release, watch.follow)
        };
        assert_eq!(hold(&[]), (Some(4), false));
        assert_eq!(hold(&["--follow"]), (None, true));
        assert_eq!(hold(&["--to-release", "5"]), (Some(5), false));
    }

    #[test]
    fn of_options_that_exclude_each_other_the_stronger_file_s_counts() {
        let database = |texts: &[&str]| {
            let args::Command::Hub(hub) = parsed(&layers(texts), &["hub"]).command else {
                panic!("hub")
            };
            hub.database.stated()
        };
        let (address, file) = ("[hub]\ndatabase = \"a\"", "[hub]\ndatabase_file = \"f\"");
        let data = "[hub]\ndata = \"d\"";
        assert_eq!(database(&[address, file, data]), (Some("a".into()), None));
        assert_eq!(database(&[file, address, data]), (None, Some("f".into())));
    }

    #[test]
    fn an_option_that_is_required_can_come_from_a_file() {
        let layers = layers(&["[hub]\ndata = \"/srv/hub\"\nlisten = \"0.0.0.0:7400\""]);
        let args::Command::Hub(hub) = parsed(&layers, &["hub"]).command else { panic!("hub") };
        assert_eq!(hub.data.as_deref(), Some(Path::new("/srv/hub")));
        assert_eq!(hub.listen, "0.0.0.0:7400");
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_what_was_meant() {
        let told = |text: &str| layers(&[text]).problems[0].to_string();
        insta::assert_snapshot!(told("[hub]\nlissten = \"x\""), @"/file0.toml:2:1: [hub] has no key lissten, did you mean listen?");
        insta::assert_snapshot!(told("[hubb]\nlisten = \"x\""), @"/file0.toml:1:2: there is no section [hubb], did you mean [hub]?");
        insta::assert_snapshot!(told("hub = \"x\""), @"/file0.toml:1:1: hub stands in no section: put it under [global]");
        insta::assert_snapshot!(told("[gc]\ngrace = \"soon\""), @"/file0.toml:2:9: [gc] grace: invalid digit found in string");
        insta::assert_snapshot!(told("[gc]\ngrace = [1]"), @"/file0.toml:2:9: [gc] grace takes one value, not a list");
        insta::assert_snapshot!(told("[global]\nquiet = \"yes\""), @"/file0.toml:2:9: [global] quiet takes true or false");
        insta::assert_snapshot!(told("[get]\nsource = [1, {}]"), @"/file0.toml:2:14: [get] source takes texts and numbers");
        assert!(told("[gc]\ngrace = ").starts_with("/file0.toml:2:"), "{}", told("[gc]\ngrace = "));
    }

    #[test]
    fn every_option_of_every_command_can_be_set() {
        let mut command = Args::command();
        command.build();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            for (key, argument) in options(sub) {
                let takes_value = argument.get_action().takes_values();
                let value = if takes_value { "\"1\"" } else { "true" };
                let text = format!("[{}]\n{key} = {value}", sub.get_name());
                let read = layers(&[&text]);
                let kinds: Vec<_> = read.problems.iter().map(|problem| problem.kind).collect();
                assert!(kinds.is_empty() || kinds == [Kind::Value], "{text}: {:?}", read.problems);
            }
        }
    }
}
