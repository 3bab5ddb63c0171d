//! Who a script runs as.

use nix::unistd::{Gid, Group, Uid, User};
use package::Owner;
use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};

use super::NotStarted;

/// A user of this machine, with a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) user: u32,
    pub(super) group: u32,
    /// Its name, if it has one: who has none is in no other group.
    pub(super) name: Option<String>,
    pub(super) home: String,
    /// Whether it is another than ours, so that it has to be taken on.
    pub(super) is_other: bool,
}

impl Identity {
    /// The user a script asks for, or ours.
    pub(super) fn of(asked: Option<&Owner>) -> Result<Self, NotStarted> {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        let Some(asked) = asked else {
            let (name, home) = match User::from_uid(Uid::from_raw(user)) {
                Ok(Some(known)) => (Some(known.name), known.dir.to_string_lossy().into_owned()),
                Ok(None) | Err(_) => (None, "/".to_owned()),
            };
            return Ok(Self { user, group, name, home, is_other: false });
        };
        let found = look_up(asked)?;
        if found.is_other && user != 0 {
            let reason = format!("only root runs scripts as {}", asked.user);
            return Err(NotStarted::Refused(reason));
        }
        Ok(found)
    }
}

/// What this machine knows of a user and group.
pub(super) fn look_up(asked: &Owner) -> Result<Identity, NotStarted> {
    let nobody = |what: &str, name: &str| NotStarted::Refused(format!("no {what} {name} here"));
    // The highest number is nobody's: to the system it says that nothing is to change.
    let number = asked.user.parse().ok().filter(|number| *number != u32::MAX);
    let known = match number {
        Some(number) => User::from_uid(Uid::from_raw(number)),
        None => User::from_name(&asked.user),
    };
    let known = known.map_err(|errno| nobody("user", &format!("{}: {errno}", asked.user)))?;
    let group = match asked.group.as_deref() {
        Some(name) => match name.parse() {
            Ok(u32::MAX) => return Err(nobody("group", name)),
            Ok(number) => Some(number),
            Err(_) => {
                let found = Group::from_name(name).ok().flatten();
                Some(found.ok_or_else(|| nobody("group", name))?.gid.as_raw())
            }
        },
        None => known.as_ref().map(|known| known.gid.as_raw()),
    };
    let user = known.as_ref().map(|known| known.uid.as_raw()).or(number);
    let user = user.ok_or_else(|| nobody("user", &asked.user))?;
    let group = group.ok_or_else(|| nobody("group of user", &asked.user))?;
    let is_other = user != geteuid().as_raw() || Gid::from_raw(group) != Gid::effective();
    let home = known.as_ref().map(|known| known.dir.to_string_lossy().into_owned());
    let (name, home) = (known.map(|known| known.name), home.unwrap_or_else(|| "/".to_owned()));
    Ok(Identity { user, group, name, home, is_other })
}
