//! Targets for the decoders of the `node-api` crate.
//!
//! JSON has many spellings of one value, so what is accepted need not encode to the same bytes:
//! it encodes to bytes that decode to the same value.

use std::fmt::Debug;

use node_api::{Frame, FrameReader, FromNode, Hello, Text, ToNode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Verdict, same};

/// A stream of frames; the first two bytes say in how large pieces it arrives.
#[must_use]
pub fn node_frame_stream(bytes: &[u8]) -> Verdict {
    let Some((step, stream)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let step = usize::from(u16::from_le_bytes(*step)).max(1);
    let (mut reader, mut again) = (FrameReader::default(), Vec::new());
    for piece in stream.chunks(step) {
        reader.push(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => again.extend_from_slice(&frame.encode()),
                Ok(None) => break,
                Err(_) => return Verdict::Refused,
            }
        }
    }
    same((!reader.is_in_a_frame()).then_some(again), stream)
}

/// What both sides say first.
#[must_use]
pub fn node_hello(bytes: &[u8]) -> Verdict {
    message::<Hello>(bytes)
}

/// What a command says to the node.
#[must_use]
pub fn to_node(bytes: &[u8]) -> Verdict {
    message::<ToNode>(bytes)
}

/// What the node says to a command.
#[must_use]
pub fn from_node(bytes: &[u8]) -> Verdict {
    match serde_json::from_slice(bytes) {
        // Fractions are read to the last digit but one: they may change when read again.
        Ok(value) if has_fraction(&value) => match parse::<FromNode>(bytes) {
            Some(_) => Verdict::Accepted,
            None => Verdict::Refused,
        },
        Ok(_) | Err(_) => message::<FromNode>(bytes),
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// A path or an argument within a message.
#[must_use]
pub fn node_text(bytes: &[u8]) -> Verdict {
    message::<Text>(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let contents = Frame::Bytes(bytes.to_vec());
    assert!(contents.message::<Value>().is_err(), "contents are never taken for a message");
    Frame::Message(bytes.to_vec()).message().ok()
}

fn message<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Verdict {
    let Some(value) = parse::<T>(bytes) else { return Verdict::Refused };
    // Escapes may take six times the room; what no longer fits is refused, not cut.
    let Ok(again) = Frame::of(&value) else { return Verdict::Accepted };
    assert_eq!(again.message::<T>(), Ok(value), "what was encoded decodes to the same");
    Verdict::Accepted
}
