//! Why a data directory cannot be opened: what is wrong, why, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_protocol::ClusterName;
use thiserror::Error;

use crate::directory::Identity;

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
         keep the directory; {}", choices(.dir, .identity.as_ref())
    )]
    Damaged {
        dir: PathBuf,
        what: String,
        /// Whose it is, where that can be read.
        identity: Option<Identity>,
    },
    #[error(
        "the data directory {dir} is not empty (there is {what}), and nothing is ever written over: choose a directory that is not \
         there yet, or move what is in it away"
    )]
    NotEmpty { dir: PathBuf, what: String },
    #[error(
        "the data directory {dir} was being made by restore, recover or repair, and that did not come to its end: delete it, \
         and make it again"
    )]
    Unfinished { dir: PathBuf },
    #[error("{dir} is no data directory of a station: there is no station.json in it")]
    NotOne { dir: PathBuf },
    #[error(
        "the data directory {dir} holds no cluster yet: its station was never told of one, so there is nothing to go on from"
    )]
    Empty { dir: PathBuf },
    #[error(
        "the data directory {dir} is of one of {voters} stations of cluster {cluster}, and the others have everything: {}; only if \
         they are lost for good as well, say so with `--yes-cluster {cluster}`", replaced(.dir, .identity)
    )]
    OneOfSeveral {
        dir: PathBuf,
        identity: Identity,
        cluster: ClusterName,
        voters: usize,
    },
    #[error(
        "the data directory {dir} is sound, so there is nothing to repair: start its station as it is"
    )]
    Sound { dir: PathBuf },
    #[error(
        "nothing in the data directory {dir} can be salvaged: neither its state nor a snapshot of it can be read; what is left is a backup"
    )]
    Unsalvageable { dir: PathBuf },
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

    pub(crate) fn damaged(
        dir: &Path,
        identity: Option<&Identity>,
        what: impl Into<String>,
    ) -> Self {
        Self::Damaged {
            dir: dir.to_owned(),
            what: what.into(),
            identity: identity.cloned(),
        }
    }
}

/// What can be done about damage, as commands.
fn choices(dir: &Path, identity: Option<&Identity>) -> String {
    let shown = dir.display();
    let alone = format!(
        "if it is the only station, either salvage what can be read (`mainstay station repair --dir {shown} --to {shown}.repaired`), \
         or restore a backup (`mainstay restore FILE --dir {shown}.restored`)"
    );
    let Some(identity) = identity else {
        return alone;
    };
    let replaced = replaced(dir, identity);
    format!("{alone}; if it is one of three or five, the others have everything: {replaced}")
}

fn replaced(dir: &Path, identity: &Identity) -> String {
    let (dir, station, cluster) = (dir.display(), identity.station, identity.cluster);
    format!(
        "take it out (`mainstay station remove {station} --yes`), and add one with an empty directory under a number that was never used, here sN \
         (`mainstay station run --dir {dir}.new --cluster NAME --station sN --joins {cluster}`, then \
         `mainstay station add sN --at unix:{dir}.new/sessions.sock`)"
    )
}

/// As the storage traits want it.
pub(crate) fn io_error(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(cause)
}
