//! The log of a real data directory, applied anew, is the graph that was stored with it.

use std::path::Path;

use mainstay_store::{Replayed, replay};
use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions};
use rustix::process::Signal;

fn kept(directory: &Path) -> Cluster {
    let directory = directory.to_string_lossy().into_owned();
    Cluster::with(&DevOptions {
        nodes: 2,
        extra: vec!["--keep".to_owned(), "--dir".to_owned(), directory],
        ..DevOptions::default()
    })
}

#[track_caller]
fn replayed(directory: &Path) -> Replayed {
    let replayed = replay(&directory.join("s1")).expect("a stopped station's data can be read");
    assert_eq!(
        replayed.digest_replayed, replayed.digest_stored,
        "{replayed:#?}"
    );
    assert!(replayed.is_equal(), "{replayed:#?}");
    replayed
}

/// Something of everything that writes entries.
fn make_busy(cluster: &Cluster) {
    cluster.sh("start greeter --all").ok();
    cluster
        .sh("start flaky --name refusing --on n1 --config refuse=not-now --no-wait")
        .ok();
    cluster
        .sh("start noisy --name loud --holds voice --on n1,n2")
        .ok();
    cluster
        .sh("start flaky --name other --holds voice --on n1")
        .expect_code(4);
    for at in 0..4 {
        cluster
            .sh(&format!("start flaky --name f{at} --on n1,n2"))
            .ok();
        cluster
            .sh(&format!("call f{at}@n1 panic '{{\"text\":\"boom {at}\"}}'"))
            .expect_code(9);
        cluster.sh(&format!("restart f{at}@n2")).ok();
    }
    cluster
        .sh("call f1@n2 fail '{\"text\":\"no\"}'")
        .expect_code(9);
    cluster.sh("call f2@n2 end").ok();
    cluster
        .sh("call f3@n2 hang '{\"how\":\"wait\"}' --timeout 500ms")
        .expect_code(8);
    cluster.sh("stop loud@n1").ok();
    cluster.sh("chaos kill greeter@n2").ok();
    signal(cluster.agent_pid("n2"), Signal::KILL);
    cluster.until_state("other@n1", "Running");
    cluster.until_restarted("f3@n2", 2);
    cluster.sh("clear refusing@n1 --no-wait").ok();
    cluster.sh("stop refusing").ok();
}

// acceptance: 9
// proves: S17, S22
#[test]
fn the_log_of_a_busy_cluster_that_ended_replays_to_the_stored_graph() {
    let home = tempfile::Builder::new()
        .prefix("log")
        .tempdir()
        .expect("a directory");
    let directory = home.path().join("c");
    let mut first = kept(&directory);
    make_busy(&first);
    assert_eq!(first.interrupt(), Some(0));
    let once = replayed(&directory);
    assert!(once.entries > 50, "it was busy: {once:#?}");

    // The next start reads that log, and goes on with it; killed, it leaves an end nobody tidied.
    let mut second = kept(&directory);
    second
        .sh("start greeter --name extra --on n1")
        .expect_code(4);
    second.sh("restart f0@n1").ok();
    signal(second.station_pid(), Signal::KILL);
    second.kill_parent();
    mainstay_tests::until(
        "all processes of the killed cluster are gone",
        || mainstay_tests::outside::processes_of(&directory),
        Vec::is_empty,
    );
    let twice = replayed(&directory);
    assert!(
        twice.to > once.to && twice.revision > once.revision,
        "{twice:#?}"
    );
}
