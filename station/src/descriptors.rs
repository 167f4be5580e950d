//! Open files: connections are bounded by `limits`, far above what a shell lets a process have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the bound of this process as far as it may by itself.
pub fn allow() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "this process may not open as many files as its user may");
    }
}
