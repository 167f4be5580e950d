//! A data directory made anew from a state that is there already: of a backup, of a survivor, of what could be salvaged.
//!
//! What must hold:
//! - It is made in an empty directory, and counts as one only with its last step: `station.json` comes last, and until
//!   then a mark says what was not finished. Whatever it is made from is not touched.
//! - It is a group of this one station, in a new epoch. Its number, and the revision that the graph goes on from, follow
//!   the clock, so that they are above whatever an earlier life of the cluster came to, also if the same backup is
//!   restored twice: agents, and numbers of commands and events, only ever see them rise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mainstay_protocol::{Epoch, Revision};
use rocksdb::WriteBatch;

use crate::db::{self, Db};
use crate::directory::{self, Directory, Identity, UNFINISHED, sync_directory};
use crate::error::OpenError;
use crate::raft::Snapshots;
use crate::records::{Applied, Begun, Members, Vote};

/// Steps of the clock that new revisions follow: one for each entry that a cluster may commit on the average. Sequence
/// numbers of events stay exact in a JSON reader's doubles until the year 2106.
const REVISIONS_PER_SECOND: u64 = 32;

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    pub identity: Identity,
    pub epoch: Epoch,
    pub revision: Revision,
}

/// A directory that is not finished; dropped, it stays so.
pub(crate) struct Building {
    dir: PathBuf,
    identity: Identity,
    pub(crate) db: Db,
    _lock: File,
}

impl Building {
    /// Refused where anything is.
    pub(crate) fn begin(dir: &Path, identity: Identity) -> Result<Self, OpenError> {
        directory::make(dir)?;
        expect_empty(dir)?;
        let lock = directory::lock(dir)?;
        let mark = dir.join(UNFINISHED);
        let begun = || -> io::Result<()> {
            let mut file = File::create(&mark)?;
            writeln!(
                file,
                "A data directory was being made here and is not whole. Delete it, and make it again."
            )?;
            file.sync_all()?;
            sync_directory(dir)
        };
        begun().map_err(OpenError::io("writing", &mark))?;
        let db = Db::open(&directory::database(dir)).map_err(|cause| OpenError::Database {
            dir: dir.to_owned(),
            cause,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            identity,
            db,
            _lock: lock,
        })
    }

    /// What is in the database, up to `applied`, becomes the state of a group of one in a new epoch.
    pub(crate) fn finish(
        self,
        applied: Applied,
        known: Epoch,
        now_ms: u64,
    ) -> Result<Rebuilt, OpenError> {
        let begin = next_life(applied.revision, known, now_ms.max(applied.wall_ms));
        let rebuilt = Rebuilt {
            identity: self.identity.clone(),
            epoch: Epoch(begin),
            revision: Revision(begin),
        };
        let station = self.identity.station.0;
        let members = Members {
            voters: vec![BTreeSet::from([station])],
            // Where it is it says itself when it starts.
            addresses: BTreeMap::from([(station, String::new())]),
        };
        let applied = Applied {
            members_at: applied.last,
            members,
            revision: rebuilt.revision,
            ..applied
        };
        let dir = self.dir.clone();
        self.write(&applied, rebuilt.epoch)
            .map_err(OpenError::io("making a data directory in", &dir))?;
        Directory::finish(&dir, &self.identity)?;
        Ok(rebuilt)
    }

    fn write(&self, applied: &Applied, epoch: Epoch) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        let db = &self.db;
        db.put(&mut batch, db::META, db::META_APPLIED, applied);
        db.put(&mut batch, db::META, db::META_BEGUN, &Begun { epoch });
        if let Some(last) = &applied.last {
            // Nothing of the log before is needed: it begins behind the state.
            db.put(&mut batch, db::META, db::META_PURGED, last);
            let vote = Vote {
                term: last.term,
                station: self.identity.station.0,
                committed: false,
            };
            db.put(&mut batch, db::META, db::META_VOTE, &vote);
        }
        db.write(batch)?;
        db.sync()?;
        let snapshots = Snapshots {
            db: db.clone(),
            root: directory::snapshots(&self.dir),
            cluster: self.identity.cluster,
        };
        snapshots.keep().map(|_| ())
    }
}

/// The number of the new epoch, and the revision that it begins at.
fn next_life(revision: Revision, epoch: Epoch, now_ms: u64) -> u64 {
    let clock = now_ms.saturating_mul(REVISIONS_PER_SECOND) / 1000;
    clock.max(revision.0 + 1).max(epoch.0 + 1)
}

/// A mount point of its own has this in it.
const LOST_AND_FOUND: &str = "lost+found";

fn expect_empty(dir: &Path) -> Result<(), OpenError> {
    let found = fs::read_dir(dir)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(OpenError::io("reading", dir))?;
    let found = found.into_iter().map(|entry| entry.file_name());
    let mut found: Vec<_> = found.filter(|name| name != LOST_AND_FOUND).collect();
    found.sort();
    match found.first() {
        None => Ok(()),
        Some(name) => Err(OpenError::NotEmpty {
            dir: dir.to_owned(),
            what: name.to_string_lossy().into_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_life_is_above_all_that_was_whatever_the_clock_says() {
        let now_ms = 1_800_000_000_000;
        let first = next_life(Revision(500), Epoch(1), now_ms);
        assert_eq!(first, 57_600_000_000);
        // The same backup restored again, after the first life had decided for a while.
        let again = next_life(Revision(500), Epoch(1), now_ms + 60_000);
        assert!(again > first + 60 * 31);
        assert_eq!(next_life(Revision(first), Epoch(first), 0), first + 1);
        // Below what a JSON reader's doubles have exactly, with the number of an event behind it.
        assert!(first < 1 << (53 - 16));
    }
}
