//! The example of a user's own agent, copied away from here: it builds, passes its test, and runs.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_tests::users_crate::{cargo, lock_versions, workspace};
use mainstay_tests::{Cluster, DevOptions, command};

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
    lock_versions(&to);
    to
}

// acceptance: 11
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
        agent_bin: Some(command::program("greeter-agent")),
        ..DevOptions::default()
    });
    cluster.sh("start counter --on n1,n2 --config step=2").ok();
    let answer = cluster.json("call counter@n1 add '{\"times\":3}'");
    assert_eq!(answer["answer"]["sum"], 6, "{answer:#}");
    let answer = cluster.json("call counter@n1 add '{\"times\":1}'");
    assert_eq!(answer["answer"]["sum"], 8, "{answer:#}");
    cluster.sh("start greeter --on n1").ok();
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
