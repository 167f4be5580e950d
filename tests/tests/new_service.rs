//! What `mainstay new service` writes: it compiles, is formatted, passes its test, and runs as its own text says.

use std::process::Command;

use mainstay_tests::users_crate::{cargo, lock_versions};
use mainstay_tests::{Cluster, DevOptions, command, mainstay_binary};

// acceptance: 8
// proves: S1
#[test]
fn a_new_service_compiles_passes_and_runs_as_it_was_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = Command::new(mainstay_binary())
        .args(["new", "service", "rate-limiter"])
        .current_dir(directory.path())
        .output()
        .expect("mainstay runs");
    assert!(made.status.success(), "{made:?}");
    let crate_ = directory.path().join("rate-limiter-agent");
    lock_versions(&crate_);
    let formatted = Command::new("rustfmt")
        .args([
            "--edition",
            "2024",
            "--check",
            "src/main.rs",
            "tests/service.rs",
        ])
        .current_dir(&crate_)
        .output()
        .expect("rustfmt runs");
    assert!(formatted.status.success(), "{formatted:?}");
    cargo(&crate_, &["test"]);
    cargo(&crate_, &["build"]);

    let again = Command::new(mainstay_binary())
        .args(["new", "service", "rate-limiter"])
        .current_dir(directory.path())
        .output()
        .expect("mainstay runs");
    assert_eq!(again.status.code(), Some(4), "nothing is written over");

    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        agent_bin: Some(command::program("rate-limiter-agent")),
        ..DevOptions::default()
    });
    cluster.sh("start rate-limiter --on n1").ok();
    let answer = cluster.json("call rate-limiter@n1 hello '{\"name\": \"Ada\"}'");
    assert_eq!(answer["answer"]["text"], "Hello Ada", "{answer:#}");
}
