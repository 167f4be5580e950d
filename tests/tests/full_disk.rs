//! A station on a disk that fills up: changes are refused, reads and nodes go on; on a disk that is full it opens all the same.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainstay_tests::daemons::Daemons;
use mainstay_tests::{mainstay_binary, until};

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

fn until_ok(daemons: &Daemons, line: &str) {
    until(line, || daemons.sh(line), |run| run.code == Some(0));
}

// proves: S17
#[test]
fn a_full_disk_refuses_changes_serves_reads_and_is_opened_by_giving_up_the_ballast() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    daemons.sh("start greeter --on n1").ok();
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
