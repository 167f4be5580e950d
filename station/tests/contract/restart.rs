//! A station that ends and comes back: what was acknowledged is there, agents come again, times stand.

use mainstay_api::Time;
use mainstay_api::types::Until;

use crate::cluster::{Cluster, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_station_knows_what_was_committed() {
    // acceptance: 6
    let (mut cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    cluster.client.stop("n1", "greeter").await.unwrap();
    cluster
        .wait("greeter@n1", Until::State("Stopped".to_owned()))
        .await
        .unwrap();
    let before = cluster.json("/v1/instances/n1/greeter").await;
    let node_id = agents[0].welcome.node_id;
    cluster.stop().await;
    agents[0].until(|seen| seen.closed).await;
    assert!(!cluster.options.api_socket.exists() && !cluster.options.sessions_socket.exists());
    cluster.start().await;
    let after = cluster.json("/v1/instances/n1/greeter").await;
    assert_eq!(
        (&before["state"], &before["desired"]),
        (&after["state"], &after["desired"])
    );
    let since =
        |shown: &serde_json::Value| serde_json::from_value::<Time>(shown["since"].clone()).unwrap();
    let moved = since(&before).wall_ms.abs_diff(since(&after).wall_ms);
    assert!(
        moved < 1000,
        "a restart does not move what was before it: {moved} ms"
    );
    let again = cluster.agent(agents[0].config()).await;
    assert_eq!(again.welcome.node_id, node_id);
    let version = cluster.client.version().await.unwrap();
    assert_eq!(version.cluster.as_deref(), Some("test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_moved_while_its_station_was_away_holds_the_same_graph() {
    // case: services 10
    // proves: S17
    const GRAPH: [&str; 4] = [
        "/v1/placements",
        "/v1/instances",
        "/v1/names",
        "/v1/configurations",
    ];
    let (mut cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    cluster.client.stop("n1", "greeter").await.unwrap();
    cluster
        .wait("greeter@n1", Until::State("Stopped".to_owned()))
        .await
        .unwrap();
    let version = cluster.client.version().await.unwrap();
    let mut before = Vec::new();
    for path in GRAPH {
        before.push(cluster.json(path).await);
    }
    assert_ne!(before[1], serde_json::json!([]), "there is something");
    cluster.stop().await;
    agents[0].until(|seen| seen.closed).await;

    let old = cluster.options.dir.clone();
    cluster.move_to("moved");
    cluster.start().await;
    for (path, before) in GRAPH.iter().zip(before) {
        let after = cluster.json(path).await;
        assert_eq!(without_times(after), without_times(before), "{path}");
    }
    let after = cluster.client.version().await.unwrap();
    assert_eq!(after.cluster_id, version.cluster_id);
    assert!(!old.exists(), "nothing is made at the old place");
}

/// When something was, is told with the clock of whoever tells it.
fn without_times(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(key, _)| key != "since");
            kept.map(|(key, value)| (key, without_times(value)))
                .collect()
        }
        Value::Array(list) => list.into_iter().map(without_times).collect(),
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_ended_in_order_says_so_and_its_next_start_says_nothing_else() {
    // proves: S12, S24
    let mut cluster = Cluster::alone().await;
    cluster.stop().await;
    cluster.start().await;
    until("it says that it runs", || async {
        cluster.json("/v1/stations").await[0]["state"] == "Running"
    })
    .await;
    let events = cluster.json("/v1/events?after=0&ref=station/s1").await;
    let kinds: Vec<&str> = events
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["station.joined", "station.stopped", "station.started"],
        "{events:#}"
    );
    let stations = cluster.json("/v1/stations").await;
    assert_eq!(stations[0]["reason"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_is_gone_is_exit_6_and_a_second_one_may_not_share_its_directory() {
    let mut cluster = Cluster::alone().await;
    let second = mainstay_station::Station::new()
        .start(cluster.options.clone())
        .await;
    let text = second.err().expect("the directory is in use").to_string();
    assert!(text.contains("in use"), "{text}");
    assert!(cluster.dir().exists());
    cluster.client.status().await.unwrap();
    cluster.stop().await;
    let problem = cluster.client.status().await.unwrap_err();
    assert_eq!(problem.exit.code(), 6);
}
