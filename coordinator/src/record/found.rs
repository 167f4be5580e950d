//! The cluster and its station come into the graph: at the first start, and again whenever a station's facts change.

use mainstay_resource_graph::{Cluster, Key, Station, Txn, Vertex, View};

use crate::env::Env;
use crate::event::Found;

pub fn found(txn: &mut Txn<'_>, found: &Found, env: &Env) {
    if txn.record(&Key::Cluster).is_none() {
        let cluster = Cluster {
            id: found.cluster,
            epoch: env.leadership.epoch,
            name: found.name.clone(),
            settings: found.settings.clone(),
            rules_off: std::collections::BTreeMap::new(),
        };
        txn.put(Key::Cluster, Vertex::Cluster(cluster))
            .expect("it is the first");
    }
    let station = Station {
        id: found.station,
        address: found.address.clone(),
        build: found.build.clone(),
    };
    txn.put(Key::Station(found.station), Vertex::Station(station))
        .expect("a station has no transitions");
}
