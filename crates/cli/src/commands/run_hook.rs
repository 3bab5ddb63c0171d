//! `consign run-hook`: what a watch starts to run its hook; see `node::watch::hook`.

use crate::args::RunHookArgs;
use crate::exit::Ended;

pub(crate) fn run(args: &RunHookArgs) -> anyhow::Result<Ended> {
    Err(node::watch::hook::become_hook(&args.command).into())
}
