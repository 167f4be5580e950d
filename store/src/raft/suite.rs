//! openraft's own suite for storages.

use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::ClusterId;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::Types;
use super::log_store::{Growth, LogStore};
use super::snapshot::Snapshots;
use super::state_machine::{Parts, StateMachine};
use crate::committer::Committer;
use crate::config::Syncing;
use crate::db::Db;

struct Builder;

impl StoreBuilder<Types, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<Types>> {
        let dir = TempDir::new().unwrap();
        let db = Db::open(&dir.path().join("db")).unwrap();
        let (committer, _thread) = Committer::start(db.clone(), Syncing::Always).unwrap();
        let log = LogStore::new(db.clone(), committer, Arc::new(Growth::new(u64::MAX)));
        let parts = Parts {
            snapshots: Snapshots {
                db: db.clone(),
                root: dir.path().join("snapshots"),
                cluster: ClusterId(Uuid::nil()),
            },
            history_bytes: u64::MAX,
            history: Duration::MAX,
            events: mpsc::channel(1).0,
            began: watch::channel(0).0,
        };
        let state = StateMachine::new(db, parts).unwrap();
        Ok((dir, log, state))
    }
}

// proves: S17
#[tokio::test]
async fn the_storage_passes_openrafts_suite() {
    Suite::test_all(Builder).await.unwrap();
}
