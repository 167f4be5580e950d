//! A file that is written beside the one that is wanted, and has its name only once it is whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mainstay_api::{Exit, Problem};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::outcome::machine;

/// Gone, unless it takes its name.
pub struct Aside {
    pub file: File,
    pub path: PathBuf,
}

impl Aside {
    /// For nobody else's eyes: it holds whatever configurations hold.
    pub fn create(wanted: &Path) -> io::Result<Self> {
        let name = wanted
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}", std::process::id()));
        let path = wanted.with_file_name(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self { file, path })
    }

    /// Over nothing, also not over what came there meanwhile.
    pub fn rename(&self, wanted: &Path) -> io::Result<()> {
        let renamed = renameat_with(CWD, &self.path, CWD, wanted, RenameFlags::NOREPLACE);
        match renamed {
            // A file system that cannot do so.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::rename(&self.path, wanted)?;
            }
            renamed => renamed?,
        }
        File::open(directory_of(wanted))?.sync_all()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Renamed, it is not there any more.
        drop(fs::remove_file(&self.path));
    }
}

/// Before any work is done.
pub fn refuse_existing(what: &str, file: &Path) -> Result<(), Problem> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let why = "the file is there already, and nothing is ever written over";
    let mut problem = machine(what, why).to_do(format!("ls -l {}", file.display()));
    problem.exit = Exit::Conflict;
    Err(problem)
}

pub fn failed(what: &str, file: &Path, error: &io::Error) -> Problem {
    let dir = directory_of(file);
    machine(what, error).to_do(format!("df -h {}", dir.display()))
}

fn directory_of(file: &Path) -> &Path {
    file.parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_there_meanwhile_is_not_written_over_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("x.tar.gz");
        let aside = Aside::create(&wanted).unwrap();
        fs::write(&wanted, "mine").unwrap();
        assert!(aside.rename(&wanted).is_err());
        drop(aside);
        assert_eq!(fs::read(&wanted).unwrap(), b"mine");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let problem = refuse_existing("write it", &wanted).unwrap_err();
        assert_eq!(problem.exit, Exit::Conflict);
    }
}
