//! `backup` and `restore`: the whole state as one file, and a station made from one.

use std::io::Write;
use std::path::{Path, PathBuf};

use mainstay_api::{Exit, Problem, Time};
use mainstay_protocol::code;
use mainstay_store::{About, Backup, BackupError, RestoreError};
use serde::Serialize;

use super::aside::{Aside, failed, refuse_existing};
use super::rebuilt::{self, Rebuilt};
use crate::app::App;
use crate::arguments::{BackupArguments, RestoreArguments};
use crate::outcome::{Outcome, machine};
use crate::text;

/// What a backup holds.
#[derive(Debug, Serialize)]
struct Held {
    file: PathBuf,
    bytes: u64,
    cluster: String,
    cluster_id: String,
    epoch: u64,
    revision: u64,
    /// Of the newest entry in it: its place in the log, its log time in microseconds, and when that was.
    entry: u64,
    term: u64,
    log_time: u64,
    as_of: Time,
    taken: Time,
    station: String,
}

impl Held {
    fn of(file: &Path, bytes: u64, about: &About) -> Self {
        Self {
            file: file.to_owned(),
            bytes,
            cluster: about.name.to_string(),
            cluster_id: about.cluster.to_string(),
            epoch: about.epoch.0,
            revision: about.revision.0,
            entry: about.last.index,
            term: about.last.term,
            log_time: about.log_time.0,
            as_of: Time::from_wall_ms(about.wall_ms),
            taken: Time::from_wall_ms(about.taken_ms),
            station: about.station.to_string(),
        }
    }

    fn told(&self) -> String {
        format!(
            "{}: cluster {} in epoch {}, at revision {} (log time {}), as of {}; written {} by {}, {}",
            self.file.display(),
            self.cluster,
            self.epoch,
            self.revision,
            mainstay_protocol::Timestamp(self.log_time),
            self.as_of,
            self.taken,
            self.station,
            text::bytes(self.bytes)
        )
    }
}

pub async fn backup(app: &mut App<'_>, arguments: &BackupArguments) -> Outcome {
    let file = &arguments.file;
    let what = format!("write a backup to {}", file.display());
    refuse_existing(&what, file)?;
    let client = app.client().await?;
    let mut pieces = client.backup().await?;
    let aside = Aside::create(file).map_err(|error| failed(&what, file, &error))?;
    while let Some(piece) = pieces.next().await? {
        let written = (&aside.file).write_all(&piece);
        written.map_err(|error| failed(&what, file, &error))?;
    }
    aside
        .file
        .sync_all()
        .map_err(|error| failed(&what, file, &error))?;
    // What is on the disk now is what counts, and only a file that is whole gets the name.
    let whole = Backup::read(&aside.path).map_err(|error| {
        let why = format!("what came of the station is not whole: {error}");
        Problem::new(code::BAD_BACKUP, &what, why)
            .to_do(format!("mainstay backup {}", file.display()))
    })?;
    aside
        .rename(file)
        .map_err(|error| failed(&what, file, &error))?;
    let held = Held::of(file, whole.bytes, &whole.about);
    app.console.done(&held, &[], &held.told())?;
    Ok(Exit::Ok)
}

pub fn restore(app: &mut App<'_>, arguments: &RestoreArguments) -> Outcome {
    let RestoreArguments { file, dir, station } = arguments;
    let what = format!("restore {} into {}", file.display(), dir.display());
    let backup = Backup::read(file).map_err(|error| bad_backup(&what, file, &error))?;
    let held = Held::of(file, backup.bytes, &backup.about);
    app.console.say(&held.told());
    let station = station.unwrap_or(backup.about.station);
    let restored = backup.restore(dir, station, rebuilt::now_ms());
    let restored = restored.map_err(|error| match error {
        RestoreError::Backup(error) => bad_backup(&what, file, &error),
        RestoreError::Directory(error) => rebuilt::refused(&what, &error),
    })?;
    let made = Rebuilt::of(dir, &backup.about.name, &restored, Vec::new());
    made.tell(app, "restored")
}

fn bad_backup(what: &str, file: &Path, error: &BackupError) -> Problem {
    match error {
        BackupError::Io { .. } => machine(what, error).to_do(format!("ls -l {}", file.display())),
        BackupError::Newer { .. } => {
            Problem::new(code::VERSION_MISMATCH, what, error.to_string()).to_do("mainstay version")
        }
        BackupError::NotOne(_) | BackupError::Damaged { .. } | BackupError::CutOff { .. } => {
            Problem::new(
                code::BAD_BACKUP,
                what,
                format!("{error}; nothing was written"),
            )
            .to_do("mainstay explain MS-BAD-BACKUP")
        }
    }
}
