//! Deltas: closed, ordered, composable changes of the graph. Applying one is the only way it changes.

use std::collections::BTreeSet;

use mainstay_protocol::Revision;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key::Key;
use crate::vertex::{Edge, Record, Relation};
use crate::view::View;

/// What one committed entry does to the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The revision it was made for; against any other it is a deterministic no-op.
    pub expected: Revision,
    pub changes: Vec<Change>,
}

/// One change. The order of the variants is the order on disk: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Makes or replaces a vertex.
    Put(Box<Record>),
    /// Removes a vertex; its edges are unlinked by changes of their own before it.
    Remove(Key),
    Link(Edge),
    Unlink {
        from: Key,
        relation: Relation,
        to: Key,
    },
}

/// Why a delta cannot be applied. None of it is an accident of one replica: all refuse it alike.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    #[error("made for revision {expected}, but the graph is at {revision}")]
    Stale {
        expected: Revision,
        revision: Revision,
    },
    #[error("{key} carries revision {rev}, but the delta makes {wanted}")]
    WrongRevision {
        key: Key,
        rev: Revision,
        wanted: Revision,
    },
    #[error("{key} holds a vertex of another kind")]
    WrongKind { key: Key },
    #[error("{key} is spoken of and does not exist")]
    Missing { key: Key },
    #[error("{key} would be removed with edges left")]
    EdgesLeft { key: Key },
    #[error("{name} would have a second holder, {by}")]
    SecondHolder { name: Key, by: Key },
}

impl Delta {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether it can be applied as a whole: what the leader asks before it proposes and every replica before
    /// it applies, so that a delta takes effect entirely or not at all.
    pub fn fits(&self, view: &dyn View) -> Result<(), Unfit> {
        if self.expected != view.revision() {
            return Err(Unfit::Stale {
                expected: self.expected,
                revision: view.revision(),
            });
        }
        let mut sight = Sight::new(view);
        for change in &self.changes {
            sight.take(change)?;
        }
        Ok(())
    }
}

/// What the graph would be so far, as much of it as fitting needs.
struct Sight<'a> {
    view: &'a dyn View,
    revision: Revision,
    put: BTreeSet<&'a Key>,
    removed: BTreeSet<&'a Key>,
    unlinked: BTreeSet<(&'a Key, Relation, &'a Key)>,
    held: BTreeSet<&'a Key>,
}

impl<'a> Sight<'a> {
    fn new(view: &'a dyn View) -> Self {
        Self {
            view,
            revision: view.revision().next(),
            put: BTreeSet::new(),
            removed: BTreeSet::new(),
            unlinked: BTreeSet::new(),
            held: BTreeSet::new(),
        }
    }

    fn take(&mut self, change: &'a Change) -> Result<(), Unfit> {
        match change {
            Change::Unlink { from, relation, to } => {
                self.unlinked.insert((from, *relation, to));
                Ok(())
            }
            Change::Remove(key) => self.remove(key),
            Change::Put(record) => self.put(record),
            Change::Link(edge) => self.link(edge),
        }
    }

    fn remove(&mut self, key: &'a Key) -> Result<(), Unfit> {
        self.exists(key)?;
        let left = Relation::ALL.into_iter().any(|relation| {
            let out = self.view.edges_from(key, relation);
            let into = self.view.edges_to(key, relation);
            out.iter().chain(&into).any(|edge| {
                !self
                    .unlinked
                    .contains(&(&edge.from, edge.relation, &edge.to))
            })
        });
        if left {
            return Err(Unfit::EdgesLeft { key: key.clone() });
        }
        self.put.remove(key);
        self.removed.insert(key);
        Ok(())
    }

    fn put(&mut self, record: &'a Record) -> Result<(), Unfit> {
        if record.rev != self.revision {
            return Err(Unfit::WrongRevision {
                key: record.key.clone(),
                rev: record.rev,
                wanted: self.revision,
            });
        }
        if record.vertex.kind() != record.key.kind() {
            return Err(Unfit::WrongKind {
                key: record.key.clone(),
            });
        }
        self.removed.remove(&record.key);
        self.put.insert(&record.key);
        Ok(())
    }

    fn link(&mut self, edge: &'a Edge) -> Result<(), Unfit> {
        self.exists(&edge.from)?;
        self.exists(&edge.to)?;
        if edge.relation != Relation::Holds {
            return Ok(());
        }
        let holders = self.view.edges_to(&edge.to, Relation::Holds);
        let other = holders.into_iter().find(|held| {
            held.from != edge.from
                && !self
                    .unlinked
                    .contains(&(&held.from, Relation::Holds, &held.to))
        });
        if other.is_some() || !self.held.insert(&edge.to) {
            return Err(Unfit::SecondHolder {
                name: edge.to.clone(),
                by: edge.from.clone(),
            });
        }
        Ok(())
    }

    fn exists(&self, key: &Key) -> Result<(), Unfit> {
        let there = self.put.contains(key)
            || (self.view.record(key).is_some() && !self.removed.contains(key));
        if there {
            Ok(())
        } else {
            Err(Unfit::Missing { key: key.clone() })
        }
    }
}
