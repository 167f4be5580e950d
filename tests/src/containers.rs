//! Real containers without anything that is fetched: podman with a storage of its own, and an image made of busybox. It uses
//! nothing else of this crate, so that tests below it have it by its path.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What the image is called.
pub const IMAGE: &str = "alpine:3.7";
const INSTALL: &str = "these tests run real containers: install podman, runc and busybox-static, or run scripts/setup";
/// What each container is run with. The bounds of files and processes that podman gives by default may be above the machine's
/// own.
pub const OPTIONS: [&str; 6] = [
    "--network",
    "none",
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=1024:1024",
];
/// Where busybox may be.
const BUSYBOX: [&str; 3] = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"];
/// Of its commands, those that the image has.
const COMMANDS: [&str; 22] = [
    "cat", "chmod", "dd", "echo", "env", "false", "head", "id", "kill", "ln", "ls", "mkdir",
    "printf", "pwd", "rm", "sh", "sleep", "tail", "test", "touch", "tr", "true",
];

/// Its images and containers are gone with it.
#[derive(Debug)]
pub struct Podman {
    dir: TempDir,
}

impl Default for Podman {
    fn default() -> Self {
        Self::new()
    }
}

impl Podman {
    /// With the image `IMAGE`.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let podman = Self { dir };
        let archive = podman.path("image.tar");
        pack(&podman.path("image"), &archive);
        podman.does(&["import", "--quiet", &archive.display().to_string(), IMAGE]);
        podman
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The words for podman itself.
    pub fn arguments(&self) -> Vec<String> {
        arguments_in(self.dir.path())
    }

    /// How an activity agent runs its containers, as its configuration has it.
    pub fn way(&self) -> Value {
        way_in(self.dir.path())
    }

    /// The directory that all of it is in, for [`way_in`] and another process.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// The ids of all containers, running or not.
    pub fn containers(&self) -> Vec<String> {
        let said = self.does(&["ps", "--all", "--quiet", "--no-trunc"]);
        said.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// What it says; it does what it is asked.
    pub fn does(&self, words: &[&str]) -> String {
        let output = self.ask(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "podman {words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new("podman");
        let command = command.args(self.arguments()).args(words);
        let output = command
            .stdin(Stdio::null())
            .current_dir(self.dir.path())
            .output();
        output.unwrap_or_else(|error| panic!("podman: {error}; {INSTALL}"))
    }
}

/// The same, of a storage that is there already.
pub fn way_in(directory: &Path) -> Value {
    json!({ "workload": {
        "engine": "podman", "arguments": arguments_in(directory), "options": OPTIONS, "pull": "never",
    } })
}

fn arguments_in(directory: &Path) -> Vec<String> {
    let path = |name: &str| directory.join(name).display().to_string();
    let words = [
        "--root",
        &path("storage"),
        "--runroot",
        &path("run"),
        "--runtime",
        "runc",
    ];
    words.map(str::to_owned).into()
}

/// A file system in a directory, and in an archive.
fn pack(root: &Path, archive: &Path) {
    let busybox = BUSYBOX.iter().find(|path| Path::new(path).exists());
    let busybox = busybox.unwrap_or_else(|| panic!("there is no busybox; {INSTALL}"));
    for directory in ["bin", "etc", "tmp"] {
        fs::create_dir_all(root.join(directory)).expect("a directory can be made");
    }
    fs::copy(busybox, root.join("bin/busybox")).expect("busybox can be copied");
    for command in COMMANDS {
        symlink("busybox", root.join("bin").join(command)).expect("a link can be made");
    }
    let mut tar = Command::new("tar");
    let tar = tar.arg("-C").arg(root).arg("-cf").arg(archive).arg(".");
    assert!(tar.status().expect("tar can be run").success());
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.ask(&["rm", "--all", "--force", "--time", "0"]);
        // It mounts its storage onto itself, and nobody could remove that.
        let mut unmount = Command::new("umount");
        let unmount = unmount.arg("-q").arg(self.path("storage/overlay"));
        let _ = unmount.stderr(Stdio::null()).status();
    }
}
