//! The data directory: one owner at a time, and a file that says whose it is.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mainstay_protocol::{ClusterId, StationId};
use serde::{Deserialize, Serialize};

use crate::error::OpenError;

/// The layout of the directory and of the database in it.
pub const FORMAT: u32 = 1;

/// In a directory that is being made from something else, until it is whole.
pub(crate) const UNFINISHED: &str = "unfinished";

/// Whose directory it is; in `station.json`, so that a person can read it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub format: u32,
    pub cluster: ClusterId,
    pub station: StationId,
}

impl Identity {
    fn text(&self) -> String {
        format!("station {} of cluster {}", self.station, self.cluster)
    }
}

/// What a data directory says of itself, without opening it; nothing if it is empty or absent.
pub fn identity(dir: &Path) -> Result<Option<Identity>, OpenError> {
    let path = dir.join("station.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("reading", path)(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|cause| {
        OpenError::damaged(dir, None, format!("station.json cannot be read: {cause}"))
    })
}

/// A locked directory; the lock ends with it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes it if it is not there, locks it, and compares whose it is.
    pub(crate) fn open(path: &Path, wanted: &Identity) -> Result<Self, OpenError> {
        make(path)?;
        let lock = lock(path)?;
        if path.join(UNFINISHED).exists() {
            return Err(OpenError::Unfinished {
                dir: path.to_owned(),
            });
        }
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        match identity(path)? {
            Some(found) => {
                directory.compare(&found, wanted)?;
                directory.expect_database(&found)?;
            }
            None if directory.database().exists() => {
                let what = "there is a database, but no station.json";
                return Err(OpenError::damaged(path, Some(wanted), what));
            }
            None => directory.introduce(wanted)?,
        }
        Ok(directory)
    }

    pub(crate) fn database(&self) -> PathBuf {
        database(&self.path)
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        snapshots(&self.path)
    }

    fn compare(&self, found: &Identity, wanted: &Identity) -> Result<(), OpenError> {
        if found.format > wanted.format {
            return Err(OpenError::NewerFormat {
                dir: self.path.clone(),
                found: found.format,
                known: wanted.format,
            });
        }
        if (found.cluster, found.station) != (wanted.cluster, wanted.station) {
            return Err(OpenError::Foreign {
                dir: self.path.clone(),
                found: found.text(),
                wanted: wanted.text(),
            });
        }
        Ok(())
    }

    /// A database that is gone must not be taken for one that was never there: the station would begin anew under
    /// its old name.
    fn expect_database(&self, identity: &Identity) -> Result<(), OpenError> {
        let there = self.database().join("CURRENT").exists();
        if there || self.fresh().exists() {
            return Ok(());
        }
        let what = "there is a station.json, but no database";
        Err(OpenError::damaged(&self.path, Some(identity), what))
    }

    /// There from before `station.json` until the database has been made.
    fn fresh(&self) -> PathBuf {
        self.path.join("fresh")
    }

    /// The database is there: from now on it must be.
    pub(crate) fn begun(&self) -> Result<(), OpenError> {
        let path = self.fresh();
        if !path.exists() {
            return Ok(());
        }
        fs::remove_file(&path)
            .and_then(|()| sync_directory(&self.path))
            .map_err(OpenError::io("removing", path))
    }

    fn introduce(&self, identity: &Identity) -> Result<(), OpenError> {
        let mark = || -> std::io::Result<()> {
            File::create(self.fresh())?.sync_all()?;
            sync_directory(&self.path)
        };
        mark().map_err(OpenError::io("writing", self.fresh()))?;
        sign(&self.path, identity)
    }

    /// The last steps of making one from something else: it says whose it is, and no more that it is not whole.
    pub(crate) fn finish(dir: &Path, identity: &Identity) -> Result<(), OpenError> {
        sign(dir, identity)?;
        let mark = dir.join(UNFINISHED);
        fs::remove_file(&mark)
            .and_then(|()| sync_directory(dir))
            .map_err(OpenError::io("removing", mark))
    }
}

/// Written aside and renamed, so that it is there entirely or not at all.
fn sign(dir: &Path, identity: &Identity) -> Result<(), OpenError> {
    let path = dir.join("station.json");
    let aside = dir.join("station.json.new");
    let text = serde_json::to_vec_pretty(identity).expect("ids and numbers serialise");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        sync_directory(dir)
    };
    write().map_err(OpenError::io("writing", &path))
}

/// Makes it if it is not there. Nobody but its owner looks into it: what is configured may be meant for few.
pub(crate) fn make(dir: &Path) -> Result<(), OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(OpenError::io("creating", dir))?;
    let closed = fs::set_permissions(dir, Permissions::from_mode(0o700));
    closed.map_err(OpenError::io("closing to others", dir))
}

pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("db")
}

pub(crate) fn snapshots(dir: &Path) -> PathBuf {
    dir.join("snapshots")
}

/// Makes names durable: a file is found after a power loss only if its directory was synced.
pub(crate) fn sync_directory(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The lock of a directory, by whoever wants to be alone with it.
pub(crate) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(OpenError::io("opening", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            return Err(OpenError::Locked {
                dir: dir.to_owned(),
                pid: read.ok().and_then(|_| text.trim().parse().ok()),
            });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io("locking", &path)(error)),
    }
    let write = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()));
    write.map_err(OpenError::io("writing", &path))?;
    Ok(file)
}
