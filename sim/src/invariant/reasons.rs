//! Invariants 1 and 5 in the graph: what its own checks find wrong; reasons and times above all.

use mainstay_resource_graph::{Graph, check};

use super::demand;
use crate::world::Held;

pub(super) fn graph(graph: &Graph) -> Held {
    let problems = check(graph);
    demand("reasons", problems.is_empty(), || {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        texts.join("; ")
    })
}
