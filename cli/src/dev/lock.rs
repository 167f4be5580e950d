//! One dev cluster for each home: a lock that its parent holds, freed by the kernel however it ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mainstay_api::Problem;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::outcome::machine;

#[derive(Debug)]
pub struct DevLock {
    path: PathBuf,
    _file: File,
}

impl DevLock {
    /// None if somebody else has it.
    pub fn try_take(path: &Path) -> Result<Option<Self>, Problem> {
        let doing = |error: io::Error| machine(format!("lock {}", path.display()), error);
        loop {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(doing)?;
            }
            let file = match OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
            {
                Ok(file) => file,
                // Whoever removed the directory between the two calls is done with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(doing(error)),
            };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(doing(error.into())),
            }
            // Its last holder may have removed it before letting go: then this is a lock on nothing.
            let ours = file.metadata().map_err(doing)?.ino();
            match fs::metadata(path) {
                Ok(there) if there.ino() == ours => {
                    return Ok(Some(Self {
                        path: path.to_owned(),
                        _file: file,
                    }));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(doing(error)),
            }
        }
    }

    /// Lets go, and leaves no file.
    pub fn remove(self) {
        // Whoever finds it left over takes it as it is.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_the_lock_and_none_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("home").join("dev.lock");
        let first = DevLock::try_take(&path).unwrap().unwrap();
        assert!(DevLock::try_take(&path).unwrap().is_none());
        first.remove();
        assert!(!path.exists());
        assert!(DevLock::try_take(&path).unwrap().is_some());
    }
}
