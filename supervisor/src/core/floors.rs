//! The incarnation floor of each instance: nothing below it is started any more.

use std::collections::BTreeMap;

use mainstay_protocol::{Incarnation, InstanceKey};

/// Floors only rise, but for those given up for want of room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Floors {
    floors: BTreeMap<InstanceKey, Incarnation>,
}

impl Floors {
    pub fn of(&self, instance: &InstanceKey) -> Incarnation {
        self.floors.get(instance).copied().unwrap_or_default()
    }

    pub fn raise(&mut self, instance: &InstanceKey, floor: Incarnation) {
        match self.floors.get_mut(instance) {
            Some(now) => *now = floor.max(*now),
            None => {
                self.floors.insert(instance.clone(), floor);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&InstanceKey, Incarnation)> {
        self.floors
            .iter()
            .map(|(instance, floor)| (instance, *floor))
    }

    /// Keeps at most `kept_max`: the lowest of those nobody needs go first. They belong to placements made
    /// longest ago, whose commands were settled long ago.
    pub fn trim(&mut self, kept_max: usize, needed: impl Fn(&InstanceKey) -> bool) {
        let excess = self.floors.len().saturating_sub(kept_max);
        if excess == 0 {
            return;
        }
        let mut idle: Vec<(Incarnation, InstanceKey)> = self
            .iter()
            .filter(|(instance, _)| !needed(instance))
            .map(|(instance, floor)| (floor, instance.clone()))
            .collect();
        idle.sort();
        for (_, instance) in idle.into_iter().take(excess) {
            self.floors.remove(&instance);
        }
    }
}
