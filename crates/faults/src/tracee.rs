//! Memory, open files and registers of a process that stands still for us.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use nix::unistd::Pid;

const PAGE_BYTES: u64 = 4096;

/// What `/proc` says of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tracee(pub(crate) Pid);

impl Tracee {
    fn proc(self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{what}", self.0))
    }

    pub(crate) fn read(self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.proc("mem"))?.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    pub(crate) fn write(self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let memory = File::options().write(true).open(self.proc("mem"))?;
        memory.write_all_at(bytes, address)
    }

    pub(crate) fn read_u64(self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.read(address, 8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// The text up to the next zero byte.
    pub(crate) fn read_text(self, mut address: u64) -> io::Result<PathBuf> {
        let mut text = Vec::new();
        // Up to the end of a page at a time: the next one may not be there.
        while text.len() < 4 * PAGE_BYTES as usize {
            let length = PAGE_BYTES - address % PAGE_BYTES;
            let bytes = self.read(address, length as usize)?;
            if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&bytes[..end]);
                return Ok(PathBuf::from(std::ffi::OsString::from_vec(text)));
            }
            text.extend_from_slice(&bytes);
            address += length;
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Where the kernel says that an open file is; `None` for sockets, pipes and the like.
    pub(crate) fn file(self, descriptor: u64) -> Option<PathBuf> {
        let path = std::fs::read_link(self.descriptor(descriptor)).ok()?;
        path.is_absolute().then_some(path)
    }

    /// A name under which the open file itself can be opened once more, unlinked or not.
    pub(crate) fn descriptor(self, descriptor: u64) -> PathBuf {
        self.proc(&format!("fd/{}", descriptor as i32))
    }

    /// Where the next `read` or `write` of an open file begins.
    pub(crate) fn position(self, descriptor: u64) -> io::Result<u64> {
        let text = std::fs::read_to_string(self.proc(&format!("fdinfo/{}", descriptor as i32)))?;
        let position = text.lines().find_map(|line| line.strip_prefix("pos:"));
        position.and_then(|text| text.trim().parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
    }

    /// The path a call means by `text` and a directory's descriptor, without links but the last.
    pub(crate) fn path(self, directory: Option<u64>, text: &Path) -> Option<PathBuf> {
        let base = match directory.map(|descriptor| descriptor as i32) {
            Some(descriptor) if descriptor >= 0 => self.file(descriptor as u64)?,
            Some(_) | None => std::fs::read_link(self.proc("cwd")).ok()?,
        };
        if text.as_os_str().is_empty() {
            return Some(base);
        }
        let whole = base.join(text);
        let (parent, name) = (whole.parent()?, whole.components().next_back()?);
        let Component::Normal(name) = name else { return whole.canonicalize().ok() };
        Some(parent.canonicalize().unwrap_or_else(|_| parent.to_owned()).join(name))
    }
}
