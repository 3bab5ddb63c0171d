//! `consign package …`

mod again;
mod apply;
mod build;
mod check;
mod init;
mod limits;
mod list;
mod opened;
mod receipts;
mod restaging;
mod rollback;
mod rollout;
mod send;
mod sent;
mod show;
mod sources;

pub(crate) use apply::{PackageFailed, tells_of_a_full_disk};
pub(crate) use restaging::Restaging;
pub(crate) use show::NotSent;

use node::communities::rollout::Order;

use super::Session;
use crate::args::{PackageArgs, PackageCommand};
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: PackageArgs) -> anyhow::Result<Ended> {
    match args.what {
        PackageCommand::Apply(args) => apply::run(session, args).await,
        PackageCommand::Send(args) => send::run(session, args).await,
        PackageCommand::Pause(args) => rollout::run(session, args, Order::Pause).await,
        PackageCommand::Resume(args) => rollout::run(session, args, Order::Resume).await,
        PackageCommand::Abort(args) => rollout::run(session, args, Order::Abort).await,
        PackageCommand::Rollback(args) => rollback::run(session, args).await,
        PackageCommand::Init(args) => init::run(session, &args),
        PackageCommand::Build(args) => build::run(session, &args),
        PackageCommand::Check(args) => check::run(session, &args),
        PackageCommand::List(args) => session.patiently(list::run(session, args)).await,
        PackageCommand::Show(args) => session.patiently(show::run(session, args)).await,
        PackageCommand::Receipts(args) => session.patiently(receipts::run(session, args)).await,
    }
}
