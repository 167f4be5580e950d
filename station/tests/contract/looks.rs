//! Reads: every list and every single resource, with exactly the keys of the contract.

use mainstay_api::routes;
use mainstay_api::types::{Until, Verdict};
use mainstay_protocol::code;
use serde_json::json;

use crate::cluster::{Cluster, contract, keys};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_listed_with_the_keys_of_the_contract() {
    let (cluster, _agents) = Cluster::with(&["n1", "n2"]).await;
    cluster.run_on("greeter", &["n1", "n2"]).await;
    let cases = [
        (
            "nodes",
            "name, id, state, role, build, address, labels, schedulable, maintenance, maintenance_until, heard_ms, instances, room, reason, since, strays, restart",
        ),
        (
            "instances",
            "ref, node, name, type, version, incarnation, desired, state, health, reason, since, checked_ms, attempts, next_try, config, config_wanted, process, supervisor, placement, uses, usage, watched_by",
        ),
        (
            "placements",
            "name, type, holds, target, generation, made_by, made_at, leaving, want, have, healthy, stopped, state, reason, config, config_on, policy, depends_on, update, restart_group, singleton, needs, minimum, moves, maintenance, maintenance_until, rollout, rolled_back, waiting_on",
        ),
    ];
    for (kind, wanted) in cases {
        let rows = cluster.json(&format!("/v1/{kind}")).await;
        let first = &rows[0];
        assert_eq!(keys(first), contract(wanted), "{kind}");
    }
    let names = cluster.json("/v1/names").await;
    assert_eq!(names[0]["holder"], "greeter@n1");
    for key in ["node", "name", "holder"] {
        assert!(names[0].get(key).is_some());
    }
    let supervisors = cluster.json("/v1/supervisors").await;
    for key in ["node", "state", "incarnation", "watches", "watched_by"] {
        assert!(supervisors[0].get(key).is_some(), "{key}");
    }
    for kind in [
        "stations",
        "types",
        "configurations",
        "parked",
        "resources",
        "asked",
        "procedures",
        "collected",
    ] {
        assert!(
            cluster.json(&format!("/v1/{kind}")).await.is_array(),
            "{kind}"
        );
    }
    let status = cluster.json("/v1/status").await;
    let wanted = "verdict, quorum, leader, term, data_age_ms, nodes, instances, problems, working_on, scheduled, rules_off, broken, set_aside";
    assert_eq!(keys(&status), contract(wanted));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_resource_is_shown_by_path_and_by_reference_alike() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let hash = cluster.json("/v1/configurations").await[0]["hash"]
        .as_str()
        .unwrap()
        .to_owned();
    let cases = [
        ("/v1/nodes/n1".to_owned(), "node/n1".to_owned()),
        ("/v1/stations/s1".to_owned(), "stations/s1".to_owned()),
        ("/v1/types/greeter".to_owned(), "type/greeter".to_owned()),
        ("/v1/placements/greeter".to_owned(), "greeter".to_owned()),
        (
            "/v1/instances/n1/greeter".to_owned(),
            "greeter@n1".to_owned(),
        ),
        (
            "/v1/names/n1/greeter".to_owned(),
            "name/n1/greeter".to_owned(),
        ),
        ("/v1/supervisors/n1".to_owned(), "supervisors/n1".to_owned()),
        (
            format!("/v1/configurations/{hash}"),
            format!("config/{hash}"),
        ),
    ];
    for (path, reference) in cases {
        let mut by_path = cluster.json(&path).await;
        let mut by_reference = cluster.client.resource(&reference).await.unwrap().value;
        for value in [&mut by_path, &mut by_reference] {
            // Ages go on between two reads.
            value
                .as_object_mut()
                .unwrap()
                .retain(|key, _| key != "heard_ms" && key != "checked_ms");
        }
        assert_eq!(by_path, by_reference, "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_instances_use_is_asked_of_their_nodes_only_for_whoever_wants_it() {
    // proves: S7
    let (cluster, _agents) = Cluster::with(&["n1", "n2"]).await;
    cluster.run_on("greeter", &["n1", "n2"]).await;
    for path in ["/v1/instances", "/v1/instances?usage=1"] {
        let rows = cluster.json(path).await;
        assert_eq!(rows.as_array().map(Vec::len), Some(2));
        for row in rows.as_array().into_iter().flatten() {
            assert_eq!(row["usage"].is_object(), path.contains("usage"), "{row:#}");
        }
    }
    let one = cluster.client.instance_and_usage("n1", "greeter").await;
    let used = one.unwrap().usage.unwrap();
    assert_eq!(used.restarts, 0);
    assert_eq!(
        (used.cpu_ms, used.memory_bytes, used.processes),
        (Some(1_500), Some(4096), Some(2))
    );
    let described = cluster.client.resource_and_usage("greeter@n2").await;
    assert_eq!(described.unwrap().value["usage"]["served"], 1);
    // Of what is no instance there is none, and nothing is wrong with asking.
    let described = cluster.client.resource_and_usage("node/n1").await.unwrap();
    assert_eq!(described.value["usage"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_cluster_says_so_and_a_broken_instance_is_a_problem_with_its_root() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    cluster.wait("greeter", Until::Healthy).await.unwrap();
    let status = cluster.client.status().await.unwrap();
    assert_eq!((status.verdict, status.quorum), (Verdict::Healthy, true));
    assert_eq!(status.leader.as_deref(), Some("s1"));
    cluster.start_on("rival", &["n1"]).await.unwrap();
    cluster
        .wait("rival@n1", Until::State("Blocked".to_owned()))
        .await
        .unwrap();
    let status = cluster.client.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Degraded);
    let problem = &status.problems[0];
    assert_eq!(
        (problem.reference.as_str(), problem.root.as_str()),
        ("rival@n1", "greeter@n1")
    );
    assert_eq!(
        problem.reason.as_ref().map(|reason| &reason.code),
        Some(&code::NAME_HELD)
    );
    let why = cluster.client.why("rival@n1").await.unwrap();
    assert!(!why.tree.root && !why.tree.because.is_empty());
    assert_eq!(cluster.client.why_all().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_pages_work_on_the_wire() {
    let (cluster, _agents) = Cluster::with(&["n1", "n2"]).await;
    cluster.run_on("greeter", &["n1", "n2"]).await;
    let on_two = cluster.json("/v1/instances?node=n2").await;
    assert_eq!(on_two.as_array().map(Vec::len), Some(1));
    let paged: Vec<serde_json::Value> = cluster.client.list("/v1/instances?limit=1").await.unwrap();
    assert_eq!(paged.len(), 2);
    let none = cluster.json("/v1/instances?state=Blocked").await;
    assert_eq!(none, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_references_kinds_and_parameters_are_answered_with_the_nearest() {
    // acceptance: 12
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let cases = [
        ("/v1/instances/n1/greter", 3, "greeter@n1"),
        ("/v1/nodes/n9", 3, "node/n1"),
        ("/v1/types/gretter", 3, "type/greeter"),
        ("/v1/resource?ref=nodse/n1", 2, "node"),
        ("/v1/instances?stat=Running", 2, "state"),
        ("/v1/statsu", 3, "/v1/status"),
    ];
    for (path, exit, nearest) in cases {
        let problem = cluster
            .client
            .get::<serde_json::Value>(path)
            .await
            .unwrap_err();
        assert_eq!(problem.exit.code(), exit, "{path}: {problem}");
        assert_eq!(
            problem.nearest.first().map(String::as_str),
            Some(nearest),
            "{path}: {problem}"
        );
        assert!(!problem.request_id.is_empty() && !problem.to_do.is_empty());
    }
    for path in [
        "/v1/instances?limit=many",
        "/v1/resource",
        "/v1/events?after=x",
        "/v1/nodes/%20",
        "/v1/decisions?cursor=1",
    ] {
        let problem = cluster
            .client
            .get::<serde_json::Value>(path)
            .await
            .unwrap_err();
        assert_eq!(problem.exit.code(), 2, "{path}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_health_and_metrics_answer() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let version = cluster.client.version().await.unwrap();
    assert_eq!(version.cluster.as_deref(), Some("test"));
    assert!(version.rules.iter().any(|rule| rule == "restart"));
    cluster.client.ready().await.unwrap();
    let text = get_text(&cluster, routes::METRICS.path).await;
    for name in [
        "mainstay_build_info",
        "mainstay_inbox_depth",
        "mainstay_batch_size_count",
        "mainstay_commit_seconds_bucket",
        "mainstay_node_state{state=\"Online\"} 1",
    ] {
        assert!(text.contains(name), "{name} is missing in {text}");
    }
    assert!(
        get_text(&cluster, routes::HEALTHZ.path)
            .await
            .contains("ok")
    );
}

/// Text routes are no JSON, so the typed client does not read them.
async fn get_text(cluster: &Cluster, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::UnixStream::connect(&cluster.options.api_socket)
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
