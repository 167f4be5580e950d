//! `storm_brake`: when many nodes are away at once it is probably the network, or the station itself: none is given up.

use std::time::Duration;

use mainstay_protocol::code;
use mainstay_resource_graph::{Brake, Cluster, Key, Kind, NodeState, Txn, Vertex, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, TheCluster, Verdict, Watch};

/// Of a few nodes, so many may be away without it being a storm.
const FEW_AWAY_MAX: usize = 1;
const FEW_NODES_MAX: usize = 5;
/// Of more, one in so many.
const AWAY_SHARE: usize = 3;

pub struct StormBrake;

impl Rule for StormBrake {
    const NAME: &'static str = "storm_brake";
    const ABOUT: &'static str = "Has no node given up while many are away at once.";
    const SAFETY: Option<&'static str> = Some(
        "a station that is cut off would give up every node, and start everything of theirs anew",
    );
    type Subject = TheCluster;

    fn watches() -> Watch {
        Watch::cluster()
    }

    fn subjects_of(changed: &Key, _: &dyn View) -> Vec<TheCluster> {
        match changed {
            Key::Node(_) => vec![TheCluster],
            _ => Vec::new(),
        }
    }

    fn judge(_: TheCluster, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(cluster) = txn.cluster() else {
            return Verdict::Nothing;
        };
        let nodes = Nodes::count(txn);
        // Once it gives them up a few at a time, it does so to the last.
        let goes_on = |brake: &Brake| brake.until <= env.now && nodes.away > 0;
        match (nodes.are_in_a_storm(), &cluster.brake) {
            (true, None) => {
                let until = env.now + Duration::from_millis(env.settings.brake_ms);
                let since = env.now;
                set(txn, cluster, Some(Brake { since, until }));
                let text = format!(
                    "{} of {} nodes are away at once: probably the network, or the station itself; none is given up for now",
                    nodes.away, nodes.waited_for
                );
                Verdict::did(code::NODES_HELD, text)
            }
            (false, Some(brake)) if !goes_on(brake) => {
                set(txn, cluster, None);
                let text = format!(
                    "{} of {} nodes are away: no more than may be",
                    nodes.away, nodes.waited_for
                );
                Verdict::did(code::NODES_RELEASED, text)
            }
            (true, Some(_)) | (false, _) => Verdict::Nothing,
        }
    }
}

fn set(txn: &mut Txn<'_>, cluster: Cluster, brake: Option<Brake>) {
    txn.put(Key::Cluster, Vertex::Cluster(Cluster { brake, ..cluster }))
        .expect("a cluster has no transitions");
}

/// Of the nodes that are not given up.
struct Nodes {
    waited_for: usize,
    away: usize,
}

impl Nodes {
    fn count(view: &dyn View) -> Self {
        let mut nodes = Self {
            waited_for: 0,
            away: 0,
        };
        for key in view.keys(Kind::Node) {
            let Some(record) = view.record(&key) else {
                continue;
            };
            let Vertex::Node(node) = &record.vertex else {
                continue;
            };
            match node.state {
                NodeState::Online => nodes.waited_for += 1,
                NodeState::Lost => {}
                // Where somebody works, it is no wonder.
                _ if node.care.maintenance.is_some() => {}
                // Somebody sees it: it is cut off, and will not be given up.
                NodeState::Isolated => nodes.waited_for += 1,
                NodeState::Suspect | NodeState::AgentDown => {
                    nodes.waited_for += 1;
                    nodes.away += 1;
                }
            }
        }
        nodes
    }

    fn are_in_a_storm(&self) -> bool {
        match self.waited_for {
            0..=FEW_NODES_MAX => self.away > FEW_AWAY_MAX,
            many => self.away * AWAY_SHARE > many,
        }
    }
}
