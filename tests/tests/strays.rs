//! A station whose data is older than what runs on its nodes: nothing is killed, nothing is started twice.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_tests::daemons::Daemons;
use mainstay_tests::{mainstay_binary, outside, until};
use serde_json::Value;

/// A data directory as it is, of a station that is not running.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("it can be read") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                fs::copy(entry.path(), &target).expect("it can be copied");
            }
        }
    }
}

fn pid(daemons: &Daemons, reference: &str) -> u32 {
    let seen = daemons.instance(reference).expect("it is known");
    let pid = seen["process"][0]["pid"]
        .as_u64()
        .expect("it has a process");
    u32::try_from(pid).expect("a pid")
}

/// What the station knows by now, to go back to.
fn keep(daemons: &mut Daemons) -> PathBuf {
    let then = daemons.home().join("then");
    daemons.kill_station();
    copy(&daemons.data(), &then);
    daemons.start_station(&mainstay_binary());
    daemons.until_online();
    then
}

/// The station goes back to what it knew when `then` was kept.
fn restore(daemons: &mut Daemons, then: &Path) {
    daemons.kill_station();
    let data = daemons.data();
    fs::remove_dir_all(&data).expect("it can be removed");
    copy(then, &data);
    daemons.start_station(&mainstay_binary());
    daemons.until_online();
}

/// The node was heard. Before that a restored station takes for granted what it knew, and would begin anew.
fn until_told(daemons: &Daemons) -> Value {
    until(
        "the strays are told",
        || daemons.json("status"),
        |status| status["problems"].to_string().contains("MS-STRAY"),
    )
}

const SLEEPER: &str = "--on n1 --config 'command=[\"sleep\",\"600\"]'";

// proves: S9
// acceptance: issue 3, line 3
#[test]
fn what_runs_and_is_not_known_is_left_told_and_taken_in_with_the_same_pid() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    let then = keep(&mut daemons);
    daemons
        .sh(&format!("start process --name lone {SLEEPER}"))
        .ok();
    let before = pid(&daemons, "lone@n1");

    restore(&mut daemons, &then);
    let told = until_told(&daemons);
    assert_eq!(told["verdict"], "DEGRADED", "{told:#}");
    let why = daemons.sh("why node/n1").ok().stdout;
    assert!(why.contains("no placement asks for it"), "{why}");
    let node = daemons.json("get nodes n1");
    assert_eq!(node["strays"][0]["ref"], "lone@n1", "{node:#}");
    let refused = daemons.sh("stop lone@n1").expect_code(10);
    assert!(refused.stderr.contains("MS-STRAY"), "{}", refused.stderr);
    assert!(outside::process(before).is_some(), "it is left as it is");

    // Wanted: it goes on as it is.
    daemons
        .sh(&format!("start process --name lone {SLEEPER}"))
        .ok();
    assert_eq!(pid(&daemons, "lone@n1"), before, "it was not started anew");
    assert_eq!(daemons.json("status")["verdict"], "HEALTHY");
    daemons.sh("stop lone@n1").ok();
    until(
        "it ends",
        || outside::process(before).is_some(),
        |lives| !lives,
    );
}

// proves: S9
#[test]
fn a_newer_incarnation_than_the_graph_knows_goes_on() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    daemons
        .sh(&format!("start process --name again {SLEEPER}"))
        .ok();
    let then = keep(&mut daemons);
    daemons.sh("restart again@n1").ok();
    let (newer, second) = (pid(&daemons, "again@n1"), 2);
    assert_eq!(
        daemons.instance("again@n1").expect("it is known")["incarnation"],
        second
    );

    restore(&mut daemons, &then);
    let seen = daemons.until_state("again@n1", "Running");
    let seen = match seen["incarnation"] == second {
        true => seen,
        false => until(
            "the newer one is taken in",
            || daemons.instance("again@n1").expect("it is known"),
            |seen| seen["incarnation"] == second && seen["state"] == "Running",
        ),
    };
    assert_eq!(seen["process"][0]["pid"], newer, "{seen:#}");
    let decisions = daemons.list("decisions node/n1");
    assert!(
        mainstay_tests::answers::decided(&decisions, "stray", "MS-ADOPTED").is_some(),
        "{decisions:#?}"
    );
}

// proves: S6, S9
#[test]
fn what_it_had_is_still_its_own_and_another_type_is_not_taken_for_it() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    let then = keep(&mut daemons);
    daemons.sh("start flaky --name owner --on n1").ok();
    let disk = r#"'{"kind":"disk","name":"sda"}'"#;
    daemons.sh(&format!("call owner@n1 acquire {disk}")).ok();
    daemons
        .sh(&format!("start process --name lone {SLEEPER}"))
        .ok();
    let before = pid(&daemons, "lone@n1");

    restore(&mut daemons, &then);
    until_told(&daemons);
    daemons.sh("start flaky --name owner --on n1").ok();
    daemons.sh("start flaky --name thief --on n1").ok();
    let refused = daemons.sh(&format!("call thief@n1 acquire {disk}"));
    assert!(
        refused.stderr.contains("disk/sda is used by owner@n1"),
        "{}",
        refused.stderr
    );

    let start = daemons.sh("start flaky --name lone --on n1 --timeout 20s");
    assert_ne!(start.code, Some(0), "{}", start.stdout);
    let why = daemons.sh("why node/n1").ok().stdout;
    assert!(
        why.contains("it is of type process, and flaky is wanted"),
        "{why}"
    );
    assert!(outside::process(before).is_some(), "it is left as it is");
}
