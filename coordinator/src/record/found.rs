//! The cluster and its stations come into the graph: at the first start, and again whenever a station's facts change.
//! A new life of a station is told from another term of the same one, and how the life before ended.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::{StationId, StationRunId};
use mainstay_resource_graph::{
    Brake, Cluster, Key, Kind, NodeState, SealedAuthority, Station, StationBegan, StationState,
    Txn, Vertex, View, ViewExt,
};

use super::epoch;
use super::operation::access;
use crate::env::Env;
use crate::event::{Found, StationLife, StationSeen};

pub fn found(txn: &mut Txn<'_>, found: &Found, env: &Env) {
    let known = txn.cluster();
    if let Some(known) = known
        .clone()
        .filter(|known| known.epoch < env.leadership.epoch)
    {
        epoch::raise(txn, known, env);
    }
    if known.is_none() {
        let cluster = Cluster {
            id: found.cluster,
            epoch: env.leadership.epoch,
            name: found.name.clone(),
            settings: found.settings.clone(),
            rules_off: std::collections::BTreeMap::new(),
            groups: std::collections::BTreeMap::new(),
            brake: None,
            epoch_began: None,
            authority: None,
        };
        txn.put(Key::Cluster, Vertex::Cluster(cluster))
            .expect("it is the first");
    }
    if let Some((authority, key)) = &found.authority {
        founded(txn, authority);
        access::admit_founder(txn, found.station, *key);
    }
    wait_anew(txn, env);
    let was = txn.station(found.station);
    let station = Station {
        id: found.station,
        address: found.address.clone(),
        node: found.life.node.clone(),
        build: found.life.build.clone(),
        run: Some(found.life.run),
        state: StationState::Running,
        began: began(was.as_ref(), &found.life),
    };
    put(txn, station);
}

/// Nobody is given up before this coordinator could have heard it.
fn wait_anew(txn: &mut Txn<'_>, env: &Env) {
    let heard_by = env.now + Duration::from_millis(env.settings.grace_ms);
    if let Some(cluster) = txn.cluster()
        && let Some(brake) = cluster.brake.clone()
    {
        // It may be this station that is alone: it holds them for as long as the one before it did.
        let until = env.now + Duration::from_millis(env.settings.brake_ms);
        let until = until.max(brake.until);
        let brake = Some(Brake { until, ..brake });
        txn.put(Key::Cluster, Vertex::Cluster(Cluster { brake, ..cluster }))
            .expect("a cluster has no transitions");
    }
    for key in txn.keys(Kind::Node) {
        let Key::Node(name) = key else { continue };
        let Some(node) = txn.node(&name).filter(|node| node.state.is_away()) else {
            continue;
        };
        txn.update_node(&name, |found| {
            found.lost_at = node.lost_at.map(|at| at.max(heard_by));
            // Cut off from the coordinator before: this one may reach it.
            if let (NodeState::Isolated, Some(away)) = (node.state, &mut found.away) {
                away.found = env.now;
            }
        })
        .expect("every state of a node may follow itself");
    }
}

/// A cluster's authority stays the one it was founded with.
fn founded(txn: &mut Txn<'_>, authority: &SealedAuthority) {
    let cluster = txn.cluster().filter(|cluster| cluster.authority.is_none());
    if let Some(cluster) = cluster {
        let authority = Some(authority.clone());
        txn.put(
            Key::Cluster,
            Vertex::Cluster(Cluster {
                authority,
                ..cluster
            }),
        )
        .expect("a cluster has no transitions");
    }
}

fn began(was: Option<&Station>, life: &StationLife) -> StationBegan {
    let Some(was) = was else {
        return StationBegan::First;
    };
    match (was.run, was.state) {
        (None, _) => StationBegan::First,
        (Some(run), _) if run == life.run => was.began,
        (Some(_), StationState::Stopped) => StationBegan::AfterOrderlyEnd,
        (
            Some(_),
            StationState::Running
            | StationState::Joining
            | StationState::Away
            | StationState::Removed,
        ) => StationBegan::AfterNoWord,
    }
}

/// The whole group as whoever leads sees it: what is not in it is no part of it any more.
pub fn stations(txn: &mut Txn<'_>, group: &BTreeMap<StationId, StationSeen>) {
    for (id, seen) in group {
        let was = txn.station(*id);
        let now = met(*id, was.as_ref(), seen);
        if was.as_ref() != Some(&now) {
            put(txn, now);
        }
    }
    for key in txn.keys(Kind::Station) {
        let Key::Station(id) = key else { continue };
        let left = txn.station(id).filter(|_| !group.contains_key(&id));
        if let Some(station) = left.filter(|station| station.state != StationState::Removed) {
            let state = StationState::Removed;
            put(txn, Station { state, ..station });
        }
    }
}

fn met(id: StationId, was: Option<&Station>, seen: &StationSeen) -> Station {
    let before = was.map_or(StationState::Away, |was| was.state);
    let state = match seen.heard {
        _ if !seen.votes => StationState::Joining,
        Some(true) => StationState::Running,
        // It said that it would end.
        Some(false) if before == StationState::Stopped => StationState::Stopped,
        Some(false) => StationState::Away,
        None if before == StationState::Joining => StationState::Away,
        None => before,
    };
    let life = seen.life.as_ref();
    let node = life.map_or_else(
        || was.and_then(|was| was.node.clone()),
        |life| life.node.clone(),
    );
    let build = life.map_or_else(
        || was.map_or_else(String::new, |was| was.build.clone()),
        |life| life.build.clone(),
    );
    Station {
        id,
        address: seen.address.clone(),
        node,
        build,
        run: life.map(|life| life.run).or(was.and_then(|was| was.run)),
        state,
        began: match (life, was) {
            (Some(life), _) => began(was, life),
            (None, Some(was)) => was.began,
            (None, None) => StationBegan::First,
        },
    }
}

/// The last words of this life of the station.
pub fn station_stops(txn: &mut Txn<'_>, id: StationId, run: StationRunId) {
    let lives =
        |station: &Station| station.run == Some(run) && station.state != StationState::Removed;
    if let Some(station) = txn.station(id).filter(lives) {
        let state = StationState::Stopped;
        put(txn, Station { state, ..station });
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

    fn life(number: u128) -> StationLife {
        StationLife {
            run: run(number),
            build: "0.1.0".to_owned(),
            node: None,
        }
    }

    fn leads(number: u128) -> Found {
        Found {
            cluster: ClusterId(Uuid::from_u128(1)),
            name: "test".parse().unwrap(),
            settings: Settings::LAN,
            station: StationId(1),
            address: "unix:s1".to_owned(),
            life: life(number),
            authority: None,
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

    // proves: S12, S24
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

    fn seen(votes: bool, heard: Option<bool>, number: u128) -> StationSeen {
        StationSeen {
            address: "unix:s2".to_owned(),
            votes,
            heard,
            life: (number > 0).then(|| life(number)),
        }
    }

    const S2: StationId = StationId(2);

    /// What is told when the leader, s1, sees the other so, and how it stands then.
    fn sees(
        graph: &mut Graph,
        other: Option<StationSeen>,
    ) -> (String, StationState, Option<code::Code>) {
        let own = StationSeen {
            address: "unix:s1".to_owned(),
            ..seen(true, Some(true), 1)
        };
        let mut group = BTreeMap::from([(StationId(1), own)]);
        group.extend(other.map(|other| (S2, other)));
        let kinds = told(graph, |txn, _| stations(txn, &group)).0;
        let record = graph.record(&Key::Station(S2)).unwrap();
        let Vertex::Station(station) = &record.vertex else {
            panic!("{record:?}");
        };
        let reason = why::station_reason(station).map(|reason| reason.code);
        (kinds.join(" "), station.state, reason)
    }

    // proves: S17, S24
    #[test]
    fn a_station_joins_votes_is_missed_comes_back_and_is_removed_for_ever() {
        use StationState::{Away, Joining, Removed, Running};
        let joining = || Some(code::STATION_JOINING);
        let away = || Some(code::STATION_AWAY);
        let restarted = || Some(code::STATION_RESTARTED);
        let mut graph = Graph::new();
        told(&mut graph, |txn, env| found(txn, &leads(1), env));
        let mut is = |other, kind: &str, state, code| {
            assert_eq!(sees(&mut graph, other), (kind.to_owned(), state, code));
        };
        is(
            Some(seen(false, None, 0)),
            "station.joined",
            Joining,
            joining(),
        );
        is(
            Some(seen(false, Some(true), 5)),
            "station.changed",
            Joining,
            joining(),
        );
        is(
            Some(seen(true, Some(true), 5)),
            "station.voting",
            Running,
            None,
        );
        is(Some(seen(true, None, 5)), "", Running, None);
        is(
            Some(seen(true, Some(false), 5)),
            "station.away",
            Away,
            away(),
        );
        is(Some(seen(true, None, 5)), "", Away, away());
        is(
            Some(seen(true, Some(true), 5)),
            "station.heard",
            Running,
            None,
        );
        is(
            Some(seen(true, Some(false), 5)),
            "station.away",
            Away,
            away(),
        );
        is(
            Some(seen(true, Some(true), 6)),
            "station.restarted",
            Running,
            restarted(),
        );
        is(None, "station.removed", Removed, None);
        is(None, "", Removed, None);
        let last_words = |txn: &mut Txn<'_>, _: &Env| station_stops(txn, S2, run(6));
        assert!(
            told(&mut graph, last_words).0.is_empty(),
            "it stays removed"
        );
    }
}
