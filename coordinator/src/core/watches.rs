//! Those that watch instances of other nodes are told which: behind a welcome, and whenever it changes.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::NodeName;
use mainstay_protocol::sight::Watches;
use mainstay_resource_graph::{Change, Graph, Key, Relation};

use crate::effect::Effect;
use crate::entry::Entry;
use crate::guarding;
use crate::watching;

/// What each node with a session was told last.
#[derive(Debug, Default)]
pub(super) struct Watching {
    told: BTreeMap<NodeName, Watches>,
}

impl Watching {
    /// Behind its welcome: a new session knows nothing.
    pub(super) fn welcome(&mut self, node: &NodeName, graph: &Graph) -> Effect {
        let watches = watching::told(graph, node);
        self.told.insert(node.clone(), watches.clone());
        Effect::Watch {
            node: node.clone(),
            watches,
        }
    }

    pub(super) fn follow(&mut self, entry: &Entry, graph: &Graph) -> Vec<Effect> {
        let mut concerned = BTreeSet::new();
        for change in &entry.delta.changes {
            match change {
                Change::Put(record) => match &record.key {
                    // Another incarnation, or another state of it.
                    Key::Instance(key) => concerned.extend(watching::watchers_of(graph, key)),
                    // It may be somewhere else now.
                    Key::Node(node) => concerned.extend(guarding::guards_of(graph, node)),
                    // How often is a setting.
                    Key::Cluster => concerned.extend(self.told.keys().cloned()),
                    _ => {}
                },
                Change::Link(edge) if edge.relation == Relation::Watches => {
                    concerned.extend(node_of(&edge.from));
                }
                Change::Unlink { from, relation, .. } if *relation == Relation::Watches => {
                    concerned.extend(node_of(from));
                }
                Change::Remove(Key::Node(node)) => _ = self.told.remove(node),
                Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => {}
            }
        }
        let told = concerned.into_iter().filter_map(|node| {
            let known = self.told.get_mut(&node)?;
            let watches = watching::told(graph, &node);
            (*known != watches).then(|| {
                known.clone_from(&watches);
                Effect::Watch { node, watches }
            })
        });
        told.collect()
    }
}

fn node_of(key: &Key) -> Option<NodeName> {
    match key {
        Key::Supervisor(node) => Some(node.clone()),
        _ => None,
    }
}
