//! A directory of one attempt's own, which is gone with it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Fault;

const SCRIPT: &str = "script";
/// Whoever a container runs as reads it; nobody else comes through the directory above.
const READABLE: u32 = 0o444;

#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Below a directory that only its owner enters.
    pub(super) fn made(root: &Path) -> Result<Self, Fault> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = root.join(format!("{}-{count}", std::process::id()));
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&path);
        made.map_err(|error| fault(&path, error))?;
        Ok(Self(path))
    }

    /// What an agent that was killed has left.
    pub(super) fn swept(root: &Path) -> io::Result<()> {
        match fs::remove_dir_all(root) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Of something else that is this attempt's alone.
    pub(super) fn name(&self, prefix: &str) -> String {
        let own = self.0.file_name().unwrap_or_default();
        format!("{prefix}{}", own.to_string_lossy())
    }

    pub(super) fn script(&self, source: &str) -> Result<PathBuf, Fault> {
        let path = self.0.join(SCRIPT);
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(READABLE)
            .open(&path);
        let written = file.and_then(|mut file| file.write_all(source.as_bytes()));
        written.map_err(|error| fault(&path, error))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{}: {error}", self.0.display());
        }
    }
}

fn fault(path: &Path, error: io::Error) -> Fault {
    Fault::Engine(format!("{}: {error}", path.display()))
}
