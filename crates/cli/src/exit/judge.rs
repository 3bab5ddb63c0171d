//! Which exit code and which advice each error has.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever has no exit code of its own is a plain failure, new errors too"
)]

mod delivering;
mod people;
mod proposing;

use ::people::ReceiptFileError;
use checkout::CheckoutError;
use deploy::ApplyError;
use documents::audit::AuditError;
use fetch::{Fault, FetchError, SourceReason};
use hub::BackupError;
use hub_api::ProblemCode;
use hub_client::{ClientError, ProxyError};
use ledger::{DraftError, LedgerError};
use node::communities::CommunityError;
use node::communities::join::JoinCommunityError;
use node::communities::publisher::{RollBackError, SendError};
use node::communities::rollout::RolloutError;
use node::control::ControlError;
use node::delegate::DelegateError;
use node::deliveries::{DeliveryError, ReceiptProblem};
use node::get::GetError;
use node::hubs::{HubChoiceError, RegisterError};
use node::people::PeopleError;
use node::publish::PublishError;
use node::service::ServiceError;
use node::tree::TreeError;
use node::watch::follow::FollowError;
use node::watch::releases::ReleasesError;
use store::StoreError;

use super::{Ended, Interrupted};
use crate::commands::package::{NotSent, PackageFailed, tells_of_a_full_disk};
use crate::invocation::Misconfigured;

/// The exit code of an error, and what to do about it.
pub(super) fn judge(error: &anyhow::Error) -> (Ended, Option<String>) {
    for cause in error.chain() {
        if let Some(verdict) = judge_one(cause) {
            return verdict;
        }
    }
    (Ended::Failed, None)
}

fn judge_one(cause: &(dyn std::error::Error + 'static)) -> Option<(Ended, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    if cause.is::<Misconfigured>() {
        return Some((Ended::Failed, hint("`consign config check` names every mistake")));
    }
    if cause.is::<Interrupted>() {
        return Some((Ended::Interrupted, hint("run the same command again to go on")));
    }
    if cause.is::<AuditError>() {
        let text = "somebody changed the log or this file: export it again, compare both with an earlier export, and ask who had the hub's database";
        return Some((Ended::Refused, hint(text)));
    }
    if let Some(error) = cause.downcast_ref::<DeliveryError>() {
        return delivering::judge_delivery(error);
    }
    if let Some(error) = cause.downcast_ref::<HubChoiceError>() {
        return match error {
            HubChoiceError::NoneKnown | HubChoiceError::NotRegistered(_) => Some((
                Ended::Failed,
                hint(
                    "ask the hub's administrator for an invitation (`consign invite` on the hub) and run `consign register INVITATION`",
                ),
            )),
            HubChoiceError::OtherCertificate(_) => Some((
                Ended::Refused,
                hint("ask whoever runs the hub for the fingerprint of its certificate"),
            )),
            HubChoiceError::Fingerprint(_) => Some((
                Ended::Failed,
                hint(
                    "copy the whole address, with its #, as `consign account show` tells it; in a shell, between quotes",
                ),
            )),
            HubChoiceError::Url { .. } | HubChoiceError::State(_) => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<RegisterError>() {
        return match error {
            RegisterError::Hub(source @ ClientError::Proxy { .. }) => Some(judge_client(source)),
            RegisterError::Hub(source) => Some((
                judge_client(source).0,
                hint(
                    "invitations work once and expire: ask for a new one; if the hub moved, it must be reachable under the address in the invitation",
                ),
            )),
            RegisterError::Choice(error) => judge_one(error),
            RegisterError::State(_) => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<ControlError>() {
        return Some(judge_control(error));
    }
    if let Some(error) = cause.downcast_ref::<LedgerError>() {
        return judge_ledger(error);
    }
    if cause.is::<NotSent>() {
        return Some((Ended::NotFound, hint("`consign package list` shows what was sent")));
    }
    if let Some(failed) = cause.downcast_ref::<PackageFailed>() {
        return Some(if failed.is_out_of_space() {
            (Ended::NoSpace, hint("make room and apply it again"))
        } else {
            (Ended::Failed, hint("the receipt above says what each step did"))
        });
    }
    match cause.downcast_ref() {
        Some(ApplyError::InUse(_)) => return Some((Ended::InUse, hint("wait for it, or end it"))),
        Some(ApplyError::Unfinished { .. }) => {
            return Some((
                Ended::InUse,
                hint("`consign package apply` with that package goes on where it stopped"),
            ));
        }
        Some(ApplyError::Files(stuck)) => {
            return Some(if tells_of_a_full_disk(&stuck.to_string()) {
                (Ended::NoSpace, hint("make room and apply it again"))
            } else {
                (Ended::Failed, hint("see to what keeps them, and apply it again"))
            });
        }
        Some(
            ApplyError::Bounds(_)
            | ApplyError::State { .. }
            | ApplyError::Journal(_)
            | ApplyError::Plan(_),
        )
        | None => {}
    }
    if cause.is::<ReceiptFileError>() || cause.is::<ReceiptProblem>() {
        return Some((
            Ended::Refused,
            hint("ask whoever sent or received it for their copy: both keep one"),
        ));
    }
    if let Some(error) = cause.downcast_ref::<PeopleError>() {
        return Some(people::judge(error));
    }
    if let Some(error) = cause.downcast_ref::<JoinCommunityError>() {
        return judge_join(error);
    }
    if let Some(error) = cause.downcast_ref::<SendError>() {
        return judge_send(error);
    }
    if let Some(error) = cause.downcast_ref::<RollBackError>() {
        return judge_roll_back(error);
    }
    if let Some(error) = cause.downcast_ref::<RolloutError>() {
        return match error {
            RolloutError::Unknown(_) | RolloutError::NoRollout(_) => {
                Some((Ended::NotFound, hint("`consign package list` shows what was sent")))
            }
            RolloutError::Order(_) => {
                Some((Ended::Refused, hint("`consign package show` shows how it stands")))
            }
            RolloutError::Contended(_) => Some((Ended::InUse, hint("try again"))),
            RolloutError::Send(error) => judge_send(error),
        };
    }
    if let Some(error) = cause.downcast_ref::<CommunityError>() {
        return judge_community(error);
    }
    if let Some(hub::HostedError::Unknown(_) | hub::HostedError::Ambiguous { .. }) =
        cause.downcast_ref()
    {
        return Some((
            Ended::NotFound,
            hint("`consign hub community list --data DIR` shows them with their ids"),
        ));
    }
    if let Some(ServiceError::Running { .. }) = cause.downcast_ref() {
        return Some((Ended::InUse, hint("`consign status` shows what it does")));
    }
    if let Some(ReleasesError::OtherHistory { .. }) = cause.downcast_ref() {
        return Some((Ended::Refused, hint("watch into another directory, or empty this one")));
    }
    if let Some(ReleasesError::Busy { .. }) = cause.downcast_ref() {
        return Some((Ended::InUse, hint("`consign watch --list` shows what the node follows")));
    }
    // What passes its cause's words on does not show up in the chain: look inside.
    if let Some(FollowError::Get(error)) = cause.downcast_ref::<FollowError>() {
        return judge_one(error);
    }
    if let Some(FollowError::Releases(error)) = cause.downcast_ref::<FollowError>() {
        return judge_one(error);
    }
    if let Some(GetError::Tree(error)) = cause.downcast_ref::<GetError>() {
        return judge_tree(error);
    }
    if let Some(error) = cause.downcast_ref::<TreeError>() {
        return judge_tree(error);
    }
    if let Some(
        CheckoutError::Bounds(_)
        | CheckoutError::Malformed { .. }
        | CheckoutError::Contradiction { .. }
        | CheckoutError::Sealed(_),
    ) = cause.downcast_ref()
    {
        return Some((
            Ended::Refused,
            hint("the publisher made the tree so: ask them for another release"),
        ));
    }
    if let Some(error) = cause.downcast_ref::<PublishError>() {
        return match error {
            PublishError::RolledBack { .. }
            | PublishError::History { .. }
            | PublishError::OtherHistory { .. } => Some((
                Ended::Refused,
                hint(
                    "the hub may have been restored from an old backup; compare with `consign log`",
                ),
            )),
            PublishError::NoPublisher { .. } => Some((
                Ended::NotAllowed,
                hint("its owner puts a node on the list: `consign grant NAME KEY --publisher`"),
            )),
            PublishError::NeedsCapability { .. } => Some((
                Ended::NotAllowed,
                hint("pass --capability FILE with what the owner's `publish --sealed` printed"),
            )),
            PublishError::Renewal(_, error) => judge_one(error.as_ref()),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<DelegateError>() {
        return match error {
            DelegateError::NotOwner { .. } => {
                Some((Ended::NotAllowed, hint("run this on the machine of the owner")))
            }
            DelegateError::Foreign { .. } => Some((Ended::Refused, None)),
            DelegateError::Full { .. } => {
                Some((Ended::Failed, hint("take somebody off it: `consign revoke NAME KEY`")))
            }
            DelegateError::Hub { .. } | DelegateError::State(_) => None,
        };
    }
    if let Some(FetchError::Unavailable { reasons, .. }) = cause.downcast_ref() {
        return Some(judge_sources(reasons));
    }
    if let Some(error) = cause.downcast_ref::<BackupError>()
        && error.is_full()
    {
        return Some((Ended::NoSpace, hint("make room, then run the command again")));
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return match error {
            StoreError::Locked { .. } => {
                Some((Ended::InUse, hint("wait for the other command, or use another --state")))
            }
            full if full.is_full() => Some((
                Ended::NoSpace,
                hint(
                    "make room, then run the command again; `consign gc` frees what nothing needs",
                ),
            )),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<ClientError>() {
        return Some(judge_client(error));
    }
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        return match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Some((Ended::NoSpace, hint("make room, then run the command again")))
            }
            std::io::ErrorKind::PermissionDenied => Some((Ended::NotAllowed, None)),
            std::io::ErrorKind::NotFound => Some((Ended::NotFound, None)),
            _ => None,
        };
    }
    None
}

fn judge_community(error: &CommunityError) -> Option<(Ended, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        CommunityError::Unknown(_) | CommunityError::NotNamed(_) => Some((
            Ended::NotFound,
            hint("`consign community status` shows the communities of this node"),
        )),
        CommunityError::Ended { .. } => Some((
            Ended::NotFound,
            hint("what was carried out stays as it is; another community has another seed"),
        )),
        CommunityError::Gone { .. } => Some((
            Ended::NotFound,
            hint("ask a manager where the community is now, or the operator of the hub"),
        )),
        CommunityError::NoPeer(_) => {
            Some((Ended::NotFound, hint("`consign community list` shows the peers")))
        }
        CommunityError::PeerExists(_) => Some((
            Ended::Failed,
            hint("choose another name, or `consign community revoke` the peer first"),
        )),
        CommunityError::LastWord => {
            Some((Ended::NotAllowed, hint("run it on the machine of another manager")))
        }
        CommunityError::TooManyManagers(_) | CommunityError::Unfit { .. } => {
            Some((Ended::Failed, None))
        }
        CommunityError::NotManager(_) => {
            Some((Ended::NotAllowed, hint("run this on the machine of a manager")))
        }
        CommunityError::Proposing(error) => Some(proposing::judge(error)),
        CommunityError::Charter(_)
        | CommunityError::Roster(_)
        | CommunityError::Membership(_)
        | CommunityError::Malformed(_) => Some((
            Ended::Refused,
            hint("nothing was accepted; when it stays so, speak with the community's managers"),
        )),
        CommunityError::Hub { source: source @ ClientError::Proxy { .. }, .. } => {
            Some(judge_client(source))
        }
        CommunityError::Hub { source, .. } => Some(match judge_client(source) {
            (Ended::NotFound, _) => (
                Ended::NotFound,
                hint("the hub does not know the community, or this node does not belong to it"),
            ),
            (Ended::NotAllowed, _) => (
                Ended::NotAllowed,
                hint("`consign community status` shows what this node is in the community"),
            ),
            other => other,
        }),
        CommunityError::HubChoice(error) => judge_one(error),
        CommunityError::Contended => {
            Some((Ended::InUse, hint("somebody else changes the community; try again")))
        }
        CommunityError::State(_) => None,
    }
}

fn judge_join(error: &JoinCommunityError) -> Option<(Ended, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        JoinCommunityError::Charter(_) => {
            Some((Ended::Refused, hint("ask a manager for the seed again")))
        }
        JoinCommunityError::BrokenOff(_) => Some((
            Ended::Refused,
            hint("somebody else than a manager answered: ask those who gave you the seed"),
        )),
        JoinCommunityError::Refused(_) | JoinCommunityError::Ended(_) => {
            Some((Ended::NotAllowed, hint("ask a manager for a new join secret")))
        }
        JoinCommunityError::Hub { source, .. } => Some(match judge_client(source) {
            (Ended::NotFound, _) => (
                Ended::NotFound,
                hint(
                    "the join secret was used, has expired or is another peer's: ask for a new one",
                ),
            ),
            other => other,
        }),
        JoinCommunityError::Community(error) => judge_community(error),
        JoinCommunityError::State(_) => None,
    }
}

fn judge_roll_back(error: &RollBackError) -> Option<(Ended, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        RollBackError::Unknown(_) | RollBackError::NobodyAhead { .. } => Some((
            Ended::NotFound,
            hint("`consign package list` and `consign package show` say who was sent what"),
        )),
        RollBackError::NotKept(_) | RollBackError::GoneAtHub(_) => {
            Some((Ended::NotFound, hint("send the package from its sources")))
        }
        RollBackError::Rollout(error) => judge_one(error),
        RollBackError::Send(error) => judge_send(error),
    }
}

fn judge_send(error: &SendError) -> Option<(Ended, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        SendError::Community(error) => judge_community(error),
        SendError::Publish(error) => judge_one(error),
        SendError::NoPublisher(_) => Some((
            Ended::NotAllowed,
            hint("a manager makes it one: `consign community role PEER publisher`"),
        )),
        SendError::NoTarget(_) | SendError::NotATarget(_) | SendError::NoCanary(_) => {
            Some((Ended::NotFound, hint("`consign community list` shows the targets")))
        }
        SendError::OtherHistory { .. } => Some((
            Ended::Refused,
            hint(
                "the ledger may have been restored from an old backup, or this key sends elsewhere too",
            ),
        )),
        SendError::Forgot { .. } => {
            Some((Ended::Failed, hint("run it again: what the hub forgot is given back first")))
        }
        SendError::Stage { .. } => {
            Some((Ended::Failed, hint("run it again, or let the node try, when that is mended")))
        }
        SendError::WeakKey(_) => {
            Some((Ended::Refused, hint("revoke that peer, and let it join with a new key")))
        }
        SendError::Ledger(error) | SendError::Draft(DraftError::Ledger(error)) => {
            judge_ledger(error)
        }
        SendError::Draft(DraftError::Unfinished { .. } | DraftError::NotNext { .. })
        | SendError::DamagedDraft(_)
        | SendError::DamagedRollout(_)
        | SendError::State(_) => None,
    }
}

fn judge_ledger(error: &LedgerError) -> Option<(Ended, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        LedgerError::Unavailable(_) => Some((
            Ended::Unreachable,
            hint("see to the database server, or wait for the other process; then run it again"),
        )),
        LedgerError::Full(_) => {
            Some((Ended::NoSpace, hint("make room where it lies, then run the command again")))
        }
        LedgerError::NoLedger => Some((
            Ended::Failed,
            hint("name another file with --ledger, or restore a copy if this one is damaged"),
        )),
        LedgerError::Damaged(_) => Some((Ended::Failed, hint("restore a copy of it"))),
        LedgerError::Newer { .. } | LedgerError::Failed(_) | LedgerError::Create(_) => None,
    }
}

fn judge_control(error: &ControlError) -> (Ended, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        ControlError::NotAllowed { .. } => (
            Ended::NotAllowed,
            hint("run the command as the node's user, or use a --state directory of your own"),
        ),
        ControlError::Skew { .. } => (
            Ended::InUse,
            hint("restart the node, for example with `systemctl --user restart consign-node`"),
        ),
        ControlError::Silent { .. } => (
            Ended::Unreachable,
            hint("if it is stopped, let it go on or end it: commands work without a node as well"),
        ),
        ControlError::Gone { .. } => (
            Ended::Unreachable,
            hint("run the same command again: it goes on where it stopped, with a node or without"),
        ),
        ControlError::Frame(_) | ControlError::Socket { .. } => (Ended::Failed, None),
    }
}

fn judge_tree(error: &TreeError) -> Option<(Ended, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        TreeError::NeedsCapability(_) => Some((
            Ended::NotAllowed,
            hint("pass --capability FILE with what `consign publish --sealed` printed"),
        )),
        TreeError::WrongCapability(_) => {
            Some((Ended::NotAllowed, hint("ask the publisher for the capability of this name")))
        }
        TreeError::OtherPublisher { offered, .. } => Some((
            Ended::Refused,
            Some(format!(
                "if the name really changed hands, accept the new publisher with --publisher {offered}"
            )),
        )),
        TreeError::HoleInDirectory
        | TreeError::Refused { .. }
        | TreeError::Document { .. }
        | TreeError::Decode(_)
        | TreeError::Open(_) => Some((Ended::Refused, None)),
        TreeError::NoPath(_) => Some((Ended::NotFound, hint("`consign ls` shows what is there"))),
        TreeError::HubChoice(error) => judge_one(error),
        TreeError::Kind { .. } => Some((Ended::Failed, None)),
        _ => None,
    }
}

fn judge_client(error: &ClientError) -> (Ended, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    if let Some((ended, text)) = error.code().and_then(people::judge_code) {
        return (ended, hint(text));
    }
    match error {
        ClientError::Problem { code: ProblemCode::NameTaken, .. } => (
            Ended::NotAllowed,
            hint(
                "choose another name, or ask its owner for `consign grant NAME KEY --publisher` (`consign id` prints this node's key)",
            ),
        ),
        ClientError::Problem { status, detail, .. } => match status {
            401 | 403 => (
                Ended::NotAllowed,
                hint(
                    "`consign id` prints this node's key; whoever owns the name can `consign grant NAME KEY`",
                ),
            ),
            404 => (
                Ended::NotFound,
                hint(
                    "check the name with `consign ls`; a private name shows only to those granted to read it",
                ),
            ),
            _ if error.is_retryable() => {
                (Ended::Unreachable, hint("the hub is overloaded or stopping: try again later"))
            }
            507 => (Ended::NoSpace, hint("the hub is full: tell its administrator")),
            _ => (Ended::Failed, Some(detail.clone()).filter(|detail| !detail.is_empty())),
        },
        ClientError::WrongFingerprint { .. } => (
            Ended::Refused,
            hint(
                "the hub's certificate is not the one it was registered with: somebody may be in between, or the hub was set up anew; if so, register again with a new invitation",
            ),
        ),
        ClientError::Tls { .. } => (
            Ended::Unreachable,
            hint(
                "something else answers there, or its certificate is none that this system trusts: name a hub that has one of its own as URL#FINGERPRINT, as `consign hub` shows it, or register with an invitation",
            ),
        ),
        ClientError::Proxy { source, .. } => {
            let ended = match source {
                ProxyError::CredentialsWanted
                | ProxyError::CredentialsRefused
                | ProxyError::Forbidden { .. } => Ended::NotAllowed,
                _ if source.is_retryable() => Ended::Unreachable,
                _ => Ended::Failed,
            };
            (ended, hint(way_around(source)))
        }
        _ if error.is_retryable() => (
            Ended::Unreachable,
            hint(
                "check that the hub runs and can be reached from here; running the command again goes on",
            ),
        ),
        _ => (Ended::Failed, None),
    }
}

/// What to do when a proxy opens no way to a hub.
pub(crate) fn way_around(error: &ProxyError) -> &'static str {
    match error {
        ProxyError::Address { .. } => {
            "name the proxy as in http://HOST:PORT; `--proxy none` reaches hubs straight"
        }
        ProxyError::Unreachable(_) => {
            "check that the proxy runs and that its address is right; NO_PROXY lists hosts that are reached straight"
        }
        ProxyError::CredentialsWanted | ProxyError::CredentialsRefused => {
            "write NAME:PASSWORD for the proxy to a file and name it with --proxy-credentials, beside --proxy"
        }
        ProxyError::Forbidden { .. } => {
            "ask whoever runs the proxy to allow CONNECT to the hub's host and port"
        }
        ProxyError::NoWayOn { .. } | ProxyError::TimedOut { .. } => {
            "check that the hub runs and that the proxy reaches it; running the command again goes on"
        }
        ProxyError::Broken => "running the command again goes on; if not, see the proxy's log",
        ProxyError::NoProxy { .. } => {
            "check the proxy's address: another service answers there, or one that is no HTTP proxy"
        }
    }
}

/// What no source could give: a lie weighs most, then that one may do better later.
fn judge_sources(reasons: &[SourceReason]) -> (Ended, Option<String>) {
    let any = |fault| reasons.iter().any(|reason| reason.fault == Some(fault));
    if any(Fault::Dishonest) {
        let hint = "a source sent wrong bytes; name another one with --source";
        (Ended::Refused, Some(hint.to_owned()))
    } else if any(Fault::GivenUp) {
        let hint = "check that the hub runs; running the command again goes on";
        (Ended::Unreachable, Some(hint.to_owned()))
    } else if any(Fault::Refused) {
        (Ended::NotAllowed, None)
    } else {
        (Ended::NotFound, None)
    }
}

#[cfg(test)]
mod tests;
