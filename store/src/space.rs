//! Room on the disk: what is free, when that is too little to go on writing, and the ballast, a file that is given up to
//! open the database on a disk that is full.
//!
//! ```text
//!   roomy --free below the least--> short --free a quarter above it--> roomy
//! ```
//! Short, nothing is proposed any more; reads go on. The ballast is made where there is room for it, and given up when the
//! directory is opened short of room: recovery writes before anything can be asked to write less.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_protocol::limits;
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::config::StoreConfig;

const LOOK: Duration = Duration::from_millis(limits::DISK_LOOK_MS);
const BALLAST: &str = "ballast";
/// Zeros written at a time where a file system cannot simply set room aside.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Too little is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    pub dir: PathBuf,
    pub free_bytes: u64,
    /// As much must be free again.
    pub wanted_bytes: u64,
    /// Since when it is so.
    pub since_ms: u64,
}

pub(crate) struct Space {
    dir: PathBuf,
    free_bytes_min: u64,
    ballast_bytes: u64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    shortage: Option<Shortage>,
}

impl Space {
    /// Before the database is opened.
    pub(crate) fn open(config: &StoreConfig) -> Self {
        let space = Self {
            dir: config.dir.clone(),
            free_bytes_min: config.free_bytes_min,
            ballast_bytes: config.ballast_bytes,
            seen: Mutex::default(),
        };
        match space.shortage() {
            Some(shortage) => space.give_up(&shortage),
            None => space.set_aside(),
        }
        space
    }

    /// A look that is not older than `limits::DISK_LOOK_MS`. A disk that cannot be asked is not called full.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_some_and(|at| at.elapsed() < LOOK) {
            return seen.shortage.clone();
        }
        let short = seen.shortage.is_some();
        let wanted_bytes = match short {
            true => self.free_bytes_min + self.free_bytes_min / 4,
            false => self.free_bytes_min,
        };
        let free = match free_bytes(&self.dir) {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "what is free on the disk is not known");
                u64::MAX
            }
        };
        let since_ms = seen
            .shortage
            .as_ref()
            .map_or_else(wall_ms, |before| before.since_ms);
        let now = (free < wanted_bytes).then(|| Shortage {
            since_ms,
            dir: self.dir.clone(),
            free_bytes: free,
            wanted_bytes: self.free_bytes_min + self.free_bytes_min / 4,
        });
        seen.at = Some(Instant::now());
        seen.shortage = now.clone();
        drop(seen);
        match (short, &now) {
            (false, Some(shortage)) => tracing::error!(
                dir = %shortage.dir.display(),
                free_bytes = shortage.free_bytes,
                wanted_bytes = shortage.wanted_bytes,
                "the disk is almost full: nothing is changed until there is room again"
            ),
            (true, None) => {
                tracing::info!(dir = %self.dir.display(), "there is room on the disk again");
                self.set_aside();
            }
            (true, Some(_)) | (false, None) => {}
        }
        now
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join(BALLAST)
    }

    fn give_up(&self, shortage: &Shortage) {
        match fs::remove_file(self.ballast()) {
            Ok(()) => tracing::warn!(
                dir = %self.dir.display(),
                free_bytes = shortage.free_bytes,
                "the disk is almost full: the ballast is given up, so that the database can be opened"
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the ballast cannot be given up"),
        }
    }

    /// Where it is not there, and fits with as much again to spare. Without one the station runs all the same.
    fn set_aside(&self) {
        let path = self.ballast();
        let there = fs::metadata(&path).is_ok_and(|found| found.len() == self.ballast_bytes);
        let room = self.free_bytes_min + 2 * self.ballast_bytes;
        if self.ballast_bytes == 0 || there || free_bytes(&self.dir).is_ok_and(|free| free < room) {
            return;
        }
        if let Err(error) = fill(&path, self.ballast_bytes) {
            drop(fs::remove_file(&path));
            tracing::warn!(%error, "no ballast could be set aside");
        }
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Bytes that this process may still write there.
fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// A file whose blocks are really taken.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    if fallocate(&file, FallocateFlags::empty(), 0, bytes).is_err() {
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(ZEROS.len() as u64);
            file.write_all(&ZEROS[..piece as usize])?;
            left -= piece;
        }
    }
    file.sync_all()
}
