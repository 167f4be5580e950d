//! When each instance is checked and what its answers mean.

use std::collections::BTreeMap;

use mainstay_protocol::command::CheckSchedule;
use mainstay_protocol::health::Health;
use mainstay_protocol::{Incarnation, InstanceKey};

use crate::core::Observation;

/// A Check to carry out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCheck {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub deadline_ms: u64,
}

#[derive(Debug, Clone, Default)]
pub struct CheckTable {}

impl CheckTable {
    pub fn add(&mut self, _: InstanceKey, _: Incarnation, _: CheckSchedule, _now_ms: u64) {}
    pub fn remove(&mut self, _: &InstanceKey) {}
    pub fn due(&mut self, _now_ms: u64) -> Vec<DueCheck> {
        unimplemented!()
    }
    pub fn next_due(&self) -> Option<u64> {
        unimplemented!()
    }
    pub fn answered(
        &mut self,
        _: &InstanceKey,
        _: Incarnation,
        _: Health,
        _: String,
        _now_ms: u64,
    ) -> Vec<Observation> {
        unimplemented!()
    }
    pub fn missed(&mut self, _: &InstanceKey, _: Incarnation, _now_ms: u64) -> Vec<Observation> {
        unimplemented!()
    }
    pub fn checked_ages(&self, _now_ms: u64) -> BTreeMap<InstanceKey, u64> {
        unimplemented!()
    }
}
