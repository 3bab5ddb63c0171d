//! A command's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use node_api::{Frame, FrameReader, FromNode, Hello, ToNode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::socket::{self, may_trust, own_user, socket_path};
use super::{ControlError, hello};

/// How long a node may take to say hello: it does so before anything else, whatever it does.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// An open connection to a node that fits.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    reader: FrameReader,
    path: PathBuf,
    node: Hello,
}

/// What a node says.
#[derive(Debug)]
pub enum Reply {
    /// A message.
    Message(FromNode),
    /// Contents for standard output.
    Bytes(Vec<u8>),
}

/// Connects to the node of `state`; `None` when none runs.
///
/// # Errors
/// See [`ControlError`].
pub async fn connect(state: &Path) -> Result<Option<Connection>, ControlError> {
    let path = socket_path(state);
    let failed = |source: io::Error| {
        let path = path.clone();
        if source.kind() == io::ErrorKind::PermissionDenied {
            ControlError::NotAllowed { path }
        } else {
            ControlError::Socket { path, source }
        }
    };
    let Some(stream) = socket::connect(state).map_err(failed)? else { return Ok(None) };
    stream.set_nonblocking(true).map_err(failed)?;
    let stream = UnixStream::from_std(stream).map_err(failed)?;
    // Root may use the node of the user whose state it names.
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(state).map_err(failed)?);
    let peer = stream.peer_cred().map_err(failed)?.uid();
    let own = own_user();
    let is_trusted = may_trust(peer, own) || own == 0 && peer == owner;
    if !is_trusted {
        return Err(ControlError::NotAllowed { path });
    }
    let ours = hello();
    let (reader, node) = (FrameReader::default(), ours.clone());
    let mut connection = Connection { stream, reader, path: path.clone(), node };
    let greeting = async {
        connection.say(&Frame::of(&ours)?).await?;
        connection.next_frame().await?.message::<Hello>().map_err(ControlError::from)
    };
    let Ok(greeted) = tokio::time::timeout(HELLO_WITHIN, greeting).await else {
        return Err(ControlError::Silent { path });
    };
    connection.node = match greeted {
        // A node that ends at this moment: as if there was none.
        Err(ControlError::Gone { .. }) => return Ok(None),
        other => other?,
    };
    if !connection.node.fits(&ours) {
        return Err(ControlError::Skew {
            node: connection.node.version,
            command: ours.version,
            process: connection.node.process,
        });
    }
    Ok(Some(connection))
}

impl Connection {
    /// What the node said of itself.
    #[must_use]
    pub fn node(&self) -> &Hello {
        &self.node
    }

    /// Sends a message. That nobody takes it is told by [`next`](Self::next), after what the node
    /// said before it hung up.
    ///
    /// # Errors
    /// When the message is longer than any may be, or the socket fails.
    pub async fn send(&mut self, message: &ToNode) -> Result<(), ControlError> {
        self.say(&Frame::of(message)?).await
    }

    /// The next thing the node says. Safe to drop: nothing that arrived is lost.
    ///
    /// # Errors
    /// [`ControlError::Gone`] when it says nothing any more.
    pub async fn next(&mut self) -> Result<Reply, ControlError> {
        match self.next_frame().await? {
            Frame::Bytes(bytes) => Ok(Reply::Bytes(bytes)),
            frame @ Frame::Message(_) => Ok(Reply::Message(frame.message()?)),
        }
    }

    async fn next_frame(&mut self) -> Result<Frame, ControlError> {
        let mut buffer = [0; 64 << 10];
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return Ok(frame);
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) => return Err(self.gone()),
                Ok(count) => self.reader.push(&buffer[..count]),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Sends a frame; what the node said before it hung up is read all the same.
    async fn say(&mut self, frame: &Frame) -> Result<(), ControlError> {
        match self.stream.write_all(&frame.encode()).await.map_err(|error| self.failed(error)) {
            Err(ControlError::Gone { .. }) => Ok(()),
            other => other,
        }
    }

    fn gone(&self) -> ControlError {
        ControlError::Gone { process: self.node.process }
    }

    fn failed(&self, source: io::Error) -> ControlError {
        let hung_up = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        if hung_up.contains(&source.kind()) {
            self.gone()
        } else {
            ControlError::Socket { path: self.path.clone(), source }
        }
    }
}
