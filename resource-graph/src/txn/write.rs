//! Typed writes: each checks what it can before it is done, so that no delta carries what the graph must not be.

use std::sync::Arc;

use mainstay_protocol::{InstanceKey, NodeName};
use thiserror::Error;

use super::Txn;
use crate::graph::Graph;
use crate::key::{Key, Kind};
use crate::transition::{self, IllegalTransition};
use crate::vertex::{Edge, Instance, Node, Record, Relation, Vertex, slot_of};
use crate::view::View;

/// Why a write was refused; nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteError {
    #[error("{key} does not exist")]
    Missing { key: Key },
    #[error("{key} cannot hold a vertex of kind {}", kind.as_str())]
    WrongKind { key: Key, kind: Kind },
    #[error("{key}: {illegal}")]
    Illegal {
        key: Key,
        illegal: IllegalTransition,
    },
    #[error("{} does not lead from {from} to {to}", relation.as_str())]
    WrongEnds {
        from: Key,
        relation: Relation,
        to: Key,
    },
    #[error("{instance} cannot have {name}: its own is {its_own}")]
    NotItsName {
        instance: InstanceKey,
        name: Key,
        its_own: Key,
    },
    #[error("{name} is held by {by}")]
    NameHeld { name: Key, by: InstanceKey },
    #[error("{from} already has {} to {to}", relation.as_str())]
    AlreadyLinked {
        from: Key,
        relation: Relation,
        to: Key,
    },
}

impl Txn<'_> {
    /// Makes or replaces a vertex. The same vertex again is no change.
    pub fn put(&mut self, key: Key, vertex: Vertex) -> Result<(), WriteError> {
        if vertex.kind() != key.kind() {
            return Err(WriteError::WrongKind {
                kind: vertex.kind(),
                key,
            });
        }
        if let Some(current) = self.current(&key) {
            if current.vertex == vertex {
                return Ok(());
            }
            step(&current.vertex, &vertex).map_err(|illegal| WriteError::Illegal {
                key: key.clone(),
                illegal,
            })?;
        }
        let record = self.record_for(&key, vertex);
        let committed = self.base.record(&key);
        self.overlay.set_record(key, Some(record), committed);
        Ok(())
    }

    pub fn update_instance(
        &mut self,
        key: &InstanceKey,
        change: impl FnOnce(&mut Instance),
    ) -> Result<(), WriteError> {
        let key = Key::Instance(key.clone());
        match self.record(&key).map(|record| record.vertex.clone()) {
            Some(Vertex::Instance(mut instance)) => {
                change(&mut instance);
                self.put(key, Vertex::Instance(instance))
            }
            Some(_) | None => Err(WriteError::Missing { key }),
        }
    }

    pub fn update_node(
        &mut self,
        name: &NodeName,
        change: impl FnOnce(&mut Node),
    ) -> Result<(), WriteError> {
        let key = Key::Node(name.clone());
        match self.record(&key).map(|record| record.vertex.clone()) {
            Some(Vertex::Node(mut node)) => {
                change(&mut node);
                self.put(key, Vertex::Node(node))
            }
            Some(_) | None => Err(WriteError::Missing { key }),
        }
    }

    /// Links two vertices that exist; a name comes into being by being held or waited for. The same edge again
    /// is no change; a second holder is an error that names the first, never a replacement.
    pub fn link(&mut self, from: Key, relation: Relation, to: Key) -> Result<(), WriteError> {
        if relation.ends() != (from.kind(), to.kind()) {
            return Err(WriteError::WrongEnds { from, relation, to });
        }
        let Some(source) = self.current(&from) else {
            return Err(WriteError::Missing { key: from });
        };
        if to.kind() == Kind::Name {
            its_own_name(&source, &to)?;
        } else if self.current(&to).is_none() {
            return Err(WriteError::Missing { key: to });
        }
        if self.linked_now(&from, relation, &to) {
            return Ok(());
        }
        if relation == Relation::Holds
            && let Some(Key::Instance(by)) =
                self.incoming(&to, relation).pop().map(|edge| edge.from)
        {
            return Err(WriteError::NameHeld { name: to, by });
        }
        if relation.at_most_one()
            && let Some(other) = self.outgoing(&from, relation).pop()
        {
            return Err(WriteError::AlreadyLinked {
                from,
                relation,
                to: other.to,
            });
        }
        if to.kind() == Kind::Name && self.current(&to).is_none() {
            self.put(to.clone(), Vertex::Name(crate::vertex::Name {}))?;
        }
        let edge = self.edge_for(from, relation, to);
        let key = (edge.from.clone(), relation, edge.to.clone());
        self.overlay.set_edge(key, Some(edge));
        Ok(())
    }

    /// Replaces what a relation of at most one leads to.
    pub fn relink(&mut self, from: Key, relation: Relation, to: Key) -> Result<(), WriteError> {
        let point = self.savepoint();
        for edge in self.outgoing(&from, relation) {
            if edge.to != to {
                self.unlink(&from, relation, &edge.to);
            }
        }
        let linked = self.link(from, relation, to);
        if linked.is_err() {
            self.rollback(point);
        }
        linked
    }

    /// Drops an edge, and a name with it that nobody holds or waits for any more. Says whether there was one.
    pub fn unlink(&mut self, from: &Key, relation: Relation, to: &Key) -> bool {
        if !self.linked_now(from, relation, to) {
            return false;
        }
        self.overlay
            .set_edge((from.clone(), relation, to.clone()), None);
        self.drop_unneeded(to);
        true
    }

    /// Drops all edges of one relation out of a vertex. Says whether there were any.
    pub fn unlink_all(&mut self, from: &Key, relation: Relation) -> bool {
        let edges = self.outgoing(from, relation);
        for edge in &edges {
            self.unlink(from, relation, &edge.to);
        }
        !edges.is_empty()
    }

    /// Removes a vertex with all its edges, both ways. Says whether it was there.
    pub fn remove(&mut self, key: &Key) -> bool {
        if self.current(key).is_none() {
            return false;
        }
        for relation in Relation::ALL {
            for edge in self.outgoing(key, relation) {
                self.unlink(key, relation, &edge.to);
            }
            for edge in self.incoming(key, relation) {
                self.unlink(&edge.from, relation, key);
            }
        }
        // A name, a resource and a text go with their last edge.
        if self.current(key).is_some() {
            self.overlay
                .set_record(key.clone(), None, self.base.record(key));
        }
        true
    }

    /// What exists only while an edge leads to it.
    fn drop_unneeded(&mut self, key: &Key) {
        let by: &[Relation] = match key.kind() {
            Kind::Name => &[Relation::Holds, Relation::Waits],
            Kind::Resource => &[Relation::Uses],
            Kind::Text => &[Relation::Reads],
            _ => return,
        };
        let needed = by
            .iter()
            .any(|relation| !self.incoming(key, *relation).is_empty());
        if !needed && self.current(key).is_some() {
            self.overlay
                .set_record(key.clone(), None, self.base.record(key));
        }
    }

    /// `since`, `rev` and `cause` follow from the committed image, not from the steps in between.
    fn record_for(&self, key: &Key, vertex: Vertex) -> Arc<Record> {
        let before = self.base.record(key);
        if let Some(before) = &before
            && before.vertex == vertex
        {
            return Arc::clone(before);
        }
        let since = match before {
            Some(before) if before.vertex.same_state(&vertex) => before.since,
            Some(_) | None => self.now,
        };
        Arc::new(Record {
            key: key.clone(),
            vertex,
            since,
            rev: self.base.revision().next(),
            cause: self.cause.clone(),
        })
    }

    fn edge_for(&self, from: Key, relation: Relation, to: Key) -> Edge {
        match Graph::edge(self.base, &from, relation, &to) {
            Some(edge) => edge,
            None => Edge {
                from,
                relation,
                to,
                since: self.now,
                rev: self.base.revision().next(),
            },
        }
    }
}

/// Whether a vertex may become another, by its kind's table.
fn step(from: &Vertex, to: &Vertex) -> Result<(), IllegalTransition> {
    match (from, to) {
        (Vertex::Instance(from), Vertex::Instance(to)) => {
            transition::instance(&from.state, &to.state)
        }
        (Vertex::Node(from), Vertex::Node(to)) => transition::node(from.state, to.state),
        // Of one kind, by the key; the other kinds have no states that exclude one another.
        (_, _) => Ok(()),
    }
}

/// An instance holds and waits for its own name on its own node, and no other.
fn its_own_name(instance: &Record, name: &Key) -> Result<(), WriteError> {
    match (&instance.key, &instance.vertex) {
        (Key::Instance(key), Vertex::Instance(instance)) => {
            let its_own = Key::Name(slot_of(key, instance));
            if its_own == *name {
                return Ok(());
            }
            Err(WriteError::NotItsName {
                instance: key.clone(),
                name: name.clone(),
                its_own,
            })
        }
        (_, _) => Err(WriteError::Missing {
            key: instance.key.clone(),
        }),
    }
}
