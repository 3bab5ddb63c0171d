//! What the encodings of instructions and receipts share.

use content::DecodeError;
use content::cbor::{Encoded, Reader, Writer};

use crate::instructions::Owner;

/// A value that breaks a rule of its format, so it can be neither written nor read. Whoever made it
/// mends what `place` names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct BoundsError {
    /// Which part of it, for people.
    pub place: String,
    /// The rule that is broken.
    pub rule: String,
}

impl BoundsError {
    pub(crate) fn new(place: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { place: place.into(), rule: rule.into() }
    }
}

/// Says of a broken rule where it was broken.
pub(crate) trait At {
    fn at(self, place: impl FnOnce() -> String) -> Result<(), BoundsError>;
}

impl At for crate::rules::Rule {
    fn at(self, place: impl FnOnce() -> String) -> Result<(), BoundsError> {
        self.map_err(|rule| BoundsError::new(place(), rule))
    }
}

/// Refuses more than there may be.
pub(crate) fn at_most(
    count: usize,
    max: usize,
    place: impl FnOnce() -> String,
) -> Result<(), BoundsError> {
    if count <= max {
        Ok(())
    } else {
        Err(BoundsError::new(place(), format!("{count} where at most {max} may be")))
    }
}

/// Writes an array of texts.
pub(crate) fn write_texts(texts: &[String], writer: &mut Writer) -> Encoded {
    writer.array(texts.len() as u64)?;
    for text in texts {
        writer.str(text)?;
    }
    Ok(())
}

/// Reads an array of at most `max` items.
pub(crate) fn read_list<T>(
    reader: &mut Reader<'_>,
    max: usize,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let claimed = reader.items()?;
    if claimed > max as u64 {
        return Err(reader.invalid(format!("{claimed} items where at most {max} may be")));
    }
    let mut items = Vec::with_capacity(reader.capacity(claimed, 64));
    for _ in 0..claimed {
        items.push(read(reader)?);
    }
    Ok(items)
}

/// Reads an array of at most `max` texts.
pub(crate) fn read_texts(reader: &mut Reader<'_>, max: usize) -> Result<Vec<String>, DecodeError> {
    read_list(reader, max, read_text)
}

/// Reads a text.
pub(crate) fn read_text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    Ok(reader.text()?.to_owned())
}

/// Writes `[user, group]`.
pub(crate) fn write_owner(owner: &Owner, writer: &mut Writer) -> Encoded {
    writer.array(1 + u64::from(owner.group.is_some()))?.str(&owner.user)?;
    if let Some(group) = &owner.group {
        writer.str(group)?;
    }
    Ok(())
}

/// Reads `[user, group]`.
pub(crate) fn read_owner(reader: &mut Reader<'_>) -> Result<Owner, DecodeError> {
    let fields = reader.items()?;
    if !(1..=2).contains(&fields) {
        return Err(reader.invalid("an owner is a user and perhaps a group"));
    }
    let user = read_text(reader)?;
    let group = if fields == 2 { Some(read_text(reader)?) } else { None };
    Ok(Owner { user, group })
}

/// Reads the version of an object, of which this program knows all up to `newest`.
pub(crate) fn read_version(
    reader: &mut Reader<'_>,
    what: &'static str,
    newest: u64,
) -> Result<(), DecodeError> {
    match reader.u64()? {
        version if (1..=newest).contains(&version) => Ok(()),
        version => Err(DecodeError::Version { what, version, supported: newest }),
    }
}

/// A number of one byte.
pub(crate) fn read_u8(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let number = reader.u64()?;
    u8::try_from(number).map_err(|_| reader.invalid(format!("{number} where at most 255 may be")))
}
