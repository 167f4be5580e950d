//! When to kill: behind the nth write that is seen in the victim's files, or somewhere in an eighth of the course.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use mainstay_tests::Random;

/// So many writes of a course are tried; later ones are much the same (heartbeats, Checks).
const WRITES: usize = 12;
const EIGHTHS: u32 = 8;
/// Beyond twice the course's length: what did not come by then does not come.
const LATE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// As soon as so many changes of its files were seen.
    Write(usize),
    /// Somewhere in this eighth of the course; the ninth is behind its end.
    Eighth(u32),
}

impl Moment {
    /// The same whatever was measured, so that a seed gives the same deaths again; what is not reached falls behind the
    /// course's end.
    pub fn all() -> Vec<Self> {
        let writes = (1..=WRITES).map(Self::Write);
        writes.chain((0..=EIGHTHS).map(Self::Eighth)).collect()
    }
}

/// After many deaths in a row `mainstay dev` waits so long before it starts an agent again, and a little.
const AWAY_MAX: Duration = Duration::from_secs(6);

/// A course as it was without any death.
#[derive(Debug)]
pub struct Rhythm {
    pub length: Duration,
    /// It begins with the death of the agent, which may be away for longer than it was this time.
    pub without_agent: bool,
}

impl Rhythm {
    pub fn late(&self) -> Duration {
        let away = if self.without_agent {
            AWAY_MAX
        } else {
            Duration::ZERO
        };
        2 * self.length + LATE + away
    }

    /// Returns when the moment is there, or too late to come.
    pub fn wait(&self, moment: Moment, watch: &mut Watch, begun: Instant, random: &mut Random) {
        match moment {
            Moment::Write(number) => {
                while watch.look() < number && begun.elapsed() < self.late() {
                    thread::yield_now();
                }
            }
            Moment::Eighth(eighth) => {
                let within = 1000 * u64::from(eighth) + random.below(1000);
                let share = within as f64 / (1000.0 * f64::from(EIGHTHS));
                let after = self.length.mul_f64(share);
                // tidy: waits because the moment of the kill is a time
                thread::sleep(after.saturating_sub(begun.elapsed()));
            }
        }
    }
}

/// What a file system says of a file that was written: another inode, length, or time.
type Seen = BTreeMap<PathBuf, (u64, u64, i64, i64)>;

/// Directories whose files are looked at again and again.
#[derive(Debug)]
pub struct Watch {
    directories: Vec<PathBuf>,
    seen: Seen,
    changes: usize,
}

impl Watch {
    pub fn new(directories: Vec<PathBuf>) -> Self {
        let seen = look(&directories);
        Self {
            directories,
            seen,
            changes: 0,
        }
    }

    /// Looks, and returns how many changes there were since it began.
    pub fn look(&mut self) -> usize {
        let now = look(&self.directories);
        if now != self.seen {
            self.seen = now;
            self.changes += 1;
        }
        self.changes
    }
}

fn look(directories: &[PathBuf]) -> Seen {
    let entries = directories.iter().filter_map(|dir| fs::read_dir(dir).ok());
    entries
        .flatten()
        .flatten()
        // RocksDB's own words about itself are no persistence.
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with("LOG"))
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            let print = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
            Some((entry.path(), print))
        })
        .collect()
}
