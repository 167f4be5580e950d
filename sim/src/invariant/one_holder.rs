//! Invariant 1: per node and name at most one holder, and per instance at most one incarnation, in what really
//! lives. (In the graph the same is part of `reasons`, through the graph's own checks.)

use std::collections::BTreeMap;

use super::demand;
use crate::node::Node;
use crate::world::Held;

const NAME: &str = "one holder";

pub(super) fn node(node: &Node) -> Held {
    let mut names = BTreeMap::new();
    let mut instances = BTreeMap::new();
    for actor in node.host.actors.values() {
        let start = &actor.start;
        let who = format!("{}#{}", start.instance, start.incarnation);
        if let Some(other) = instances.insert(&start.instance, who.clone()) {
            demand(NAME, false, || format!("{other} and {who} live at once"))?;
        }
        if let Some(other) = names.insert(&start.name, who.clone()) {
            demand(NAME, false, || {
                format!(
                    "{other} and {who} both hold {} on {}",
                    start.name, node.name
                )
            })?;
        }
    }
    Ok(())
}
