//! The control socket: how commands reach the node of the machine.
//!
//! * [`socket`]: where it is and who may connect.
//! * [`client`]: a command's end; [`status()`] asks what the node does.
//! * [`server`]: the node's end; it runs what [`Commands`] makes of a request.
//!
//! The node opens files with its own rights, so it serves its own user and root, and nobody
//! else. A command checks the same of the node, before it sends a secret.

pub mod client;
pub mod server;
pub mod socket;

use std::path::{Path, PathBuf};

use node_api::{FrameError, Hello, PROTOCOL, Status, ToNode};

pub use client::{Connection, Reply, connect};
pub use server::{Commands, Line, Outcome};
pub use socket::{is_node_running, socket_path};

use node_api::FromNode;

/// Why a command and the node of the machine did not come together.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The node belongs to another user, or this command's user may not reach its socket. Run
    /// the command as that user, or use a state directory of one's own.
    #[error("the node at {} is another user's", path.display())]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The node and the command are of different versions: the program was upgraded while the
    /// node ran. Restart the node.
    #[error(
        "the running node (process {process}) is version {node}, this command is version {command}"
    )]
    Skew {
        /// The node's version.
        node: String,
        /// The command's version.
        command: String,
        /// The node's process.
        process: u32,
    },
    /// The node took the connection and says nothing: it is stopped or overloaded.
    #[error("the node at {} does not answer", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// The node went away in the middle of the job. What was done is kept: run the command again.
    #[error("the node (process {process}) went away before the command was done")]
    Gone {
        /// The process it was.
        process: u32,
    },
    /// The other side does not speak this protocol.
    #[error("the node sent something else than a message")]
    Frame(#[from] FrameError),
    /// The socket failed.
    #[error("cannot use the node's socket {}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// What this program says first.
pub(crate) fn hello() -> Hello {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Hello { protocol: PROTOCOL, version, process: std::process::id() }
}

/// What the node of `state` does; `None` when none runs.
///
/// # Errors
/// See [`ControlError`].
pub async fn status(state: &Path) -> Result<Option<Status>, ControlError> {
    let Some(mut connection) = connect(state).await? else { return Ok(None) };
    connection.send(&ToNode::Status).await?;
    loop {
        if let Reply::Message(FromNode::Status(status)) = connection.next().await? {
            return Ok(Some(*status));
        }
    }
}

#[cfg(test)]
mod tests;
