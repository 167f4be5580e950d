//! Maintenance: somebody works on a node, on every node, or on what a placement wants. Whatever happens there meanwhile is
//! left as it is.

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{NodeName, PlacementName, limits};
use mainstay_resource_graph::{Kind, Maintenance, Said, Txn, View, ViewExt};
use std::collections::BTreeSet;
use std::time::Duration;

use super::{Result_, known_nodes, recorded, unknown, wish};
use crate::env::Env;
use crate::event::{Maintain, WorkedOn};
use crate::verb;

/// `on`: none ends it.
pub fn act(
    txn: &mut Txn<'_>,
    what: &WorkedOn,
    on: Option<&Maintain>,
    by: &str,
    env: &Env,
) -> Result_ {
    let on = match on {
        None => None,
        Some(on) => {
            sensible(on)?;
            Some(Maintenance {
                said: Said {
                    by: by.to_owned(),
                    why: on.why.clone(),
                    at: env.now,
                },
                until: on.within.map(|within| env.now + within),
                of_all: *what == WorkedOn::EveryNode,
            })
        }
    };
    match what {
        WorkedOn::Node(node) => {
            known_nodes(txn, &BTreeSet::from([node.clone()]))?;
            let text = on_node(txn, node, on, env);
            Ok(recorded(Vec::new(), text))
        }
        WorkedOn::EveryNode => every_node(txn, on, env),
        WorkedOn::Placement(name) => on_placement(txn, name, on, env),
    }
}

fn sensible(on: &Maintain) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    let (bytes, max) = (on.why.len(), limits::SAID_BYTES_MAX);
    if bytes > max {
        return refused(format!("a reason of {bytes} bytes; at most {max} are kept"));
    }
    match on.within {
        Some(within) if within.is_zero() => {
            refused("it would be over at once; say how long it takes, as in 30m".to_owned())
        }
        Some(within) if within > limits::MAINTENANCE_MAX => {
            let most = humantime::format_duration(limits::MAINTENANCE_MAX);
            refused(format!(
                "{} is more than {most}; without a time it lasts until somebody ends it",
                humantime::format_duration(within)
            ))
        }
        Some(_) | None => Ok(()),
    }
}

fn on_node(txn: &mut Txn<'_>, node: &NodeName, on: Option<Maintenance>, env: &Env) -> String {
    let before = txn.node(node).expect("it is known").care.maintenance;
    let on = on.map(|on| beside(before.as_ref(), on));
    let text = said(node.as_str(), before.as_ref(), on.as_ref());
    match on {
        None if before.is_none() => {}
        None => verb::end_maintenance(txn, node, env),
        Some(on) => txn
            .update_node(node, |node| {
                node.care.maintenance = Some(on);
                node.lost_at = None;
            })
            .expect("every state of a node may follow itself"),
    }
    text
}

/// What is said of the node and what is said of all nodes: neither ends before the other. What is said of the same anew
/// counts alone; its reason stays where no other is given.
fn beside(before: Option<&Maintenance>, mut on: Maintenance) -> Maintenance {
    let Some(before) = before else {
        return on;
    };
    if before.of_all == on.of_all {
        if on.said.why.is_empty() {
            on.said.why.clone_from(&before.said.why);
        }
        return on;
    }
    let until = before.until.zip(on.until);
    let until = until.map(|(one, other)| one.max(other));
    let own = if before.of_all { on } else { before.clone() };
    Maintenance { until, ..own }
}

/// Of those that are there now; what joins later is not worked on. A node whose maintenance is its own keeps it.
fn every_node(txn: &mut Txn<'_>, on: Option<Maintenance>, env: &Env) -> Result_ {
    let mut nodes = txn.node_names();
    let own: Vec<NodeName> = nodes
        .extract_if(.., |node| {
            let maintenance = txn.node(node).and_then(|node| node.care.maintenance);
            maintenance.is_some_and(|own| !own.of_all)
        })
        .collect();
    let worked_on = |txn: &Txn<'_>, node: &NodeName| {
        txn.node(node)
            .is_some_and(|node| node.care.maintenance.is_some())
    };
    let ended = nodes.iter().filter(|node| worked_on(txn, node)).count();
    for node in &nodes {
        on_node(txn, node, on.clone(), env);
    }
    if let Some(on) = &on {
        for node in &own {
            on_node(txn, node, Some(on.clone()), env);
        }
    }
    let mut text = match (&on, nodes.len(), ended) {
        (_, 0, _) if own.is_empty() => "there is no node".to_owned(),
        (Some(_), 0, _) => "every node is in maintenance already".to_owned(),
        (Some(on), many, _) => {
            let are = if many == 1 { "node is" } else { "nodes are" };
            let time = for_how_long(on);
            format!("{many} {are} in maintenance{time}: whatever happens there is left as it is")
        }
        (None, _, 0) => "no maintenance of all nodes is under way".to_owned(),
        (None, _, many) => {
            let nodes = if many == 1 { "node" } else { "nodes" };
            format!("the maintenance of {many} {nodes} is over; what is there is judged again")
        }
    };
    if !own.is_empty() {
        let names: Vec<&str> = own.iter().map(NodeName::as_str).collect();
        let names = names.join(", ");
        text.push_str(&format!(
            "; what was said of one node alone goes on: {names}"
        ));
    }
    Ok(recorded(Vec::new(), text))
}

/// " for 2h at most".
fn for_how_long(on: &Maintenance) -> String {
    let Some(until) = on.until else {
        return " until somebody ends it".to_owned();
    };
    // As long as another goes on, that is no whole second.
    let within = Duration::from_secs(until.since(on.said.at).as_secs_f64().ceil() as u64);
    format!(" for {} at most", humantime::format_duration(within))
}

fn on_placement(
    txn: &mut Txn<'_>,
    name: &PlacementName,
    on: Option<Maintenance>,
    env: &Env,
) -> Result_ {
    let Some(mut placement) = txn.placement(name) else {
        let text = name.as_str();
        let what = "the placement";
        let mut refusal = unknown(code::NOT_FOUND, what, text, txn, Kind::Placement);
        // A node is worked on as well, and has a slash before its name.
        let node = txn
            .node_names()
            .into_iter()
            .find(|node| node.as_str() == text);
        refusal
            .nearest
            .splice(0..0, node.map(|node| format!("node/{node}")));
        return Err(refusal);
    };
    wish::refuse_leaving(name, &placement)?;
    let text = said(name.as_str(), placement.maintenance.as_ref(), on.as_ref());
    match on {
        None if placement.maintenance.is_none() => {}
        None => verb::end_placement_maintenance(txn, name, env),
        Some(on) => {
            placement.maintenance = Some(beside(placement.maintenance.as_ref(), on));
            wish::write(txn, name, placement);
        }
    }
    Ok(recorded(txn.instances_of(name), text))
}

fn said(what: &str, before: Option<&Maintenance>, now: Option<&Maintenance>) -> String {
    match (before, now) {
        (None, None) => format!("{what} is not in maintenance"),
        (Some(_), None) => {
            format!("the maintenance of {what} is over; what is there is judged again")
        }
        // The newest word counts: it may be needed for longer.
        (Some(_), Some(on)) => {
            let time = for_how_long(on);
            format!("{what} stays in maintenance{time}, as was said now")
        }
        (None, Some(on)) => {
            let time = for_how_long(on);
            format!("{what} is in maintenance{time}: whatever happens there is left as it is")
        }
    }
}
