//! `step` for one failed instance, in small and large graphs: what one event costs must not depend on how much else
//! there is. Prints a table; ends with 1 if the large graph costs more than three times as much.

mod cluster;

use std::collections::BTreeSet;
use std::process::ExitCode;

use mainstay_coordinator::{Env, Rules, step};
use mainstay_resource_graph::View;

fn main() -> ExitCode {
    let rules = Rules::shipped();
    cluster::compare("step, one failure", |cluster| {
        let event = cluster.next_failure();
        let env = Env::new(
            cluster.now(),
            cluster::leadership(),
            cluster::settings(),
            cluster.graph.revision().next(),
        );
        let begun = std::time::Instant::now();
        let stepped = step(&cluster.graph, &rules, &[event], BTreeSet::new(), &env);
        let took = begun.elapsed();
        assert_eq!(stepped.decisions.len(), 1, "it is restarted at once");
        took
    })
}
