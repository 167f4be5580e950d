//! The end of the process when the disk cannot be trusted: a failed write or sync is never tried again as if it
//! had worked, since the kernel may have dropped the pages. Whoever restarts us reads what is really there.

use std::fmt::Display;

/// The exit code of a station whose storage failed.
pub const EXIT_STORAGE: i32 = 70;

#[expect(
    clippy::exit,
    reason = "going on could acknowledge what is not on disk"
)]
pub(crate) fn storage_failed(doing: &str, cause: &dyn Display) -> ! {
    tracing::error!(doing, %cause, "storage failed; the process ends and must be restarted from disk");
    eprintln!("mainstay: storage failed while {doing}: {cause}; the process ends");
    std::process::exit(EXIT_STORAGE)
}
