//! A daemon's socket on its own machine, and who may come to it: processes of the user that the daemon runs as, and root's.
//! The socket file says so (0600), and the kernel says so again for each peer.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

/// Why a peer is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a process of user {uid} came to the socket; it is only for user {own} and root")]
pub struct Stranger {
    uid: u32,
    own: u32,
}

/// The peer's pid, if it may come in.
pub fn admit(stream: &UnixStream) -> io::Result<Result<Option<i32>, Stranger>> {
    let peer = stream.peer_cred()?;
    let own = rustix::process::geteuid().as_raw();
    let uid = peer.uid();
    Ok(if uid == own || uid == 0 {
        Ok(peer.pid())
    } else {
        Err(Stranger { uid, own })
    })
}

/// Listens at a path, in place of whatever an earlier life left there. Whoever holds the data directory's lock
/// may do so: there is no other daemon that could be using it.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // Between bind and chmod a stranger may connect; the check of its user still refuses it.
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
