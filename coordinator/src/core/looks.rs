//! Nodes that are away are looked for, again and again until they are back or given up; and those who guard others are told
//! whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_protocol::sight::Guards;
use mainstay_protocol::{NodeName, limits};
use mainstay_resource_graph::{Change, Graph, Key, Relation, Vertex, ViewExt};

use super::Monotonic;
use crate::effect::{Effect, Look};
use crate::entry::Entry;
use crate::guarding;

/// Whoever is looked for is seen by then, or not seen.
pub(super) const LOOKED_WITHIN: Duration = Duration::from_millis(2 * limits::LOOK_WITHIN_MS);
const EVERY: Duration = Duration::from_millis(limits::LOOK_EVERY_MS);
/// One whose answer did not come by then was lost with whoever was to tell it.
const ANSWERED_WITHIN: Duration = Duration::from_millis(4 * limits::LOOK_WITHIN_MS);

#[derive(Debug, Default)]
pub(super) struct Looks {
    away: BTreeMap<NodeName, Turn>,
    /// What each guard with a session was told last.
    told: BTreeMap<NodeName, Guards>,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Due(Monotonic),
    UnderWay { since: Monotonic },
}

impl Turn {
    fn at(self) -> Monotonic {
        match self {
            Self::Due(at) => at,
            Self::UnderWay { since } => since.after(ANSWERED_WITHIN),
        }
    }
}

impl Looks {
    /// Those that were away before this coordinator began. They may have no session only because it has just begun, and
    /// those who guard them as well.
    pub(super) fn found(graph: &Graph, from: Monotonic) -> Self {
        let names = graph.node_names().into_iter();
        let away = names.filter(|name| is_away(graph, name));
        Self {
            away: away.map(|name| (name, Turn::Due(from))).collect(),
            told: BTreeMap::new(),
        }
    }

    /// What an entry changed of who is away, and of who guards whom.
    pub(super) fn follow(&mut self, entry: &Entry, graph: &Graph, now: Monotonic) -> Vec<Effect> {
        let mut guards = BTreeSet::new();
        for change in &entry.delta.changes {
            match change {
                Change::Put(record) => {
                    let (Key::Node(name), Vertex::Node(node)) = (&record.key, &record.vertex)
                    else {
                        continue;
                    };
                    match node.state.is_away() {
                        true => _ = self.away.entry(name.clone()).or_insert(Turn::Due(now)),
                        false => _ = self.away.remove(name),
                    }
                    // It may be somewhere else now.
                    guards.extend(guarding::guards_of(graph, name));
                }
                Change::Remove(Key::Node(name)) => {
                    self.away.remove(name);
                    self.told.remove(name);
                }
                Change::Link(edge) if edge.relation == Relation::Guards => {
                    guards.extend(node_of(&edge.from));
                }
                Change::Unlink { from, relation, .. } if *relation == Relation::Guards => {
                    guards.extend(node_of(from));
                }
                Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => {}
            }
        }
        let told = guards.into_iter().filter_map(|guard| {
            let known = self.told.get_mut(&guard)?;
            let guards = guarding::guarded(graph, &guard);
            (*known != guards).then(|| {
                known.clone_from(&guards);
                Effect::Guard {
                    node: guard,
                    guards,
                }
            })
        });
        told.collect()
    }

    /// Behind its welcome: a new session knows nothing.
    pub(super) fn welcome(&mut self, node: &NodeName, graph: &Graph) -> Effect {
        let guards = guarding::guarded(graph, node);
        self.told.insert(node.clone(), guards.clone());
        Effect::Guard {
            node: node.clone(),
            guards,
        }
    }

    /// Those whose turn it is, as many as may be under way at once.
    pub(super) fn due(&mut self, graph: &Graph, now: Monotonic) -> Vec<Effect> {
        let due = self.away.iter().filter(|(_, turn)| turn.at() <= now);
        let mut due: Vec<(Monotonic, NodeName)> =
            due.map(|(node, turn)| (turn.at(), node.clone())).collect();
        // Whoever has waited longest: where they are more than there is room for, each has its turn.
        due.sort_unstable();
        due.truncate(self.room(now));
        let mut looks = Vec::new();
        for (_, node) in due {
            let Some(facts) = graph.node(&node) else {
                continue;
            };
            let Some(away) = facts.away else {
                continue;
            };
            let guards = guarding::guards_of(graph, &node);
            self.away
                .insert(node.clone(), Turn::UnderWay { since: now });
            looks.push(Effect::Look(Look {
                node,
                since: away.since,
                address: facts.address,
                guards,
            }));
        }
        looks
    }

    pub(super) fn answered(&mut self, node: &NodeName) {
        if let Some(turn) = self.away.get_mut(node)
            && let Turn::UnderWay { since } = *turn
        {
            *turn = Turn::Due(since.after(EVERY));
        }
    }

    fn room(&self, now: Monotonic) -> usize {
        let under_way = self
            .away
            .values()
            .filter(|turn| matches!(turn, Turn::UnderWay { .. }) && turn.at() > now);
        limits::LOOKS_IN_FLIGHT_MAX.saturating_sub(under_way.count())
    }

    /// When `due` is worth a call. With no room that is when one is answered, or is given up.
    pub(super) fn wake_at(&self, now: Monotonic) -> Option<Monotonic> {
        let has_room = self.room(now) > 0;
        let turns = self
            .away
            .values()
            .filter(|turn| has_room || matches!(turn, Turn::UnderWay { .. }));
        turns.map(|turn| turn.at()).min()
    }
}

fn is_away(graph: &Graph, node: &NodeName) -> bool {
    graph.node(node).is_some_and(|node| node.state.is_away())
}

fn node_of(key: &Key) -> Option<NodeName> {
    match key {
        Key::Node(node) => Some(node.clone()),
        _ => None,
    }
}
