//! `consign inbox --follow`

use std::sync::Mutex;

use node::people::{InboxNews, PeopleError};

use super::{show, show_senders};
use crate::commands::Session;
use crate::exit::Ended;
use crate::progress::{Look, watch_silence};

/// Shows what waits, and everything that comes or goes on, until it is interrupted.
pub(super) async fn run(session: &Session, all: bool) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    session.output.remark("following until it is interrupted");
    let waits_for = Mutex::new(None);
    let told = |news: Result<InboxNews, &PeopleError>| -> anyhow::Result<()> {
        let lost = news.as_ref().err().map(|error| format!("the hub again: {error}"));
        *waits_for.lock().expect("nothing panics while it is held") = lost;
        let Ok(InboxNews { senders, mut deliveries, is_first }) = news else { return Ok(()) };
        show_senders(session, &senders)?;
        deliveries.retain(|one| !is_first || all || !one.state.is_over());
        show(session, &deliveries, "in").map(drop)
    };
    let look = || {
        let waits_for = waits_for.lock().expect("nothing panics while it is held").clone();
        Look { waits_for, ..Look::default() }
    };
    match watch_silence(session.output, node.follow_inbox(&link, told), look).await? {}
}
