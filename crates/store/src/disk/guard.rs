//! Panics of the index's library over damaged pages, as errors.
//!
//! The library decodes what it reads from the file and panics where that makes no sense. Here
//! damage is an everyday matter: it is named, and the index is made anew.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::StoreError;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread now would be damage of an index, which the store catches and
/// reports as an error. A program asks this in its panic hook, to say nothing of such a panic:
/// hooks belong to the program, so the store sets none.
#[must_use]
pub fn catches_panics() -> bool {
    GUARDED.get()
}

/// Does something with the index; a panic is an error of the index.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let outer = GUARDED.replace(true);
    // What a panic leaves half done is in the index alone, and that is not trusted afterwards.
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.unwrap_or_else(|panic| Err(StoreError::index(redb::Error::Corrupted(text(&*panic)))))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let fixed = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = fixed.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    // The first line says what; the others show values.
    format!("a page makes no sense: {}", text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{catches_panics, guarded};
    use crate::StoreError;

    #[test]
    fn a_panic_becomes_an_error_and_is_known_as_such_only_meanwhile() {
        assert!(!catches_panics());
        let done = guarded(|| -> Result<(), _> {
            assert!(catches_panics());
            assert!(guarded(|| Ok(())).is_ok(), "within another");
            assert!(catches_panics());
            panic!("page of kind {}\nand more", 7);
        });
        assert!(!catches_panics());
        let Err(StoreError::Index(error)) = done else { panic!("no error") };
        let text = error.to_string();
        assert!(text.contains("page of kind 7") && !text.contains("more"), "{text}");
    }
}
