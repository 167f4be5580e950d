//! Why a data directory cannot be opened: what is wrong, why, and what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum OpenError {
    #[error(
        "the data directory {dir} is in use by another process{}: two stations would destroy each other's log; stop that process, or choose another directory",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked { dir: PathBuf, pid: Option<u32> },
    #[error(
        "the data directory {dir} belongs to {found}, not to {wanted}: opening it would mix two logs; start the station it belongs to, or choose another directory"
    )]
    Foreign {
        dir: PathBuf,
        found: String,
        wanted: String,
    },
    #[error(
        "the data directory {dir} has format {found}, this build reads up to {known}: a newer build wrote it; start that build or a newer one"
    )]
    NewerFormat {
        dir: PathBuf,
        found: u32,
        known: u32,
    },
    #[error(
        "the data directory {dir} is damaged ({what}): what stands behind may have been acknowledged and cannot be left out silently; \
         keep the directory, then either run `station repair` on a copy of it, or `restore` a backup into an empty directory"
    )]
    Damaged { dir: PathBuf, what: String },
    #[error("{doing} {path}: {cause}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error("opening the database in {dir}: {cause}")]
    Database { dir: PathBuf, cause: rocksdb::Error },
    #[error("starting the log in {dir}: {cause}")]
    Log { dir: PathBuf, cause: String },
}

impl OpenError {
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Io { doing, path, cause }
    }
}

/// As the storage traits want it.
pub(crate) fn io_error(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(cause)
}
