//! The console of a community: pages about its peers, its releases and what targets answered.
//!
//! Receipts are sealed for their publisher, so no hub can show them: this is served by the machine that
//! holds the publisher's ledger, or a manager's, on its loopback interface, for as long as
//! `consign community console` runs.
//!
//! It only reads. No request changes anything but who is signed in, so another site has nothing to
//! gain from sending one. Who has the link that was printed in the terminal is let in, once; then the
//! next link is printed. A name that leads here and is not ours is refused, so that no page elsewhere
//! reads ours by way of a name that it points here.
//!
//! * [`Source`]: how the community stands; a [`node::communities::Place`] is one.
//! * [`Records`]: the publisher's ledger, if there is one.
//! * [`Console`]: the pages, and the links that open them.
//!
//! Inside: `doors` lets in and keeps out; `picture` puts together what is known of each peer;
//! `topology` draws it; one file per page; `live` sends parts of pages anew when they changed.
//!
//! Invariant: nothing that a target, a peer or a hub said becomes markup. Templates escape all of it.
//!
//! Start reading at [`Console`], then `overview`.

mod app;
mod assets;
mod doors;
mod live;
mod overview;
mod page;
mod peers;
mod picture;
mod receipt;
mod records;
mod relay;
mod release;
mod releases;
mod rollout;
mod source;
mod tally;
mod topology;

pub use app::{Console, Links};
pub use records::Records;
pub use source::{Known, Source};
