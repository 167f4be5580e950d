//! Whether a file of the machine is one that nobody but root or the agent's user could have put there: by its own rights,
//! or by those of a directory or link on the way to it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::process::geteuid;
use thiserror::Error;

/// Links on the way to a file; the kernel's own bound.
const LINKS_MAX: usize = 40;
const WORLD_WRITABLE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Why it is none.
#[derive(Debug, Error)]
pub(crate) enum Untrusted {
    #[error("{0}")]
    Missing(io::Error),
    #[error("{place} belongs to user {owner}, who is neither root nor the agent's user")]
    Owner { place: PathBuf, owner: u32 },
    #[error("everybody may write to {0}")]
    WorldWritable(PathBuf),
    #[error("there are too many links on the way to it")]
    Links,
}

/// The same file by a path without links, if everything on the way to it can be trusted.
pub(crate) fn walked(path: &Path) -> Result<PathBuf, Untrusted> {
    Walk::new(path).end()
}

/// Follows a path part by part, as the kernel does, and looks at each place it comes through.
struct Walk {
    at: PathBuf,
    rest: VecDeque<OsString>,
    links: usize,
}

impl Walk {
    fn new(path: &Path) -> Self {
        Self {
            at: PathBuf::from("/"),
            rest: parts(path).collect(),
            links: 0,
        }
    }

    fn end(mut self) -> Result<PathBuf, Untrusted> {
        while let Some(part) = self.rest.pop_front() {
            if part == ".." {
                self.at.pop();
                continue;
            }
            let place = self.at.join(&part);
            let metadata = fs::symlink_metadata(&place).map_err(Untrusted::Missing)?;
            self.owned(&place, &metadata)?;
            if metadata.is_symlink() {
                self.follow(&place)?;
            } else {
                self.kept(&place, &metadata)?;
                self.at = place;
            }
        }
        Ok(self.at)
    }

    fn owned(&self, place: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
        let owner = metadata.uid();
        if owner == 0 || owner == geteuid().as_raw() {
            return Ok(());
        }
        Err(Untrusted::Owner {
            place: place.to_owned(),
            owner,
        })
    }

    /// In a sticky directory others can add, but not replace what is not theirs: so what follows must be ours, and is
    /// looked at next.
    fn kept(&self, place: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
        let mode = metadata.permissions().mode();
        let only_to_add = metadata.is_dir() && mode & STICKY != 0;
        if mode & WORLD_WRITABLE == 0 || only_to_add {
            return Ok(());
        }
        Err(Untrusted::WorldWritable(place.to_owned()))
    }

    fn follow(&mut self, link: &Path) -> Result<(), Untrusted> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Untrusted::Links);
        }
        let target = fs::read_link(link).map_err(Untrusted::Missing)?;
        if target.is_absolute() {
            self.at = PathBuf::from("/");
        }
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            self.rest.push_front(part);
        }
        Ok(())
    }
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
