//! `consign package …`

mod check;
mod init;
mod sources;

use super::Session;
use crate::args::{PackageArgs, PackageCommand};
use crate::exit::Ended;

pub(super) fn run(session: &Session, args: PackageArgs) -> anyhow::Result<Ended> {
    match args.what {
        PackageCommand::Init(args) => init::run(session, &args),
        PackageCommand::Check(args) => check::run(session, &args),
    }
}
