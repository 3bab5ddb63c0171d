//! `consign package …`

mod apply;
mod check;
mod init;
mod opened;
mod send;
mod sources;

pub(crate) use apply::{PackageFailed, tells_of_a_full_disk};

use super::Session;
use crate::args::{PackageArgs, PackageCommand};
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: PackageArgs) -> anyhow::Result<Ended> {
    match args.what {
        PackageCommand::Apply(args) => apply::run(session, args).await,
        PackageCommand::Send(args) => send::run(session, args).await,
        PackageCommand::Init(args) => init::run(session, &args),
        PackageCommand::Check(args) => check::run(session, &args),
    }
}

/// Where this node's ledger is.
pub(super) fn ledger_address(session: &Session) -> anyhow::Result<ledger::DatabaseUrl> {
    Ok(node::communities::publisher::default_ledger(&session.node()?))
}
