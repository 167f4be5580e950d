//! `apply` of the delta of one failed instance, in small and large graphs. Prints a table; ends with 1 if the large
//! graph costs more than three times as much.

mod cluster;

use std::collections::BTreeSet;
use std::process::ExitCode;

use mainstay_coordinator::{Env, Rules, step};
use mainstay_resource_graph::View;

fn main() -> ExitCode {
    let rules = Rules::shipped();
    cluster::compare("apply, one failure", |cluster| {
        let event = cluster.next_failure();
        let env = Env::new(
            cluster.now(),
            cluster::leadership(),
            cluster::settings(),
            cluster.graph.revision().next(),
        );
        let stepped = step(&cluster.graph, &rules, &[event], BTreeSet::new(), &env);
        let begun = std::time::Instant::now();
        let applied = cluster.graph.apply(&stepped.delta);
        let took = begun.elapsed();
        assert!(applied.changed);
        took
    })
}
