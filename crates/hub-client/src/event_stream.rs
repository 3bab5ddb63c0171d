//! The text of server-sent events (WHATWG HTML, section 9.2.6), as events.
//!
//! Pure: bytes in, events out, whatever way the bytes were cut.

/// Longest line, and most data of one event, in bytes. A release event has about 200.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// One event as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawEvent {
    pub(crate) kind: String,
    pub(crate) data: String,
    /// The last id so far, this event's or an earlier one's.
    pub(crate) id: String,
}

/// A line or an event is longer than any the hub sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventTooLong;

/// Collects lines, and lines into events.
#[derive(Debug, Default)]
pub(crate) struct EventParser {
    line: Vec<u8>,
    /// The line before ended in CR: an LF right behind it belongs to it.
    after_return: bool,
    first_line_done: bool,
    kind: String,
    data: String,
    id: String,
}

impl EventParser {
    /// Takes the next bytes and gives the events that end within them to `events`.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut events: impl FnMut(RawEvent),
    ) -> Result<(), EventTooLong> {
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    if let Some(event) = self.end_line()? {
                        events(event);
                    }
                }
                _ if self.line.len() == EVENT_BYTES_MAX => return Err(EventTooLong),
                _ => self.line.push(*byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<RawEvent>, EventTooLong> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = match std::mem::replace(&mut self.first_line_done, true) {
            true => &*line,
            false => line.strip_prefix('\u{feff}').unwrap_or(&line),
        };
        if line.is_empty() {
            let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
            // Every line of data left a line feed; an event without data is none.
            return Ok(data.pop().map(|_| RawEvent { kind, data, id: self.id.clone() }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" if self.data.len() + value.len() >= EVENT_BYTES_MAX => return Err(EventTooLong),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            // Comments have no field name; reconnecting is the caller's.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(parts: &[&[u8]]) -> Vec<RawEvent> {
        let mut parser = EventParser::default();
        let mut events = Vec::new();
        for part in parts {
            parser.push(part, |event| events.push(event)).expect("short");
        }
        events
    }

    fn event(kind: &str, data: &str, id: &str) -> RawEvent {
        RawEvent { kind: kind.into(), data: data.into(), id: id.into() }
    }

    const STREAM: &str = "\u{feff}: hello\r\n\r\nevent: release\r\nid: 7\r\ndata: {\"a\":1}\r\n\r\n\
        data:one\ndata\ndata:  two\n\n: beat\n\nid\revent:x\r\rdata: end\r\rdata: cut";

    #[test]
    fn events_are_as_the_standard_says() {
        let expected = [
            event("release", "{\"a\":1}", "7"),
            event("", "one\n\n two", "7"),
            event("", "end", ""),
        ];
        assert_eq!(parse(&[STREAM.as_bytes()]), expected);
    }

    #[test]
    fn endless_lines_and_events_are_refused() {
        let mut parser = EventParser::default();
        let line = vec![b'x'; EVENT_BYTES_MAX + 1];
        assert_eq!(parser.push(&line, |_| ()), Err(EventTooLong));
        let mut parser = EventParser::default();
        let lines = b"data: something\n".repeat(EVENT_BYTES_MAX / 8);
        assert_eq!(parser.push(&lines, |_| ()), Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(mut cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            cuts.sort_unstable();
            let (mut parts, mut from) = (Vec::new(), 0);
            for cut in cuts {
                parts.push(&STREAM.as_bytes()[from..cut]);
                from = cut;
            }
            parts.push(&STREAM.as_bytes()[from..]);
            prop_assert_eq!(parse(&parts), parse(&[STREAM.as_bytes()]));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let _ = EventParser::default().push(&bytes, |_| ());
        }
    }
}
