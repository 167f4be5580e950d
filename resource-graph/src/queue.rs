//! Steps that are due, in line by what they take; who is at work on what, wanted or not; and whose hands there are: kept beside
//! the graph, so that handing one out is no look at all there are.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::command::Order;
use mainstay_protocol::work::Skill;
use mainstay_protocol::{CommandId, InstanceKey, StepKey, Timestamp};

use crate::key::Key;
use crate::vertex::{Record, Vertex};
use crate::work::StepState;

/// A step in line: who waits longest first.
pub(crate) type Due = (Timestamp, StepKey);

#[derive(Debug, Clone, Default)]
pub(crate) struct Queue {
    due: BTreeMap<Skill, BTreeSet<Due>>,
    at_work: BTreeMap<InstanceKey, BTreeSet<StepKey>>,
    /// Calls that nobody wants any more, by the commands that say so.
    taken_back: BTreeMap<InstanceKey, BTreeSet<CommandId>>,
    hands: BTreeSet<InstanceKey>,
}

impl Queue {
    pub(crate) fn enter(&mut self, record: &Record) {
        match (&record.key, &record.vertex) {
            (Key::Step(key), Vertex::Step(step)) => {
                if let StepState::Queued { since } = step.state {
                    let line = self.due.entry(step.skill.clone()).or_default();
                    line.insert((since, key.clone()));
                }
                if let Some(worker) = step.at_work() {
                    let steps = self.at_work.entry(worker.clone()).or_default();
                    steps.insert(key.clone());
                }
            }
            (Key::Command(id), Vertex::Command(command)) => {
                if let Order::TakeBack(back) = &command.order {
                    let calls = self.taken_back.entry(back.instance.clone()).or_default();
                    calls.insert(*id);
                }
            }
            (Key::Instance(key), Vertex::Instance(instance)) if instance.has_hands() => {
                self.hands.insert(key.clone());
            }
            (_, _) => {}
        }
    }

    pub(crate) fn leave(&mut self, record: &Record) {
        match (&record.key, &record.vertex) {
            (Key::Step(key), Vertex::Step(step)) => {
                if let StepState::Queued { since } = step.state {
                    remove(&mut self.due, &step.skill, &(since, key.clone()));
                }
                if let Some(worker) = step.at_work() {
                    remove(&mut self.at_work, worker, key);
                }
            }
            (Key::Command(id), Vertex::Command(command)) => {
                if let Order::TakeBack(back) = &command.order {
                    remove(&mut self.taken_back, &back.instance, id);
                }
            }
            (Key::Instance(key), Vertex::Instance(instance)) if instance.has_hands() => {
                self.hands.remove(key);
            }
            (_, _) => {}
        }
    }

    /// What is asked for at all.
    pub(crate) fn skills(&self) -> impl Iterator<Item = &Skill> {
        self.due.keys()
    }

    pub(crate) fn due(&self, skill: &Skill) -> impl Iterator<Item = &Due> {
        self.due.get(skill).into_iter().flatten()
    }

    pub(crate) fn at_work(&self, worker: &InstanceKey) -> impl Iterator<Item = &StepKey> {
        self.at_work.get(worker).into_iter().flatten()
    }

    /// With what is taken back and may still be at work.
    pub(crate) fn count_at(&self, worker: &InstanceKey) -> usize {
        let wanted = self.at_work.get(worker).map_or(0, BTreeSet::len);
        wanted + self.taken_back.get(worker).map_or(0, BTreeSet::len)
    }

    pub(crate) fn hands(&self) -> impl Iterator<Item = &InstanceKey> {
        self.hands.iter()
    }
}

fn remove<K: Ord, V: Ord>(from: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = from.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            from.remove(key);
        }
    }
}
