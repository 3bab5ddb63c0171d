//! Passwords: hashed slowly, a few at a time.
//!
//! A hash takes 19 MiB and some hundredths of a second, so that a stolen database is worth little. Few
//! are computed at once and few wait, so that a flood of logins takes a bounded share of the hub.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use hub_api::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// Memory in KiB, passes and lanes: the OWASP cheat sheet on storing passwords, its second row.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Hashes computed at once: 38 MiB.
const AT_ONCE: usize = 2;
/// Logins that are at it or wait: the last of them for half a second or so.
const WAITING_MAX: usize = 32;

/// Computes hashes of passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// The hash of a password that nobody has.
    nobodys: Arc<OnceLock<String>>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            nobodys: Arc::default(),
        }
    }
}

/// Refuses a password that is too short to be good, or too long to be typed.
pub(crate) fn check(password: &str) -> Result<(), Refusal> {
    if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        let bounds = format!(
            "a password has at least {PASSWORD_CHARS_MIN} characters and at most \
             {PASSWORD_BYTES_MAX} bytes"
        );
        return Err(Refusal::malformed(bounds));
    }
    Ok(())
}

impl Passwords {
    /// The hash of a password, with its salt and its cost.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Refusal> {
        let salt = salt()?;
        self.compute(self.place()?, move || hash(&password, &salt)).await
    }

    /// A place among those whose passwords are looked at, or wait for it.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| Refusal::busy("too many logins at once"))
    }

    /// Whether the password has this hash. Without one it takes as long and is wrong.
    pub(crate) async fn is_right(
        &self,
        place: OwnedSemaphorePermit,
        password: String,
        known: Option<String>,
    ) -> Result<bool, Refusal> {
        let (salt, nobodys) = (salt()?, Arc::clone(&self.nobodys));
        self.compute(place, move || {
            let is_somebodys = known.is_some();
            let known = match known {
                Some(known) => known,
                None => match nobodys.get() {
                    Some(hash) => hash.clone(),
                    None => {
                        // Once in the life of a hub it takes twice as long.
                        let made = hash("", &salt)?;
                        nobodys.get_or_init(|| made).clone()
                    }
                },
            };
            let known = PasswordHash::new(&known)?;
            let found = argon2().verify_password(password.as_bytes(), &known);
            Ok(found.is_ok() && is_somebodys)
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            // Also when the caller went away: they are given back when the memory is.
            let _held = (place, turn);
            work()
        });
        let done = done.await.map_err(|error| Refusal::internal(&error))?;
        done.map_err(|error| Refusal::internal(&error))
    }
}

fn salt() -> Result<[u8; 16], getrandom::Error> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    Ok(salt)
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("within the bounds of Argon2");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a password with a salt of its own, at once: for who serves nobody else meanwhile.
pub(super) fn hashed(password: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = salt().map_err(|_| argon2::password_hash::Error::Internal)?;
    hash(password, &salt)
}

fn hash(password: &str, salt: &[u8]) -> Result<String, argon2::password_hash::Error> {
    Ok(argon2().hash_password_with_salt(password.as_bytes(), salt)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_alone() {
        let passwords = Passwords::default();
        let known = passwords.hash("correct horse".to_owned()).await.expect("hashes");
        assert!(known.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{known}");
        let again = passwords.hash("correct horse".to_owned()).await.expect("hashes");
        assert_ne!(known, again, "each has a salt of its own");
        let is_right = async |text: &str, known: Option<&String>| {
            let place = passwords.place().expect("is free");
            passwords.is_right(place, text.to_owned(), known.cloned()).await.expect("decides")
        };
        assert!(is_right("correct horse", Some(&known)).await);
        assert!(!is_right("correct hors", Some(&known)).await);
        assert!(!is_right("correct horse", None).await);
        assert!(!is_right("", None).await, "nobody has the password of nobody");
        check("1234567").expect_err("too short");
        check("ä1234567").expect("eight characters");
        check(&"x".repeat(513)).expect_err("too long");
    }

    #[tokio::test]
    async fn of_a_flood_most_are_told_to_come_again() {
        let passwords = Passwords::default();
        let held = Arc::clone(&passwords.turns).acquire_many_owned(2).await.expect("is open");
        let floods = (0..40).map(|_| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.hash("correct horse".to_owned()).await })
        });
        let floods: Vec<_> = floods.collect();
        while floods.iter().filter(|one| one.is_finished()).count() < 40 - WAITING_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.places.available_permits(), 0);
        drop(held);
        let mut hashed = 0;
        for one in floods {
            hashed += usize::from(one.await.expect("no panic").is_ok());
        }
        assert_eq!(hashed, WAITING_MAX);
        assert_eq!(passwords.places.available_permits(), WAITING_MAX, "all are given back");
    }
}
