//! A station on a disk that fills up: changes are refused, reads and nodes go on; on a disk that is full it opens all the same.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainstay_tests::daemons::Daemons;
use mainstay_tests::{mainstay_binary, until};
use serde_json::{Value, json};

/// A file system of its own, gone with it.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Self {
        fs::create_dir_all(at).expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256m", "mainstay-test"])
            .arg(at)
            .output()
            .expect("there is a program mount: install util-linux");
        assert!(
            mounted.status.success(),
            "this test mounts a tmpfs, so it must run as root with the capability CAP_SYS_ADMIN: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self(at.to_owned())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Until so much is left; zero: until nothing more is taken.
    fn fill(&self, leave: u64) {
        let piece = vec![7u8; 64 * 1024];
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(self.filler())
            .expect("a file");
        while self.free() > leave {
            if file.write_all(&piece).is_err() {
                return;
            }
        }
    }

    fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(&self.0).expect("it is there");
        found.f_bavail * found.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has files there ends with the test.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

const MIB: u64 = 1024 * 1024;

/// Gives the station a disk of its own, with what it had.
fn on_a_disk(daemons: &mut Daemons) -> Disk {
    daemons.kill_station();
    let data = daemons.data();
    let aside = daemons.home().join("aside");
    fs::rename(&data, &aside).expect("it can be put aside");
    let disk = Disk::mount(&data);
    let copied = Command::new("cp")
        .args(["-a"])
        .arg(aside.join("."))
        .arg(&data)
        .status();
    assert!(copied.expect("cp runs").success());
    daemons.start_station(&mainstay_binary());
    daemons.until_online();
    disk
}

fn until_ok(daemons: &Daemons, line: &str) {
    until(line, || daemons.sh(line), |run| run.code == Some(0));
}

// proves: S17
#[test]
fn a_full_disk_refuses_changes_serves_reads_and_is_opened_by_giving_up_the_ballast() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    daemons.sh("start greeter --on n1").ok();
    let disk = on_a_disk(&mut daemons);
    let data = daemons.data();
    let ballast = data.join("ballast");
    assert_eq!(
        fs::metadata(&ballast).expect("it is set aside").len(),
        32 * MIB
    );

    // What the graph remembers of the node is from before; a session that is not there cannot be taken on a full disk.
    until_ok(&daemons, "check greeter@n1");
    disk.fill(48 * MIB);
    until(
        "it is told",
        || daemons.json("status"),
        |status| status["problems"].to_string().contains("MS-DISK-FULL"),
    );
    let refused = daemons.sh("restart greeter@n1");
    assert_eq!(refused.code, Some(10), "{}", refused.stderr);
    for part in [
        "MS-DISK-FULL",
        "MiB are free on the disk of",
        "nothing was changed",
    ] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    daemons.sh("check greeter@n1").ok();
    let node = daemons.json("get nodes n1");
    assert_eq!(node["state"], "Online", "{node:#}");
    assert_eq!(daemons.json("status")["verdict"], "DEGRADED");

    // Nothing more fits at all, and the station is started anew.
    daemons.kill_station();
    disk.fill(0);
    daemons.start_station(&mainstay_binary());
    let greeter = until(
        "it reads what it has",
        || daemons.instance("greeter@n1"),
        Option::is_some,
    );
    assert_eq!(greeter.expect("it is there")["incarnation"], 1);
    assert!(!ballast.exists(), "it is given up");
    let refused = daemons.sh("restart greeter@n1");
    assert!(matches!(refused.code, Some(7 | 10)), "{}", refused.stderr);

    // With room it goes on by itself: what waited is taken, the ballast is set aside again.
    fs::remove_file(disk.filler()).expect("it can be removed");
    until_ok(&daemons, "restart greeter@n1");
    assert_eq!(
        daemons.until_state("greeter@n1", "Running")["incarnation"],
        2
    );
    until("the ballast is back", || ballast.exists(), |there| *there);
    assert!(daemons.end_and_replay().entries > 0);
}

/// What a script did, outside of the cluster: `asks` waits for somebody, `holds` until it is let go.
struct Doings(PathBuf);

impl Doings {
    fn new(daemons: &Daemons) -> Self {
        let here = daemons.home().to_owned();
        let shell = |script: &str| json!({"process": {"command": ["/bin/sh", "-c", script, here]}});
        let asks = shell("echo '{\"result\": \"wait\"}'");
        let holds =
            "echo begun >>$0/did; until [ -e $0/go ]; do sleep 0.1; done; echo done >>$0/did";
        let ways = json!({"p": {"asks": asks, "holds": shell(holds)}});
        let worker = json!({
            "kind": "Placement", "name": "worker", "type": "activity-agent", "target": {"all": {}},
            "config": {"activities": ways},
        });
        daemons.given("apply", &worker).ok();
        for name in ["asks", "holds"] {
            let activity = json!({"type": name, "provider": "p"});
            daemons.given("activity apply", &activity).ok();
            let of = json!({"type": name, "activities": [{"id": "one", "type": name}]});
            daemons.given("orchestration apply", &of).ok();
        }
        Self(here)
    }

    fn did(&self) -> Vec<String> {
        let did = fs::read_to_string(self.0.join("did")).unwrap_or_default();
        did.lines().map(str::to_owned).collect()
    }

    fn lets_go(&self) {
        fs::write(self.0.join("go"), "").expect("a directory of its own");
    }
}

fn step(daemons: &Daemons, run: &str) -> Value {
    daemons.json(&format!("run show {run}"))["steps"][0].clone()
}

// case: orchestrations 51
// proves: O7, S17
#[test]
fn a_full_disk_begins_no_run_and_ends_no_step_and_with_room_what_was_under_way_goes_on() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    let disk = on_a_disk(&mut daemons);
    let doings = Doings::new(&daemons);
    daemons.sh("run start asks --id a1 --no-wait").ok();
    daemons.sh("run start holds --id h1 --no-wait").ok();
    let waits = until(
        "it waits",
        || step(&daemons, "a1"),
        |step| step["state"] == "Waiting",
    );
    until("it has begun", || doings.did(), |did| did.len() == 1);
    let token = waits["token"].as_str().expect("a token");
    let complete = format!("run complete a1 one --token {token}");

    disk.fill(48 * MIB);
    until(
        "it is told",
        || daemons.json("status"),
        |status| status["problems"].to_string().contains("MS-DISK-FULL"),
    );
    for line in [
        "run start asks --id a2 --no-wait",
        "run cancel h1",
        &complete,
    ] {
        let refused = daemons.sh(line).expect_code(10);
        for part in ["MS-DISK-FULL", "nothing was changed"] {
            assert!(refused.stderr.contains(part), "{line}: {}", refused.stderr);
        }
    }
    // What ends meanwhile stays with its agent.
    doings.lets_go();
    until("it has ended", || doings.did(), |did| did.len() == 2);
    daemons.sh("run show a2").expect_code(3);
    assert_eq!(step(&daemons, "a1")["token"], waits["token"]);
    assert_eq!(step(&daemons, "h1")["state"], "Running");

    // Nothing more fits at all, and the station is started anew.
    daemons.kill_station();
    disk.fill(0);
    daemons.start_station(&mainstay_binary());
    until_ok(&daemons, "run show a1");
    let refused = daemons.sh(&complete);
    assert!(matches!(refused.code, Some(7 | 10)), "{}", refused.stderr);
    assert_eq!(step(&daemons, "a1")["token"], waits["token"]);
    assert_eq!(step(&daemons, "h1")["state"], "Running");

    fs::remove_file(disk.filler()).expect("it can be removed");
    until_ok(&daemons, &complete);
    daemons.sh("run follow a1 --timeout 60s").ok();
    daemons.sh("run follow h1 --timeout 60s").ok();
    assert_eq!(doings.did(), ["begun", "done"], "it is done once");
    assert_eq!(step(&daemons, "h1")["calls"], 1);
    until_ok(&daemons, "run start asks --id a2 --no-wait");
    assert!(daemons.end_and_replay().entries > 0);
}
