//! Codes that go to a person's mail address when a password is lost.

use async_trait::async_trait;

use crate::{DbError, PersonId};

/// Open codes. Only their hashes are known here.
#[async_trait]
pub trait Recoveries: Send + Sync {
    /// Notes a code for the person of this handle, and says which address it goes to. `None`, and nothing is
    /// noted, when nobody is called so, they have told no address, or there are `most` codes of theirs that
    /// were made after `since`. Those made before are forgotten.
    async fn begin_recovery(
        &self,
        handle: &str,
        code: &[u8; 32],
        most: u32,
        since: u64,
        now: u64,
    ) -> Result<Option<String>, DbError>;

    /// Takes a code that was made after `since`, and with it every other one of its person, who is
    /// returned; `None` when this person has no such code. Of two that bring it one has it.
    async fn take_recovery(
        &self,
        handle: &str,
        code: &[u8; 32],
        since: u64,
    ) -> Result<Option<PersonId>, DbError>;
}
