//! Exit codes and advice about people and what they send each other.

use hub_api::ProblemCode;
use node::people::PeopleError;

use super::judge_client;
use crate::exit::Ended;

/// What a hub answers about people, and about the program itself.
pub(super) fn judge_code(code: ProblemCode) -> Option<(Ended, &'static str)> {
    if code == ProblemCode::HandleTaken {
        return Some((Ended::Refused, "choose another handle"));
    }
    if code == ProblemCode::ClientTooOld {
        return Some((Ended::Refused, "update consign on this machine, and start its node again"));
    }
    if code == ProblemCode::PersonConflict {
        return Some((Ended::InUse, "another device changed it meanwhile: try again"));
    }
    let hint = if code == ProblemCode::NotRegistered {
        "ask the hub's administrator for an invitation (`consign invite` on the hub) and run `consign register INVITATION`"
    } else if code == ProblemCode::GuestRefused {
        "register with an invitation: `consign register`; or send less, or tomorrow"
    } else if code == ProblemCode::LockerRefused {
        "send it without --locker while the recipient is there, or ask whoever runs the hub"
    } else if code == ProblemCode::LoginRefused {
        "check handle and password; after several tries wait an hour before the next"
    } else if code == ProblemCode::PersonRequired {
        "choose a handle with `consign account create`, or make this device one of an account with `consign account login`; a new device wants `consign account approve` on another one"
    } else if code == ProblemCode::RecipientRefuses {
        "ask them, by another way, to add you: `consign book add` with your handle"
    } else {
        return None;
    };
    Some((Ended::NotAllowed, hint))
}

pub(super) fn judge(error: &PeopleError) -> (Ended, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        PeopleError::Hub(error) if error.code() == Some(ProblemCode::NotFound) => {
            (Ended::NotFound, hint("check how the handle is spelled"))
        }
        PeopleError::Hub(error) => judge_client(error),
        PeopleError::Unknown(_) => (Ended::NotFound, hint("check how the handle is spelled")),
        PeopleError::Refuses(_) => {
            (Ended::NotAllowed, judge_code(ProblemCode::RecipientRefuses).map(|(_, it)| it.into()))
        }
        PeopleError::NoRoom { .. } => (
            Ended::NoSpace,
            hint(
                "ask them to make room, or send less; --anyway sends it, for a recipient who has another disk for it",
            ),
        ),
        PeopleError::FileTooLarge { .. } => (
            Ended::NoSpace,
            hint(
                "send it in parts; --anyway sends it, for a recipient who has another disk for it",
            ),
        ),
        PeopleError::Request(_) => {
            (Ended::Refused, hint("copy the whole line that the new device printed"))
        }
        PeopleError::Handle(_) | PeopleError::Devices { .. } | PeopleError::Forged(_) => (
            Ended::Refused,
            hint("nothing was believed or sent; ask whoever runs the hub, by another way"),
        ),
        PeopleError::Other(_) => (
            Ended::Refused,
            hint("if you did not begin anew after losing all devices, ask whoever runs the hub"),
        ),
        PeopleError::OldBook { .. } => {
            (Ended::Refused, hint("ask whoever runs the hub whether it was restored from a backup"))
        }
        PeopleError::IdentityChanged(_) => (
            Ended::Refused,
            hint("ask them, by another way; if it is them, `consign book trust` with the handle"),
        ),
        PeopleError::NotApproved(_) => (
            Ended::NotAllowed,
            hint(
                "run `consign account login` here again for the line, and `consign account approve` on another device",
            ),
        ),
        PeopleError::OtherPerson(_) => {
            (Ended::NotAllowed, hint("log in there with the handle of this account"))
        }
        PeopleError::TooManyDevices | PeopleError::OnlyDevice => {
            (Ended::Refused, hint("`consign account show` lists them"))
        }
        PeopleError::WroteBook => (
            Ended::Refused,
            hint("run `consign account remove` on another device: it seals the book anew"),
        ),
        PeopleError::NoSuchDevice(_) => {
            (Ended::NotFound, hint("`consign account show` lists them"))
        }
        PeopleError::NoContact(_) => (Ended::NotFound, hint("`consign book` lists the contacts")),
        PeopleError::NoSuchDelivery(_) => (
            Ended::NotFound,
            hint("`consign inbox` and `consign outbox` list them; give more of the id"),
        ),
        PeopleError::NotForThisDevice => {
            (Ended::NotFound, hint("receive it on a device that you had when it was sent"))
        }
        PeopleError::Book(_) => (
            Ended::Refused,
            hint("change the book on another device of the account, which seals it anew for all"),
        ),
        PeopleError::Weak(_) => (Ended::Refused, hint("ask them to upgrade that device")),
        PeopleError::Ended { .. } => (Ended::Refused, None),
        PeopleError::ForeignReceipt { .. } => {
            (Ended::Refused, hint("keep what you sent, and ask the recipient by another way"))
        }
        PeopleError::State(_) => (Ended::Failed, None),
    }
}
