//! `node_lost`: a node that has been away for too long is given up, and what was on it. Not while the brake is on; and after
//! it, a few at a time.

use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{NodeName, Timestamp};
use mainstay_resource_graph::{Kind, Node, NodeState, Txn, Vertex, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

/// Within this time one in `SHARE` of the nodes is given up, at most, as long as the brake stands.
const WINDOW: Duration = Duration::from_secs(60);
const SHARE: usize = 10;

pub struct NodeLost;

impl Rule for NodeLost {
    const NAME: &'static str = "node_lost";
    const ABOUT: &'static str = "Gives a node up that has been away for too long.";
    type Subject = NodeName;

    fn watches() -> Watch {
        Watch::nodes(|node| node.lost_at.is_some())
    }

    fn judge(subject: NodeName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(node) = txn.node(&subject) else {
            return Verdict::Nothing;
        };
        if node.lost_at.is_none_or(|at| at > env.now) {
            return Verdict::Nothing;
        }
        if let Some(at) = not_before(txn, env) {
            return wait(&subject, at, txn);
        }
        let why = Reason::new(code::NODE_LOST, given_up_for(&node, env));
        let text = why.text.clone();
        let lost = verb::give_up(txn, &subject, why);
        let with_it = match lost.len() {
            0 => String::new(),
            1 => ", and with it 1 instance".to_owned(),
            many => format!(", and with it {many} instances"),
        };
        Verdict::did(code::NODE_LOST, format!("{text}{with_it}"))
    }
}

fn wait(subject: &NodeName, at: Timestamp, txn: &mut Txn<'_>) -> Verdict {
    txn.update_node(subject, |node| node.lost_at = Some(at))
        .expect("every state of a node may follow itself");
    Verdict::did(
        code::NODES_HELD,
        "it is not given up yet: so many are away that it is probably the network, or the station itself",
    )
}

fn given_up_for(node: &Node, env: &Env) -> String {
    let since = node.away.as_ref().map(|away| away.since);
    let away = since.map_or(0, |since| env.now.since(since).as_secs());
    let first = node.reason.as_ref().map_or("", |reason| &reason.text);
    format!("{first}; away for {away} s, and nobody has heard of it since")
}

/// While the brake stands: when the next may be given up, if that is not now.
fn not_before(txn: &Txn<'_>, env: &Env) -> Option<Timestamp> {
    let brake = txn.cluster()?.brake?;
    if brake.until > env.now {
        return Some(brake.until);
    }
    let mut nodes = 0;
    let mut lost: Vec<Timestamp> = Vec::new();
    for key in txn.keys(Kind::Node) {
        let Some(record) = txn.record(&key) else {
            continue;
        };
        nodes += 1;
        let Vertex::Node(node) = &record.vertex else {
            continue;
        };
        if node.state == NodeState::Lost && record.since + WINDOW > env.now {
            lost.push(record.since);
        }
    }
    let at_once = (nodes / SHARE).max(1);
    if lost.len() < at_once {
        return None;
    }
    lost.sort_unstable();
    Some(lost[lost.len() - at_once] + WINDOW)
}
