//! Nodes.

use mainstay_coordinator::why::node_reason;
use mainstay_protocol::NodeName;
use mainstay_resource_graph::{Key, Kind, StationState, Vertex, ViewExt};

use super::{Present, known, words};
use crate::types;

impl Present<'_> {
    pub fn node(&self, name: &NodeName) -> Option<types::Node> {
        let record = self.record(&Key::Node(name.clone()))?;
        let Vertex::Node(node) = &record.vertex else {
            return None;
        };
        Some(types::Node {
            name: name.to_string(),
            id: node.id.to_string(),
            state: node.state.as_str().to_owned(),
            role: self.role(name).to_owned(),
            build: node.build.clone(),
            address: known(&node.address),
            labels: node.labels.clone(),
            schedulable: node.care.cordon.is_none(),
            maintenance: node.care.maintenance.is_some(),
            maintenance_until: node
                .care
                .maintenance
                .as_ref()
                .and_then(|on| Some(self.live.time(on.until?))),
            heard_ms: self.live.heard_ms(name),
            instances: self.counts(name),
            reason: node_reason(&record.key, node),
            since: self.live.time(record.since),
            strays: words::strays(name, node),
        })
    }

    fn role(&self, name: &NodeName) -> &'static str {
        let stations = self.view.keys(Kind::Station);
        let here = stations.iter().any(|key| match key {
            Key::Station(id) => self.station(*id).is_some_and(|station| {
                station.node.as_deref() == Some(name.as_str())
                    && station.state != StationState::Removed.as_str()
            }),
            _ => false,
        });
        if here { "agent+station" } else { "agent" }
    }

    fn counts(&self, name: &NodeName) -> types::Counts {
        let mut counts = types::Counts::default();
        for key in self.view.instances_on(name) {
            if let Some(instance) = self.view.instance(&key) {
                counts.total += 1;
                counts.ok += u64::from(instance.is_as_wanted());
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use crate::present::sample::{Sample, node_name};

    #[test]
    fn a_node_counts_its_instances_and_says_when_it_was_heard() {
        let sample = Sample::new();
        let node = sample.present().node(&node_name("n1")).unwrap();
        assert_eq!(
            (node.state.as_str(), node.role.as_str()),
            ("Online", "agent+station")
        );
        assert_eq!((node.instances.total, node.instances.ok), (2, 1));
        assert_eq!(node.heard_ms, Some(7));
        assert!(sample.present().node(&node_name("n9")).is_none());
    }
}
