//! Applying: what one committed entry does to the families of the state, as one batch.

use std::collections::BTreeMap;
use std::io;

use mainstay_coordinator::entry::Entry;
use mainstay_protocol::Revision;
use mainstay_protocol::record;
use mainstay_resource_graph::{
    Change, Delta, Edge, Key, Record, Relation, Vertex, View, event, stored,
};
use rocksdb::WriteBatch;

use crate::db::{self, Db};
use crate::keys::{self, Direction, Generation};
use crate::records::{Applied, Counters, DecisionRow, EventRow, History};
use crate::view::StoreView;

/// Adds the entry's effect to the batch. One that does not fit (stale, mostly) changes nothing but a counter, on
/// every station alike; says whether it took effect.
pub(crate) fn apply(
    db: &Db,
    batch: &mut WriteBatch,
    entry: &Entry,
    applied: &mut Applied,
) -> io::Result<bool> {
    let view = StoreView::new(db)?;
    let mut counters = view.counters();
    let fits = entry.delta.fits(&view).is_ok();
    if fits {
        let revision = entry.delta.expected.next();
        change(db, batch, &view, &entry.delta, &mut counters);
        let bytes = tell(db, batch, &view, entry, revision, &mut counters);
        let mut history: History = view.read(db::META, db::META_HISTORY)?.unwrap_or_default();
        history.bytes += bytes;
        db.put(batch, db::META, db::META_HISTORY, &history);
        counters.entries += 1;
        applied.revision = revision;
    } else {
        counters.stale += 1;
    }
    applied.log_time = applied.log_time.max(entry.log_time);
    applied.wall_ms = entry.wall_ms;
    let key = keys::generation(view.generation());
    db.put(batch, db::COUNTERS, &key, &counters);
    Ok(fits)
}

fn change(
    db: &Db,
    batch: &mut WriteBatch,
    view: &StoreView<'_>,
    delta: &Delta,
    counters: &mut Counters,
) {
    let mut sight = Sight {
        view,
        vertices: BTreeMap::new(),
        edges: BTreeMap::new(),
    };
    let of = view.generation();
    for change in &delta.changes {
        match change {
            Change::Put(record) => {
                let (was, index) = sight.vertex(&record.key);
                if !was {
                    *counters
                        .vertices
                        .entry(record.key.kind() as u16)
                        .or_default() += 1;
                }
                if let Some(index) = index {
                    batch.delete_cf(db.family(db::EDGES), index);
                }
                put(db, batch, of, record);
                sight
                    .vertices
                    .insert(&record.key, (true, index_of(of, record)));
            }
            Change::Remove(key) => {
                let (was, index) = sight.vertex(key);
                let count = counters.vertices.entry(key.kind() as u16).or_default();
                *count = count.saturating_sub(u64::from(was));
                batch.delete_cf(db.family(db::state(key.kind())), keys::vertex(of, key));
                if let Some(index) = index {
                    batch.delete_cf(db.family(db::EDGES), index);
                }
                sight.vertices.insert(key, (false, None));
            }
            Change::Link(edge) => {
                let was = sight.edge(&edge.from, edge.relation, &edge.to, true);
                counters.edges += u64::from(!was);
                link(db, batch, of, edge);
            }
            Change::Unlink { from, relation, to } => {
                let was = sight.edge(from, *relation, to, false);
                counters.edges = counters.edges.saturating_sub(u64::from(was));
                for way in [Direction::Out, Direction::In] {
                    batch.delete_cf(
                        db.family(db::EDGES),
                        keys::edge(of, way, from, *relation, to),
                    );
                }
            }
        }
    }
}

/// What is there so far: the view shows what was before the delta, this what the delta did since.
struct Sight<'a> {
    view: &'a StoreView<'a>,
    /// Whether it exists, and its entry in an index.
    vertices: BTreeMap<&'a Key, (bool, Option<Vec<u8>>)>,
    edges: BTreeMap<(&'a Key, Relation, &'a Key), bool>,
}

impl<'a> Sight<'a> {
    fn vertex(&self, key: &'a Key) -> (bool, Option<Vec<u8>>) {
        if let Some(now) = self.vertices.get(key) {
            return now.clone();
        }
        match self.view.record(key) {
            Some(record) => (true, index_of(self.view.generation(), &record)),
            None => (false, None),
        }
    }

    /// Whether the edge was there; from now on it is as said.
    fn edge(&mut self, from: &'a Key, relation: Relation, to: &'a Key, is: bool) -> bool {
        let was = self.edges.insert((from, relation, to), is);
        was.unwrap_or_else(|| {
            let edges = self.view.edges_from(from, relation);
            edges.iter().any(|edge| edge.to == *to)
        })
    }
}

/// A vertex with the indices its key and payload imply.
pub(crate) fn put(db: &Db, batch: &mut WriteBatch, of: Generation, record: &Record) {
    let family = db.family(db::state(record.key.kind()));
    batch.put_cf(
        family,
        keys::vertex(of, &record.key),
        stored::encode(record),
    );
    if let Some(index) = index_of(of, record) {
        batch.put_cf(db.family(db::EDGES), index, []);
    }
}

pub(crate) fn link(db: &Db, batch: &mut WriteBatch, of: Generation, edge: &Edge) {
    let bytes = stored::encode_edge(edge);
    for way in [Direction::Out, Direction::In] {
        let key = keys::edge(of, way, &edge.from, edge.relation, &edge.to);
        batch.put_cf(db.family(db::EDGES), key, &bytes);
    }
}

/// What a vertex's key or payload implies, as an entry of its own.
fn index_of(of: Generation, record: &Record) -> Option<Vec<u8>> {
    match (&record.key, &record.vertex) {
        (Key::Instance(key), _) => Some(keys::placed_instance(of, key)),
        (Key::Command(id), Vertex::Command(command)) => {
            Some(keys::commanded_node(of, &command.node, *id))
        }
        _ => None,
    }
}

/// The entry's decisions and the events it comes to; says how many bytes they take.
fn tell(
    db: &Db,
    batch: &mut WriteBatch,
    view: &StoreView<'_>,
    entry: &Entry,
    revision: Revision,
    counters: &mut Counters,
) -> u64 {
    let (log_time, wall_ms) = (entry.log_time, entry.wall_ms);
    let mut bytes = 0;
    for (number, decision) in (0..).zip(&entry.decisions) {
        let row = DecisionRow {
            revision,
            number,
            log_time,
            wall_ms,
            decision: decision.clone(),
        };
        let body = record::encode(&row);
        bytes += body.len() as u64;
        counters.decisions += 1;
        batch.put_cf(
            db.family(db::DECISIONS),
            keys::numbered(revision, number),
            body,
        );
    }
    let events = event::derive(|key| view.record(key), &entry.delta);
    for (number, event) in (0..).zip(events) {
        let row = EventRow {
            revision,
            number,
            log_time,
            wall_ms,
            event,
        };
        let body = record::encode(&row);
        bytes += body.len() as u64;
        counters.events += 1;
        batch.put_cf(
            db.family(db::EVENTS),
            keys::numbered(revision, number),
            body,
        );
    }
    bytes
}
