//! `stray`: what runs and was started by no command of this graph is taken in where it is wanted; else it is left as it
//! is and told. It is never ended unasked: who wants it gone asks for its placement and stops that.

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::{Adopt, Order};
use mainstay_protocol::report::LiveState;
use mainstay_protocol::{InstanceKey, NodeName, PlacementName};
use mainstay_resource_graph::{
    InstanceState, Key, Relation, Stray as StrayFound, Txn, Vertex, View, ViewExt, slot_of,
};

use crate::env::Env;
use crate::lease;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Stray;

impl Rule for Stray {
    const NAME: &'static str = "stray";
    const ABOUT: &'static str =
        "Takes in what runs without a command where it is wanted, else tells of it.";
    type Subject = NodeName;

    fn watches() -> Watch {
        Watch::nodes(|node| !node.strays.is_empty())
    }

    /// It may be wanted by now, or its name may be free.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<NodeName> {
        let node = match changed {
            Key::Instance(key) => &key.node,
            Key::Name(key) => &key.node,
            _ => return Vec::new(),
        };
        // Asked of every change: the vertex is looked at where it stands.
        let record = view.record(&Key::Node(node.clone()));
        match record.as_ref().map(|record| &record.vertex) {
            Some(Vertex::Node(found)) if !found.strays.is_empty() => vec![node.clone()],
            Some(_) | None => Vec::new(),
        }
    }

    fn judge(subject: NodeName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(node) = txn.node(&subject) else {
            return Verdict::Nothing;
        };
        if !verb::node_is_online(&node) {
            return Verdict::Nothing;
        }
        let mut told = Vec::new();
        let mut code = code::STRAY;
        for (placement, stray) in node.strays {
            let key = InstanceKey::new(subject.clone(), placement.clone());
            match in_its_way(txn, &key, &stray) {
                None => {
                    take_in(txn, &key, &stray, env);
                    code = code::ADOPTED;
                    told.push(format!(
                        "{key} runs as incarnation {} without a command; it is wanted, so it is taken in",
                        stray.incarnation
                    ));
                }
                Some(why) if stray.held.as_ref() == Some(&why) => {}
                Some(why) => {
                    told.push(why.text.clone());
                    hold(txn, &subject, &placement, why);
                }
            }
        }
        match told.is_empty() {
            true => Verdict::Nothing,
            false => Verdict::did(code, told.join("; ")),
        }
    }
}

/// Why it is left as it is.
pub(crate) fn in_its_way(txn: &Txn<'_>, key: &InstanceKey, stray: &StrayFound) -> Option<Reason> {
    let held = |why: String| {
        let text = format!(
            "incarnation {} of {key} runs without a command and is left as it is: {why}",
            stray.incarnation
        );
        Some(Reason::new(code::STRAY, text).about(key))
    };
    let Some(instance) = txn.instance(key) else {
        return held("no placement asks for it".to_owned());
    };
    // One that never ran gives way, also if its start was decided (and has not reached the node): the graph may be of a
    // later epoch than what runs.
    let gives_way = instance.started.is_none() && !stray.overtaken;
    let is_newer = instance.incarnation.count > 0 && stray.incarnation < instance.incarnation;
    if is_newer && !gives_way {
        return held(format!("{} is newer", instance.incarnation));
    }
    if let Some(other) = stray
        .service_type
        .as_ref()
        .filter(|it| **it != instance.service_type)
    {
        return held(format!(
            "it is of type {other}, and {} is wanted under its name",
            instance.service_type
        ));
    }
    if stray.state == LiveState::Stopping {
        return held("it is on its way out".to_owned());
    }
    verb::held_by_another(txn, key, &instance)
        .and_then(|holder| held(format!("{holder} holds its name {}", instance.name)))
}

/// What is on its way out there, and has its name until it is gone.
pub(crate) fn ends(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    let record = view.record(&Key::Node(key.node.clone()))?;
    let node = match &record.vertex {
        Vertex::Node(node) => node,
        _ => return None,
    };
    let stray = node.strays.get(&key.placement)?;
    let text = format!(
        "incarnation {} of it, which runs without a command, is on its way out",
        stray.incarnation
    );
    let reason = || Reason::new(code::STRAY, text).about(Key::Node(key.node.clone()));
    (stray.state == LiveState::Stopping).then(reason)
}

fn hold(txn: &mut Txn<'_>, node: &NodeName, placement: &PlacementName, why: Reason) {
    txn.update_node(node, |node| {
        if let Some(stray) = node.strays.get_mut(placement) {
            stray.held = Some(why);
        }
    })
    .expect("the node was read in this transaction");
}

/// It counts as started, and its node is asked to tell of it.
pub(crate) fn take_in(txn: &mut Txn<'_>, key: &InstanceKey, stray: &StrayFound, env: &Env) {
    let instance = txn.instance(key).expect("the caller read it");
    let (subject, name) = (
        Key::Instance(key.clone()),
        Key::Name(slot_of(key, &instance)),
    );
    txn.unlink(&subject, Relation::Waits, &name);
    // So is whatever was ordered of it.
    verb::forget_orders(txn, key);
    // What an incarnation before it used is past; what this one uses, its node tells.
    txn.unlink_all(&subject, Relation::Uses);
    txn.link(subject, Relation::Holds, name)
        .expect("nobody else holds it");
    // What the graph had of it is past, and no end of its own.
    let past = match instance.state.may_be_live() {
        true => InstanceState::Unknown {
            was: LiveState::Running,
        },
        false => InstanceState::Pending,
    };
    let why = Reason::new(
        code::ADOPTED,
        format!(
            "incarnation {} runs without a command; its node is asked about it",
            stray.incarnation
        ),
    );
    verb::change(txn, key, |instance| {
        instance.reason = Some(why.clone());
        instance.state = past;
        verb::quiet(instance);
    });
    let lease = lease::unknown(txn, key);
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Starting;
        instance.lease = lease;
        instance.incarnation = stray.incarnation;
        instance.seen_from.clear();
        instance.given = None;
        instance.restart_asked = false;
        instance.deadline = Some(env.now + verb::answer_time(env));
    });
    txn.update_node(&key.node, |node| {
        node.strays.remove(&key.placement);
    })
    .expect("the node was read in this transaction");
    verb::command(
        txn,
        key,
        Order::Adopt(Adopt {
            instance: key.clone(),
            incarnation: stray.incarnation,
        }),
        env,
    );
}
