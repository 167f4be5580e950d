//! Maintenance: somebody works on a node, on every node, or on what a placement wants. Whatever happens there meanwhile is
//! left as it is.

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{NodeName, PlacementName, limits};
use mainstay_resource_graph::{Kind, Maintenance, Said, Txn, View, ViewExt};
use std::collections::BTreeSet;

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
            })
        }
    };
    match what {
        WorkedOn::Node(node) => {
            known_nodes(txn, &BTreeSet::from([node.clone()]))?;
            Ok(recorded(Vec::new(), on_node(txn, node, on, env)))
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
        Some(_) | None => Ok(()),
    }
}

fn on_node(txn: &mut Txn<'_>, node: &NodeName, on: Option<Maintenance>, env: &Env) -> String {
    let before = txn.node(node).expect("it is known").care.maintenance;
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

/// Of those that are there now; what joins later is not worked on.
fn every_node(txn: &mut Txn<'_>, on: Option<Maintenance>, env: &Env) -> Result_ {
    let nodes = txn.node_names();
    for node in &nodes {
        on_node(txn, node, on.clone(), env);
    }
    let text = match (on, nodes.len()) {
        (_, 0) => "there is no node".to_owned(),
        (Some(_), many) => {
            format!(
                "all nodes, {many}, are in maintenance: whatever happens there is left as it is"
            )
        }
        (None, _) => "no node is in maintenance any more; what is there is judged again".to_owned(),
    };
    Ok(recorded(Vec::new(), text))
}

fn on_placement(
    txn: &mut Txn<'_>,
    name: &PlacementName,
    on: Option<Maintenance>,
    env: &Env,
) -> Result_ {
    let Some(mut placement) = txn.placement(name) else {
        let text = name.as_str();
        return Err(unknown(
            code::NOT_FOUND,
            "the placement",
            text,
            txn,
            Kind::Placement,
        ));
    };
    wish::refuse_leaving(name, &placement)?;
    let text = said(name.as_str(), placement.maintenance.as_ref(), on.as_ref());
    match on {
        None if placement.maintenance.is_none() => {}
        None => verb::end_placement_maintenance(txn, name, env),
        Some(on) => {
            placement.maintenance = Some(on);
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
        (Some(_), Some(_)) => format!("{what} stays in maintenance, as was said now"),
        (None, Some(on)) => {
            let until = match on.until {
                Some(_) => "",
                None => " until somebody ends it",
            };
            format!("{what} is in maintenance{until}: whatever happens there is left as it is")
        }
    }
}
