//! Invariant 3: a report and its effects are one entry, and nothing is acknowledged that is not committed.

use std::collections::BTreeSet;

use mainstay_coordinator::Entry;
use mainstay_protocol::{NodeEpoch, NodeName, Sequence};
use mainstay_resource_graph::{Cause, Change, Graph, Key, Vertex, View};

use super::demand;
use crate::world::Held;

const NAME: &str = "exactly once";

/// Whose report changed this vertex.
fn reporter(key: &Key) -> Option<&NodeName> {
    match key {
        Key::Instance(instance) => Some(&instance.node),
        Key::Supervisor(node) => Some(node),
        _ => None,
    }
}

pub(super) fn entry(entry: &Entry) -> Held {
    let mut moved = BTreeSet::new();
    let mut affected = BTreeSet::new();
    for change in &entry.delta.changes {
        let Change::Put(record) = change else {
            continue;
        };
        if let Key::Outbox(node) = &record.key {
            moved.insert(node);
        }
        match (&record.cause, &record.vertex) {
            // Whoever saw it last has said so.
            (Cause::Report(report), Vertex::Supervisor(known)) if report == "guard_saw" => {
                let last = known.seen.iter().max_by_key(|(_, seen)| seen.at);
                affected.extend(last.map(|(guard, _)| guard));
            }
            (Cause::Report(report), Vertex::Instance(known)) if report == "watcher_saw" => {
                let last = known.seen_from.iter().max_by_key(|(_, seen)| seen.at);
                affected.extend(last.map(|(watcher, _)| watcher));
            }
            (Cause::Report(_), _) => affected.extend(reporter(&record.key)),
            (_, _) => {}
        }
    }
    for node in affected {
        demand(NAME, moved.contains(node), || {
            format!(
                "revision {} has effects of a report of {node}, and the watermark stands",
                entry.delta.expected.next()
            )
        })?;
    }
    Ok(())
}

pub(super) fn acknowledged(
    durable: &Graph,
    node: &NodeName,
    epoch: NodeEpoch,
    up_to: Sequence,
) -> Held {
    let committed = durable
        .record(&Key::Outbox(node.clone()))
        .is_some_and(|record| match &record.vertex {
            Vertex::Outbox(outbox) => (outbox.node_epoch, outbox.watermark) >= (epoch, up_to),
            _ => false,
        });
    demand(NAME, committed, || {
        format!("reports of {node} up to {up_to} of epoch {epoch} are acknowledged, not committed")
    })
}
