//! What a command and the node of a machine say to each other over the control socket.
//!
//! * [`message`]: [`ToNode`] and [`FromNode`], and what they carry.
//! * [`status`]: what a node does, for whom, and what it waits for.
//! * [`frame`]: messages as length-limited frames of JSON, and contents as frames of bytes.
//! * [`text`]: paths and arguments, which need not be UTF-8, inside of JSON.
//!
//! A command connects, both say [`Hello`], the command sends one request and reads until the
//! node has said how it ended. It knows neither sockets nor who may connect: that is the
//! `node` crate's.
//!
//! Invariants: a frame is at most [`frame::FRAME_BYTES_MAX`] long and nothing is allocated from
//! a length that was not checked. [`Hello`] keeps its form for ever, so that a command and a
//! node of any two versions can tell each other that they do not fit; all else may change with
//! [`PROTOCOL`]. Secrets are fields of messages, never arguments.
//!
//! Start reading at [`message`].

pub mod frame;
pub mod message;
pub mod status;
pub mod text;

pub use frame::{Frame, FrameError, FrameReader};
pub use message::{Failure, FromNode, Hello, Look, Run, ToNode};
pub use status::Status;
pub use text::Text;

/// Version of everything after [`Hello`]; raised when a message changes.
pub const PROTOCOL: u32 = 3;
