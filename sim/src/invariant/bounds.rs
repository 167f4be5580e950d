//! Invariant 6: every queue, entry and history has a bound.

use mainstay_coordinator::{Entry, LeaderCore};
use mainstay_protocol::limits;

use super::demand;
use crate::node::Node;
use crate::world::Held;

const NAME: &str = "bounds";

pub(super) fn entry(entry: &Entry) -> Held {
    for decision in &entry.decisions {
        demand(
            NAME,
            decision.saw.len() <= limits::DECISION_READS_MAX,
            || format!("{} saw {} things", decision.rule, decision.saw.len()),
        )?;
    }
    // Of a full node each instance may change, and its command go; beside that what one step judges.
    let most = 4 * limits::INSTANCES_PER_NODE_MAX + 16 * limits::STEP_SUBJECTS_MAX;
    let changes = entry.delta.changes.len();
    demand(NAME, changes <= most, || {
        format!("an entry of {changes} changes")
    })
}

pub(super) fn inbox(core: &LeaderCore) -> Held {
    // Introductions and ends of sessions are never refused: one of each for every node.
    let most = limits::INBOX_EVENTS_MAX + 1024;
    demand(NAME, core.inbox_depth() <= most, || {
        format!("{} events wait", core.inbox_depth())
    })
}

pub(super) fn node(node: &Node) -> Held {
    let Some(core) = node.core.as_ref() else {
        return Ok(());
    };
    let depth = core.outbox_depth();
    let most = limits::OUTBOX_REPORTS_MAX + limits::OUTBOX_ANSWERS_MAX;
    demand(NAME, depth <= most as u64, || {
        format!("{depth} reports wait on {}", node.name)
    })
}
