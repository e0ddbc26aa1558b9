//! The owner's socket: making it and finding it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// The longest path a socket address holds on every Unix, in bytes.
const MAX_SOCKET_PATH: usize = 103;

/// Listens on the owner's socket. Only the holder of the gateway's lock may call this: a socket
/// that is there already was left behind by a gateway that is gone.
///
/// # Errors
/// When the directory cannot be written.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = with_short_path(path, |short| StdListener::bind(short))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Connects to the owner's socket. Must be called inside a tokio runtime.
///
/// # Errors
/// When nobody listens there, or somebody else does: whoever answers must be the same user.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = with_short_path(path, |short| StdStream::connect(short))?;
    stream.set_nonblocking(true)?;
    let stream = UnixStream::from_std(stream)?;
    let theirs = stream.peer_cred()?.uid();
    let ours = nix::unistd::geteuid().as_raw();
    if theirs != ours {
        let text = format!("{} is served by user {theirs}, not by you", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(stream)
}

/// Calls `action` with a path short enough for a socket address: a long one is reached through
/// an open descriptor of its directory.
fn with_short_path<T>(path: &Path, action: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return action(path);
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return action(path);
    };
    let directory = File::open(directory)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    action(&short)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{connect, listen};

    #[tokio::test]
    async fn a_path_too_long_for_an_address_works() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("x".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("gateway.sock");
        let listener = listen(&path).unwrap();
        let client = connect(&path).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(server.peer_cred().unwrap().pid(), Some(pid));
        drop(client);
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.sock");
        drop(listen(&path).unwrap());
        assert!(connect(&path).is_err());
        let _listener = listen(&path).unwrap();
        assert!(connect(&path).is_ok());
    }
}
