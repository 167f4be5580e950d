//! What an administrator asks before something goes wrong, and after: certificates, what `doctor` finds, the bundle.

use mainstay_tests::{Cluster, Machines, Run, until};
use rustix::process::Signal;
use serde_json::Value;

fn data(machines: &Machines, machine: usize, what: &str) -> String {
    format!("--dir {}", machines.dir(machine).join(what).display())
}

fn join(machines: &Machines, machine: usize, made: &Run, more: &str) {
    let line = made.stdout.trim();
    let line = line.strip_prefix("mainstay ").expect("a line to be pasted");
    let line = line.replace("HOST:PORT", &machines.station_address(machine));
    machines.sh(machine, &format!("{line} {more}")).ok();
}

/// Two stations, and an agent on the second machine.
fn cluster() -> Machines {
    let mut machines = Machines::new(2);
    let dir = data(&machines, 1, "station");
    let listen = machines.station_address(1);
    machines
        .sh(1, &format!("init --name prod --listen {listen} {dir}"))
        .ok();
    machines.start(1, &format!("station run {dir} --profile dev"));
    machines.until_list(1, "get stations", |all| all.len() == 1);
    let made = machines.sh(1, "token create --role station").ok();
    let dir = data(&machines, 2, "station");
    join(&machines, 2, &made, &dir);
    machines.start(2, &format!("station run {dir} --profile dev"));
    let made = machines.sh(1, "token create --role agent").ok();
    let dir = data(&machines, 2, "agent");
    join(&machines, 2, &made, &format!("{dir} --node n2"));
    machines.start(2, &format!("agent run {dir}"));
    machines.until_list(1, "get nodes", |all| {
        all.iter().any(|one| one["state"] == "Online")
    });
    machines.until_list(1, "get stations", |all| {
        all.len() == 2 && all.iter().all(|one| one["state"] == "Running")
    });
    machines
}

fn one<'a>(all: &'a [Value], name: &str) -> &'a Value {
    let found = all.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is among {all:#?}"))
}

// proves: U1
#[test]
fn a_daemons_certificate_is_seen_by_everybody_and_renewed_while_it_runs() {
    let machines = cluster();
    let all = machines.list(1, "cert list");
    for name in ["agent/n2", "station/s1", "station/s2"] {
        let shown = one(&all, name);
        assert_eq!(shown["state"], "good", "{all:#?}");
        assert!(shown["renews"].is_string(), "{all:#?}");
    }
    assert!(one(&all, "station/s1")["dir"].is_string(), "{all:#?}");
    assert!(one(&all, "agent/n2")["dir"].is_null(), "{all:#?}");

    // Certificates count in seconds.
    let sessions = machines.log(2, "agent").matches("no session").count();
    for name in ["agent/n2", "station/s1", "station/s2"] {
        let before = one(&all, name)["ends"].clone();
        let renewed = until(
            "a later end is told",
            || machines.sh(2, &format!("cert rotate {name} -o json")).ok(),
            |run| run.json()[0]["ends"].as_str() > before.as_str(),
        );
        let renewed = renewed.json();
        let after = machines.list(1, "cert list");
        assert_eq!(one(&after, name)["ends"], renewed[0]["ends"], "{after:#?}");
    }
    // The agent keeps it, and its session went on.
    let agent = data(&machines, 2, "agent");
    let kept = machines.list(2, &format!("cert list {agent}"));
    let known = machines.list(1, "cert list");
    assert_eq!(
        one(&kept, "agent/n2")["ends"],
        one(&known, "agent/n2")["ends"]
    );
    assert!(one(&kept, "agent/n2")["dir"].is_string(), "{kept:#?}");
    let after = machines.log(2, "agent").matches("no session").count();
    assert_eq!(after, sessions, "{}", machines.log(2, "agent"));
    machines.sh(1, "check supervisor/n2").ok();
    machines.sh(2, &format!("cert rotate {agent}")).ok();
    let stranger = machines.sh(1, "cert rotate agent/n9").expect_code(3);
    assert!(stranger.stderr.contains("never let in"), "{stranger:#?}");
}

fn checks(run: &Run) -> Vec<Value> {
    let all = run.json();
    all.as_array().cloned().expect("a list")
}

/// The worst of those of this name.
fn state(all: &[Value], check: &str) -> &'static str {
    let found: Vec<&Value> = all.iter().filter(|one| one["check"] == check).collect();
    assert!(!found.is_empty(), "{check} is among {all:#?}");
    let is = |state: &&&str| found.iter().any(|one| one["state"] == **state);
    ["fail", "warn", "ok"]
        .iter()
        .find(is)
        .expect("it has a state")
}

// proves: U1
#[test]
fn a_doctor_finds_nothing_then_an_open_key_an_even_group_and_a_lost_majority() {
    let mut machines = cluster();
    let before = machines.sh(2, "doctor -o json");
    let all = checks(&before);
    assert!([Some(0), Some(12)].contains(&before.code), "{before:#?}");
    for check in ["port", "address", "files", "quorum", "clock", "directory"] {
        assert_eq!(state(&all, check), "ok", "{all:#?}");
    }
    assert_eq!(
        state(&all, "stations"),
        "warn",
        "two are no better than one"
    );

    let key = machines.dir(2).join("station/identity/key.pem");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, open).expect("its mode can be set");
    let open = machines.sh(2, "doctor -o json").expect_code(12);
    assert_eq!(state(&checks(&open), "files"), "fail", "{open:#?}");
    assert!(open.stdout.contains("key.pem (0644)"), "{open:#?}");

    machines.signal(1, "station", Signal::KILL);
    let lost = until(
        "the loss of the majority is told",
        || machines.sh(2, "doctor -o json --timeout 5s"),
        |run| run.code == Some(12) && state(&checks(run), "quorum") == "fail",
    );
    let all = checks(&lost);
    let gone = all
        .iter()
        .find(|one| one["check"] == "station" && one["state"] == "warn");
    assert!(gone.is_some(), "{all:#?}");

    // Before there is a cluster.
    let machines = Machines::new(1);
    let fresh = machines.sh(1, "doctor -o json --listen 10.0.0.1:7600");
    let all = checks(&fresh);
    assert_eq!(state(&all, "port"), "ok", "{all:#?}");
    assert_eq!(state(&all, "cluster"), "ok", "{all:#?}");
    let elsewhere = machines
        .sh(1, "doctor -o json --listen 10.0.0.9:7600")
        .expect_code(12);
    assert_eq!(
        state(&checks(&elsewhere), "address"),
        "fail",
        "{elsewhere:#?}"
    );
}

fn unpacked(file: &std::path::Path) -> String {
    let output = std::process::Command::new("tar")
        .args(["-xzOf".as_ref(), file.as_os_str()])
        .output()
        .expect("`tar` can be run");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// proves: U6
#[test]
fn a_bundle_has_what_helps_and_no_secret_also_without_a_station() {
    let mut cluster = Cluster::dev();
    cluster
        .sh("start flaky --on n1 --config password=hunter2 --no-wait")
        .code
        .expect("it ended, whatever it said");
    cluster
        .sh("start greeter --on n1 --config greeting=token=hunter2")
        .ok();
    let file = cluster.home().join("case.tar.gz");
    let line = format!("debug bundle {} -o json", file.display());
    let made = cluster.sh(&line).ok().json();
    let taken = made["taken"].as_array().expect("parts");
    for part in [
        "status.json",
        "doctor.json",
        "get/instances.json",
        "events.json",
        "metrics.txt",
    ] {
        assert!(taken.iter().any(|one| one["part"] == part), "{made:#}");
    }
    assert!(
        taken.iter().any(|one| one["part"] == "logs/s1.log"),
        "{made:#}"
    );
    let mode = std::fs::metadata(&file).expect("it is there").permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
    assert_eq!(mode & 0o777, 0o600);
    let all = unpacked(&file);
    assert!(all.contains("greeter@n1") && !all.contains("hunter2"));
    assert!(all.contains("(redacted)"));
    cluster.sh(&line).expect_code(4);

    cluster.kill_parent();
    let later = cluster.home().join("later.tar.gz");
    let line = format!("debug bundle {} -o json --timeout 1s", later.display());
    let made = cluster.sh(&line).ok().json();
    let left_out = made["left_out"].as_array().expect("what is left out");
    let status = left_out.iter().find(|one| one["part"] == "status.json");
    assert!(status.is_some_and(|one| one["why"].is_string()), "{made:#}");
    assert!(unpacked(&later).contains("doctor"), "{made:#}");
}
