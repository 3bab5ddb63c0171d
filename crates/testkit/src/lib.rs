//! What tests of several crates share: deterministic content, sources that are honest, slow or
//! hostile, destinations that watch.
//!
//! Apart from [`Postgres`], nothing here reads a clock of its own: waits go through the runtime's, which a test stops
//! with `#[tokio::test(start_paused = true)]`, so that an hour of back-off takes no time and no
//! test depends on how fast the machine is.
//!
//! * [`Library`]: chunks made from a seed.
//! * [`Honest`]: a source with a rate, a delay and perhaps gaps; counts what it gave.
//! * [`Hostile`]: a source with a [`Manner`] of misbehaving.
//! * [`Meddler`]: a hub that alters what a real one answers.
//! * [`Watching`]: a destination that keeps everything, once, and notes how far ahead a source
//!   ran.
//! * [`parts`]: programs that a machine may lack, and what happens then.
//! * [`Postgres`]: a database server of a test's own.
//! * [`SmallDisk`]: a disk that is soon full.
//! * [`tls`]: connections by hand, many of them.
//!
//! Start at [`Manner`].

mod destination;
mod honest;
mod hostile;
mod library;
mod meddler;
pub mod parts;
mod postgres;
mod small_disk;
pub mod tls;

pub use destination::Watching;
pub use honest::Honest;
pub use hostile::{Hostile, Manner};
pub use library::{Library, frame_of, noise, words};
pub use meddler::{Meddler, Meddling};
pub use postgres::Postgres;
pub use small_disk::SmallDisk;
