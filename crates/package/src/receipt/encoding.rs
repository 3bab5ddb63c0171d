//! The bytes of a receipt: `docs/format.md`, section 14.2.

use std::time::Duration;

use content::DecodeError;
use content::cbor::{self, Encoded, Reader, Writer};

use super::{
    End, Limit, Outcome, Output, Placed, RECEIPT_BYTES_MAX, Ran, Receipt, StepReceipt, Verdict,
};
use crate::BoundsError;
use crate::encoding::{at_most, read_list, read_text, read_u8, read_version};
use crate::instructions::STEPS_MAX;

const WHAT: &str = "receipt";
/// Of what the first release can read.
const VERSION: u64 = 1;
/// Of what speaks of limits.
const VERSION_WITH_LIMITS: u64 = 2;

impl Receipt {
    /// The one encoding of this receipt. What is longer than may be, [`Receipt::shorten`] shortens.
    ///
    /// # Errors
    /// A value that breaks a bound, or more than [`RECEIPT_BYTES_MAX`] in all.
    pub fn encode(&self) -> Result<Vec<u8>, BoundsError> {
        self.check()?;
        let bytes = encode(self);
        at_most(bytes.len(), RECEIPT_BYTES_MAX, || "bytes of the receipt".into())?;
        Ok(bytes)
    }

    /// Reads a receipt; every bound that is documented on its types holds afterwards.
    ///
    /// # Errors
    /// Anything that is not exactly the encoding of such a receipt.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(cbor::invalid(WHAT, format!("longer than {RECEIPT_BYTES_MAX} bytes")));
        }
        let receipt = cbor::decode_canonical(WHAT, bytes, read, encode)?;
        receipt.check().map_err(|error| cbor::invalid(WHAT, error.to_string()))?;
        Ok(receipt)
    }
}

pub(super) fn encode(receipt: &Receipt) -> Vec<u8> {
    cbor::encode(|writer| write(receipt, writer))
}

fn write(receipt: &Receipt, writer: &mut Writer) -> Encoded {
    writer.map(5)?.u8(0)?.u64(version(receipt))?;
    writer.u8(1)?.str(&receipt.package)?.u8(2)?.str(&receipt.version)?.u8(3)?;
    match &receipt.verdict {
        Verdict::Passed => write_kind(0, None, writer)?,
        Verdict::Failed(reason) => write_kind(1, Some(reason), writer)?,
        Verdict::NotApplicable(reason) => write_kind(2, Some(reason), writer)?,
    }
    writer.u8(4)?.array(receipt.steps.len() as u64)?;
    for step in &receipt.steps {
        writer.map(4)?.u8(0)?.str(&step.name)?.u8(1)?;
        write_outcome(&step.outcome, writer)?;
        writer.u8(2)?.u64(step.begun_ms)?.u8(3)?.u64(micros(step.took))?;
    }
    Ok(())
}

/// The oldest version that can say all of it, so that older publishers read what they can.
fn version(receipt: &Receipt) -> u64 {
    let limited = |step: &StepReceipt| match &step.outcome {
        Outcome::Ran(ran) => ran.limit.is_some() || ran.memory_together_bytes_max.is_some(),
        Outcome::NotApplicable(_)
        | Outcome::LeftOut
        | Outcome::Placed(_)
        | Outcome::PutBack(_)
        | Outcome::NotPlaced(_)
        | Outcome::NotStarted(_)
        | Outcome::Interrupted => false,
    };
    if receipt.steps.iter().any(limited) { VERSION_WITH_LIMITS } else { VERSION }
}

fn read(reader: &mut Reader<'_>) -> Result<Receipt, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    // One that is not that of the contents re-encodes to other bytes and is refused.
    read_version(reader, WHAT, VERSION_WITH_LIMITS)?;
    fields.expect(reader, 1)?;
    let package = read_text(reader)?;
    fields.expect(reader, 2)?;
    let version = read_text(reader)?;
    fields.expect(reader, 3)?;
    let verdict = match read_kind(reader)? {
        (0, 1) => Verdict::Passed,
        (1, 2) => Verdict::Failed(read_text(reader)?),
        (2, 2) => Verdict::NotApplicable(read_text(reader)?),
        (kind, items) => return Err(unknown(reader, "verdict", kind, items)),
    };
    fields.expect(reader, 4)?;
    let steps = read_list(reader, STEPS_MAX, read_step)?;
    fields.finish(reader)?;
    Ok(Receipt { package, version, verdict, steps })
}

fn read_step(reader: &mut Reader<'_>) -> Result<StepReceipt, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    let name = read_text(reader)?;
    fields.expect(reader, 1)?;
    let outcome = read_outcome(reader)?;
    fields.expect(reader, 2)?;
    let begun_ms = reader.u64()?;
    fields.expect(reader, 3)?;
    let took = Duration::from_micros(reader.u64()?);
    fields.finish(reader)?;
    Ok(StepReceipt { name, outcome, begun_ms, took })
}

/// Writes `[kind]` or `[kind, reason]`.
fn write_kind(kind: u8, reason: Option<&str>, writer: &mut Writer) -> Encoded {
    writer.array(1 + u64::from(reason.is_some()))?.u8(kind)?;
    if let Some(reason) = reason {
        writer.str(reason)?;
    }
    Ok(())
}

/// Begins an array with a kind in front: the kind, and how many items the array has.
fn read_kind(reader: &mut Reader<'_>) -> Result<(u64, u64), DecodeError> {
    let items = reader.items()?;
    Ok((reader.u64()?, items))
}

fn unknown(reader: &Reader<'_>, what: &str, kind: u64, items: u64) -> DecodeError {
    reader.invalid(format!("there is no {what} {kind} of {items} items"))
}

fn write_outcome(outcome: &Outcome, writer: &mut Writer) -> Encoded {
    match outcome {
        Outcome::NotApplicable(reason) => write_kind(0, Some(reason), writer),
        Outcome::LeftOut => write_kind(1, None, writer),
        Outcome::Placed(placed) => write_placed(placed, writer.array(2)?.u8(2)?),
        Outcome::PutBack(placed) => write_placed(placed, writer.array(2)?.u8(3)?),
        Outcome::NotPlaced(reason) => write_kind(4, Some(reason), writer),
        Outcome::Ran(ran) => write_ran(ran, writer.array(2)?.u8(5)?),
        Outcome::NotStarted(reason) => write_kind(6, Some(reason), writer),
        Outcome::Interrupted => write_kind(7, None, writer),
    }
}

fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, DecodeError> {
    Ok(match read_kind(reader)? {
        (0, 2) => Outcome::NotApplicable(read_text(reader)?),
        (1, 1) => Outcome::LeftOut,
        (2, 2) => Outcome::Placed(read_placed(reader)?),
        (3, 2) => Outcome::PutBack(read_placed(reader)?),
        (4, 2) => Outcome::NotPlaced(read_text(reader)?),
        (5, 2) => Outcome::Ran(read_ran(reader)?),
        (6, 2) => Outcome::NotStarted(read_text(reader)?),
        (7, 1) => Outcome::Interrupted,
        (kind, items) => return Err(unknown(reader, "outcome", kind, items)),
    })
}

fn write_placed(placed: &Placed, writer: &mut Writer) -> Encoded {
    let Placed { added, changed, kept, removed, bytes } = *placed;
    writer.array(5)?.u64(added)?.u64(changed)?.u64(kept)?.u64(removed)?.u64(bytes)?;
    Ok(())
}

fn read_placed(reader: &mut Reader<'_>) -> Result<Placed, DecodeError> {
    reader.array_of(5)?;
    Ok(Placed {
        added: reader.u64()?,
        changed: reader.u64()?,
        kept: reader.u64()?,
        removed: reader.u64()?,
        bytes: reader.u64()?,
    })
}

fn write_ran(ran: &Ran, writer: &mut Writer) -> Encoded {
    let more = [ran.limit.is_some(), ran.memory_together_bytes_max.is_some()];
    writer.map(6 + more.into_iter().map(u64::from).sum::<u64>())?.u8(0)?;
    match ran.end {
        End::Code(code) => writer.array(2)?.u8(0)?.u8(code)?,
        End::Signal(signal) => writer.array(2)?.u8(1)?.u8(signal)?,
        End::TimedOut => writer.array(1)?.u8(2)?,
    };
    writer.u8(1)?.u8(u8::from(ran.is_expected))?;
    for (key, output) in [(2, &ran.output), (3, &ran.error)] {
        writer.u8(key)?.array(2)?.bytes(&output.bytes)?.u64(output.bytes_total)?;
    }
    writer.u8(4)?.u64(micros(ran.processor))?.u8(5)?.u64(ran.memory_bytes_max)?;
    if let Some(limit) = ran.limit {
        writer.u8(6)?.u8(match limit {
            Limit::Memory => 0,
            Limit::Processes => 1,
            Limit::Processor => 2,
        })?;
    }
    if let Some(bytes) = ran.memory_together_bytes_max {
        writer.u8(7)?.u64(bytes)?;
    }
    Ok(())
}

fn read_ran(reader: &mut Reader<'_>) -> Result<Ran, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    let end = match read_kind(reader)? {
        (0, 2) => End::Code(read_u8(reader)?),
        (1, 2) => End::Signal(read_u8(reader)?),
        (2, 1) => End::TimedOut,
        (kind, items) => return Err(unknown(reader, "end", kind, items)),
    };
    fields.expect(reader, 1)?;
    let is_expected = match reader.u64()? {
        0 => false,
        1 => true,
        other => return Err(reader.invalid(format!("{other} is neither yes nor no"))),
    };
    fields.expect(reader, 2)?;
    let output = read_output(reader)?;
    fields.expect(reader, 3)?;
    let error = read_output(reader)?;
    fields.expect(reader, 4)?;
    let processor = Duration::from_micros(reader.u64()?);
    fields.expect(reader, 5)?;
    let memory_bytes_max = reader.u64()?;
    let limit = if fields.take(reader, 6)? {
        Some(match reader.u64()? {
            0 => Limit::Memory,
            1 => Limit::Processes,
            2 => Limit::Processor,
            other => return Err(reader.invalid(format!("there is no limit {other}"))),
        })
    } else {
        None
    };
    let memory_together_bytes_max =
        if fields.take(reader, 7)? { Some(reader.u64()?) } else { None };
    fields.finish(reader)?;
    Ok(Ran {
        end,
        is_expected,
        output,
        error,
        processor,
        memory_bytes_max,
        limit,
        memory_together_bytes_max,
    })
}

fn read_output(reader: &mut Reader<'_>) -> Result<Output, DecodeError> {
    reader.array_of(2)?;
    Ok(Output { bytes: reader.bytes()?.to_vec(), bytes_total: reader.u64()? })
}

/// What is shorter than a microsecond is cut off.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
