//! Nodes.

use mainstay_coordinator::why::node_reason;
use mainstay_coordinator::{Procedure, RestartHost, procedure};
use mainstay_protocol::NodeName;
use mainstay_protocol::room::Room;
use mainstay_resource_graph::{HostRestart, Key, Kind, StationState, Vertex, ViewExt};

use super::{Present, known, words};
use crate::types;

impl Present<'_> {
    pub fn node(&self, name: &NodeName) -> Option<types::Node> {
        let record = self.record(&Key::Node(name.clone()))?;
        let Vertex::Node(node) = &record.vertex else {
            return None;
        };
        let (instances, taken) = self.on_it(name);
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
            instances,
            room: types::NodeRoom {
                offers: node.sysinfo.offers.into(),
                taken: taken.into(),
            },
            reason: node_reason(&record.key, node),
            since: self.live.time(record.since),
            strays: words::strays(name, node),
            restart: node.restart.as_ref().map(|one| self.restart(name, one)),
        })
    }

    fn restart(&self, name: &NodeName, restart: &HostRestart) -> types::HostRestart {
        let ended = restart.ended.as_ref();
        let step = || {
            let id = procedure::id_of(RestartHost::NAME, &Key::Node(name.clone()));
            self.view.procedure(&id).map(|step| step.text)
        };
        types::HostRestart {
            at: self.live.time(restart.said.at),
            by: restart.said.by.clone(),
            why: restart.said.why.clone(),
            state: ended
                .map_or("UnderWay", |ended| ended.how.as_str())
                .to_owned(),
            text: match ended {
                Some(ended) => ended.text.clone(),
                None => step().unwrap_or_default(),
            },
            again: ended.and_then(|ended| Some(self.live.time(ended.again?))),
        }
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

    /// How many there are, and what they take together: a stored view keeps no sums, and each instance is looked at once.
    fn on_it(&self, name: &NodeName) -> (types::Counts, Room) {
        let mut counts = types::Counts::default();
        let mut taken = Room::NONE;
        for key in self.view.instances_on(name) {
            let Some(record) = self.record(&Key::Instance(key)) else {
                continue;
            };
            if let Vertex::Instance(instance) = &record.vertex {
                counts.total += 1;
                counts.ok += u64::from(instance.is_as_wanted());
                if instance.takes_room() {
                    taken = taken.plus(instance.needs.room);
                }
            }
        }
        (counts, taken)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Revision};
    use mainstay_resource_graph::{Edge, Key, Kind, Record, Relation, View};

    use crate::present::ListQuery;
    use crate::present::sample::{Sample, node_name};

    /// As a stored view, which keeps no sums beside the records; with how often each instance was read.
    struct Counted<'v> {
        view: &'v dyn View,
        read: RefCell<BTreeMap<InstanceKey, usize>>,
    }

    impl View for Counted<'_> {
        fn revision(&self) -> Revision {
            self.view.revision()
        }

        fn record(&self, key: &Key) -> Option<Arc<Record>> {
            if let Key::Instance(key) = key {
                *self.read.borrow_mut().entry(key.clone()).or_default() += 1;
            }
            self.view.record(key)
        }

        fn keys(&self, kind: Kind) -> Vec<Key> {
            self.view.keys(kind)
        }

        fn edges_from(&self, from: &Key, relation: Relation) -> Vec<Edge> {
            self.view.edges_from(from, relation)
        }

        fn edges_to(&self, to: &Key, relation: Relation) -> Vec<Edge> {
            self.view.edges_to(to, relation)
        }

        fn instances_on(&self, node: &NodeName) -> Vec<InstanceKey> {
            self.view.instances_on(node)
        }

        fn instances_of(&self, placement: &PlacementName) -> Vec<InstanceKey> {
            self.view.instances_of(placement)
        }

        fn commands_for(&self, node: &NodeName) -> Vec<Key> {
            self.view.commands_for(node)
        }
    }

    #[test]
    fn to_show_nodes_each_of_their_instances_is_read_once() {
        let sample = Sample::new();
        let counted = || Counted {
            view: sample.view(),
            read: RefCell::default(),
        };
        let all = sample.view().keys(Kind::Instance).len();
        let listed = counted();
        let query = ListQuery {
            rows_max: 10,
            ..ListQuery::default()
        };
        sample.over(&listed).list(Kind::Node, &query).unwrap();
        let read = listed.read.into_inner();
        assert!(
            read.len() == all && read.values().all(|times| *times == 1),
            "{read:?}"
        );
        for key in sample.view().keys(Kind::Node) {
            let Key::Node(node) = key else { continue };
            let one = counted();
            let shown = sample.over(&one).node(&node).unwrap();
            let read = one.read.into_inner();
            assert_eq!(shown.instances.total as usize, read.len());
            assert!(
                read.iter()
                    .all(|(key, times)| key.node == node && *times == 1)
            );
            assert_eq!(shown.room.taken, sample.view().load_on(&node).taken.into());
        }
    }

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
