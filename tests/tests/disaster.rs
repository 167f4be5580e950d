//! Disasters under live agents, with real processes: what runs goes on, what the graph does not know is left and told, and
//! nothing is refused for ever.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use mainstay_tests::daemons::Daemons;
use mainstay_tests::{mainstay_binary, outside, until};
use serde_json::{Value, json};

const SLEEPER: &str = "--on n1 --config 'command=[\"sleep\",\"600\"]'";

fn pid(daemons: &Daemons, reference: &str) -> u32 {
    let seen = daemons.instance(reference).expect("it is known");
    let pid = seen["process"][0]["pid"].as_u64();
    u32::try_from(pid.expect("it has a process")).expect("a pid")
}

fn start(daemons: &Daemons, name: &str) {
    daemons
        .sh(&format!("start process --name {name} {SLEEPER}"))
        .ok();
}

/// Puts a directory that was made in the place of the station's, and starts it there.
fn put_in_place(daemons: &mut Daemons, made: &Path, old: &str) {
    let data = daemons.data();
    fs::rename(&data, daemons.home().join(old)).expect("it can be put aside");
    fs::rename(made, &data).expect("it can be put in place");
    daemons.start_station(&mainstay_binary());
    until(
        "a new epoch has begun, and the node is back in it",
        || {
            daemons
                .sh("events -o json")
                .stdout
                .contains("cluster.epoch_raised")
        },
        |raised| *raised,
    );
    daemons.until_online();
}

/// It runs, with this process, in this incarnation.
fn until_kept(daemons: &Daemons, reference: &str, process: u32, incarnation: u64) {
    until(
        &format!("{reference} is taken in as it runs"),
        || daemons.instance(reference),
        |seen| {
            seen.as_ref().is_some_and(|seen| {
                seen["state"] == "Running"
                    && seen["incarnation"] == incarnation
                    && seen["process"][0]["pid"] == process
            })
        },
    );
}

fn is_sound(daemons: &Daemons) {
    assert_eq!(daemons.json("graph check"), Value::Array(Vec::new()));
    assert!(daemons.list("parked list").is_empty());
}

// proves: U6, S9, S17
#[test]
fn an_older_backup_is_restored_under_live_agents_twice_and_everything_converges() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    for name in ["kept", "again", "over"] {
        start(&daemons, name);
    }
    let kept = pid(&daemons, "kept@n1");
    let file = daemons.home().join("monday.backup");
    let command = format!("backup {}", file.display());
    let held = daemons.json(&command);
    assert_eq!(held["cluster"], "bare", "{held:#}");
    assert_eq!(
        (&held["epoch"], &held["station"]),
        (&1.into(), &"s1".into())
    );
    let twice = daemons.sh(&command);
    assert_eq!(twice.code, Some(4), "{}", twice.stderr);

    // What the backup does not know.
    daemons.sh("restart again@n1").ok();
    let again = pid(&daemons, "again@n1");
    daemons.sh("stop over@n1").ok();
    start(&daemons, "lone");
    let lone = pid(&daemons, "lone@n1");

    for round in ["first", "second"] {
        let made = daemons.home().join(round);
        let restore = format!("restore {} --dir {}", file.display(), made.display());
        let running = daemons.sh(&format!(
            "restore {} --dir {}",
            file.display(),
            daemons.data().display()
        ));
        assert_eq!(running.code, Some(4), "{}", running.stderr);
        daemons.kill_station();
        daemons.sh(&restore).ok();
        put_in_place(&mut daemons, &made, &format!("before-{round}"));
        until_kept(&daemons, "kept@n1", kept, 1);
        until_kept(&daemons, "again@n1", again, 2);
        daemons.until_state("over@n1", "Running");
        until(
            "what it does not know is told",
            || daemons.json("status"),
            |status| status["problems"].to_string().contains("MS-STRAY"),
        );
        assert!(outside::process(lone).is_some(), "it is left as it is");
        is_sound(&daemons);
    }

    // Its agent's words count again, and so do commands.
    daemons.sh("restart again@n1").ok();
    let seen = daemons.until_state("again@n1", "Running");
    assert_eq!(seen["incarnation"], 3, "{seen:#}");
    mainstay_tests::cluster::signal(kept, rustix::process::Signal::KILL);
    until(
        "the one that was killed is started anew",
        || daemons.instance("kept@n1"),
        |seen| {
            seen.as_ref()
                .is_some_and(|seen| seen["incarnation"] == 2 && seen["state"] == "Running")
        },
    );
    start(&daemons, "lone");
    assert_eq!(pid(&daemons, "lone@n1"), lone, "it is wanted, and goes on");
    daemons.sh("stop lone@n1").ok();
    assert!(daemons.end_and_replay().entries > 0);
}

// proves: S17
#[test]
fn a_station_is_recovered_under_live_agents_once_the_clusters_name_is_said() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    start(&daemons, "kept");
    daemons.sh("start greeter --on n1").ok();
    let kept = pid(&daemons, "kept@n1");
    let (from, made) = (daemons.data(), daemons.home().join("made"));
    let recover = format!(
        "station recover --from {} --to {}",
        from.display(),
        made.display()
    );
    let running = daemons.sh(&format!("{recover} --yes-cluster bare"));
    assert_eq!(running.code, Some(4), "{}", running.stderr);
    assert!(running.stderr.contains("in use by another process"));
    daemons.kill_station();
    for (words, why) in [
        ("", "is to be said"),
        ("--yes-cluster other", "not \"other\""),
    ] {
        let unsure = daemons.sh(&format!("{recover} {words}"));
        assert_eq!(unsure.code, Some(10), "{}", unsure.stderr);
        assert!(unsure.stderr.contains(why), "{}", unsure.stderr);
        assert!(
            unsure.stderr.contains("station s1 of cluster bare"),
            "{}",
            unsure.stderr
        );
        assert!(!made.exists());
    }
    let told = daemons.json(&format!("{recover} --yes-cluster bare"));
    assert_eq!(told["station"], "s1", "{told:#}");
    put_in_place(&mut daemons, &made, "before");
    until_kept(&daemons, "kept@n1", kept, 1);
    let greeter = daemons.until_state("greeter@n1", "Running");
    assert_eq!(
        greeter["incarnation"], 1,
        "it was not started anew: {greeter:#}"
    );
    is_sound(&daemons);
    daemons.sh("restart greeter@n1").ok();
    assert!(daemons.end_and_replay().entries > 0);
}

// proves: S17
#[test]
fn a_damaged_directory_is_refused_with_commands_and_repaired_into_another() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    start(&daemons, "kept");
    let kept = pid(&daemons, "kept@n1");
    for _ in 0..5 {
        daemons.sh("start greeter --on n1").ok();
        daemons.sh("stop greeter@n1").ok();
    }
    daemons.kill_station();
    let data = daemons.data();
    let mut logs: Vec<_> = outside::files_below(&data.join("db"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == "log"))
        .collect();
    logs.sort();
    let log = logs.pop().expect("there is a log");
    let mut bytes = fs::read(&log).expect("it can be read");
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 0x10;
    fs::write(&log, &bytes).expect("it can be written");

    let words = format!("station run --cluster bare --dir {}", data.display());
    let refused = daemons.sh(&words);
    assert_ne!(refused.code, Some(0));
    for part in [
        "is damaged",
        "station repair --dir",
        "station remove s1 --yes",
    ] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    let made = daemons.home().join("made");
    let repair = format!(
        "station repair --dir {} --to {}",
        data.display(),
        made.display()
    );
    let told = daemons.json(&repair);
    assert!(
        told["dropped"]
            .to_string()
            .contains("bytes of the write-ahead log"),
        "{told:#}"
    );
    assert_eq!(fs::read(&log).expect("it can be read"), bytes, "untouched");
    put_in_place(&mut daemons, &made, "before");
    until_kept(&daemons, "kept@n1", kept, 1);
    is_sound(&daemons);
}

/// The newest of the station's logs that has something in it.
fn newest_log(daemons: &Daemons) -> PathBuf {
    let files = fs::read_dir(daemons.data().join("db")).expect("there is a database");
    let files = files.map(|file| file.expect("an entry").path());
    let mut logs: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|found| found == "log"))
        .filter(|path| fs::metadata(path).is_ok_and(|log| log.len() > 0))
        .collect();
    logs.sort();
    logs.pop().expect("something was written")
}

/// Somebody who does activities, and orchestrations of two: the second waits, or is done as the first is.
fn with_work(daemons: &Daemons) {
    let waits = json!({"process": {"command": ["/bin/echo", "{\"result\": \"wait\"}"]}});
    let worker = json!({
        "kind": "Placement", "name": "worker", "type": "activity-agent", "target": {"all": {}},
        "config": {"activities": {"p": {"waits": waits}}},
    });
    daemons.given("apply", &worker).ok();
    for (name, provider) in [("waits", "p"), ("echo", "builtin")] {
        let activity = json!({"type": name, "provider": provider});
        daemons.given("activity apply", &activity).ok();
    }
    for last in ["waits", "echo"] {
        let activities =
            json!([{"id": "one", "type": "echo"}, {"id": "two", "type": last, "dependsOn": "one"}]);
        let of = json!({"type": last, "activities": activities});
        daemons.given("orchestration apply", &of).ok();
    }
}

fn states(daemons: &Daemons, run: &str) -> [String; 2] {
    let shown = daemons.json(&format!("run show {run}"));
    [0, 1].map(|at| {
        shown["steps"][at]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}

/// With one byte amid its log another the station does not start, says where, and changes nothing.
fn is_refused_damaged(daemons: &mut Daemons, log: &Path, whole: &[u8]) {
    let mut bytes = whole.to_vec();
    let place = bytes.len() / 2;
    bytes[place] ^= 0x10;
    fs::write(log, &bytes).expect("it can be written");
    daemons.start_station(&mainstay_binary());
    let told = until(
        "it is refused",
        || daemons.log("station.log"),
        |told| told.contains("MS-DATA-DIRECTORY"),
    );
    let name = log.file_name().expect("a file").to_string_lossy();
    for part in [&*name, "is not whole at byte", "mainstay station repair"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let now = fs::read(log).expect("it is there");
    assert_eq!(now, bytes, "nothing is changed");
    daemons.sh("run show done").expect_code(6);
}

// case: orchestrations 50
// proves: O7, S17
#[test]
fn runs_go_on_behind_a_torn_end_of_the_log_and_a_log_damaged_amid_them_is_refused_with_its_place() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    with_work(&daemons);
    daemons.sh("run start echo --id done").ok();
    daemons.sh("run start waits --id open --no-wait").ok();
    let waits = |daemons: &Daemons| {
        until(
            "it waits",
            || daemons.json("run show open"),
            |shown| shown["steps"][1]["state"] == "Waiting",
        )
    };
    let before = waits(&daemons);

    // The power went while an entry was written.
    daemons.kill_station();
    let log = newest_log(&daemons);
    let whole = fs::read(&log).expect("it can be read");
    let mut torn = File::options().append(true).open(&log).expect("it is ours");
    torn.write_all(&whole[..20]).expect("it can be written");
    drop(torn);
    daemons.start_station(&mainstay_binary());
    daemons.until_online();
    let told = daemons.log("station.log");
    assert!(told.contains("torn by a crash and is cut off"), "{told}");
    assert_eq!(states(&daemons, "done"), ["Completed", "Completed"]);
    let token = before["steps"][1]["token"].clone();
    assert_eq!(waits(&daemons)["steps"][1]["token"], token);
    let token = token.as_str().expect("a token");
    daemons
        .sh(&format!("run complete open two --token {token}"))
        .ok();
    daemons.sh("run follow open --timeout 60s").ok();

    // One byte amid what was acknowledged.
    for number in 0..5 {
        daemons
            .sh(&format!("run start echo --id more{number}"))
            .ok();
    }
    daemons.kill_station();
    let log = newest_log(&daemons);
    let whole = fs::read(&log).expect("it can be read");
    is_refused_damaged(&mut daemons, &log, &whole);

    // As it was written, it has all of them.
    daemons.kill_station();
    fs::write(&log, &whole).expect("it can be written");
    daemons.start_station(&mainstay_binary());
    daemons.until_online();
    for run in ["done", "open", "more0", "more4"] {
        assert_eq!(states(&daemons, run), ["Completed", "Completed"], "{run}");
    }
    is_sound(&daemons);
}
