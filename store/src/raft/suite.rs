//! openraft's own suite for storages, and what it leaves out: a snapshot's contents.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_coordinator::entry::Entry;
use mainstay_coordinator::log::LogEvent;
use mainstay_protocol::{ClusterId, Leadership, Timestamp};
use mainstay_resource_graph::{Cause, ConfigHash, Configuration, Key, Kind, Vertex};
use openraft::storage::RaftStateMachine;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{RaftSnapshotBuilder, StorageError};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::Types;
use super::log_store::{Growth, LogStore};
use super::snapshot::{Install, Snapshots, clear_leftovers};
use super::state_machine::{Parts, StateMachine};
use crate::committer::Committer;
use crate::config::Syncing;
use crate::db::Db;
use crate::records::{LogPoint, Payload};

struct Builder;

/// What outlives a storage under test, dropped last. The committer is waited for: a thread that closes a database
/// while the process ends finds RocksDB's environment gone, and RocksDB aborts.
struct Held {
    committer: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.committer.take().unwrap().join().unwrap();
    }
}

impl StoreBuilder<Types, LogStore, StateMachine, Held> for Builder {
    async fn build(&self) -> Result<(Held, LogStore, StateMachine), StorageError<Types>> {
        let dir = TempDir::new().unwrap();
        let db = Db::open(&dir.path().join("db")).unwrap();
        let (committer, thread) = Committer::start(db.clone(), Syncing::Always).unwrap();
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
        let held = Held {
            committer: Some(thread),
            _dir: dir,
        };
        Ok((held, log, state))
    }
}

// proves: S17
#[tokio::test]
async fn the_storage_passes_openrafts_suite() {
    Suite::test_all(Builder).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_carries_the_whole_state_into_a_fresh_generation() {
    let (_from_held, _log, mut from) = Builder.build().await.unwrap();
    let (_into_held, _log, mut into) = Builder.build().await.unwrap();
    let (events, mut told) = mpsc::channel(1);
    into.tell_to(events);
    for state in [&mut from, &mut into] {
        apply(state, 1, "of-both").await;
    }
    apply(&mut into, 2, "only-there-before").await;
    for number in 2..1200 {
        apply(&mut from, number, &format!("{number}")).await;
    }
    let snapshot = from
        .get_snapshot_builder()
        .await
        .build_snapshot()
        .await
        .unwrap();
    let installing = into.install_snapshot(&snapshot.meta, snapshot.snapshot);
    let (installed, event) = tokio::join!(installing, told.recv());
    installed.unwrap();
    let wanted = from.graph();
    let LogEvent::Replaced { graph, .. } = event.unwrap() else {
        panic!("the driver must begin anew");
    };
    assert!(graph.snapshot() == wanted.snapshot());
    assert!(into.graph().snapshot() == wanted.snapshot());
    assert_eq!(
        into.applied_state().await.unwrap(),
        from.applied_state().await.unwrap()
    );
    apply(&mut from, 1200, "after").await;
    apply(&mut into, 1200, "after").await;
    assert!(into.graph().snapshot() == from.graph().snapshot());
}

#[tokio::test]
async fn what_a_crash_left_of_an_installation_is_removed() {
    let (_from_held, _log, mut from) = Builder.build().await.unwrap();
    let (_into_held, _log, mut into) = Builder.build().await.unwrap();
    apply(&mut from, 1, "there").await;
    apply(&mut into, 1, "here").await;
    let mut builder = from.get_snapshot_builder().await;
    let snapshot = builder.build_snapshot().await.unwrap().snapshot;
    let db = into.db().clone();
    let mut install = Install::begin(&db, ClusterId(Uuid::nil())).unwrap();
    let mut chunks = 0;
    // The head and the records, not the end.
    let cut = snapshot.for_each_chunk(|chunk| {
        chunks += 1;
        if chunks == 3 {
            return Err(std::io::Error::other("the power went"));
        }
        install.take(chunk)
    });
    assert!(cut.is_err());
    drop(install);
    let names = |db: &Db| db.range("state_config", &[], &[]).count();
    assert_eq!(names(&db), 2, "both states are there");
    clear_leftovers(&db).unwrap();
    assert_eq!(names(&db), 1);
    assert_eq!(into.graph().counts()[&Kind::Configuration], 1);
}

/// Applies one entry that makes a configuration of this name.
async fn apply(state: &mut StateMachine, index: u64, name: &str) {
    let graph = state.graph();
    let mut txn = graph.begin(Timestamp(index), Cause::Start);
    let hash = ConfigHash(name.to_owned());
    let json = "{\"text\":\"".to_owned() + &"x".repeat(600) + "\"}";
    txn.put(
        Key::Configuration(hash),
        Vertex::Configuration(Configuration { json }),
    )
    .unwrap();
    let entry = Entry {
        format: 1,
        leadership: Leadership::default(),
        log_time: Timestamp(index),
        wall_ms: 0,
        delta: txn.finish(),
        decisions: Vec::new(),
    };
    let payload = Payload::Entry(Arc::new(entry));
    state
        .apply_one(LogPoint { term: 1, index }, &payload)
        .unwrap();
}
