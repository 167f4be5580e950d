//! The example of a user's own agent, copied away from here: it builds, passes its test, and runs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mainstay_tests::{Cluster, DevOptions, command};

/// The root of this workspace.
fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("this package lies in the workspace")
        .to_owned()
}

/// The copy, as a user has it: only the paths to Mainstay are other ones.
fn copy_to(directory: &Path) -> PathBuf {
    let (from, to) = (
        workspace().join("examples/greeter-agent"),
        directory.join("my-agent"),
    );
    for folder in ["src", "tests"] {
        fs::create_dir_all(to.join(folder)).expect("a folder of the copy");
        for entry in fs::read_dir(from.join(folder)).expect("the example has it") {
            let entry = entry.expect("it can be listed");
            fs::copy(entry.path(), to.join(folder).join(entry.file_name())).expect("a copy");
        }
    }
    let manifest = fs::read_to_string(from.join("Cargo.toml")).expect("the example's manifest");
    let root = format!("path = \"{}/", workspace().display());
    let moved = manifest.replace("path = \"../../", &root);
    assert_ne!(manifest, moved, "it names Mainstay by path");
    assert!(
        !moved.contains(".workspace = true"),
        "it stands alone:\n{moved}"
    );
    fs::write(to.join("Cargo.toml"), moved).expect("a manifest");
    // The same versions as here: they are on this machine, and are built already.
    fs::copy(workspace().join("Cargo.lock"), to.join("Cargo.lock")).expect("a lock file");
    to
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
fn cargo(directory: &Path, words: &[&str]) {
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

// acceptance: 11
// case: services 53
// proves: S1, S2
#[test]
fn a_users_own_agent_outside_the_workspace_builds_passes_its_test_and_answers_its_own_message() {
    let directory = tempfile::Builder::new()
        .prefix("user")
        .tempdir()
        .expect("a directory");
    let copy = copy_to(directory.path());
    cargo(&copy, &["test"]);
    cargo(&copy, &["build"]);

    let cluster = Cluster::with(&DevOptions {
        nodes: 2,
        demo: true,
        agent_bin: Some(command::program("greeter-agent")),
        ..DevOptions::default()
    });
    cluster.sh("start counter --on n1,n2 --config step=2").ok();
    let answer = cluster.json("call counter@n1 add '{\"times\":3}'");
    assert_eq!(answer["answer"]["sum"], 6, "{answer:#}");
    let answer = cluster.json("call counter@n1 add '{\"times\":1}'");
    assert_eq!(answer["answer"]["sum"], 8, "{answer:#}");
    assert_eq!(
        cluster.greet("greeter@n1"),
        1,
        "system types run in it as well"
    );
    let described = cluster.json("describe type/counter");
    assert!(described.to_string().contains("add"), "{described:#}");

    let wrong = cluster
        .sh("call counter@n1 ad '{\"times\":1}'")
        .expect_code(3);
    assert!(
        wrong.stderr.contains("add"),
        "the nearest is named: {wrong:#?}"
    );
    // It overflows in adding: its own panic, told in its own words, and mended like any other.
    cluster
        .sh("call counter@n2 add '{\"times\":4294967295}'")
        .expect_code(9);
    cluster.until_restarted("counter@n2", 1);
    cluster.expect_root("counter@n2", "overflow");
}
