//! `guard_spread`: every supervisor is guarded from two other nodes, and every node guards as many.

use mainstay_protocol::code;
use mainstay_protocol::words::several;
use mainstay_resource_graph::{Key, Relation, Txn, Vertex, View, ViewExt};

use crate::env::Env;
use crate::guarding;
use crate::rule::{Rule, TheCluster, Verdict, Watch};

/// In one text.
const NODES_SAID: usize = 8;

pub struct GuardSpread;

impl Rule for GuardSpread {
    const NAME: &'static str = "guard_spread";
    const ABOUT: &'static str = "Has each node's supervisor guarded from two other nodes.";
    const SAFETY: Option<&'static str> =
        Some("a node that is cut off from the station alone would be taken for a dead one");
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

    fn judge(_: TheCluster, txn: &mut Txn<'_>, _: &Env) -> Verdict {
        let mut changed = Vec::new();
        for (node, guards) in guarding::spread(txn) {
            let before = guarding::guards_of(txn, &node);
            if before == guards {
                continue;
            }
            let supervisor = Key::Supervisor(node.clone());
            for guard in before.difference(&guards) {
                txn.unlink(&Key::Node(guard.clone()), Relation::Guards, &supervisor);
            }
            for guard in guards.difference(&before) {
                let guard = Key::Node(guard.clone());
                txn.link(guard, Relation::Guards, supervisor.clone())
                    .expect("a node in the ring has introduced itself, and so has its supervisor");
            }
            if let Some(mut known) = txn.supervisor(&node) {
                // What is no longer guarded from there is not seen from there either.
                known.seen.retain(|guard, _| guards.contains(guard));
                txn.put(supervisor, Vertex::Supervisor(known))
                    .expect("a supervisor has no transitions");
            }
            let by: Vec<&str> = guards.iter().map(|guard| guard.as_str()).collect();
            changed.push(match by.as_slice() {
                [] => format!("{node} by nobody"),
                by => format!("{node} by {}", by.join(" and ")),
            });
        }
        match changed.is_empty() {
            true => Verdict::Nothing,
            false => {
                let all = several(changed.iter().map(String::as_str), NODES_SAID);
                Verdict::did(code::GUARDS_SPREAD, format!("guarded are {all}"))
            }
        }
    }
}
