//! The cluster and its station come into the graph: at the first start, and again whenever a station's facts change.
//! A new life of the station is told from another term of the same one, and how the life before ended.

use mainstay_protocol::{StationId, StationRunId};
use mainstay_resource_graph::{
    Cluster, Key, Station, StationBegan, StationState, Txn, Vertex, View,
};

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
    let began = match known(txn, found.station) {
        None => StationBegan::First,
        Some(was) if was.run == found.run => was.began,
        Some(was) => match was.state {
            StationState::Stopped => StationBegan::AfterOrderlyEnd,
            StationState::Running => StationBegan::AfterNoWord,
        },
    };
    let station = Station {
        id: found.station,
        address: found.address.clone(),
        build: found.build.clone(),
        run: found.run,
        state: StationState::Running,
        began,
    };
    put(txn, station);
}

/// The last words of this life of the station.
pub fn station_stops(txn: &mut Txn<'_>, id: StationId, run: StationRunId) {
    if let Some(station) = known(txn, id).filter(|station| station.run == run) {
        let state = StationState::Stopped;
        put(txn, Station { state, ..station });
    }
}

fn known(txn: &Txn<'_>, id: StationId) -> Option<Station> {
    match &txn.record(&Key::Station(id))?.vertex {
        Vertex::Station(station) => Some(station.clone()),
        _ => None,
    }
}

fn put(txn: &mut Txn<'_>, station: Station) {
    txn.put(Key::Station(station.id), Vertex::Station(station))
        .expect("a station has no transitions");
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::code;
    use mainstay_protocol::{ClusterId, Leadership, Revision, Timestamp};
    use mainstay_resource_graph::event::derive;
    use mainstay_resource_graph::{Cause, Event, Graph, Settings};
    use uuid::Uuid;

    use super::*;
    use crate::why;

    const S1: Key = Key::Station(StationId(1));

    fn run(number: u128) -> StationRunId {
        StationRunId(Uuid::from_u128(number))
    }

    fn leads(number: u128) -> Found {
        Found {
            cluster: ClusterId(Uuid::from_u128(1)),
            name: "test".parse().unwrap(),
            settings: Settings::LAN,
            station: StationId(1),
            address: "unix:s1".to_owned(),
            build: "0.1.0".to_owned(),
            run: run(number),
        }
    }

    /// What was told, and whether `why` has something to say of it.
    fn told(graph: &mut Graph, act: impl FnOnce(&mut Txn<'_>, &Env)) -> (Vec<String>, bool) {
        let now = Timestamp(0);
        let env = Env::new(now, Leadership::default(), Settings::LAN, Revision(1));
        let mut txn = graph.begin(now, Cause::Start);
        act(&mut txn, &env);
        let delta = txn.finish();
        let before = graph.clone();
        let events = derive(|key| before.record(key), &delta);
        graph.apply(&delta);
        let why = why::why(graph, &S1).unwrap();
        let restarted = why
            .tree
            .reason
            .is_some_and(|reason| reason.code == code::STATION_RESTARTED);
        let kinds = events.into_iter().map(|event: Event| event.kind);
        let of_station = kinds.filter(|kind| kind.starts_with("station."));
        (of_station.collect(), restarted)
    }

    // proves: S12, S13
    #[test]
    fn each_life_of_a_station_is_told_and_how_the_one_before_it_ended() {
        let mut graph = Graph::new();
        let lead =
            |graph: &mut Graph, number| told(graph, |txn, env| found(txn, &leads(number), env));
        let says = |kind: &str, restarted| (vec![kind.to_owned()], restarted);
        assert_eq!(lead(&mut graph, 1), says("station.joined", false));
        assert_eq!(lead(&mut graph, 1), (vec![], false), "another term of it");
        assert_eq!(lead(&mut graph, 2), says("station.restarted", true));
        assert_eq!(lead(&mut graph, 2), (vec![], true));
        let stop = |number| {
            move |txn: &mut Txn<'_>, _: &Env| station_stops(txn, StationId(1), run(number))
        };
        assert_eq!(told(&mut graph, stop(1)), (vec![], true), "not its word");
        assert_eq!(told(&mut graph, stop(2)), says("station.stopped", true));
        assert_eq!(lead(&mut graph, 3), says("station.started", false));
    }
}
