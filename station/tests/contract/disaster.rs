//! Backup, restore and recover as stations and agents see them: a new epoch is above every earlier one.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_api::types::Until;
use mainstay_protocol::StationId;
use mainstay_station::Station;
use mainstay_store::{Backup, OpenError, Survivor, repair};
use serde_json::Value;

use crate::agent::Agent;
use crate::cluster::{Cluster, until};
use crate::group::Group;

const NOW_MS: u64 = 1_800_000_000_000;

async fn back_up(client: &mainstay_api::Client, file: &Path) -> Backup {
    let mut pieces = client.backup().await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    fs::write(file, bytes).unwrap();
    Backup::read(file).unwrap()
}

/// The stopped station's directory is put aside, and one of a backup stands in its place.
fn put_in_place(cluster: &Cluster, made: &Path) {
    let old = cluster.dir().join(format!(
        "old-{}",
        made.file_name().unwrap().to_str().unwrap()
    ));
    fs::rename(&cluster.options.dir, old).unwrap();
    fs::rename(made, &cluster.options.dir).unwrap();
}

fn restored(cluster: &Cluster, backup: &Backup, name: &str, now_ms: u64) -> u64 {
    let made: PathBuf = cluster.dir().join(name);
    let rebuilt = backup.restore(&made, StationId(1), now_ms).unwrap();
    put_in_place(cluster, &made);
    rebuilt.epoch.0
}

async fn epoch(cluster: &Cluster) -> u64 {
    let shown = cluster.json("/v1/resource?ref=cluster").await;
    shown["value"]["epoch"].as_u64().unwrap()
}

// proves: U6, S17
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_twice_is_each_time_newer_to_a_session_that_knows_more() {
    let (mut cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let backup = back_up(&cluster.client, &cluster.dir().join("kept")).await;
    assert_eq!(backup.about.name.as_str(), "test");
    assert_eq!(backup.about.epoch.0, 1);
    // The node's file has reports confirmed that the backup never heard of.
    cluster.run_on("generic", &["n1"]).await;
    let first = agents[0].until(|seen| seen.acknowledged.0 >= 6).await;
    let mut before = agents[0].welcome.clone();
    let mut config = agents.remove(0).config();
    for (round, name) in [(1, "first"), (2, "second")] {
        cluster.stop().await;
        let raised = restored(&cluster, &backup, name, NOW_MS + round * 1000);
        cluster.start().await;
        until("the epoch is raised by its first entry", || async {
            epoch(&cluster).await == raised
        })
        .await;
        let agent = Agent::connect(&cluster.sessions(), config).await.unwrap();
        let welcome = agent.welcome.clone();
        assert!(
            welcome.leadership > before.leadership,
            "{welcome:?} after {before:?}"
        );
        assert!(welcome.node_epoch > before.node_epoch, "{welcome:?}");
        assert_eq!(welcome.watermark.0, 0, "what waits there is numbered anew");
        assert_eq!(welcome.node_id, before.node_id);
        // It has nothing of what is wanted, so that begins; and its reports take effect.
        cluster.wait("greeter", Until::Running).await.unwrap();
        let shown = cluster.json("/v1/instances/n1/greeter").await;
        assert_eq!(shown["incarnation"], 2, "{shown:#}");
        (before, config) = (welcome, agent.config());
        agent.kill().await;
    }
    assert!(first.acknowledged.0 >= 6);
    let events = cluster.json("/v1/events").await;
    assert!(
        events.to_string().contains("cluster.epoch_raised"),
        "{events:#}"
    );
    assert_eq!(
        cluster.json("/v1/graph/check").await,
        Value::Array(Vec::new())
    );
}

/// A byte in the middle of its newest log of some length.
fn damage(dir: &Path) {
    let logs = fs::read_dir(dir.join("db")).unwrap();
    let logs = logs.map(|entry| entry.unwrap().path());
    let long = |path: &PathBuf| fs::metadata(path).unwrap().len() > 1000;
    let is_log = |path: &PathBuf| path.extension().is_some_and(|found| found == "log");
    let log = logs.filter(is_log).filter(long).max().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle] ^= 0x10;
    fs::write(log, bytes).unwrap();
}

// proves: S17
#[tokio::test(flavor = "multi_thread")]
async fn a_survivor_is_recovered_and_those_of_the_old_epoch_are_refused() {
    let mut group = Group::of(3).await;
    let agent = group.agent(1, "n1").await;
    let started = crate::cluster::request("greeter", &["n1"]);
    group.at(1).client.start(&started).await.unwrap();
    until("s2 shows it", || async {
        let shown: Result<Value, _> = group.at(2).client.get("/v1/instances/n1/greeter").await;
        shown.is_ok_and(|shown| shown["state"] == "Running")
    })
    .await;
    let kept = group.at(2).options.dir.with_file_name("kept");
    let of_follower = back_up(&group.at(2).client, &kept).await;
    assert_eq!(
        of_follower.about.station,
        StationId(2),
        "any station writes one"
    );
    let welcome = agent.welcome.clone();
    for number in 1..=3 {
        group.stop(number).await;
    }
    agent.kill().await;

    let from = group.at(2).options.dir.clone();
    let made = from.with_file_name("made");
    let survivor = Survivor::open(&from).unwrap();
    let voters = [1, 2, 3].map(StationId);
    assert_eq!(survivor.found.voters, voters, "{:?}", survivor.found);
    survivor.rebuild(&made, NOW_MS).unwrap();
    drop(survivor);
    fs::rename(&from, from.with_file_name("s2.old")).unwrap();
    fs::rename(&made, &from).unwrap();
    let of_third = group.at(3).options.dir.clone();
    damage(&of_third);
    let refused = repair(&of_third, &made, NOW_MS, None).unwrap_err();
    assert!(
        matches!(refused, OpenError::OneOfSeveral { .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("station remove s3 --yes"),
        "{refused}"
    );
    assert!(!made.exists());

    group.start(2).await;
    group.until_ready(2).await;
    until("it is its whole group", || async {
        group.stations(2).await.len() == 1
    })
    .await;
    let agent = group.agent(2, "n1").await;
    assert!(agent.welcome.leadership > welcome.leadership);

    an_old_one_is_refused(&mut group).await;
    a_new_one_is_taken_in(&mut group).await;
}

/// It wants to be elected by the two others that it knows.
async fn an_old_one_is_refused(group: &mut Group) {
    group.start(1).await;
    let refused = "the cluster was restored or recovered without this station";
    until("s1 knows why nobody hears it", || async {
        let ready = group.at(1).client.ready().await;
        ready.is_err_and(|problem| problem.why.contains(refused))
    })
    .await;
    let status: Value = group.at(1).client.get("/v1/status").await.unwrap();
    assert_eq!(status["quorum"], false, "{status:#}");
    assert_eq!(group.stations(2).await.len(), 1);
}

/// Under a number that was never used; where s2 is, it hears from the group itself.
async fn a_new_one_is_taken_in(group: &mut Group) {
    group.member(4, Some(group.cluster()));
    let options = group.members_last().options.clone();
    let running = Station::new().start(options.clone()).await.unwrap();
    let address = format!("unix:{}", options.sessions_socket.display());
    let added = group
        .at(2)
        .client
        .add_station("s4", &address)
        .await
        .unwrap();
    assert!(added.changed, "{added:?}");
    until("it knows who leads", || async {
        let stations: Vec<Value> = group
            .members_last()
            .client
            .list("/v1/stations")
            .await
            .unwrap();
        stations.len() == 2 && stations.iter().any(|one| one["role"] == "leader")
    })
    .await;
    running.stop().await;
}

/// Where no cluster is, there is nothing to keep.
#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_waits_to_be_added_has_no_backup_to_give() {
    let mut group = Group::of(1).await;
    group.member(2, Some(group.cluster()));
    group.start(2).await;
    let problem = group.at(2).client.backup().await.unwrap_err();
    assert_eq!(problem.code.as_str(), "MS-NO-QUORUM", "{problem}");
}
