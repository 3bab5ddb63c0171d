//! Address books: whom people let in.

use async_trait::async_trait;

use crate::{DbError, PersonId, SenderPolicy, Sides};

/// A person's address book.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// Its version; 0 while there is none.
    pub number: u64,
    /// The contacts, sealed.
    pub sealed: Option<Vec<u8>>,
    /// Handles of the contacts, in order.
    pub contacts: Vec<String>,
    /// Handles of who is refused, in order.
    pub blocked: Vec<String>,
    /// What becomes of everybody else.
    pub policy: SenderPolicy,
}

/// What a book says of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A contact.
    Contact,
    /// Refused, contact or not.
    Blocked,
}

/// What became of deliveries by a change of the book.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// They need no approval any more.
    pub let_in: Vec<Sides>,
    /// They are over.
    pub ended: Vec<Sides>,
}

/// What is decided about a pending sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Becomes a contact; what waits goes on.
    Accept,
    /// What waits ends.
    Refuse,
    /// What waits ends, and whoever it was is blocked.
    Block,
}

/// Address books.
#[async_trait]
pub trait Books: Send + Sync {
    /// A person's book.
    async fn book(&self, person: PersonId) -> Result<Book, DbError>;

    /// Replaces a book whose number is one less; `None` when it is another. Pending senders who are
    /// contacts now are let in, and what waits of those who are blocked ends.
    async fn put_book(
        &self,
        person: PersonId,
        book: &Book,
        now: u64,
    ) -> Result<Option<Settled>, DbError>;

    /// What a person's book says of a handle.
    async fn entry(&self, person: PersonId, handle: &str) -> Result<Option<Entry>, DbError>;

    /// Those of the handles that nobody has, in their order.
    async fn unknown_handles(&self, handles: &[String]) -> Result<Vec<String>, DbError>;

    /// Decides about a pending sender; `None` when nobody of that handle waits.
    async fn decide(
        &self,
        person: PersonId,
        handle: &str,
        decision: Decision,
        now: u64,
    ) -> Result<Option<Settled>, DbError>;
}
