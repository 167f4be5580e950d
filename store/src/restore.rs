//! Restoring: a backup becomes the data directory of a station that is its whole group, in a new epoch.

use std::path::Path;

use mainstay_protocol::StationId;
use thiserror::Error;

use crate::backup::{Backup, BackupError};
use crate::directory::{FORMAT, Identity};
use crate::error::OpenError;
use crate::raft::Install;
use crate::rebuild::{Building, Rebuilt};

/// Why nothing was restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Directory(#[from] OpenError),
}

impl Backup {
    /// Into an empty directory. The file was read to its end before anything is written.
    pub fn restore(
        &self,
        dir: &Path,
        station: StationId,
        now_ms: u64,
    ) -> Result<Rebuilt, RestoreError> {
        let identity = Identity {
            format: FORMAT,
            cluster: self.about.cluster,
            station,
        };
        let building = Building::begin(dir, identity)?;
        let failed = |cause| OpenError::io("writing the state in", dir)(cause);
        let mut install = Install::begin(&building.db, self.about.cluster).map_err(failed)?;
        self.for_each_chunk(|chunk| install.take(chunk))?;
        let applied = install.finish().map_err(failed)?;
        Ok(building.finish(applied, self.about.epoch, now_ms)?)
    }
}
