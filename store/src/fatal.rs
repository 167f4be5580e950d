//! The end of the process when the disk cannot be trusted: a failed write or sync is never tried again as if it
//! had worked, since the kernel may have dropped the pages. Whoever restarts us reads what is really there.

use std::fmt::Display;

/// The exit code of a station whose storage failed.
pub const EXIT_STORAGE: i32 = 70;

pub(crate) fn storage_failed(doing: &str, cause: &dyn Display) -> ! {
    tracing::error!(doing, %cause, "storage failed; the process ends and must be restarted from disk");
    eprintln!("mainstay: storage failed while {doing}: {cause}; the process ends");
    end_at_once()
}

/// Without the C library's handlers: they would take RocksDB's environment apart under its own running threads, which
/// aborts the process.
#[expect(unsafe_code, reason = "there is no safe way to end without them")]
fn end_at_once() -> ! {
    // SAFETY: it takes no pointers, touches no memory of ours, and does not return.
    unsafe { libc::_exit(EXIT_STORAGE) }
}
