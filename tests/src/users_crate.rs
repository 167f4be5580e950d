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

/// The workspace's profile for dependencies, so that what is built already is used.
fn profile() -> Vec<OsString> {
    [
        "profile.dev.opt-level=1",
        "profile.dev.debug=\"line-tables-only\"",
        "profile.dev.package.\"*\".opt-level=2",
        "profile.dev.package.\"*\".debug=false",
    ]
    .into_iter()
    .flat_map(|line| ["--config".into(), line.into()])
    .collect()
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
