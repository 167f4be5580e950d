//! Crates of users, outside the workspace: built and tested with what is built here already.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command;

/// The root of this workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("this package lies in the workspace")
        .to_owned()
}

/// The same versions as here: they are on this machine, and are built already.
pub fn lock_versions(directory: &Path) {
    fs::copy(workspace().join("Cargo.lock"), directory.join("Cargo.lock")).expect("a lock file");
}

/// The workspace's profile, also for its own crates, which are dependencies to others: so that what is built already is used.
fn profile() -> Vec<OsString> {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).expect("the manifest");
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).expect("a lock file");
    let sections = manifest
        .split("\n[")
        .filter_map(|text| text.split_once("]\n"));
    let of_dev: Vec<(&str, &str)> = sections
        .filter(|(at, _)| at.starts_with("profile.dev"))
        .collect();
    let (_, of_all) = of_dev
        .iter()
        .find(|(at, _)| *at == "profile.dev")
        .expect("it has one");
    let ours = lock.lines().filter_map(|line| {
        let name = line.strip_prefix("name = \"")?.strip_suffix('"')?;
        name.starts_with("mainstay-").then_some(name)
    });
    // They have nothing of what all dependencies have; what one has of its own comes last.
    let ours = ours.map(|name| (format!("profile.dev.package.{name}"), *of_all));
    let all = ours.chain(of_dev.iter().map(|(at, lines)| ((*at).to_owned(), *lines)));
    let words = all.flat_map(|(at, text)| {
        let is_set = |line: &&str| line.contains('=') && !line.starts_with('#');
        let line = move |line: &str| ["--config".into(), format!("{at}.{line}").into()];
        text.lines()
            .filter(is_set)
            .flat_map(line)
            .collect::<Vec<OsString>>()
    });
    words.collect()
}

/// Cargo's own binary and folders, and nothing that `cargo test` said to this process.
pub fn cargo(directory: &Path, words: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let programs = command::programs();
    let target = programs
        .parent()
        .expect("programs are built below the target directory");
    let mut run = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        let said = name.to_string_lossy();
        if said.starts_with("CARGO_PKG_") || said.starts_with("CARGO_MANIFEST_") {
            run.env_remove(&name);
        }
    }
    let output = run
        .args(words)
        .arg("--offline")
        .args(profile())
        .current_dir(directory)
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "cargo {words:?}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
