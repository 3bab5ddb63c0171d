//! What a process does before it becomes a script.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _,
};
use nix::unistd::{Gid, Uid, initgroups, setgid, setgroups, setuid};
use rustix::fs::Mode;
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid, umask};

use super::identity::Identity;
use super::limits::Own;
use super::messages::{Setup, Writes};
use crate::reach;

/// The first one that also keeps files from being cut short (Linux 6.2).
const LANDLOCK: ABI = ABI::V3;
/// What every script may write to.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// Becomes the script. Returns only when that fails, with the reason for people.
pub(super) fn become_script(setup: &Setup, own: &Own) -> String {
    match prepare(setup, own) {
        Ok(mut command) => {
            let program = command.get_program().to_string_lossy().into_owned();
            let error: io::Error = command.exec();
            format!("cannot run {program}: {error}")
        }
        Err(reason) => reason,
    }
}

fn prepare(setup: &Setup, own: &Own) -> Result<Command, String> {
    let system = |action: &'static str| move |error: io::Error| format!("cannot {action}: {error}");
    let parent = getppid();
    setsid().map_err(|errno| system("start a session")(errno.into()))?;
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| system("give up new privileges")(errno.into()))?;
    umask(Mode::from_raw_mode(0o022));
    // What it may write to is opened while we may still pass everywhere.
    let rules = match &setup.writes {
        Writes::Anywhere => None,
        Writes::Demanded(places) => Some(confinement(places)?),
        // Nobody asked: a place that is not there yet, or leads over somebody else's link, is none.
        Writes::Usual(places) => {
            let there = |path: &&String| reach::open(Path::new(path)).is_ok();
            confinement(&places.iter().filter(there).cloned().collect::<Vec<_>>()).ok()
        }
    };
    if setup.identity.is_other {
        take_on(&setup.identity).map_err(system("become the script's user"))?;
    }
    std::env::set_current_dir(&setup.directory)
        .map_err(|error| format!("cannot work in {}: {error}", setup.directory))?;
    // Only now: becoming somebody else takes it back.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| system("follow its supervisor")(errno.into()))?;
    if getppid() != parent {
        return Err("its supervisor is gone".to_owned());
    }
    if let Some(rules) = rules {
        rules.restrict_self().map_err(|error| format!("cannot confine its writing: {error}"))?;
    }
    own.set()?;
    let (program, arguments) = setup.words.split_first().ok_or("it names no program")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(&setup.environment);
    Ok(command)
}

fn take_on(identity: &Identity) -> io::Result<()> {
    let group = Gid::from_raw(identity.group);
    match &identity.name {
        Some(name) => initgroups(&std::ffi::CString::new(name.as_str())?, group)?,
        None => setgroups(&[group])?,
    }
    setgid(group)?;
    setuid(Uid::from_raw(identity.user))?;
    Ok(())
}

/// Rules that forbid to change contents and names anywhere but beneath these paths.
///
/// It fails where the kernel cannot hold all of them: whoever asked for bounds did not ask for some of them.
fn confinement(writes: &[String]) -> Result<RulesetCreated, String> {
    let cannot = |error: &dyn std::fmt::Display| {
        format!("this kernel cannot confine its writing (Landlock of Linux 6.2 or later): {error}")
    };
    let all = AccessFs::from_write(LANDLOCK);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)
        .and_then(Ruleset::create)
        .map_err(|error| cannot(&error))?;
    let open = |path: &str| {
        reach::open(Path::new(path)).map_err(|error| format!("cannot allow it to write: {error}"))
    };
    let devices = DEVICES.iter().map(|path| (*path).to_owned());
    let devices = devices.filter(|path| Path::new(path).exists());
    for path in writes.iter().cloned().chain(devices) {
        let opened = open(&path)?;
        let facts = rustix::fs::fstat(&opened).map_err(|errno| format!("{path}: {errno}"))?;
        let is_directory = rustix::fs::FileType::from_raw_mode(facts.st_mode).is_dir();
        let access = if is_directory { all } else { all & AccessFs::from_file(LANDLOCK) };
        rules = rules
            .add_rule(PathBeneath::new(opened, access))
            .map_err(|error| format!("cannot allow it to write to {path}: {error}"))?;
    }
    Ok(rules)
}

/// Whether this machine's kernel can hold a script to what it says it writes to.
#[must_use]
pub fn can_confine() -> bool {
    confinement(&[]).is_ok()
}
