//! The bytes of instructions: `docs/format.md`, section 14.1.

use std::time::Duration;

use content::DecodeError;
use content::cbor::{self, Encoded, Reader, Writer};

use super::bounds::{
    ARGUMENTS_MAX, CODES_MAX, PACKAGES_MAX, SYSTEMS_MAX, VARIABLES_MAX, WRITES_MAX,
};
use super::{
    Action, Condition, FileSet, INSTRUCTIONS_BYTES_MAX, Limits, OnFailure, OnInterrupt, Package,
    Placing, Requirement, STEPS_MAX, Script, Step, limits,
};
use crate::BoundsError;
use crate::encoding::{
    at_most, read_list, read_owner, read_text, read_texts, read_u8, read_version, write_owner,
    write_texts,
};

const WHAT: &str = "package";
/// Of what the first release can read.
const VERSION: u64 = 1;
/// Of what says how much of the machine a script may use.
const VERSION_WITH_LIMITS: u64 = 2;

impl Package {
    /// The one encoding of these instructions.
    ///
    /// # Errors
    /// A value that breaks a bound, or more than [`INSTRUCTIONS_BYTES_MAX`] in all.
    pub fn encode(&self) -> Result<Vec<u8>, BoundsError> {
        self.check()?;
        let bytes = encode(self);
        at_most(bytes.len(), INSTRUCTIONS_BYTES_MAX, || "bytes of the instructions".into())?;
        Ok(bytes)
    }

    /// Reads instructions; every bound that is documented on their types holds afterwards.
    ///
    /// # Errors
    /// Anything that is not exactly the encoding of such instructions.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > INSTRUCTIONS_BYTES_MAX {
            return Err(cbor::invalid(WHAT, format!("longer than {INSTRUCTIONS_BYTES_MAX} bytes")));
        }
        let package = cbor::decode_canonical(WHAT, bytes, read, encode)?;
        package.check().map_err(|error| cbor::invalid(WHAT, error.to_string()))?;
        Ok(package)
    }
}

pub(super) fn encode(package: &Package) -> Vec<u8> {
    cbor::encode(|writer| write(package, writer))
}

fn write(package: &Package, writer: &mut Writer) -> Encoded {
    let optional = [
        !package.description.is_empty(),
        !package.requires.is_empty(),
        !package.conflicts.is_empty(),
        !package.when.is_anywhere(),
    ];
    writer.map(4 + count(&optional))?.u8(0)?.u64(version(package))?;
    writer.u8(1)?.str(&package.name)?.u8(2)?.str(&package.version)?;
    if !package.description.is_empty() {
        writer.u8(3)?.str(&package.description)?;
    }
    if !package.requires.is_empty() {
        writer.u8(4)?.array(package.requires.len() as u64)?;
        for Requirement { name, version } in &package.requires {
            writer.array(1 + u64::from(version.is_some()))?.str(name)?;
            if let Some(version) = version {
                writer.str(version)?;
            }
        }
    }
    if !package.conflicts.is_empty() {
        writer.u8(5)?;
        write_texts(&package.conflicts, writer)?;
    }
    if !package.when.is_anywhere() {
        writer.u8(6)?;
        write_condition(&package.when, writer)?;
    }
    writer.u8(7)?.array(package.steps.len() as u64)?;
    package.steps.iter().try_for_each(|step| write_step(step, writer))
}

/// The oldest version that can say all of it, so that older machines read what they can carry out.
fn version(package: &Package) -> u64 {
    let limited = |step: &Step| match &step.action {
        Action::Script(script) => !script.limits.is_empty(),
        Action::Files(_) => false,
    };
    if package.steps.iter().any(limited) { VERSION_WITH_LIMITS } else { VERSION }
}

fn read(reader: &mut Reader<'_>) -> Result<Package, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    // One that is not that of the contents re-encodes to other bytes and is refused.
    read_version(reader, WHAT, VERSION_WITH_LIMITS)?;
    fields.expect(reader, 1)?;
    let name = read_text(reader)?;
    fields.expect(reader, 2)?;
    let version = read_text(reader)?;
    let description = if fields.take(reader, 3)? { read_text(reader)? } else { String::new() };
    let requires = if fields.take(reader, 4)? {
        read_list(reader, PACKAGES_MAX, read_requirement)?
    } else {
        Vec::new()
    };
    let conflicts =
        if fields.take(reader, 5)? { read_texts(reader, PACKAGES_MAX)? } else { Vec::new() };
    let when = if fields.take(reader, 6)? { read_condition(reader)? } else { Condition::default() };
    fields.expect(reader, 7)?;
    let steps = read_list(reader, STEPS_MAX, read_step)?;
    fields.finish(reader)?;
    Ok(Package { name, version, description, requires, conflicts, when, steps })
}

fn read_requirement(reader: &mut Reader<'_>) -> Result<Requirement, DecodeError> {
    let fields = reader.items()?;
    if !(1..=2).contains(&fields) {
        return Err(reader.invalid("a requirement is a name and perhaps a version"));
    }
    let name = read_text(reader)?;
    let version = if fields == 2 { Some(read_text(reader)?) } else { None };
    Ok(Requirement { name, version })
}

fn write_condition(when: &Condition, writer: &mut Writer) -> Encoded {
    let optional = [!when.os.is_empty(), !when.arch.is_empty(), when.labels.is_some()];
    writer.map(count(&optional))?;
    for (key, systems) in [(0, &when.os), (1, &when.arch)] {
        if !systems.is_empty() {
            writer.u8(key)?;
            write_texts(systems, writer)?;
        }
    }
    if let Some(labels) = &when.labels {
        writer.u8(2)?.str(&labels.to_string())?;
    }
    Ok(())
}

fn read_condition(reader: &mut Reader<'_>) -> Result<Condition, DecodeError> {
    let mut fields = reader.fields()?;
    let os = if fields.take(reader, 0)? { read_texts(reader, SYSTEMS_MAX)? } else { Vec::new() };
    let arch = if fields.take(reader, 1)? { read_texts(reader, SYSTEMS_MAX)? } else { Vec::new() };
    let labels = if fields.take(reader, 2)? {
        let text = reader.text()?;
        Some(text.parse().map_err(|error| reader.invalid(format!("labels: {error}")))?)
    } else {
        None
    };
    fields.finish(reader)?;
    Ok(Condition { os, arch, labels })
}

fn write_step(step: &Step, writer: &mut Writer) -> Encoded {
    let on_failure = match step.on_failure {
        OnFailure::Stop => None,
        OnFailure::Continue => Some(1),
        OnFailure::RollBack => Some(2),
    };
    writer.map(2 + count(&[!step.when.is_anywhere(), on_failure.is_some()]))?;
    writer.u8(0)?.str(&step.name)?;
    if !step.when.is_anywhere() {
        writer.u8(1)?;
        write_condition(&step.when, writer)?;
    }
    if let Some(on_failure) = on_failure {
        writer.u8(2)?.u8(on_failure)?;
    }
    writer.u8(3)?.array(2)?;
    match &step.action {
        Action::Files(files) => write_files(files, writer.u8(0)?),
        Action::Script(script) => write_script(script, writer.u8(1)?),
    }
}

fn read_step(reader: &mut Reader<'_>) -> Result<Step, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    let name = read_text(reader)?;
    let when = if fields.take(reader, 1)? { read_condition(reader)? } else { Condition::default() };
    let on_failure = if fields.take(reader, 2)? {
        match reader.u64()? {
            1 => OnFailure::Continue,
            2 => OnFailure::RollBack,
            other => return Err(reader.invalid(format!("{other} is nothing to do on failure"))),
        }
    } else {
        OnFailure::Stop
    };
    fields.expect(reader, 3)?;
    reader.array_of(2)?;
    let action = match reader.u64()? {
        0 => Action::Files(read_files(reader)?),
        1 => Action::Script(read_script(reader)?),
        other => return Err(reader.invalid(format!("{other} is no kind of step"))),
    };
    fields.finish(reader)?;
    Ok(Step { name, when, on_failure, action })
}

fn write_files(files: &FileSet, writer: &mut Writer) -> Encoded {
    let placing = match files.placing {
        Placing::Replace => 0,
        Placing::Merge => 1,
    };
    writer.map(3 + count(&[files.owner.is_some(), files.mode.is_some()]))?;
    writer.u8(0)?.str(&files.contents)?.u8(1)?.str(&files.target)?.u8(2)?.u8(placing)?;
    if let Some(owner) = &files.owner {
        write_owner(owner, writer.u8(3)?)?;
    }
    if let Some(mode) = files.mode {
        writer.u8(4)?.u32(mode)?;
    }
    Ok(())
}

fn read_files(reader: &mut Reader<'_>) -> Result<FileSet, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    let contents = read_text(reader)?;
    fields.expect(reader, 1)?;
    let target = read_text(reader)?;
    fields.expect(reader, 2)?;
    let placing = match reader.u64()? {
        0 => Placing::Replace,
        1 => Placing::Merge,
        other => return Err(reader.invalid(format!("{other} is no way to place files"))),
    };
    let owner = if fields.take(reader, 3)? { Some(read_owner(reader)?) } else { None };
    let mode = if fields.take(reader, 4)? { Some(reader.u32()?) } else { None };
    fields.finish(reader)?;
    Ok(FileSet { contents, target, placing, owner, mode })
}

fn write_script(script: &Script, writer: &mut Writer) -> Encoded {
    let repeats = match script.on_interrupt {
        OnInterrupt::Fail => false,
        OnInterrupt::Repeat => true,
    };
    let optional = [
        script.file.is_some(),
        !script.arguments.is_empty(),
        !script.environment.is_empty(),
        script.directory.is_some(),
        script.user.is_some(),
        repeats,
        script.writes.is_some(),
        !script.limits.is_empty(),
    ];
    writer.map(4 + count(&optional))?;
    if let Some(file) = &script.file {
        writer.u8(0)?.str(file)?;
    }
    write_texts(&script.interpreter, writer.u8(1)?)?;
    if !script.arguments.is_empty() {
        write_texts(&script.arguments, writer.u8(2)?)?;
    }
    if !script.environment.is_empty() {
        writer.u8(3)?.array(script.environment.len() as u64)?;
        for (variable, value) in &script.environment {
            writer.array(2)?.str(variable)?.str(value)?;
        }
    }
    if let Some(directory) = &script.directory {
        writer.u8(4)?.str(directory)?;
    }
    if let Some(user) = &script.user {
        write_owner(user, writer.u8(5)?)?;
    }
    // Checked: at most a week.
    let timeout_ms = u64::try_from(script.timeout.as_millis()).unwrap_or(u64::MAX);
    writer.u8(6)?.u64(timeout_ms)?.u8(7)?.u64(script.output_bytes_max)?;
    writer.u8(8)?.array(script.expected.len() as u64)?;
    for code in &script.expected {
        writer.u8(*code)?;
    }
    if repeats {
        writer.u8(9)?.u8(1)?;
    }
    if let Some(writes) = &script.writes {
        write_texts(writes, writer.u8(10)?)?;
    }
    if !script.limits.is_empty() {
        limits::write(&script.limits, writer.u8(11)?)?;
    }
    Ok(())
}

fn read_script(reader: &mut Reader<'_>) -> Result<Script, DecodeError> {
    let mut fields = reader.fields()?;
    let file = if fields.take(reader, 0)? { Some(read_text(reader)?) } else { None };
    fields.expect(reader, 1)?;
    let interpreter = read_texts(reader, ARGUMENTS_MAX)?;
    let arguments =
        if fields.take(reader, 2)? { read_texts(reader, ARGUMENTS_MAX)? } else { Vec::new() };
    let environment = if fields.take(reader, 3)? {
        let pair = |reader: &mut Reader<'_>| {
            reader.array_of(2)?;
            Ok((read_text(reader)?, read_text(reader)?))
        };
        read_list(reader, VARIABLES_MAX, pair)?
    } else {
        Vec::new()
    };
    let directory = if fields.take(reader, 4)? { Some(read_text(reader)?) } else { None };
    let user = if fields.take(reader, 5)? { Some(read_owner(reader)?) } else { None };
    fields.expect(reader, 6)?;
    let timeout = Duration::from_millis(reader.u64()?);
    fields.expect(reader, 7)?;
    let output_bytes_max = reader.u64()?;
    fields.expect(reader, 8)?;
    let expected = read_list(reader, CODES_MAX, read_u8)?;
    let on_interrupt = if fields.take(reader, 9)? {
        match reader.u64()? {
            1 => OnInterrupt::Repeat,
            other => return Err(reader.invalid(format!("{other} is nothing to do on interrupt"))),
        }
    } else {
        OnInterrupt::Fail
    };
    let writes =
        if fields.take(reader, 10)? { Some(read_texts(reader, WRITES_MAX)?) } else { None };
    let limits = if fields.take(reader, 11)? { limits::read(reader)? } else { Limits::default() };
    fields.finish(reader)?;
    Ok(Script {
        file,
        interpreter,
        arguments,
        // Two of the same name, or another order, re-encode to other bytes and are refused.
        environment: environment.into_iter().collect(),
        directory,
        user,
        timeout,
        output_bytes_max,
        expected,
        on_interrupt,
        writes,
        limits,
    })
}

fn count(there: &[bool]) -> u64 {
    there.iter().filter(|is_there| **is_there).count() as u64
}
