//! What stands behind a node's state: what its session says, what is left alone there, what people have said of it.

use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::{Care, Key, Node, Record, View, ViewExt};

use super::{Cause, brake_reason, plain};
use crate::rules::restart_host;

pub fn cause(view: &dyn View, node: &Node, record: &Record) -> Cause {
    Cause {
        reason: reason(&record.key, node),
        because: strays(record, node)
            .into_iter()
            .chain(restarted(record, node))
            .chain(cared_for(record, node))
            .collect(),
        evidence: held(view, node),
        ..plain(record, node.state.as_str())
    }
}

/// Why a node is as it is: what its session says, else what people have said of it.
pub fn reason(key: &Key, node: &Node) -> Option<Reason> {
    node.reason.clone().or_else(|| said(key, &node.care))
}

fn said(key: &Key, care: &Care) -> Option<Reason> {
    let maintained = care.maintenance.as_ref().map(|on| {
        let text = format!("{key} is in maintenance, {}", on.said);
        Reason::new(code::IN_MAINTENANCE, text)
    });
    let cordoned = care.cordon.as_ref().map(|cordon| {
        let code = match cordon.drains {
            true => code::NODE_DRAINED,
            false => code::NODE_CORDONED,
        };
        Reason::new(code, format!("{key} {cordon}"))
    });
    maintained.or(cordoned)
}

/// What people have said of a node that is away: there its reason says something else.
fn cared_for(record: &Record, node: &Node) -> Option<Cause> {
    node.reason.as_ref()?;
    Some(Cause {
        reason: Some(said(&record.key, &node.care)?),
        ..plain(record, "set aside")
    })
}

/// That it is not given up, since so many are away.
fn held(view: &dyn View, node: &Node) -> Option<String> {
    if !node.state.is_away() {
        return None;
    }
    let held = brake_reason(&view.cluster()?)?;
    Some(format!("{}: {}", held.code, held.text))
}

/// What runs on a node and is not the graph's: where each is left alone, why.
fn strays(record: &Record, node: &Node) -> Vec<Cause> {
    let left_alone = node.strays.iter().filter_map(|(name, stray)| {
        let reason = stray.held.clone()?;
        Some(Cause {
            state: format!("host of {name} (incarnation {}) as well", stray.incarnation),
            reason: Some(reason),
            ..plain(record, "")
        })
    });
    left_alone.collect()
}

/// That its machine is being restarted, or what came of that if it is not back; of what was before its state now, nothing.
fn restarted(record: &Record, node: &Node) -> Option<Cause> {
    let restart = node.restart.as_ref()?;
    let (state, reason, since) = match &restart.ended {
        Some(ended) if ended.at < record.since => return None,
        None => {
            let text = format!("it is being restarted, {}", restart.said);
            let reason = Reason::new(code::PROCEDURE_STEP, text);
            ("being restarted", reason, restart.said.at)
        }
        Some(ended) => {
            let text = format!("{} ({})", ended.text, restart.said);
            let reason = Reason::new(restart_host::code_of(ended.how)?, text);
            ("not restarted", reason, ended.at)
        }
    };
    Some(Cause {
        reason: Some(reason),
        since,
        ..plain(record, state)
    })
}
