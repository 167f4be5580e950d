//! Repair: what can be read of a damaged directory becomes a new one. The damaged one is copied, and never touched.
//!
//! What is tried, and what each costs is told:
//! 1. the state that is there with the write-ahead log up to its first bad place;
//! 2. the newest snapshot that can be read whole, and of the log whatever follows it without a gap.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mainstay_protocol::{ClusterName, Timestamp};
use mainstay_resource_graph::ViewExt;

use crate::check;
use crate::db::{Db, Leniency};
use crate::directory;
use crate::error::OpenError;
use crate::rebuild::{Building, Rebuilt};
use crate::records::{Applied, LogPoint};
use crate::recover::{apply_tail, copy_history, copy_state};
use crate::store::mend;
use crate::view::StoreView;
use crate::wal;

/// Where the copy is that is salvaged from; removed at the end.
const SALVAGE: &str = "salvage";

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    pub cluster: ClusterName,
    pub rebuilt: Rebuilt,
    /// The newest entry that is in it.
    pub last: LogPoint,
    pub log_time: Timestamp,
    pub wall_ms: u64,
    /// What is not in it any more, each in words.
    pub dropped: Vec<String>,
}

/// From a damaged directory into an empty one. One of several stations is refused, unless the others are given up by the
/// cluster's name.
pub fn repair(
    dir: &Path,
    to: &Path,
    now_ms: u64,
    given_up: Option<&ClusterName>,
) -> Result<Repaired, OpenError> {
    let identity = directory::identity(dir)?.ok_or_else(|| OpenError::NotOne {
        dir: dir.to_owned(),
    })?;
    let _lock = directory::lock(dir)?;
    let building = Building::begin(to, identity.clone())?;
    let scratch = to.join(SALVAGE);
    let copying = || -> io::Result<()> {
        copy_directory(&directory::database(dir), &directory::database(&scratch))?;
        let snapshots = directory::snapshots(dir);
        match snapshots.exists() {
            true => copy_directory(&snapshots, &directory::snapshots(&scratch)),
            false => Ok(()),
        }
    };
    copying().map_err(OpenError::io("copying what is damaged into", to))?;
    if is_sound(&scratch) {
        drop(building);
        fs::remove_dir_all(to).map_err(OpenError::io("removing", to))?;
        return Err(OpenError::Sound {
            dir: dir.to_owned(),
        });
    }
    let salvaged = salvage(&scratch, &building.db);
    let salvaged = salvaged.map_err(OpenError::io("salvaging into", to))?;
    let Some(Salvaged { applied, dropped }) = salvaged else {
        drop(building);
        fs::remove_dir_all(to).map_err(OpenError::io("removing", to))?;
        return Err(OpenError::Unsalvageable {
            dir: dir.to_owned(),
        });
    };
    fs::remove_dir_all(&scratch).map_err(OpenError::io("removing", &scratch))?;
    let (log_time, wall_ms) = (applied.log_time, applied.wall_ms);
    let known = StoreView::new(&building.db)
        .map_err(OpenError::io("reading what was salvaged in", to))?
        .cluster();
    let (Some(last), Some(cluster)) = (applied.last, known) else {
        return Err(OpenError::Empty {
            dir: dir.to_owned(),
        });
    };
    let voters = applied.members.voters.iter().flatten().count();
    if voters > 1 && given_up != Some(&cluster.name) {
        drop(building);
        fs::remove_dir_all(to).map_err(OpenError::io("removing", to))?;
        return Err(OpenError::OneOfSeveral {
            dir: dir.to_owned(),
            identity,
            cluster: cluster.name,
            voters,
        });
    }
    let rebuilt = building.finish(applied, cluster.epoch, now_ms)?;
    Ok(Repaired {
        cluster: cluster.name,
        rebuilt,
        last,
        log_time,
        wall_ms,
        dropped,
    })
}

struct Salvaged {
    applied: Applied,
    dropped: Vec<String>,
}

/// A start would take it as it is.
fn is_sound(scratch: &Path) -> bool {
    mend(scratch).is_ok()
        && Db::open_read_only(&directory::database(scratch))
            .is_ok_and(|db| check::look(&db).is_ok())
}

fn salvage(scratch: &Path, to: &Db) -> io::Result<Option<Salvaged>> {
    let database = directory::database(scratch);
    let mut dropped = wal::lost(&database)?;
    let prefix = Db::open_damaged(&database, Leniency::UpToDamage);
    let state = prefix
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|db| readable(db).map_err(|error| error.to_string()));
    // For the log alone: an entry is there whole or not at all, and after the first that is missing none counts.
    let any = Db::open_damaged(&database, Leniency::AnyDamage);
    let log = prefix.as_ref().or(any.as_ref()).ok();
    match (state, prefix.as_ref()) {
        (Ok(()), Ok(db)) => {
            copy_state(db, to)?;
            if let Err(error) = copy_history(db, to) {
                dropped.push(format!("decisions and events that were kept: {error}"));
            }
        }
        (Err(why), _) => {
            dropped.push(format!("the state as it was: {why}"));
            let Some(index) = newest_snapshot(scratch, to)? else {
                return Ok(None);
            };
            dropped.push(format!(
                "decisions and events up to entry {index} of the log, where the newest snapshot was taken that can be read"
            ));
        }
        (Ok(()), Err(_)) => return Ok(None),
    }
    let (applied, stopped) = apply_tail(log, to)?;
    if let Some(stopped) = stopped {
        dropped.push(format!("of the log, all from there on: {stopped}"));
    }
    Ok(Some(Salvaged { applied, dropped }))
}

fn readable(db: &Db) -> io::Result<()> {
    StoreView::new(db)?.graph().map(|_| ())
}

/// Takes over the newest snapshot that can be read whole; says up to which entry it reaches.
fn newest_snapshot(scratch: &Path, to: &Db) -> io::Result<Option<u64>> {
    let root = directory::snapshots(scratch);
    if !root.exists() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        found.push(entry?.path());
    }
    found.sort();
    for path in found.into_iter().rev() {
        let Ok(db) = Db::open_damaged(&path, Leniency::UpToDamage) else {
            continue;
        };
        if readable(&db).is_err() {
            continue;
        }
        copy_state(&db, to)?;
        let reaches = StoreView::new(&db)?.applied().last;
        return Ok(Some(reaches.map_or(0, |last| last.index)));
    }
    Ok(None)
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target: PathBuf = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_directory(&entry.path(), &target)?,
            false => _ = fs::copy(entry.path(), target)?,
        }
    }
    Ok(())
}
