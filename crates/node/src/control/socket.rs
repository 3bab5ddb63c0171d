//! Where the control socket is, and who may connect.
//!
//! `STATE/node.sock` is the socket or a link to it: where there is a directory for sockets
//! (`$XDG_RUNTIME_DIR`) the socket is in its `consign` directory, so that the state may lie on a
//! file system that has none. Commands need to know the state directory only.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::state::create_private_directory;

/// Connections that wait to be accepted; as the kernel limits it anyway.
const BACKLOG: i32 = 128;
/// Longest path that fits into a socket's address with its closing zero (unix(7)).
const ADDRESS_BYTES_MAX: usize = 107;

/// Where commands find the node of `state`.
#[must_use]
pub fn socket_path(state: &Path) -> PathBuf {
    state.join("node.sock")
}

fn lock_path(state: &Path) -> PathBuf {
    state.join("node.lock")
}

/// Whether some process is the node of `state`, be it ready or not.
#[must_use]
pub fn is_node_running(state: &Path) -> bool {
    File::open(lock_path(state)).is_ok_and(|file| {
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    })
}

/// Makes this process the node of `state` until the returned file is dropped; `None` while
/// another one is.
pub(crate) fn become_node(state: &Path) -> io::Result<Option<File>> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(lock_path(state))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Binds the socket; the caller is the node, so whatever is there is left from a dead one.
pub(crate) fn bind(state: &Path, runtime: Option<&Path>) -> io::Result<UnixListener> {
    let known = socket_path(state);
    remove(&known)?;
    let Some(runtime) = runtime.filter(|runtime| runtime.is_dir()) else {
        return bind_at(&known);
    };
    let directory = runtime.join("consign");
    create_private_directory(&directory).map_err(io::Error::other)?;
    let name = blake3::hash(state.as_os_str().as_bytes()).to_hex();
    let socket = directory.join(format!("{}.sock", &name[..16]));
    remove(&socket)?;
    let listener = bind_at(&socket)?;
    std::os::unix::fs::symlink(&socket, &known)?;
    Ok(listener)
}

/// Takes the socket away when the node ends.
pub(crate) fn unbind(state: &Path) {
    let known = socket_path(state);
    let target = std::fs::read_link(&known).ok();
    for path in target.iter().chain([&known]) {
        if let Err(error) = remove(path) {
            tracing::debug!(%error, path = %path.display(), "cannot remove the socket");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn bind_at(path: &Path) -> io::Result<UnixListener> {
    let socket = new_socket()?;
    // Before it has a name, so that there is no moment in which others could connect.
    fchmod(&socket, Mode::from_raw_mode(0o600))?;
    with_address(path, |address| rustix::net::bind(&socket, address))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Connects to the node of `state`; `None` when there is none.
pub(crate) fn connect(state: &Path) -> io::Result<Option<UnixStream>> {
    let path = socket_path(state);
    // A link is resolved here: only the last step of a path may be abbreviated below.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let socket = new_socket()?;
    match with_address(&path, |address| rustix::net::connect(&socket, address)) {
        Ok(()) => Ok(Some(UnixStream::from(socket))),
        Err(error) if is_nobody(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
    )
}

fn new_socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    Ok(rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// Gives `call` an address for `path`; a path that is too long is reached through its directory.
fn with_address(
    path: &Path,
    call: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<()>,
) -> io::Result<()> {
    if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return Ok(call(&SocketAddrUnix::new(path)?)?);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = rustix::fs::open(parent, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&parent.as_fd());
    let short = Path::new("/proc/self/fd").join(number.to_string()).join(name);
    Ok(call(&SocketAddrUnix::new(short)?)?)
}

/// Whether a process of user `peer` may have files opened with the rights of `own`, or be given
/// the secrets of `own`: the same user, and root, who can do both anyway.
#[must_use]
pub(crate) fn may_trust(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// The user this process acts as.
pub(crate) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}
