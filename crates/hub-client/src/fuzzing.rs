//! The parsers of what a hub says that are nobody's business but ours, for `fuzz-targets`.

use crate::event_stream::EventParser;

/// The events in a stream that came in `parts`, each as kind, data and id; `None` when it is refused.
pub fn events<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Vec<(String, String, String)>> {
    let (mut parser, mut events) = (EventParser::default(), Vec::new());
    for part in parts {
        parser.push(part, |event| events.push((event.kind, event.data, event.id))).ok()?;
    }
    Some(events)
}

/// The seconds since 1970 of a `Date` header.
#[must_use]
pub fn date(text: &str) -> Option<u64> {
    crate::date::parse(text)
}
