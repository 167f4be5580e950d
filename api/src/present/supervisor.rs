//! Supervisors: parts of the runtime, one per node.

use mainstay_coordinator::why::nobody_at_work;
use mainstay_coordinator::{guarding, watching};
use mainstay_protocol::NodeName;
use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::{Key, SupervisorState, Vertex, ViewExt};

use super::Present;
use crate::types;

impl Present<'_> {
    pub fn supervisor(&self, node: &NodeName) -> Option<types::Supervisor> {
        let record = self.record(&Key::Supervisor(node.clone()))?;
        let Vertex::Supervisor(supervisor) = &record.vertex else {
            return None;
        };
        let on_node = self.view.instances_on(node).into_iter();
        let watched = on_node.filter(|key| {
            self.view
                .instance(key)
                .is_some_and(|it| it.state.may_be_live())
        });
        Some(types::Supervisor {
            node: node.to_string(),
            state: supervisor.state.as_str().to_owned(),
            incarnation: supervisor.incarnation,
            watches: watched
                .chain(watching::watched_from(self.view, node))
                .map(|key| key.to_string())
                .collect(),
            watched_by: guarding::guards_of(self.view, node)
                .into_iter()
                .map(|guard| Key::Supervisor(guard).to_string())
                .collect(),
            reason: match supervisor.state {
                SupervisorState::Running => None,
                SupervisorState::Silent => Some(nobody_at_work()),
                SupervisorState::Unknown => Some(
                    Reason::new(
                        code::NODE_AWAY,
                        format!("the agent of {node} is not connected"),
                    )
                    .about(Key::Node(node.clone())),
                ),
            },
            since: self.live.time(record.since),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::present::sample::{Sample, node_name};

    #[test]
    fn a_supervisor_watches_what_may_be_alive_on_its_node() {
        let sample = Sample::new();
        let supervisor = sample.present().supervisor(&node_name("n1")).unwrap();
        assert_eq!(supervisor.watches, ["web@n1"]);
        assert_eq!(
            (supervisor.state.as_str(), supervisor.incarnation),
            ("Running", 2)
        );
    }
}
