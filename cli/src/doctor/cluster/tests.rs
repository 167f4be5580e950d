//! Each outcome of each check of a cluster, from facts.

use std::time::{Duration, SystemTime};

use mainstay_api::Time;
use mainstay_api::present::certificate;
use mainstay_api::types::{Counts, Node, Station, Status};
use mainstay_protocol::Bearer;

use super::*;
use crate::doctor::{self, Answered, Machine};
use crate::tests::runs_as_written;

fn station(number: usize, role: &str) -> Station {
    Station {
        id: format!("s{number}"),
        node: None,
        role: role.to_owned(),
        state: "Running".to_owned(),
        reason: None,
        address: format!("10.0.0.{number}:7600"),
        build: "0.1.0".to_owned(),
        since: Time::from_wall_ms(0),
    }
}

fn reached(name: &str, ahead_ms: i64) -> Reached {
    Reached {
        name: name.to_owned(),
        answer: Ok(Answered {
            build: Some("0.1.0".to_owned()),
            ahead_ms: Some(ahead_ms),
            took: Duration::from_millis(3),
        }),
    }
}

/// Three stations, all is well.
fn good() -> Cluster {
    Cluster {
        context: "prod".to_owned(),
        start: "mainstay station run --help".to_owned(),
        stations: vec![reached("s1", 12)],
        status: Some(Status {
            verdict: Verdict::Healthy,
            quorum: true,
            leader: Some("s1".to_owned()),
            term: Some(3),
            data_age_ms: 0,
            nodes: Counts { total: 1, ok: 1 },
            instances: Counts { total: 2, ok: 2 },
            problems: Vec::new(),
            working_on: Vec::new(),
            scheduled: Vec::new(),
            rules_off: Vec::new(),
            broken: None,
            set_aside: Vec::new(),
        }),
        group: vec![
            station(1, "leader"),
            station(2, "follower"),
            station(3, "follower"),
        ],
        nodes: vec![Node {
            name: "n1".to_owned(),
            id: String::new(),
            state: "Online".to_owned(),
            role: "agent".to_owned(),
            build: "mainstay 0.1.0".to_owned(),
            address: None,
            labels: Default::default(),
            schedulable: true,
            maintenance: false,
            maintenance_until: None,
            heard_ms: None,
            instances: Counts::default(),
            room: Default::default(),
            reason: None,
            since: Time::from_wall_ms(0),
            strays: Vec::new(),
            restart: None,
        }],
        certificates: Vec::new(),
    }
}

fn judged(cluster: Known) -> Vec<Check> {
    let facts = Facts {
        now: SystemTime::now(),
        build: "0.1.0".to_owned(),
        machine: Machine {
            kernel: "6.8.0".to_owned(),
            open_files: None,
            processes: None,
            memory_groups: true,
        },
        directories: Vec::new(),
        listens: Vec::new(),
        kept: Vec::new(),
        unreadable: Vec::new(),
        cluster,
    };
    judge(&facts)
}

#[track_caller]
fn expect(change: impl Fn(&mut Cluster), name: &str, state: State, says: &str) {
    let mut cluster = good();
    change(&mut cluster);
    let checks = judged(Known::Of(Box::new(cluster)));
    let one = checks.iter().find(|check| check.check == name);
    let one = one.unwrap_or_else(|| panic!("{name} is checked: {checks:#?}"));
    assert_eq!(one.state, state, "{one:?}");
    assert!(one.detail.contains(says), "{one:?}");
    assert_eq!(one.to_do.is_none(), state == State::Ok, "{one:?}");
    assert!(one.to_do.as_deref().is_none_or(runs_as_written), "{one:?}");
}

// proves: U1
#[test]
fn in_a_good_cluster_nothing_is_to_be_done() {
    let checks = judged(Known::Of(Box::new(good())));
    assert_eq!(doctor::worst(&checks), State::Ok, "{checks:#?}");
}

#[test]
fn where_there_is_no_cluster_yet_that_is_no_fault_and_a_damaged_context_is() {
    let before = judged(Known::None);
    assert_eq!(doctor::worst(&before), State::Ok, "{before:#?}");
    let damaged = Known::Unusable("it is damaged".to_owned(), "mainstay dev".to_owned());
    let damaged = judged(damaged);
    assert_eq!(doctor::worst(&damaged), State::Fail, "{damaged:#?}");
    assert!(
        damaged
            .iter()
            .all(|check| check.to_do.as_deref().is_none_or(runs_as_written))
    );
}

#[test]
fn a_clock_that_is_off_is_told_with_how_far_and_which_way() {
    let ahead = |ms| move |cluster: &mut Cluster| cluster.stations = vec![reached("s1", ms)];
    expect(ahead(-5_000), "clock", State::Ok, "5.0 s behind");
    expect(ahead(5_001), "clock", State::Warn, "ahead of");
    expect(ahead(-9_000), "clock", State::Warn, "9.0 s behind");
    let hour = limits::CLOCK_SKEW_MS_MAX as i64;
    expect(ahead(hour), "clock", State::Warn, "do not agree");
    expect(ahead(hour + 1), "clock", State::Fail, "MS-CLOCK");
}

#[test]
fn a_station_that_does_not_answer_is_worse_where_no_other_does() {
    let silent = || Reached {
        name: "10.0.0.2:7600".to_owned(),
        answer: Err("connection refused".to_owned()),
    };
    expect(
        |cluster| cluster.stations = vec![silent()],
        "station",
        State::Fail,
        "nobody answers: connection refused",
    );
    expect(
        |cluster| cluster.stations = vec![silent(), reached("s1", 0)],
        "station",
        State::Warn,
        "others do",
    );
}

#[test]
fn a_group_is_to_have_a_leader_and_an_odd_number() {
    let no_quorum = |cluster: &mut Cluster| {
        let status = cluster.status.as_mut().unwrap();
        (status.quorum, status.leader) = (false, None);
    };
    expect(no_quorum, "quorum", State::Fail, "nothing is decided");
    expect(|_| {}, "stations", State::Ok, "bear the loss of 1");
    expect(
        |cluster| cluster.group.truncate(1),
        "stations",
        State::Ok,
        "there is one",
    );
    expect(
        |cluster| cluster.group.truncate(2),
        "stations",
        State::Warn,
        "bear the loss of 0, as 1 would",
    );
    // One that takes the log over does not vote yet.
    expect(
        |cluster| cluster.group[2].role = "learner".to_owned(),
        "stations",
        State::Warn,
        "there are 2",
    );
    expect(
        |cluster| cluster.group[1].state = "Away".to_owned(),
        "members",
        State::Warn,
        "s2",
    );
}

#[test]
fn what_is_not_as_wanted_builds_that_differ_and_certificates_that_end_are_told() {
    let verdict =
        |verdict| move |cluster: &mut Cluster| cluster.status.as_mut().unwrap().verdict = verdict;
    expect(
        verdict(Verdict::Degraded),
        "cluster",
        State::Warn,
        "DEGRADED",
    );
    expect(verdict(Verdict::Unknown), "cluster", State::Warn, "UNKNOWN");
    expect(verdict(Verdict::Down), "cluster", State::Fail, "DOWN");
    expect(|_| {}, "versions", State::Ok, "0.1.0");
    expect(
        |cluster| cluster.nodes[0].build = "mainstay 0.2.0".to_owned(),
        "versions",
        State::Warn,
        "agent n1 0.2.0",
    );
    let shown = |ends: SystemTime| {
        let bearer = Bearer::Agent("n7".parse().unwrap());
        certificate(&bearer, Some(ends), None, SystemTime::now())
    };
    let far = SystemTime::now() + Duration::from_secs(60 * 3600);
    expect(
        |cluster| cluster.certificates = vec![shown(far)],
        "certificates",
        State::Ok,
        "none",
    );
    let near = SystemTime::now() + Duration::from_secs(3600);
    expect(
        |cluster| cluster.certificates = vec![shown(near)],
        "certificates",
        State::Warn,
        "agent/n7 (due)",
    );
}
