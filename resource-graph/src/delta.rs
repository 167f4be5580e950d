//! Deltas: closed, ordered, composable changes of the graph. Applying one is the only way it changes.

use mainstay_protocol::Revision;
use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::vertex::{Edge, Record, Relation};

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

impl Delta {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
