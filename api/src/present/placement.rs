//! Placements: what is wanted, and the worst of what there is.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::PlacementName;
use mainstay_resource_graph::{Desired, Instance, InstanceState, Key, Target, Vertex, ViewExt};
use serde_json::Value;

use super::{Present, json};
use crate::types;

impl Present<'_> {
    pub fn placement(&self, name: &PlacementName) -> Option<types::Placement> {
        let record = self.record(&Key::Placement(name.clone()))?;
        let Vertex::Placement(placement) = &record.vertex else {
            return None;
        };
        let instances: Vec<Instance> = self
            .view
            .instances_of(name)
            .iter()
            .filter_map(|key| self.view.instance(key))
            .collect();
        let wanted: Vec<&Instance> = instances
            .iter()
            .filter(|instance| instance.desired == Desired::Running)
            .collect();
        let worst = wanted
            .iter()
            .max_by_key(|instance| severity(&instance.state));
        let count = |wanted: &dyn Fn(&Instance) -> bool| {
            instances.iter().filter(|i| wanted(i)).count() as u64
        };
        let config = self
            .view
            .configuration(&Key::Configuration(placement.config.clone()));
        Some(types::Placement {
            name: name.to_string(),
            service_type: placement.service_type.to_string(),
            target: target(&placement.target),
            generation: placement.generation.0,
            want: wanted.len() as u64,
            have: count(&|instance| instance.state.is_up()),
            healthy: count(&Instance::is_healthy),
            state: worst
                .map_or("Stopped", |instance| instance.state.as_str())
                .to_owned(),
            reason: worst.and_then(|instance| instance.reason.clone()),
            config: config.map_or(Value::Null, |text| json(&text)),
            waiting_on: waiting_on(&wanted),
        })
    }
}

fn target(target: &Target) -> types::Target {
    match target {
        Target::Nodes(nodes) => {
            types::Target::Nodes(nodes.iter().map(ToString::to_string).collect())
        }
        Target::All => types::Target::All(BTreeMap::new()),
    }
}

/// What the reasons of those that cannot start point at.
fn waiting_on(wanted: &[&Instance]) -> Vec<String> {
    let waiting = |instance: &&&Instance| {
        matches!(
            instance.state,
            InstanceState::Blocked | InstanceState::Pending
        )
    };
    let refs: BTreeSet<String> = wanted
        .iter()
        .filter(waiting)
        .filter_map(|instance| instance.reason.as_ref())
        .flat_map(|reason| reason.refs.iter().cloned())
        .collect();
    refs.into_iter().collect()
}

/// The higher, the more somebody should look.
fn severity(state: &InstanceState) -> u8 {
    match state {
        InstanceState::Running => 0,
        InstanceState::Stopped { .. } => 1,
        InstanceState::Starting => 2,
        InstanceState::Pending => 3,
        InstanceState::Stopping { .. } => 4,
        InstanceState::Degraded => 5,
        InstanceState::Backoff { .. } => 6,
        InstanceState::Unresponsive { .. } => 7,
        InstanceState::Unknown { .. } => 8,
        InstanceState::Blocked => 9,
        InstanceState::Failed { .. } => 10,
        InstanceState::Quarantined => 11,
    }
}

#[cfg(test)]
mod tests {
    use crate::present::sample::{Sample, placement_name};
    use crate::types::Target;

    #[test]
    fn a_placement_shows_its_worst_instance_and_what_it_waits_for() {
        let sample = Sample::new();
        let web = sample.present().placement(&placement_name("web")).unwrap();
        assert_eq!((web.want, web.have, web.healthy), (1, 1, 1));
        assert_eq!(web.state, "Running");
        assert_eq!(web.target, Target::Nodes(vec!["n1".to_owned()]));
        let rival = sample
            .present()
            .placement(&placement_name("rival"))
            .unwrap();
        assert_eq!(
            (rival.want, rival.have, rival.state.as_str()),
            (1, 0, "Blocked")
        );
        assert_eq!(rival.waiting_on, ["web@n1"]);
        assert_eq!(
            serde_json::to_value(&rival.target).unwrap(),
            serde_json::json!({"nodes": ["n1"]})
        );
    }
}
