//! What a supervisor such as systemd is told by the programs it starts.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::PATIENCE;

/// A supervisor's socket.
pub(super) struct Supervisor {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Supervisor {
    pub(super) fn listen_in(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { path, socket }
    }

    /// A command that is to tell it how it is.
    pub(super) fn supervise(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.path);
    }

    /// The next thing it is told.
    pub(super) fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let read = self.socket.recv(&mut buffer).expect("is told in time");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    }
}
