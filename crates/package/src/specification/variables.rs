//! Texts that are written once and used as `{name}`.

use std::collections::BTreeMap;

use super::keys::{Keys, Text, near};
use super::{Code, Problems};
use crate::rules::ARGUMENT_BYTES_MAX;

/// Most variables of a specification.
const VARIABLES_MAX: usize = 64;

/// The variables of a specification.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(super) fn read(top: &Keys<'_, '_>, problems: &mut Problems<'_>) -> Self {
        let mut variables = Self::default();
        let Some(table) = top.table("variables", "[variables]", problems) else {
            return variables;
        };
        if table.iter().count() > VARIABLES_MAX {
            let message = format!("there are more than {VARIABLES_MAX} variables");
            problems.add(Code::TooLong, table.span.clone(), message, "");
        }
        for (key, _) in table.iter().take(VARIABLES_MAX) {
            let name: &str = key.get_ref();
            if !is_name(name) {
                let message = format!("a variable cannot be called `{name}`");
                let help = "a name has 1 to 64 of a-z, 0-9 and _, and begins with a letter";
                problems.add(Code::WrongValue, key.span(), message, help);
            }
            let Some(value) = table.text(name, "/opt/tools", problems) else { continue };
            // One that is used by others must be text alone, so that nobody has to follow chains.
            let value = Self::default().fill(&value, problems).unwrap_or_default();
            variables.0.insert(name.to_owned(), value);
        }
        variables
    }

    /// The text with the variables in it.
    pub(super) fn fill(&self, text: &Text, problems: &mut Problems<'_>) -> Option<String> {
        let mut filled = String::new();
        let mut is_sound = true;
        let mut rest = text.text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            filled.push_str(&rest[..at]);
            let offset = text.text.len() - rest.len() + at;
            let (brace, behind) = rest[at..].split_at(1);
            if let Some(behind) = behind.strip_prefix(brace) {
                filled.push_str(brace);
                rest = behind;
                continue;
            }
            let name = behind.split_once('}').filter(|_| brace == "{");
            let Some((name, behind)) = name.filter(|(name, _)| is_name(name)) else {
                let span = text.part(offset..offset + 1, problems);
                let help = format!("write `{brace}{brace}` for a brace, `{{name}}` for a variable");
                problems.add(Code::Variable, span, "a brace that belongs to no variable", help);
                is_sound = false;
                rest = behind;
                continue;
            };
            match self.0.get(name) {
                Some(value) => filled.push_str(value),
                None => {
                    let span = text.part(offset..offset + name.len() + 2, problems);
                    let message = format!("there is no variable `{name}`");
                    problems.add(Code::Variable, span, message, self.help(name));
                    is_sound = false;
                }
            }
            rest = behind;
            if filled.len() > ARGUMENT_BYTES_MAX {
                break;
            }
        }
        filled.push_str(rest);
        if filled.len() > ARGUMENT_BYTES_MAX {
            let message =
                format!("with its variables this is longer than {ARGUMENT_BYTES_MAX} bytes");
            problems.add(Code::TooLong, text.span.clone(), message, "");
            is_sound = false;
        }
        is_sound.then_some(filled)
    }

    fn help(&self, name: &str) -> String {
        if self.0.is_empty() {
            return format!(
                "only what [variables] defines can be used, and not in [variables] itself; write `{{{{{name}}}}}` for the braces"
            );
        }
        match near(name, self.0.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => {
                format!("define it under [variables], or write `{{{{{name}}}}}` for the braces")
            }
        }
    }

    /// The variables as scripts find them in their environment: `CONSIGN_VAR_` and the name in
    /// capitals.
    pub(super) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let variable = |name: &String| format!("CONSIGN_VAR_{}", name.to_ascii_uppercase());
        self.0.iter().map(move |(name, value)| (variable(name), value.clone()))
    }
}

fn is_name(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 64
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && name.bytes().all(letters)
}
