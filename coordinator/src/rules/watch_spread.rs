//! `watch_spread`: instances whose placement asks for it are watched from other nodes as well, every node having its share.

use mainstay_protocol::{InstanceKey, NodeName, code};
use mainstay_resource_graph::{Instance, Key, Relation, Txn, View, ViewExt};

use crate::env::Env;
use crate::guarding;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;
use crate::watching;

pub struct WatchSpread;

impl Rule for WatchSpread {
    const NAME: &'static str = "watch_spread";
    const ABOUT: &'static str =
        "Has instances watched from as many other nodes as their placement asks.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|_| true)
    }

    /// What is asked for, who guards a node, and who of them is there.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        let mut subjects = match changed {
            Key::Placement(name) => view.instances_of(name),
            Key::Supervisor(node) => {
                let mut there = view.instances_on(node);
                // It may have places again for others.
                if watching::has_room(view, node) {
                    let watchers = |key: &InstanceKey| watching::watchers_of(view, key).len();
                    let mut short = guarded(view, node);
                    short.retain(|key| watchers(key) < watching::so_many(view, key));
                    there.extend(short);
                }
                there
            }
            Key::Node(guard) => guarded(view, guard),
            _ => Vec::new(),
        };
        let is_watched = |key: &InstanceKey| !watching::watchers_of(view, key).is_empty();
        subjects.retain(|key| watching::so_many(view, key) > 0 || is_watched(key));
        subjects
    }

    fn judge(key: InstanceKey, txn: &mut Txn<'_>, _: &Env) -> Verdict {
        let Some(instance) = txn.instance(&key) else {
            return Verdict::Nothing;
        };
        let before = watching::watchers_of(txn, &key);
        let wanted = watching::wanted(txn, &key, &instance, &before);
        for node in before.difference(&wanted) {
            txn.unlink(&of(node), Relation::Watches, &Key::Instance(key.clone()));
        }
        for node in wanted.difference(&before) {
            txn.link(of(node), Relation::Watches, Key::Instance(key.clone()))
                .expect("whoever guards a node has introduced itself, and so has its supervisor");
        }
        let sees = |node: &NodeName| wanted.contains(node);
        if !instance.seen_from.keys().all(sees) {
            // What is no longer watched from there is not seen from there either.
            verb::change(txn, &key, |instance: &mut Instance| {
                instance.seen_from.retain(|node, _| sees(node));
            });
        }
        if before == wanted {
            return Verdict::Nothing;
        }
        let by: Vec<&str> = wanted.iter().map(|node| node.as_str()).collect();
        let text = match by.as_slice() {
            [] => "it is watched from no other node any more".to_owned(),
            by => format!("it is watched from {} as well", by.join(" and ")),
        };
        Verdict::did(code::WATCHES_SPREAD, text)
    }
}

/// What is on the nodes that this one guards.
fn guarded(view: &dyn View, guard: &NodeName) -> Vec<InstanceKey> {
    let nodes = guarding::guarded(view, guard).nodes.into_keys();
    nodes.flat_map(|node| view.instances_on(&node)).collect()
}

fn of(node: &NodeName) -> Key {
    Key::Supervisor(node.clone())
}
