//! Every branch of the judgement, as a person sees it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deliver::{CodeError, ReceiveError, SendError};
use delivery::HandoverError;
use hub_api::{Hex, ProblemCode};
use hub_client::WaitingFor;

use super::*;
use crate::exit::{Usage, judgement};

#[test]
fn what_no_source_gives_ends_as_the_worst_of_their_reasons() {
    let ended = |faults: &[Option<Fault>]| {
        let reason = |fault: &Option<Fault>| SourceReason {
            source: "hub".into(),
            fault: *fault,
            reason: "reason".into(),
        };
        let id = content::ChunkId::of(b"chunk");
        let reasons = faults.iter().map(reason).collect();
        let error = anyhow::Error::new(GetError::Tree(TreeError::Fetch(FetchError::Unavailable {
            id,
            reasons,
        })));
        judge(&error).0
    };
    assert_eq!(ended(&[None]), Ended::NotFound);
    assert_eq!(ended(&[None, Some(Fault::Refused)]), Ended::NotAllowed);
    assert_eq!(ended(&[Some(Fault::Refused), Some(Fault::GivenUp)]), Ended::Unreachable);
    assert_eq!(ended(&[Some(Fault::GivenUp), Some(Fault::Dishonest)]), Ended::Refused);
}

fn problem(code: ProblemCode) -> ClientError {
    ClientError::Problem {
        url: "https://hub/v1/x".into(),
        doing: "read a head",
        code,
        status: code.status(),
        detail: "the hub's words".into(),
        missing: Vec::new(),
    }
}

fn unreachable() -> ClientError {
    let source = io::Error::from(io::ErrorKind::ConnectionRefused);
    ClientError::Unreachable { url: "https://hub/v1/x".into(), doing: "read a head", source }
}

fn proxied(source: ProxyError) -> anyhow::Error {
    let (url, proxy) = ("https://hub/v1/x".to_owned(), "proxy:3128".to_owned());
    ClientError::Proxy { url, doing: "read a head", proxy, source }.into()
}

/// One error for each thing the table tells apart.
fn all() -> Vec<anyhow::Error> {
    let name = || "team/site".parse().expect("a name");
    let (url, doing) = ("https://hub/v1/x".to_owned(), "read a head");
    let io =
        |kind: io::ErrorKind| anyhow::Error::new(io::Error::from(kind)).context("cannot write x");
    let mut all: Vec<anyhow::Error> = vec![
        Interrupted.into(),
        Usage("--range takes FIRST-LAST".into()).into(),
        HubChoiceError::NoneKnown.into(),
        HubChoiceError::NotRegistered("https://hub".into()).into(),
        HubChoiceError::Fingerprint("https://hub#abc".into()).into(),
        HubChoiceError::OtherCertificate("https://hub".into()).into(),
        RegisterError::Hub(problem(ProblemCode::InvitationRefused)).into(),
        RegisterError::Hub(unreachable()).into(),
        PublishError::RolledBack { name: name(), offered: 2, seen: 3 }.into(),
        PublishError::OtherHistory { name: name() }.into(),
        PublishError::NoPublisher {
            name: name(),
            source: documents::AcceptError::ExpiredDelegation { expires: 1, now: 2 },
        }
        .into(),
        PublishError::NeedsCapability { name: name() }.into(),
        DelegateError::NotOwner { name: name(), owner: documents::PublicKey::from_bytes([7; 32]) }
            .into(),
        DelegateError::Full { name: name() }.into(),
        PublishError::StillMissing { name: name(), missing: 7 }.into(),
        PublishError::Hub {
            name: name(),
            url: "https://hub".into(),
            source: problem(ProblemCode::NameTaken),
        }
        .into(),
        CheckoutError::InTheWay { path: "docs".into() }.into(),
        CheckoutError::from(content::bounds::TreeBoundsError::too_large(
            content::ChunkId::of(b"tree"),
            b"docs/docs",
            "entries",
            content::bounds::ENTRIES_MAX,
        ))
        .into(),
        DeliveryError::CodeWithoutHub.into(),
        DeliveryError::NoReceipt("6f0c".into()).into(),
        DeliveryError::Unknown("6f0c".into()).into(),
        DeliveryError::Arrived(delivery::DeliveryId::from_bytes([7; 16])).into(),
        DeliveryError::from(SendError::Ended { by: "the hub", reason: "too late".into() }).into(),
        DeliveryError::Receiving(delivery::DeliveryId::from_bytes([7; 16])).into(),
        DeliveryError::from(ReceiveError::Ended {
            by: "the sender",
            reason: "sent by mistake".into(),
        })
        .into(),
        ReceiptProblem::Other.into(),
        ReceiptFileError::TooLong.into(),
        DeliveryError::from(CodeError::Unknown { hub: "https://hub".into(), number: 4821 }).into(),
        DeliveryError::from(CodeError::Used(4821)).into(),
        DeliveryError::from(CodeError::Wrong { number: 4821, source: HandoverError::OtherCode })
            .into(),
        DeliveryError::from(CodeError::BrokenOff { number: 4821, reason: "the hub forgot it" })
            .into(),
        PeopleError::Unknown("ben".parse().expect("a handle")).into(),
        PeopleError::Refuses("ben".parse().expect("a handle")).into(),
        PeopleError::NoRoom { to: "ben".parse().expect("a handle"), bytes: 4096 }.into(),
        PeopleError::FileTooLarge { to: "ben".parse().expect("a handle"), largest: 4096 }.into(),
        NotSent("tools".into()).into(),
        LedgerError::NoLedger.into(),
        LedgerError::Newer { found: 9, known: 1 }.into(),
        LedgerError::Damaged("labels that are none").into(),
        StoreError::Locked { path: PathBuf::from("/store") }.into(),
        StoreError::Full { limit: store::Limit::Disk, missing_bytes: 4096 }.into(),
        StoreError::Poisoned { reason: "a sync failed".into() }.into(),
        ClientError::WrongFingerprint {
            url: url.clone(),
            doing,
            expected: Hex([1; 32]),
            got: Hex([2; 32]),
        }
        .into(),
        ClientError::TimedOut {
            url: url.clone(),
            doing,
            waiting_for: WaitingFor::ResponseHead,
            after: Duration::from_secs(30),
        }
        .into(),
        ClientError::Protocol { url, doing, reason: "it is no JSON".into() }.into(),
        unreachable().into(),
        proxied(ProxyError::Address { name: "HTTPS_PROXY".into(), reason: "it names no host" }),
        proxied(ProxyError::Unreachable(Arc::new(io::ErrorKind::ConnectionRefused.into()))),
        proxied(ProxyError::CredentialsWanted),
        proxied(ProxyError::CredentialsRefused),
        proxied(ProxyError::Forbidden { status: 403 }),
        proxied(ProxyError::NoWayOn { status: 502 }),
        proxied(ProxyError::NoProxy { reason: "it answers 302".into() }),
        proxied(ProxyError::Broken),
        proxied(ProxyError::TimedOut { after: Duration::from_secs(10) }),
        GetError::Tree(TreeError::NeedsCapability("team/site".into())).into(),
        GetError::Tree(TreeError::WrongCapability("team/site".into())).into(),
        GetError::Tree(TreeError::NoPath("docs/none".into())).into(),
        GetError::Tree(TreeError::HoleInDirectory).into(),
        io(io::ErrorKind::StorageFull),
        io(io::ErrorKind::PermissionDenied),
        io(io::ErrorKind::NotFound),
        io(io::ErrorKind::InvalidData),
    ];
    all.extend(ProblemCode::ALL.iter().map(|code| problem(*code).into()));
    all
}

#[test]
fn every_error_says_what_happened_and_what_to_do() {
    let mut told = String::new();
    for error in all() {
        let failure = judgement(&error);
        told.push_str(&format!("{} {}\n", failure.exit_code, failure.causes.join("\n  because: ")));
        if let Some(hint) = failure.hint {
            told.push_str(&format!("  help: {hint}\n"));
        }
    }
    insta::assert_snapshot!(told);
}
