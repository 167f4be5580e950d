//! Whose turn it is, where an outside queue says so: beside the graph, since it is told anew to whoever leads next.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_protocol::work::Skill;
use mainstay_protocol::{StepKey, Timestamp};
use mainstay_resource_graph::{Change, Graph, Key, StepState, Vertex, View, ViewExt};

use super::LeaderCore;
use crate::entry::Entry;
use crate::rules::hand_out::free_for;

/// By step, since when it is due.
pub(crate) type Turns = BTreeMap<StepKey, Timestamp>;

pub(super) fn of_keys(turns: &Turns) -> impl Iterator<Item = Key> {
    turns.keys().cloned().map(Key::Step)
}

/// What is due no more, or anew, is nobody's turn.
pub(super) fn follow(turns: &mut Arc<Turns>, entry: &Entry) {
    for change in &entry.delta.changes {
        let (step, since) = match change {
            Change::Put(record) => match (&record.key, &record.vertex) {
                (Key::Step(step), Vertex::Step(found)) => (step, due_since(&found.state)),
                _ => continue,
            },
            Change::Remove(Key::Step(step)) => (step, None),
            Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => continue,
        };
        if turns.get(step).is_some_and(|turn| Some(*turn) != since) {
            Arc::make_mut(turns).remove(step);
        }
    }
}

fn due_since(state: &StepState) -> Option<Timestamp> {
    match state {
        StepState::Queued { since } => Some(*since),
        _ => None,
    }
}

impl LeaderCore {
    /// The outside queue says that it is this step's turn. Whether it is due since then: else that turn changes nothing.
    pub fn turn(&mut self, step: &StepKey, since: Timestamp) -> bool {
        let is_due = is_due(&self.graph, step, since);
        if let Some(office) = self.office.as_mut().filter(|_| is_due) {
            Arc::make_mut(&mut office.turns).insert(step.clone(), since);
            office.dirty.insert(Key::Step(step.clone()));
        }
        is_due
    }

    /// For what is due, hands that are free: as many are to be taken from the outside queue.
    pub fn free_hands(&self) -> BTreeMap<Skill, usize> {
        let skills = self.graph.skills_due().into_iter();
        let free = skills.map(|skill| {
            let hands = free_for(&self.graph, &skill);
            (skill, hands)
        });
        free.filter(|(_, hands)| *hands > 0).collect()
    }
}

fn is_due(graph: &Graph, step: &StepKey, since: Timestamp) -> bool {
    let found = graph.step(step);
    found.and_then(|found| due_since(&found.state)) == Some(since)
}
