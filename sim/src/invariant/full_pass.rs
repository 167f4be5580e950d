//! What the rules left alone is as they want it: a full pass at the same time writes nothing.

use std::collections::BTreeSet;

use mainstay_coordinator::{Entry, Env, LeaderCore, step};
use mainstay_resource_graph::{Key, Kind, View, ViewExt};

use super::demand;
use crate::rules;
use crate::world::Held;

pub(super) fn writes_nothing(core: &LeaderCore, entry: &Entry) -> Held {
    let graph = core.graph();
    let Some(cluster) = graph.cluster() else {
        return Ok(());
    };
    let mut left: BTreeSet<Key> = Kind::ALL
        .into_iter()
        .flat_map(|kind| graph.keys(kind))
        .collect();
    let env = Env::new(
        entry.log_time,
        entry.leadership,
        cluster.settings,
        graph.revision().next(),
    );
    // More than one step takes, where there are very many.
    while !left.is_empty() {
        let stepped = step(graph, &rules::rules(), &[], left, &env);
        demand("full pass", stepped.delta.is_empty(), || {
            let decisions: Vec<String> = stepped
                .decisions
                .iter()
                .map(|decision| format!("{} on {}", decision.rule, decision.subject))
                .collect();
            format!(
                "after revision {} a full pass writes {:?} ({})",
                graph.revision(),
                stepped.delta.changes,
                decisions.join(", ")
            )
        })?;
        left = stepped.rest;
    }
    Ok(())
}
