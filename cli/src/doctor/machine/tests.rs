//! Each outcome of each check of a machine, from facts.

use std::path::PathBuf;
use std::time::SystemTime;

use mainstay_protocol::{Bearer, ClusterId, Role};

use super::*;
use crate::commands::Kept;
use crate::doctor::{self, Known};
use crate::tests::runs_as_written;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A good one, with a station that runs.
fn facts() -> Facts {
    Facts {
        now: now(),
        build: "0.1.0".to_owned(),
        machine: Machine {
            kernel: "6.8.0-40-generic".to_owned(),
            open_files: Some(1_048_576),
            processes: None,
            memory_groups: true,
        },
        directories: vec![Directory {
            path: PathBuf::from("/var/lib/mainstay/station"),
            whose: "station",
            there: true,
            unusable: None,
            free_bytes: Some(100 << 30),
            free_files: Some(1_000_000),
            open_to_others: Vec::new(),
            foreign: Vec::new(),
            sync: Some(Duration::from_millis(2)),
        }],
        listens: vec![Listen {
            address: "10.0.0.1:7600".to_owned(),
            runs: true,
            local: Ok(()),
            usable: Ok(()),
        }],
        kept: vec![kept(Bearer::Agent("n1".parse().unwrap()), 60, true)],
        unreadable: Vec::new(),
        cluster: Known::None,
    }
}

fn kept(bearer: Bearer, hours: i64, runs: bool) -> KeptHere {
    let far = Duration::from_secs(hours.unsigned_abs() * 3600);
    KeptHere {
        kept: Kept {
            bearer,
            cluster: ClusterId(uuid::Uuid::nil()),
            ends: if hours < 0 { now() - far } else { now() + far },
            dir: PathBuf::from("/var/lib/mainstay/agent/identity"),
        },
        runs,
    }
}

/// The one check of this name, told so that it can be acted on.
#[track_caller]
fn check(facts: &Facts, name: &str) -> Check {
    let checks = doctor::judge(facts);
    let mut found = checks.into_iter().filter(|check| check.check == name);
    let one = found.next().unwrap_or_else(|| panic!("{name} is checked"));
    assert_eq!(found.next(), None, "{name} is checked once");
    assert!(!one.detail.is_empty(), "{one:?}");
    assert_eq!(one.to_do.is_none(), one.state == State::Ok, "{one:?}");
    assert!(one.to_do.as_deref().is_none_or(runs_as_written), "{one:?}");
    one
}

#[track_caller]
fn expect(change: impl Fn(&mut Facts), name: &str, state: State, says: &str) {
    let mut facts = facts();
    change(&mut facts);
    let found = check(&facts, name);
    assert_eq!(found.state, state, "{found:?}");
    assert!(found.detail.contains(says), "{found:?}");
}

// proves: U1
#[test]
fn on_a_good_machine_nothing_is_to_be_done() {
    let checks = doctor::judge(&facts());
    assert_eq!(doctor::worst(&checks), State::Ok, "{checks:#?}");
    let json = serde_json::to_value(&checks).unwrap();
    for check in json.as_array().unwrap() {
        let mut keys: Vec<&String> = check.as_object().unwrap().keys().collect();
        keys.sort();
        let all = ["check", "detail", "state", "subject", "to_do"];
        assert_eq!(keys, all, "{check}");
    }
}

#[test]
fn limits_of_processes_are_measured_against_what_daemons_need() {
    let files = |open| move |facts: &mut Facts| facts.machine.open_files = open;
    expect(files(None), "open-files", State::Ok, "no bound");
    expect(files(Some(16_384)), "open-files", State::Ok, "16384");
    expect(
        files(Some(16_383)),
        "open-files",
        State::Warn,
        "LimitNOFILE",
    );
    expect(files(Some(1023)), "open-files", State::Fail, "1023");
    let processes = |most| move |facts: &mut Facts| facts.machine.processes = most;
    expect(processes(Some(4096)), "processes", State::Ok, "4096");
    expect(processes(Some(100)), "processes", State::Warn, "LimitNPROC");
    let no_groups = |facts: &mut Facts| facts.machine.memory_groups = false;
    expect(no_groups, "memory-groups", State::Warn, "cannot be bounded");
    let kernel =
        |text: &'static str| move |facts: &mut Facts| facts.machine.kernel = text.to_owned();
    expect(kernel("5.4.0"), "kernel", State::Ok, "5.4.0");
    expect(kernel("5.3.18-lp"), "kernel", State::Fail, "older");
    expect(kernel(""), "kernel", State::Warn, "which Linux");
}

#[test]
fn room_on_the_disk_is_told_before_it_is_gone() {
    let free = |bytes| move |facts: &mut Facts| facts.directories[0].free_bytes = bytes;
    expect(
        free(Some(limits::DISK_FREE_BYTES_MIN)),
        "disk",
        State::Warn,
        "wanted",
    );
    expect(
        free(Some(limits::DISK_FREE_BYTES_MIN - 1)),
        "disk",
        State::Fail,
        "MS-DISK-FULL",
    );
    expect(free(None), "disk", State::Warn, "not known");
    let files = |facts: &mut Facts| facts.directories[0].free_files = Some(12);
    expect(files, "disk", State::Warn, "12 more files");
}

#[test]
fn a_slow_disk_is_told_with_how_slow_it_is() {
    let sync = |took| move |facts: &mut Facts| facts.directories[0].sync = took;
    expect(sync(Some(SYNC_GOOD)), "sync", State::Ok, "25 ms");
    expect(
        sync(Some(Duration::from_millis(80))),
        "sync",
        State::Warn,
        "80 ms",
    );
    expect(sync(None), "sync", State::Warn, "could not be measured");
}

#[test]
fn what_others_may_read_and_what_is_somebody_elses_is_named() {
    let open = |facts: &mut Facts| {
        let key = PathBuf::from("/var/lib/mainstay/station/identity/key.pem");
        facts.directories[0].open_to_others = vec![(key, 0o644)];
    };
    expect(open, "files", State::Fail, "key.pem (0644)");
    let foreign = |facts: &mut Facts| {
        let paths = (1..=5).map(|at| PathBuf::from(format!("/d/{at}")));
        facts.directories[0].foreign = paths.collect();
    };
    expect(foreign, "files", State::Fail, "/d/3 and 2 more");
}

#[test]
fn before_there_is_a_cluster_it_is_told_where_its_data_would_lie() {
    let planned = |facts: &mut Facts| facts.directories[0].there = false;
    expect(planned, "directory", State::Ok, "can lie there");
    let mut before = facts();
    before.directories[0].there = false;
    assert!(
        doctor::judge(&before)
            .iter()
            .all(|check| check.check != "files")
    );
    let unusable = |facts: &mut Facts| {
        facts.directories[0].unusable = Some("/var is no directory".to_owned());
    };
    expect(unusable, "directory", State::Fail, "/var is no directory");
}

#[test]
fn an_address_is_this_machines_and_its_port_is_the_stations_or_free() {
    let set = |runs, local: Result<(), &'static str>, usable: Result<(), &'static str>| {
        move |facts: &mut Facts| {
            facts.listens[0].runs = runs;
            facts.listens[0].local = local.map_err(str::to_owned);
            facts.listens[0].usable = usable.map_err(str::to_owned);
        }
    };
    expect(
        set(true, Ok(()), Ok(())),
        "port",
        State::Ok,
        "listens there",
    );
    expect(set(false, Ok(()), Ok(())), "port", State::Ok, "free");
    expect(
        set(true, Ok(()), Err("refused")),
        "port",
        State::Fail,
        "does not answer",
    );
    expect(
        set(false, Ok(()), Err("in use")),
        "port",
        State::Fail,
        "in use",
    );
    expect(
        set(false, Err("none"), Err("none")),
        "address",
        State::Fail,
        "none of this machine's",
    );
}

#[test]
fn a_certificate_is_judged_by_its_end_and_by_who_shows_it() {
    let agent = || Bearer::Agent("n1".parse().unwrap());
    let set = |hours, runs| move |facts: &mut Facts| facts.kept = vec![kept(agent(), hours, runs)];
    expect(set(60, true), "certificate", State::Ok, "2d12h");
    expect(set(20, true), "certificate", State::Warn, "renewed now");
    expect(set(-1, false), "certificate", State::Warn, "run out");
    expect(set(-1, true), "certificate", State::Fail, "run out");
    let mut person = facts();
    let ada = Bearer::Person {
        name: "ada".parse().unwrap(),
        role: Role::Admin,
    };
    person.kept = vec![kept(ada, -1, true)];
    let told = check(&person, "certificate");
    assert_eq!(told.to_do.as_deref(), Some("mainstay join --help"));
    let damaged = |facts: &mut Facts| {
        facts.kept = Vec::new();
        facts.unreadable = vec![(
            PathBuf::from("/d/identity"),
            "key.pem is damaged".to_owned(),
        )];
    };
    expect(damaged, "certificate", State::Fail, "damaged");
}
