//! What restore, recover and repair have made, and how to go on from there.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mainstay_api::{Exit, Problem};
use mainstay_protocol::{ClusterName, code};
use mainstay_store::OpenError;
use serde::Serialize;

use crate::app::App;
use crate::outcome::Outcome;

/// A data directory that was made, and what is not in it.
#[derive(Debug, Serialize)]
pub struct Rebuilt {
    pub dir: PathBuf,
    pub cluster: String,
    pub cluster_id: String,
    pub station: String,
    pub epoch: u64,
    pub revision: u64,
    pub dropped: Vec<String>,
}

impl Rebuilt {
    pub fn of(
        dir: &Path,
        cluster: &ClusterName,
        made: &mainstay_store::Rebuilt,
        dropped: Vec<String>,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            cluster: cluster.to_string(),
            cluster_id: made.identity.cluster.to_string(),
            station: made.identity.station.to_string(),
            epoch: made.epoch.0,
            revision: made.revision.0,
            dropped,
        }
    }

    pub fn tell(&self, app: &mut App<'_>, done: &str) -> Outcome {
        let Self {
            dir,
            cluster,
            station,
            epoch,
            ..
        } = self;
        let dir = dir.display();
        let text = format!(
            "{done}: station {station} of cluster {cluster} in {dir}, a group of its own in epoch {epoch}\n\
             a cluster on a network: put the identity directory of {station} into {dir}, then start it:\n  \
             mainstay station run --dir {dir}\n\
             one on this machine alone: start it with the sockets that agents know:\n  \
             mainstay station run --dir {dir} --cluster {cluster} --station {station}\n\
             other stations of the cluster are refused from now on: delete their data directories, and add them anew"
        );
        app.console.done(self, &[], &text)?;
        Ok(Exit::Ok)
    }
}

/// Why no directory was made.
pub fn refused(what: &str, error: &OpenError) -> Problem {
    let (exit, to_do) = match error {
        OpenError::Locked { dir, .. } => (
            Exit::Conflict,
            format!("cat {}", dir.join("lock").display()),
        ),
        OpenError::NotEmpty { dir, .. } | OpenError::Unfinished { dir } => {
            (Exit::Conflict, format!("ls -la {}", dir.display()))
        }
        OpenError::Foreign { dir, .. } | OpenError::NotOne { dir } | OpenError::Empty { dir } => {
            (Exit::Usage, format!("ls -la {}", dir.display()))
        }
        OpenError::OneOfSeveral { identity, .. } => (
            Exit::Refused,
            format!("mainstay station remove {} --yes", identity.station),
        ),
        OpenError::Sound { .. } => (Exit::Conflict, "mainstay station run --help".to_owned()),
        OpenError::NewerFormat { .. } => (Exit::VersionMismatch, "mainstay version".to_owned()),
        OpenError::Unsalvageable { .. } => {
            (Exit::TargetFailed, "mainstay restore --help".to_owned())
        }
        OpenError::Damaged { dir, .. } => {
            let dir = dir.display();
            let command = format!("mainstay station repair --dir {dir} --to {dir}.repaired");
            (Exit::TargetFailed, command)
        }
        OpenError::Io { path, .. } => (Exit::Usage, format!("ls -ld {}", path.display())),
        OpenError::Database { dir, .. } | OpenError::Log { dir, .. } => {
            (Exit::Bug, format!("ls -la {}", dir.display()))
        }
    };
    let mut problem = Problem::new(code::DATA_DIRECTORY, what, error.to_string()).to_do(to_do);
    problem.exit = exit;
    problem
}

pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
