//! What a script says through one pipe.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use package::receipt::Output;
use rustix::event::{PollFd, PollFlags};

/// The first of it, and how much there was.
pub(super) struct Said {
    pipe: Option<std::fs::File>,
    most: u64,
    kept: Output,
}

impl Said {
    pub(super) fn new(pipe: Option<impl Into<OwnedFd>>, most: u64) -> Self {
        let pipe = pipe.map(|pipe| std::fs::File::from(pipe.into()));
        let pipe = pipe.filter(|pipe| rustix::io::ioctl_fionbio(pipe, true).is_ok());
        let most = most.min(package::instructions::OUTPUT_BYTES_MAX);
        Self { pipe, most, kept: Output::default() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// What to wait for before reading.
    pub(super) fn waits(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN))
    }

    /// Reads what is there; a bounded part of it, so that who says much keeps nobody from being heard.
    pub(super) fn read(&mut self) {
        let mut buffer = [0; 64 << 10];
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.keep(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.kept.bytes.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.kept.bytes.extend_from_slice(&bytes[..room]);
        self.kept.bytes_total += bytes.len() as u64;
    }

    pub(super) fn finish(self) -> Output {
        self.kept
    }
}
