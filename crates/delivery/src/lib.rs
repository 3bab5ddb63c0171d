//! A delivery: files, folders and a text that go from one person to another through a hub which
//! cannot read them and keeps none of them.
//!
//! * [`Ticket`]: where a delivery can be collected, and the secret that opens it.
//! * [`Link`], [`LockedLink`]: the same for a browser, the latter with a passphrase beside it.
//! * [`Code`]: a number and three words, with which a ticket is handed over once: [`Claim`], [`Answer`].
//! * [`DirectPath`]: where a recipient reaches the sender itself, sealed for it.
//! * [`Header`]: what is in it: a subject, a message, and items in the order in which their contents follow.
//! * [`Layout`]: which bytes of which file are in which segment. Both sides compute it from the
//!   header, so a transfer can go on at any segment.
//! * [`Vault`]: seals and opens segments under keys that follow from the ticket's secret.
//! * [`Receipt`]: the recipient's signed word that everything arrived and was kept.
//!
//! A delivery is a *stream*: the header and then the contents of the files, one after the other. It
//! travels in segments of 1 MiB. It is not a tree: a tree's root is known once everything was read, and
//! a delivery begins before that. What the two sides agree on in the end is the digest of the
//! segments' tags.
//!
//! Invariants: what decodes leads nowhere but below the directory it is put in; no length that came from
//! outside is believed before it is checked; equal plain bytes at the same place of the same delivery
//! seal to equal bytes, so sending again tells nobody anything.
//!
//! Start reading at [`Header`], then [`Layout`]. Bytes are in `docs/format.md`, section 15.

mod code;
mod direct;
#[cfg(test)]
mod golden_tests;
mod handover;
mod header;
mod id;
mod layout;
mod link;
mod locked_link;
mod plain;
mod receipt;
mod ticket;
mod vault;

pub use code::{CODE_BYTES_MAX, Code, ParseCodeError, code_word};
pub use direct::{DIRECT_PATH_BYTES_MAX, DirectPath, OpenDirectPathError};
pub use handover::{Answer, Claim, HandoverError, Proven, is_message, refusal};
pub use header::{
    HEADER_BYTES_MAX, Header, Item, ItemKind, MESSAGE_BYTES_MAX, SUBJECT_BYTES_MAX, check_path,
};
pub use id::{DeliveryId, DeliverySecret};
pub use layout::{
    Layout, PREFIX_BYTES, Part, SEGMENT_BYTES, TooLong, header_length, segment_count,
};
pub use link::{Link, ParseLinkError};
pub use locked_link::LockedLink;
pub use plain::PlainSegment;
pub use receipt::{Digest, Receipt, ReceiptError, Tally};
pub use ticket::{ParseTicketError, TICKET_BYTES_MAX, Ticket};
pub use vault::{
    OpenSegmentError, SEALED_BYTES_MAX, SHARED_HEAD_BYTES, SharedHead, SharedSegment, SharedVault,
    Tag, Vault,
};
