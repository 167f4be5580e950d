//! A consistent view of the stored graph, for reads that must not touch the live one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use mainstay_protocol::record::{self, Record as Stored};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Revision, Timestamp, limits};
use mainstay_resource_graph::{Edge, Graph, Key, Kind, Record, Relation, View, stored};
use rocksdb::{DB, Direction as Walk, IteratorMode, ReadOptions, SnapshotWithThreadMode};

use crate::db::{self, Db, Pair};
use crate::error::io_error;
use crate::fatal;
use crate::keys::{self, Direction, Generation};
use crate::records::{Applied, Counters};

fn batches<T>() -> (SyncSender<Vec<T>>, Receiver<Vec<T>>) {
    mpsc::sync_channel(limits::READ_BATCHES_AHEAD)
}

/// Hands over what it is given, a batch at a time; the rest when it goes.
struct Batch<T> {
    to: SyncSender<Vec<T>>,
    full: Vec<T>,
}

impl<T> Batch<T> {
    fn new(to: SyncSender<Vec<T>>) -> Self {
        let full = Vec::with_capacity(limits::READ_BATCH);
        Self { to, full }
    }

    fn add(&mut self, one: T) {
        self.full.push(one);
        if self.full.len() == limits::READ_BATCH {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let full = std::mem::replace(&mut self.full, Vec::with_capacity(limits::READ_BATCH));
        // Whoever does not take it has found something wrong with what came before.
        self.to.send(full).ok();
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// The state at one revision, for as long as it is held. Holding one for long keeps old data on disk.
pub struct StoreView<'a> {
    db: &'a Db,
    snapshot: SnapshotWithThreadMode<'a, DB>,
    applied: Applied,
}

impl<'a> StoreView<'a> {
    pub(crate) fn new(db: &'a Db) -> io::Result<Self> {
        let mut view = Self {
            db,
            snapshot: db.raw().snapshot(),
            applied: Applied::default(),
        };
        view.applied = view.read(db::META, db::META_APPLIED)?.unwrap_or_default();
        Ok(view)
    }

    /// Log time of the last entry that was applied.
    pub fn log_time(&self) -> Timestamp {
        self.applied.log_time
    }

    pub fn wall_ms(&self) -> u64 {
        self.applied.wall_ms
    }

    pub fn counters(&self) -> Counters {
        let key = keys::generation(self.generation());
        trusted(self.read(db::COUNTERS, &key)).unwrap_or_default()
    }

    /// The whole graph, in memory. It is read and decoded beside what puts it together: either takes about as long.
    pub fn graph(&self) -> io::Result<Graph> {
        let (records, read_records) = batches();
        let (edges, read_edges) = batches();
        thread::scope(|scope| {
            let reader = thread::Builder::new().name("store-read".to_owned());
            let reading = reader.spawn_scoped(scope, move || {
                self.read_records(records)?;
                self.read_edges(edges)
            })?;
            let parts = read_records.into_iter().flatten();
            let graph = Graph::from_parts(
                self.applied.revision,
                parts,
                read_edges.into_iter().flatten(),
            );
            // What could not be read is why something is missing.
            reading.join().expect("reading does not panic")?;
            graph.map_err(io_error)
        })
    }

    fn read_records(&self, to: SyncSender<Vec<Arc<Record>>>) -> io::Result<()> {
        let prefix = keys::generation(self.generation());
        let mut batch = Batch::new(to);
        for kind in Kind::ALL {
            for item in self.range(db::state(kind), &prefix, &prefix) {
                batch.add(Arc::new(stored::decode(&item?.1).map_err(io_error)?));
            }
        }
        Ok(())
    }

    fn read_edges(&self, to: SyncSender<Vec<Edge>>) -> io::Result<()> {
        let prefix = keys::direction(self.generation(), Direction::Out);
        let mut batch = Batch::new(to);
        for item in self.range(db::EDGES, &prefix, &prefix) {
            batch.add(stored::decode_edge(&item?.1).map_err(io_error)?);
        }
        Ok(())
    }

    pub(crate) fn applied(&self) -> &Applied {
        &self.applied
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.applied.generation)
    }

    pub(crate) fn read<T: Stored>(&self, family: &str, key: &[u8]) -> io::Result<Option<T>> {
        let bytes = self
            .snapshot
            .get_pinned_cf(self.db.family(family), key)
            .map_err(io_error)?;
        bytes
            .map(|bytes| record::decode(&bytes, limits::DECODE_BYTES_MAX).map_err(io_error))
            .transpose()
    }

    pub(crate) fn raw(&self, family: &str, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.snapshot
            .get_cf(self.db.family(family), key)
            .map_err(io_error)
    }

    pub(crate) fn range<'s>(
        &'s self,
        family: &str,
        from: &[u8],
        prefix: &'s [u8],
    ) -> impl Iterator<Item = io::Result<Pair>> + use<'s, 'a> {
        self.walk(family, from, Walk::Forward)
            .take_while(move |item| {
                item.as_ref()
                    .map_or(true, |(key, _)| key.starts_with(prefix))
            })
    }

    /// Backwards from a key, itself included.
    pub(crate) fn backwards<'s>(
        &'s self,
        family: &str,
        from: &[u8],
    ) -> impl Iterator<Item = io::Result<Pair>> + use<'s, 'a> {
        self.walk(family, from, Walk::Reverse)
    }

    fn walk<'s>(
        &'s self,
        family: &str,
        from: &[u8],
        walk: Walk,
    ) -> impl Iterator<Item = io::Result<Pair>> + use<'s, 'a> {
        self.snapshot
            .iterator_cf_opt(
                self.db.family(family),
                ReadOptions::default(),
                IteratorMode::From(from, walk),
            )
            .map(|item| item.map_err(io_error))
    }

    fn edges(&self, prefix: &[u8]) -> Vec<Edge> {
        self.range(db::EDGES, prefix, prefix)
            .map(|item| {
                trusted(item.and_then(|(_, bytes)| stored::decode_edge(&bytes).map_err(io_error)))
            })
            .collect()
    }

    fn collect<T>(&self, family: &str, prefix: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Vec<T> {
        self.range(family, prefix, prefix)
            .map(|item| {
                trusted(item.and_then(|(key, _)| {
                    read(&key).ok_or_else(|| io::Error::other("a key that is none of ours"))
                }))
            })
            .collect()
    }
}

impl View for StoreView<'_> {
    fn revision(&self) -> Revision {
        self.applied.revision
    }

    fn record(&self, key: &Key) -> Option<Arc<Record>> {
        let family = self.db.family(db::state(key.kind()));
        let bytes = self
            .snapshot
            .get_pinned_cf(family, keys::vertex(self.generation(), key));
        let bytes = trusted(bytes.map_err(io_error))?;
        Some(Arc::new(trusted(stored::decode(&bytes).map_err(io_error))))
    }

    fn keys(&self, kind: Kind) -> Vec<Key> {
        let prefix = keys::generation(self.generation());
        self.collect(db::state(kind), &prefix, keys::read_vertex)
    }

    fn edges_from(&self, from: &Key, relation: Relation) -> Vec<Edge> {
        self.edges(&keys::edges(
            self.generation(),
            Direction::Out,
            from,
            relation,
        ))
    }

    fn edges_to(&self, to: &Key, relation: Relation) -> Vec<Edge> {
        let mut edges = self.edges(&keys::edges(self.generation(), Direction::In, to, relation));
        edges.sort_by(|a, b| (a.since, &a.from).cmp(&(b.since, &b.from)));
        edges
    }

    fn instances_on(&self, node: &NodeName) -> Vec<InstanceKey> {
        let prefix = keys::instances_on(self.generation(), node);
        self.collect(
            db::state(Kind::Instance),
            &prefix,
            |bytes| match keys::read_vertex(bytes)? {
                Key::Instance(key) => Some(key),
                _ => None,
            },
        )
    }

    fn instances_of(&self, placement: &PlacementName) -> Vec<InstanceKey> {
        let prefix = keys::placed(self.generation(), placement);
        self.collect(db::EDGES, &prefix, keys::read_placed)
    }

    fn commands_for(&self, node: &NodeName) -> Vec<Key> {
        let prefix = keys::commanded(self.generation(), node);
        self.collect(db::EDGES, &prefix, |bytes| {
            keys::read_commanded(bytes).map(Key::Command)
        })
    }
}

/// `View` has no words for a disk that cannot be read; guessing would be worse than ending.
fn trusted<T>(read: io::Result<T>) -> T {
    read.unwrap_or_else(|error| fatal::storage_failed("reading the state", &error))
}
