//! `move`: what runs on one node is to run on another. The rule `move` carries it out.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{InstanceKey, NodeName};
use mainstay_resource_graph::{Desired, Move, NodeState, Placement, Target, Txn, ViewExt};

use super::{Result_, known, known_nodes, on_its_way_out, recorded, wish};
use crate::candidates;
use crate::env::Env;
use crate::room::{Question, There, taken_by_others};
use crate::verb;

pub fn instance(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    to: &NodeName,
    by: &str,
    env: &Env,
) -> Result_ {
    let one = known(txn, key)?;
    known_nodes(txn, &BTreeSet::from([to.clone()]))?;
    let there = InstanceKey::new(to.clone(), key.placement.clone());
    let Some(mut placement) = txn.placement(&key.placement) else {
        return Err(on_its_way_out(key));
    };
    wish::refuse_leaving(&key.placement, &placement)?;
    if placement
        .moves
        .get(&key.node)
        .is_some_and(|one| one.to == *to)
    {
        let text = format!("{key} moves to {to} already");
        return Ok(recorded(vec![there, key.clone()], text));
    }
    match one.desired {
        Desired::Running => {}
        Desired::Stopped => {
            let text = format!(
                "{key} is stopped: `mainstay restart {key}` starts it, and then it can move"
            );
            return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
        }
        Desired::Absent => return Err(on_its_way_out(key)),
    }
    may_move(txn, key, &there, &placement)?;
    let is_single = placement.wish.singleton.is_some();
    let under_way = Move {
        to: to.clone(),
        by: by.to_owned(),
        until: env.now + time_for(txn, &placement, env),
        settles: None,
    };
    if let Target::Nodes(nodes) = &placement.wish.target {
        let mut next = placement.wish.clone();
        let mut nodes = nodes.clone();
        nodes.remove(&key.node);
        nodes.insert(to.clone());
        next.target = Target::Nodes(nodes);
        // As long as the move is under way both have it.
        if let Some(config) = next.on_nodes.get(&key.node).cloned() {
            next.on_nodes.insert(to.clone(), config);
        }
        placement = wish::retarget(txn, &key.placement, placement, next, None);
    }
    placement.refused_by.remove(to);
    placement.moves.insert(key.node.clone(), under_way);
    wish::write(txn, &key.placement, placement);
    if is_single {
        verb::want_absent(txn, key);
    }
    let order = match is_single {
        true => "it ends here first",
        false => "it ends here when the other serves",
    };
    let text = format!("{key} moves to {to}: {order}");
    Ok(recorded(vec![there, key.clone()], text))
}

/// For what it takes to start there, and to be well for a while.
fn time_for(txn: &Txn<'_>, placement: &Placement, env: &Env) -> Duration {
    let service_type = txn.service_type(&placement.service_type);
    let start_ms = service_type.map_or(30_000, |found| found.declaration.start_deadline_ms);
    let within_ms = start_ms + env.settings.update_patience_ms + placement.wish.update.wait_ms;
    // The only one begins when the other has ended, or its lease has.
    let lease_ms = placement.wish.singleton.map_or(0, |one| one.lease_ms);
    Duration::from_millis(within_ms + 2 * lease_ms) + env.settings.answer_margin()
}

fn may_move(
    txn: &Txn<'_>,
    key: &InstanceKey,
    there: &InstanceKey,
    placement: &Placement,
) -> Result<(), Refusal> {
    let unsafe_ = |text: String| Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    let (from, to) = (&key.node, &there.node);
    if from == to {
        let text = format!("{key} is on {to} already");
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    if let Target::All(_) = placement.wish.target {
        let text = format!(
            "{} is on {}: each has its own, and none can move; use node label, or drain",
            key.placement, placement.wish.target
        );
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let moving = placement.moves.contains_key(from) || placement.moves_to(from).is_some();
    if moving {
        return unsafe_(format!("{key} is being moved already; wait for that first"));
    }
    let is_online = |node: &NodeName| {
        txn.node(node)
            .is_some_and(|node| node.state == NodeState::Online)
    };
    if !is_online(from) {
        return unsafe_(format!(
            "{from} is away, so what is there cannot be ended: bring it back first, or say `node confirm-dead {from}` if it is off"
        ));
    }
    if let Some(kept) = verb::in_maintenance(txn, key) {
        return unsafe_(format!("{}; end that first", kept.text));
    }
    // Or it is to be there, and is not made yet.
    let is_meant = match &placement.wish.target {
        Target::Nodes(nodes) => nodes.contains(to),
        Target::Count(_) | Target::All(_) => false,
    };
    let is_there = txn
        .instance(there)
        .is_some_and(|one| one.desired != Desired::Absent);
    if is_there || is_meant || placement.moves_to(to).is_some() {
        return unsafe_(format!(
            "{there} is there already, and a node has at most one"
        ));
    }
    let node = txn.node(to).expect("it is known");
    // Who was refused there lately is asked once more, since somebody says so.
    let mut asked = placement.clone();
    asked.refused_by.clear();
    let place = There {
        key: to,
        node: &node,
        taken: taken_by_others(txn, there),
    };
    let noes = Question::of(txn, &key.placement, &asked).noes(txn, place);
    let said = candidates::reasons((to, &noes));
    match said.first() {
        None => Ok(()),
        Some(first) => {
            let texts: Vec<&str> = said.iter().map(|no| no.text.as_str()).collect();
            let text = format!("{to} does not take it: {}", texts.join("; "));
            Err(Refusal::new(first.code.clone(), text))
        }
    }
}
