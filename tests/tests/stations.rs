//! A dev cluster with several stations: it comes up as one group, and leaves nothing behind.

use std::collections::BTreeSet;

use mainstay_tests::{Cluster, DevOptions, outside, until};

// proves: S17
#[test]
fn three_stations_come_up_as_one_group_and_ctrl_c_leaves_nothing() {
    let mut cluster = Cluster::with(&DevOptions {
        stations: 3,
        demo: true,
        ..DevOptions::default()
    });
    println!("ready after {:?}", cluster.ready_after);
    let names = ["s1", "s2", "s3"];
    assert!(
        cluster.said.contains("stations s1, s2, s3"),
        "{}",
        cluster.said
    );
    let pids = cluster.station_pids();
    assert!(pids.keys().eq(names), "{pids:?}");
    assert_eq!(pids.values().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(cluster.station_pid(), pids["s1"]);

    let stations = cluster.list("station list");
    assert_eq!(stations, cluster.list("get stations"));
    assert!(
        stations.iter().map(|one| &one["id"]).eq(names),
        "{stations:#?}"
    );
    assert!(stations.iter().all(|one| one["state"] == "Running"));
    let leaders = stations.iter().filter(|one| one["role"] == "leader");
    assert_eq!(leaders.count(), 1, "{stations:#?}");
    let status = cluster.json("status");
    assert_eq!(status["quorum"], true, "{status:#}");

    let home = cluster.home().to_owned();
    assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
    let left = until(
        "no process and no file of the cluster is left",
        || {
            let mut files = outside::files_below(&home);
            files.retain(|path| *path != home.join("dev.log"));
            (outside::processes_of(&home).len(), files)
        },
        |(processes, files)| *processes == 0 && files.is_empty(),
    );
    assert_eq!(left.0, 0);
}
