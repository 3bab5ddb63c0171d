//! The tables `[[step]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{Keys, Text, listed};
use super::package_table::{condition, follow};
use super::variables::Variables;
use super::{Code, Content, Problems, Source, limits, values};
use crate::instructions::{
    ARGUMENTS_MAX, Action, FileSet, OUTPUT_BYTES_MAX, OnFailure, OnInterrupt, Owner, Placing,
    STEPS_MAX, Script, Step, TIMEOUT_MAX, VARIABLES_MAX, WRITES_MAX,
};
use crate::rules::{self, Rule};

/// How long a command or script may take that says nothing of it.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How much of each output is kept when nothing is said of it, in bytes.
const OUTPUT_BYTES: u64 = 64 << 10;
/// The longest name that is made for a step without one, in characters.
const MADE_NAME_MAX: usize = 60;

/// What a step does: just one of these is there.
const KINDS: [&str; 4] = ["files", "command", "script", "script-file"];
/// Keys that every step may have.
const COMMON: [&str; 5] = ["name", "on-failure", "os", "arch", "labels"];
const OF_FILES: [&str; 4] = ["target", "placing", "owner", "mode"];
const OF_COMMANDS: [&str; 9] = [
    "environment",
    "directory",
    "user",
    "timeout",
    "output-limit",
    "expect",
    "on-interrupt",
    "writes",
    "limits",
];
/// Keys that only scripts have, on top of those of commands.
const OF_SCRIPTS: [&str; 2] = ["interpreter", "arguments"];

/// Every key that some step has.
pub(super) fn all_keys() -> Vec<&'static str> {
    [&KINDS[..], &COMMON, &OF_FILES, &OF_COMMANDS, &OF_SCRIPTS].concat()
}

/// A step as it was read.
pub(super) struct Read {
    pub(super) step: Step,
    pub(super) content: Option<Content>,
    /// Its script's first line is to say what it is given to.
    pub(super) is_undecided: bool,
    /// Where its target is, if it places files.
    pub(super) target: Option<Range<usize>>,
}

/// Where the script of a step is in the package's tree.
pub(super) fn script_path(number: usize) -> String {
    format!("scripts/{number}")
}

/// Reads all steps; `None` when one of them could not be read.
pub(super) fn read_all(
    tables: &[Spanned<DeValue<'_>>],
    variables: &Variables,
    problems: &mut Problems<'_>,
) -> Option<Vec<Read>> {
    if let Some(beyond) = tables.get(STEPS_MAX) {
        let message = format!("a package has at most {STEPS_MAX} steps");
        problems.add(Code::TooLong, beyond.span(), message, "make two packages of it");
        return None;
    }
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut steps = Vec::new();
    for (number, value) in tables.iter().enumerate() {
        let DeValue::Table(table) = value.get_ref() else {
            let help = "each step begins with `[[step]]`";
            problems.add(Code::WrongType, value.span(), "a step is a table", help);
            steps.push(None);
            continue;
        };
        let keys = Keys::new(table, value.span(), "this [[step]]");
        let name = keys.text("name", "set up", problems);
        if let Some(name) = &name
            && follow(name, rules::step_name, problems)
        {
            if let Some(first) = names.get(&name.text) {
                let line = 1 + problems.text[..*first].matches('\n').count();
                let message = format!("another step is called {:?}", name.text);
                let help = format!("it is in line {line}: give this one another name");
                problems.add(Code::Conflict, name.span.clone(), message, help);
            } else {
                names.insert(name.text.clone(), name.span.start);
            }
        }
        let one = One { number, keys, variables };
        steps.push(one.read(name.map(|name| name.text), problems));
    }
    let mut steps = steps.into_iter().collect::<Option<Vec<Read>>>()?;
    let mut taken: BTreeSet<String> = names.into_keys().collect();
    for read in &mut steps {
        if read.step.name.is_empty() {
            read.step.name = made_name(&read.step.action, &taken);
            taken.insert(read.step.name.clone());
        }
    }
    Some(steps)
}

/// A name for a step without one: what it does, and a number if another does the same.
fn made_name(action: &Action, taken: &BTreeSet<String>) -> String {
    let what = match action {
        Action::Files(files) => format!("files to {}", files.target),
        Action::Script(script) => match &script.file {
            Some(file) => file.replace('/', " ").replacen("scripts", "script", 1),
            None => script.interpreter.join(" "),
        },
    };
    let clean = |sign: char| if sign.is_control() { ' ' } else { sign };
    let what: String = what.chars().map(clean).take(MADE_NAME_MAX).collect();
    // At most four bytes a character: with a number behind it, still a name.
    let cut = what[..what.floor_char_boundary(rules::STEP_NAME_BYTES_MAX - 8)].to_owned();
    let numbered = (2..).map(|number| format!("{cut} ({number})"));
    std::iter::once(cut.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(cut)
}

/// One step that is being read.
struct One<'a, 't, 'i> {
    number: usize,
    keys: Keys<'t, 'i>,
    variables: &'a Variables,
}

impl One<'_, '_, '_> {
    fn read(&self, name: Option<String>, problems: &mut Problems<'_>) -> Option<Read> {
        let kind = self.kind(problems);
        let on_failure = [
            ("stop", OnFailure::Stop),
            ("continue", OnFailure::Continue),
            ("roll-back", OnFailure::RollBack),
        ];
        let on_failure = self.keys.word("on-failure", &on_failure, problems);
        let when = condition(&self.keys, problems);
        let kind = kind?;
        let (action, content) = match kind {
            "files" => self.files(problems)?,
            _ => self.script(kind, problems)?,
        };
        let is_undecided = kind == "script-file" && self.keys.get("interpreter").is_none();
        let step = Step {
            name: name.unwrap_or_default(),
            when,
            on_failure: on_failure.unwrap_or(OnFailure::Stop),
            action,
        };
        Some(Read { step, content, is_undecided, target: self.keys.span_of("target") })
    }

    /// Which kind of step it is; refuses keys that it does not have.
    fn kind(&self, problems: &mut Problems<'_>) -> Option<&'static str> {
        let mut there: Vec<(&'static str, Range<usize>)> =
            KINDS.into_iter().filter_map(|kind| Some((kind, self.keys.span_of(kind)?))).collect();
        there.sort_by_key(|(_, span)| span.start);
        self.keys.only(&all_keys(), problems);
        let kind = match there.as_slice() {
            [] => {
                let message = "this step does nothing";
                let help = format!("add one of {}", listed(&KINDS));
                problems.add(Code::MissingKey, self.keys.span.clone(), message, help);
                return None;
            }
            [(kind, _), others @ ..] => {
                for (other, span) in others {
                    let message =
                        format!("this step has `{kind}` already, so it cannot have `{other}`");
                    let help = "make two steps of it: each begins with [[step]]";
                    problems.add(Code::Conflict, span.clone(), message, help);
                }
                if !others.is_empty() {
                    return None;
                }
                *kind
            }
        };
        let (foreign, does): (Vec<&str>, _) = match kind {
            "files" => ([&OF_COMMANDS[..], &OF_SCRIPTS].concat(), "places files"),
            "command" => ([&OF_FILES[..], &OF_SCRIPTS].concat(), "runs a command"),
            _ => (OF_FILES.to_vec(), "runs a script"),
        };
        for key in foreign {
            if let Some(span) = self.keys.span_of(key) {
                let of = if OF_FILES.contains(&key) {
                    "steps with `files`"
                } else if OF_SCRIPTS.contains(&key) {
                    "steps with `script` or `script-file`"
                } else {
                    "steps that run something"
                };
                let message = format!("`{key}` is for {of}, and this one {does}");
                let help = match (kind, key) {
                    ("command", "arguments" | "interpreter") => {
                        "put the program and all its arguments into `command`"
                    }
                    ("files", "user") => "did you mean `owner`?",
                    (_, "owner") => "did you mean `user`?",
                    _ => "leave it out",
                };
                problems.add(Code::Conflict, span, message, help);
            }
        }
        Some(kind)
    }

    fn files(&self, problems: &mut Problems<'_>) -> Option<(Action, Option<Content>)> {
        let source = self.source("files", "build/tools", problems);
        if self.keys.get("target").is_none() {
            self.keys.missing(
                "target",
                "add target = \"/opt/tools\", where the files go",
                problems,
            );
        }
        let target = self.keys.text("target", "/opt/tools", problems);
        let target = target.and_then(|text| Some((self.path(&text, problems)?, text)));
        let placing = [("merge", Placing::Merge), ("replace", Placing::Replace)];
        let placing = self.keys.word("placing", &placing, problems).unwrap_or(Placing::Merge);
        if let Some((path, text)) = &target
            && placing == Placing::Replace
            && is_shared(path)
        {
            let message = format!("replacing {path} would remove what others keep there");
            let help = "name a directory of the package's own, or write placing = \"merge\"";
            problems.add(Code::WrongValue, text.span.clone(), message, help);
        }
        let owner = self.owner("owner", problems);
        let mode = self.mode(problems);
        let contents = format!("contents/{}", self.number);
        let Text { text, span } = source?;
        let content = Content { at: contents.clone(), from: Source::Path(text), place: span };
        let target = target?.0;
        Some((Action::Files(FileSet { contents, target, placing, owner, mode }), Some(content)))
    }

    fn mode(&self, problems: &mut Problems<'_>) -> Option<u32> {
        let (_, value) = self.keys.get("mode")?;
        if let Some(number) = value.get_ref().as_integer()
            && matches!(number.radix(), 8 | 10)
        {
            let help = format!("write mode = \"{:0>4}\"", number.as_str());
            problems.add(Code::WrongType, value.span(), "`mode` takes a text, not a number", help);
            return None;
        }
        let text = self.keys.text("mode", "0755", problems)?;
        let mode = values::mode(&text.text);
        if mode.is_none() {
            let message = format!("{:?} is no mode", text.text);
            let help = "write three or four digits from 0 to 7, as mode = \"0755\"";
            problems.add(Code::WrongValue, text.span, message, help);
        }
        mode
    }

    /// A path on the publisher, relative to the specification.
    fn source(&self, key: &str, example: &str, problems: &mut Problems<'_>) -> Option<Text> {
        let text = self.keys.text(key, example, problems)?;
        let wrong = if text.text.is_empty() {
            "it is empty"
        } else if text.text.starts_with('/') {
            "it is absolute"
        } else if text.text.contains('\0') || text.text.len() > rules::PATH_BYTES_MAX {
            "it is no path"
        } else {
            return Some(text);
        };
        let help = "name a file or directory relative to this file, so that the package can be built elsewhere";
        problems.add(Code::WrongValue, text.span, format!("`{key}` cannot be used: {wrong}"), help);
        None
    }

    fn script(
        &self,
        kind: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<(Action, Option<Content>)> {
        let mut content = None;
        let mut interpreter = Some(vec!["/bin/sh".to_owned()]);
        match kind {
            "command" => {
                interpreter =
                    self.words("command", "[\"systemctl\", \"restart\", \"tools\"]", problems);
            }
            "script" => {
                let text = self.keys.text("script", "echo hello", problems);
                let text = text.filter(|text| {
                    let is_empty = text.text.trim().is_empty();
                    if is_empty {
                        let help = "write what is to be run between three quotes";
                        problems.add(
                            Code::WrongValue,
                            text.span.clone(),
                            "the script is empty",
                            help,
                        );
                    }
                    !is_empty
                });
                interpreter = text.as_ref().map(|text| values::interpreter(&text.text));
                content = text.map(|text| (Source::Text(text.text), text.span));
            }
            _ => {
                let file = self.source("script-file", "setup.sh", problems);
                content = file.map(|text| (Source::Path(text.text), text.span));
            }
        }
        let is_file = kind != "command";
        if is_file && self.keys.get("interpreter").is_some() {
            interpreter = self.words("interpreter", "[\"/bin/bash\", \"-e\"]", problems);
        }
        let arguments = if is_file {
            self.texts("arguments", "[\"--all\"]", ARGUMENTS_MAX, rules::argument, problems)
        } else {
            None
        };
        let environment = self.environment(is_file, problems);
        let directory = self.keys.text("directory", "/opt/tools", problems);
        let directory = directory.and_then(|text| self.path(&text, problems));
        let user = self.owner("user", problems);
        let timeout = self.timeout(problems);
        let output_bytes_max = self.output_limit(problems);
        let expected = self.expect(problems);
        let on_interrupt = [("fail", OnInterrupt::Fail), ("repeat", OnInterrupt::Repeat)];
        let on_interrupt = self.keys.word("on-interrupt", &on_interrupt, problems);
        let writes =
            self.texts("writes", "[\"/opt/tools\"]", WRITES_MAX, rules::absolute_path, problems);
        let limits = limits::read(&self.keys, problems);
        let at = script_path(self.number);
        let script = Script {
            file: is_file.then(|| at.clone()),
            interpreter: interpreter?,
            arguments: arguments.unwrap_or_default(),
            environment,
            directory,
            user,
            timeout: timeout.unwrap_or(TIMEOUT),
            output_bytes_max: output_bytes_max.unwrap_or(OUTPUT_BYTES),
            expected: expected.unwrap_or_else(|| vec![0]),
            on_interrupt: on_interrupt.unwrap_or(OnInterrupt::Fail),
            writes,
            limits,
        };
        if is_file && content.is_none() {
            return None;
        }
        Some((Action::Script(script), content.map(|(from, place)| Content { at, from, place })))
    }

    /// A program and its arguments.
    fn words(&self, key: &str, example: &str, problems: &mut Problems<'_>) -> Option<Vec<String>> {
        let span = self.keys.get(key)?.1.span();
        let words = self.texts(key, example, ARGUMENTS_MAX, rules::argument, problems)?;
        let program = words.first().map_or("", String::as_str);
        if program.is_empty() {
            let help = format!("write {key} = {example}");
            problems.add(Code::WrongValue, span, format!("`{key}` names no program"), help);
            return None;
        }
        if program.contains('/') && !program.starts_with('/') {
            let message = format!("{program:?} is neither a name nor an absolute path");
            let help = "a program is looked for by its name, or named from / on; programs of the package itself are where a step before has put them";
            problems.add(Code::WrongValue, span, message, help);
            return None;
        }
        Some(words)
    }

    /// A list of texts with variables in them.
    fn texts(
        &self,
        key: &str,
        example: &str,
        max: usize,
        rule: fn(&str) -> Rule,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<String>> {
        let texts = self.keys.texts(key, example, problems)?;
        if let Some(beyond) = texts.get(max) {
            let message = format!("`{key}` has more than {max} items");
            problems.add(Code::TooLong, beyond.span.clone(), message, "");
            return None;
        }
        let filled: Vec<_> = texts.iter().map(|text| self.fill(text, rule, problems)).collect();
        filled.into_iter().collect()
    }

    /// A text with variables in it, that keeps a rule.
    fn fill(
        &self,
        text: &Text,
        rule: fn(&str) -> Rule,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let filled = Text { text: self.variables.fill(text, problems)?, span: text.span.clone() };
        follow(&filled, rule, problems).then_some(filled.text)
    }

    /// An absolute path with variables in it; one slash at its end means nothing.
    fn path(&self, text: &Text, problems: &mut Problems<'_>) -> Option<String> {
        let filled = self.variables.fill(text, problems)?;
        let path = filled.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&filled);
        let path = Text { text: path.to_owned(), span: text.span.clone() };
        follow(&path, rules::absolute_path, problems).then_some(path.text)
    }

    fn owner(&self, key: &str, problems: &mut Problems<'_>) -> Option<Owner> {
        let text = self.keys.text(key, "root:root", problems)?;
        let owner = values::owner(&text.text);
        let names = std::iter::once(&owner.user).chain(&owner.group);
        if let Some(rule) = names.map(|name| rules::account(name)).find_map(Rule::err) {
            let message = format!("{:?} is no user, and no user:group", text.text);
            problems.add(Code::WrongValue, text.span, message, rule);
            return None;
        }
        Some(owner)
    }

    fn environment(
        &self,
        is_script: bool,
        problems: &mut Problems<'_>,
    ) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        if is_script {
            environment.extend(self.variables.environment());
        }
        let what = "environment = { NAME = \"value\" }";
        let Some(table) = self.keys.table("environment", what, problems) else {
            return environment;
        };
        if table.iter().count() + environment.len() > VARIABLES_MAX {
            let message =
                format!("there are more than {VARIABLES_MAX} variables in the environment");
            problems.add(Code::TooLong, table.span.clone(), message, "");
            return environment;
        }
        for (key, _) in table.iter() {
            let name: &str = key.get_ref();
            let named = Text { text: name.to_owned(), span: key.span() };
            follow(&named, rules::variable, problems);
            if name.starts_with("CONSIGN_") {
                let message = format!("`{name}` is set by Consign itself");
                problems.add(Code::WrongValue, key.span(), message, "choose another name");
            }
            if let Some(value) = table.text(name, "value", problems)
                && let Some(value) = self.fill(&value, rules::argument, problems)
            {
                environment.insert(name.to_owned(), value);
            }
        }
        environment
    }

    fn timeout(&self, problems: &mut Problems<'_>) -> Option<Duration> {
        let (_, value) = self.keys.get("timeout")?;
        if let Some(number) = value.get_ref().as_integer() {
            let help = format!("write timeout = \"{}s\" if seconds are meant", number.as_str());
            problems.add(
                Code::WrongType,
                value.span(),
                "`timeout` takes a text, not a number",
                help,
            );
            return None;
        }
        let text = self.keys.text("timeout", "10m", problems)?;
        let timeout = values::duration(&text.text);
        let (message, help) = match timeout {
            None => (
                format!("{:?} is no time", text.text),
                "write numbers with ms, s, m, h or d, as timeout = \"1h 30m\"",
            ),
            Some(time) if time.is_zero() || time > TIMEOUT_MAX => {
                (format!("{:?} is too short or too long", text.text), "it is at most 7d")
            }
            Some(_) => return timeout,
        };
        problems.add(Code::WrongValue, text.span, message, help);
        None
    }

    fn output_limit(&self, problems: &mut Problems<'_>) -> Option<u64> {
        let (_, value) = self.keys.get("output-limit")?;
        if let Some(number) = value.get_ref().as_integer() {
            let message = "`output-limit` takes a text, not a number";
            let help = format!("write output-limit = \"{} B\"", number.as_str());
            problems.add(Code::WrongType, value.span(), message, help);
            return None;
        }
        let text = self.keys.text("output-limit", "64 KiB", problems)?;
        let size = values::size(&text.text);
        let (message, help) = match size {
            None => (
                format!("{:?} is no amount of bytes", text.text),
                "write a whole number with B, kB, KiB, MB or MiB, as output-limit = \"64 KiB\"",
            ),
            Some(size) if size > OUTPUT_BYTES_MAX => (
                format!("{:?} is too much", text.text),
                "a receipt keeps at most 1 MiB of each output",
            ),
            Some(_) => return size,
        };
        problems.add(Code::WrongValue, text.span, message, help);
        None
    }

    fn expect(&self, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
        let (_, value) = self.keys.get("expect")?;
        let help = "write the exit codes that count as success, as expect = [0, 3]";
        let Some(codes) = value.get_ref().as_array().filter(|codes| !codes.is_empty()) else {
            let message = "`expect` takes a list of exit codes";
            problems.add(Code::WrongType, value.span(), message, help);
            return None;
        };
        let mut expected = BTreeSet::new();
        for code in codes {
            let number = code.get_ref().as_integer();
            let number =
                number.and_then(|number| u8::from_str_radix(number.as_str(), number.radix()).ok());
            match number {
                Some(number) => {
                    expected.insert(number);
                }
                None => {
                    let message = "an exit code is a number from 0 to 255";
                    problems.add(Code::WrongValue, code.span(), message, help);
                }
            }
        }
        Some(expected.into_iter().collect())
    }
}

/// Whether a directory is one that systems and many packages share.
fn is_shared(path: &str) -> bool {
    const SHARED: [&str; 12] = [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/usr/lib64",
        "/usr/share",
        "/usr/local",
        "/usr/local/bin",
        "/usr/local/lib",
        "/etc/systemd",
        "/etc/systemd/system",
        "/var/lib",
        "/var/log",
    ];
    // The root and what stands in it: /etc, /opt, /home and the like.
    path.matches('/').count() == 1 || SHARED.contains(&path)
}
