//! Values of the right type out of tables, and what to say of the others.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Code, Problems};

/// A text, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

impl Text {
    /// Where a part of the text is: exactly, if it stands in the file as it is, without escapes.
    pub(super) fn part(&self, within: Range<usize>, problems: &Problems<'_>) -> Range<usize> {
        let source = &problems.text[self.span.clone()];
        let quote =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| source.starts_with(quote));
        let start = quote.map_or(0, str::len);
        if source.get(start..start + self.text.len()) == Some(&self.text) {
            let at = self.span.start + start;
            at + within.start..at + within.end
        } else {
            self.span.clone()
        }
    }
}

/// One table of the file.
pub(super) struct Keys<'t, 'i> {
    table: &'t DeTable<'i>,
    /// Where it begins: its header.
    pub(super) span: Range<usize>,
    /// What it is called, such as `[package]`.
    what: &'static str,
}

type Entry<'t, 'i> = (&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>);

impl<'t, 'i> Keys<'t, 'i> {
    pub(super) fn new(table: &'t DeTable<'i>, span: Range<usize>, what: &'static str) -> Self {
        Self { table, span, what }
    }

    /// A table within this one; `None` and nothing said if it is not there.
    pub(super) fn table(
        &self,
        key: &str,
        what: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let (_, value) = self.get(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Keys::new(table, value.span(), what));
        }
        let message = format!("`{key}` takes a table, not {}", named(value.get_ref()));
        problems.add(Code::WrongType, value.span(), message, format!("write {what}"));
        None
    }

    pub(super) fn get(&self, key: &str) -> Option<Entry<'t, 'i>> {
        self.table.iter().find(|(known, _)| known.get_ref() == key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'t, 'i>> {
        self.table.iter()
    }

    /// Where the key is.
    pub(super) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.get(key).map(|(key, _)| key.span())
    }

    /// Refuses all keys but these.
    pub(super) fn only(&self, known: &[&str], problems: &mut Problems<'_>) {
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let help = near(name, known.iter().copied()).map_or_else(
                    || format!("there are {}", listed(known)),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("{} has no key `{name}`", self.what);
                problems.add(Code::UnknownKey, key.span(), message, help);
            }
        }
    }

    /// Says that a key is missing.
    pub(super) fn missing(&self, key: &str, help: &str, problems: &mut Problems<'_>) {
        let message = format!("{} needs the key `{key}`", self.what);
        problems.add(Code::MissingKey, self.span.clone(), message, help);
    }

    /// A text; `example` is how one could look.
    pub(super) fn text(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Text> {
        let (_, value) = self.get(key)?;
        text(key, value, || format!("write {key} = {example:?}"), problems)
    }

    /// A list of texts.
    pub(super) fn texts(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<Text>> {
        let (_, value) = self.get(key)?;
        let DeValue::Array(values) = value.get_ref() else {
            let message = format!("`{key}` takes a list of texts, not {}", named(value.get_ref()));
            let help = match value.get_ref().as_str() {
                Some(words) if ["command", "interpreter"].contains(&key) => {
                    format!("write {key} = {:?}", words.split_whitespace().collect::<Vec<_>>())
                }
                Some(word) => format!("write {key} = [{word:?}]"),
                None => format!("write {key} = {example}"),
            };
            problems.add(Code::WrongType, value.span(), message, help);
            return None;
        };
        // Each is looked at, whatever is wrong with those before.
        let help = || format!("write {key} = {example}");
        let read: Vec<_> = values.iter().map(|value| text(key, value, help, problems)).collect();
        read.into_iter().collect()
    }

    /// One of the words.
    pub(super) fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        problems: &mut Problems<'_>,
    ) -> Option<T> {
        let text = self.text(key, words[0].0, problems)?;
        let found = words.iter().find(|(word, _)| *word == text.text);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("`{key}` is not {:?}", text.text);
            let help = near(&text.text, names.iter().copied()).map_or_else(
                || format!("it is one of {}", listed(&names)),
                |near| format!("did you mean `{near}`?"),
            );
            problems.add(Code::WrongValue, text.span, message, help);
        }
        found.map(|(_, value)| *value)
    }
}

fn text(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    help: impl Fn() -> String,
    problems: &mut Problems<'_>,
) -> Option<Text> {
    match value.get_ref().as_str() {
        Some(text) => Some(Text { text: text.to_owned(), span: value.span() }),
        None => {
            let message = format!("`{key}` takes a text, not {}", named(value.get_ref()));
            problems.add(Code::WrongType, value.span(), message, help());
            None
        }
    }
}

/// What a value is, for people.
pub(super) fn named(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Words as a sentence has them.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "none".to_owned(),
    }
}

/// Which of `known` somebody meant who wrote `wrong`; `None` when nothing is like it.
pub(super) fn near<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// As the program judges its options: below it suggestions are guesses.
    const LIKENESS_MIN: f64 = 0.8;
    let likeness = |one: &str| strsim::jaro_winkler(wrong, one);
    let best = known
        .map(|one| (likeness(one), one))
        .max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}
