//! Commands about machines are asked for once the step that wants them is committed, and again by whoever leads next: the
//! agent knows them by their numbers.

use std::collections::BTreeMap;

use mainstay_protocol::NodeName;
use mainstay_protocol::host::{HostCommand, HostCommandId};
use mainstay_resource_graph::{Change, Graph, HostAct, Key, Node, Settings, Vertex, ViewExt};

use super::Monotonic;
use crate::effect::{AskHost, Effect};
use crate::entry::Entry;

#[derive(Debug, Default)]
pub(super) struct Hosts {
    due: BTreeMap<NodeName, Monotonic>,
    /// What was asked for last about each.
    asked: BTreeMap<NodeName, HostCommandId>,
}

impl Hosts {
    /// What an earlier coordinator may have asked for. Those who are to be asked come back first.
    pub(super) fn found(graph: &Graph, from: Monotonic) -> Self {
        let names = graph.node_names().into_iter();
        let pending = names.filter(|name| {
            let node = graph.node(name);
            node.is_some_and(|node| pending(name, &node).is_some())
        });
        Self {
            due: pending.map(|name| (name, from)).collect(),
            asked: BTreeMap::new(),
        }
    }

    pub(super) fn follow(&mut self, entry: &Entry, now: Monotonic) {
        for change in &entry.delta.changes {
            match change {
                Change::Put(record) => {
                    let (Key::Node(name), Vertex::Node(node)) = (&record.key, &record.vertex)
                    else {
                        continue;
                    };
                    match pending(name, node) {
                        Some(id) if self.asked.get(name) != Some(&id) => {
                            self.due.entry(name.clone()).or_insert(now);
                        }
                        Some(_) => {}
                        None => {
                            self.due.remove(name);
                            self.asked.remove(name);
                        }
                    }
                }
                Change::Remove(Key::Node(name)) => {
                    self.due.remove(name);
                    self.asked.remove(name);
                }
                Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => {}
            }
        }
    }

    pub(super) fn due(&mut self, graph: &Graph, now: Monotonic) -> Vec<Effect> {
        if self.wake_at().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let Some(cluster) = graph.cluster() else {
            return Vec::new();
        };
        let due: Vec<NodeName> = self
            .due
            .extract_if(.., |_, at| *at <= now)
            .map(|(name, _)| name)
            .collect();
        let mut asks = Vec::new();
        for name in due {
            let Some(node) = graph.node(&name) else {
                continue;
            };
            let Some(id) = pending(&name, &node) else {
                continue;
            };
            self.asked.insert(name.clone(), id.clone());
            asks.extend(ask(&node, id, &cluster.settings).map(Effect::AskHost));
        }
        asks
    }

    pub(super) fn wake_at(&self) -> Option<Monotonic> {
        self.due.values().min().copied()
    }
}

/// The command about this machine that nobody has said anything about yet.
fn pending(name: &NodeName, node: &Node) -> Option<HostCommandId> {
    let restart = node.restart.as_ref().filter(|one| one.is_under_way())?;
    let command = restart.command.as_ref()?;
    command.outcome.is_none().then(|| HostCommandId {
        node: name.clone(),
        since: restart.said.at,
        number: command.number,
    })
}

fn ask(node: &Node, id: HostCommandId, settings: &Settings) -> Option<AskHost> {
    let restart = node.restart.as_ref()?;
    let command = restart.command.as_ref()?;
    let (words, only) = match command.what {
        HostAct::Restart => (&settings.host_restart, Some(restart.agent_run)),
        HostAct::Fence => (&settings.host_fence, None),
    };
    Some(AskHost {
        on: command.on.clone(),
        command: HostCommand {
            words: words.clone(),
            environment: environment(&id.node, node),
            within_ms: settings.host_within_ms,
            only,
            id,
        },
    })
}

/// What its owners' commands are told of a machine: of its labels those that people set. What its agent says of itself
/// chooses no outlet.
fn environment(name: &NodeName, node: &Node) -> BTreeMap<String, String> {
    let variable = |label: &str| {
        let word = label.chars().map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' => letter.to_ascii_uppercase(),
            _ => '_',
        });
        format!("MAINSTAY_LABEL_{}", word.collect::<String>())
    };
    let labels = node.care.labels.iter();
    let labels = labels.filter_map(|(label, value)| Some((variable(label), value.clone()?)));
    labels
        .chain([
            ("MAINSTAY_NODE".to_owned(), name.to_string()),
            ("MAINSTAY_NODE_ADDRESS".to_owned(), node.address.clone()),
        ])
        .collect()
}
