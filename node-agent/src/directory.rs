//! The agent's directory: one agent at a time, and one holder of each name at a time, by the kernel's locks. A name is a
//! slot, whoever has it: an actor through the agent, or a process through its hold, also one that a person started.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_hold::{Slot, SlotLock, limits};
use mainstay_protocol::{PlacementName, SlotName, code};

use crate::options::CannotRun;

const SLOTS: &str = "slots";

/// An agent's directory, locked while this lives.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

/// A name on this node. The lock ends with it, also when the process is killed.
#[derive(Debug)]
pub(crate) struct HeldName {
    _lock: SlotLock,
}

impl Directory {
    /// Makes it where it is missing, for its owner alone.
    pub(crate) fn open(path: &Path) -> Result<Self, CannotRun> {
        let unusable = |error: &io::Error| CannotRun {
            what: format!("the agent cannot use its directory {}", path.display()),
            why: error.to_string(),
            remedy: format!("ls -ld {}", path.display()),
            code: code::DATA_DIRECTORY,
            exit: 2,
        };
        private_directory(&path.join(SLOTS)).map_err(|error| unusable(&error))?;
        match locked(&path.join("lock")) {
            Ok(Some(lock)) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Ok(None) => Err(CannotRun {
                what: format!("the agent cannot use its directory {}", path.display()),
                why: "another agent runs with it".to_owned(),
                remedy: format!("fuser -v {}", path.join("lock").display()),
                code: code::DATA_DIRECTORY,
                exit: 4,
            }),
            Err(error) => Err(unusable(&error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn slots(&self) -> PathBuf {
        self.path.join(SLOTS)
    }

    /// Where a placement's instance on this node has its own files.
    pub(crate) fn of_placement(&self, placement: &PlacementName) -> PathBuf {
        self.path.join("instances").join(placement.as_str())
    }

    /// Takes a name; none if somebody has it.
    pub(crate) fn hold(&self, name: &SlotName) -> io::Result<Option<HeldName>> {
        let lock = self
            .slot(name)?
            .lock_within(Duration::from_millis(limits::LOCK_PATIENCE_MS))?;
        Ok(lock.map(|lock| HeldName { _lock: lock }))
    }

    /// Whether somebody has it just now; nobody is waited for.
    pub(crate) fn is_held(&self, name: &SlotName) -> bool {
        let tried = self.slot(name).and_then(|slot| slot.lock());
        !matches!(tried, Ok(Some(_)))
    }

    /// The slot of a name, made where it is missing.
    pub(crate) fn slot(&self, name: &SlotName) -> io::Result<Slot> {
        Slot::make(&self.slots().join(name.as_str()))
    }
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.is_dir() {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::NotADirectory))
    }
}

/// Lock files are never removed: whoever removed one could let two hold it.
fn locked(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused_with_the_directory_named() {
        let dir = tempfile::tempdir().unwrap();
        let first = Directory::open(dir.path()).unwrap();
        let refused = Directory::open(dir.path()).unwrap_err();
        assert_eq!(
            (refused.exit, refused.code.clone()),
            (4, code::DATA_DIRECTORY)
        );
        let text = refused.to_string();
        assert!(text.contains("another agent runs with it"), "{text}");
        assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
        drop(first);
        Directory::open(dir.path()).unwrap();
    }

    #[test]
    fn a_name_has_one_holder_until_it_lets_go() {
        // proves: S8
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        let name = SlotName::new("web").unwrap();
        let held = directory.hold(&name).unwrap().unwrap();
        assert!(directory.hold(&name).unwrap().is_none());
        drop(held);
        assert!(directory.hold(&name).unwrap().is_some());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told_in_four_lines() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let text = Directory::open(&file).unwrap_err().to_string();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("MS-DATA-DIRECTORY (request -)"), "{text}");
    }
}
