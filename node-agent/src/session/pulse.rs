//! What a heartbeat says.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_protocol::session::Heartbeat;
use mainstay_protocol::{InstanceKey, limits};
use mainstay_supervisor::SupervisorHandle;

use crate::leases::Leases;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pulse {
    supervisor: SupervisorHandle,
    outbox_depth: Arc<AtomicU64>,
    leases: Leases,
}

impl Pulse {
    pub(crate) fn new(supervisor: SupervisorHandle) -> Self {
        Self {
            supervisor,
            outbox_depth: Arc::default(),
            leases: Leases::default(),
        }
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn outbox_depth(&self, depth: u64) {
        self.outbox_depth.store(depth, Ordering::Relaxed);
    }

    /// Reports that wait to be committed.
    pub(crate) fn depth(&self) -> u64 {
        self.outbox_depth.load(Ordering::Relaxed)
    }

    pub(super) fn heartbeat(&self, last: &mut Option<InstanceKey>) -> Heartbeat {
        let ages = self.supervisor.checked_ages();
        Heartbeat {
            checked_ms_ago: in_turn(ages, last, limits::HEARTBEAT_INSTANCES_MAX),
            outbox_depth: self.outbox_depth.load(Ordering::Relaxed),
            renews: self.leases.renews(),
        }
    }
}

/// All, or those behind the last one spoken of.
fn in_turn(
    all: BTreeMap<InstanceKey, u64>,
    last: &mut Option<InstanceKey>,
    most: usize,
) -> BTreeMap<InstanceKey, u64> {
    if all.len() <= most {
        return all;
    }
    let from = last.take().map_or(Bound::Unbounded, Bound::Excluded);
    let turn: Vec<(&InstanceKey, &u64)> = all
        .range((from, Bound::Unbounded))
        .chain(all.iter())
        .take(most)
        .collect();
    *last = turn.last().map(|(instance, _)| (*instance).clone());
    turn.into_iter()
        .map(|(instance, age)| (instance.clone(), *age))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_protocol::{NodeName, PlacementName};

    #[test]
    fn every_instance_has_its_turn() {
        let key = |i: u64| {
            let placement = PlacementName::new(format!("p{i}")).unwrap();
            InstanceKey::new(NodeName::new("n1").unwrap(), placement)
        };
        let all: BTreeMap<_, _> = (0..5).map(|i| (key(i), i)).collect();
        let mut last = None;
        let mut turn =
            || -> Vec<u64> { in_turn(all.clone(), &mut last, 2).into_values().collect() };
        assert_eq!(
            [turn(), turn(), turn(), turn()],
            [[0, 1], [2, 3], [0, 4], [1, 2]]
        );
        let mut last = None;
        assert_eq!(in_turn(all.clone(), &mut last, 5), all);
    }
}
