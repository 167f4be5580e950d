//! Changes: committed before they are answered, refused with the right exit code, safe to repeat.

use mainstay_api::Exit;
use mainstay_api::types::{On, Until};
use mainstay_protocol::code;
use serde_json::json;

use crate::cluster::{Cluster, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_makes_a_placement_and_a_second_says_that_it_runs_already() {
    // acceptance: 2
    let (cluster, agents) = Cluster::with(&["n1"]).await;
    let first = cluster.start_on("greeter", &["n1"]).await.unwrap();
    assert!(first.changed);
    assert_eq!(first.instances, ["greeter@n1"]);
    cluster.wait("greeter@n1", Until::Running).await.unwrap();
    let second = cluster.start_on("greeter", &["n1"]).await.unwrap();
    assert!(!second.changed, "{}", second.text);
    assert_eq!(agents[0].seen().starts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_start_have_their_exit_codes_and_change_nothing() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let mut other_config = request("greeter", &["n1"]);
    other_config.config = json!({"greeting": "good day"});
    let mut held = request("greeter", &["n1"]);
    held.name = Some("second".to_owned());
    held.holds = Some("slot".to_owned());
    let mut bad_config = request("generic", &["n1"]);
    bad_config.config = json!([1]);
    let mut huge = request("generic", &["n1"]);
    huge.config = json!({"x": "y".repeat(60_000)});
    let cases = [
        (
            request("greeter", &["n9"]),
            Exit::NotFound,
            code::UNKNOWN_NODE,
        ),
        (
            request("gretter", &["n1"]),
            Exit::NotFound,
            code::UNKNOWN_TYPE,
        ),
        (request("greeter", &[]), Exit::Usage, code::BAD_REQUEST),
        (request("Greeter", &["n1"]), Exit::Usage, code::BAD_REQUEST),
        (other_config, Exit::Conflict, code::PLACEMENT_DIFFERS),
        (held, Exit::Usage, code::NAME_IS_FIXED),
        (bad_config, Exit::Usage, code::BAD_CONFIG),
        (huge, Exit::Usage, code::BAD_CONFIG),
        (
            request("supervisor", &["n1"]),
            Exit::Refused,
            code::OWN_PART,
        ),
        (
            request("recovery-coordinator", &["n1"]),
            Exit::Refused,
            code::OWN_PART,
        ),
    ];
    for (wish, exit, code) in cases {
        let problem = cluster.client.start(&wish).await.unwrap_err();
        assert_eq!((problem.exit, &problem.code), (exit, &code), "{problem}");
    }
    assert_eq!(
        cluster
            .json("/v1/placements")
            .await
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let unknown = cluster.start_on("gretter", &["n1"]).await.unwrap_err();
    assert_eq!(unknown.nearest.first().map(String::as_str), Some("greeter"));
    let mut wish = request("greeter", &["n1"]);
    wish.config = json!({"greeting": "good day"});
    let differs = cluster.client.start(&wish).await.unwrap_err();
    assert!(
        differs.why.contains("greeting"),
        "the difference is shown: {differs}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_held_blocks_and_is_given_on_when_it_is_free() {
    // acceptance: 3
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    cluster.start_on("rival", &["n1"]).await.unwrap();
    let blocked = mainstay_api::types::WaitRequest {
        reference: "rival".to_owned(),
        until: Until::Running,
        timeout_ms: 20_000,
        unless_blocked: true,
        after_revision: 0,
    };
    let problem = cluster.client.wait(&blocked).await.unwrap_err();
    assert_eq!(problem.exit, Exit::Conflict);
    assert!(problem.why.contains("greeter@n1"), "{problem}");
    cluster.client.stop("n1", "greeter").await.unwrap();
    cluster.wait("rival@n1", Until::Running).await.unwrap();
    let name = cluster.json("/v1/names/n1/greeter").await;
    assert_eq!(name["holder"], "rival@n1");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_restart_and_clear_act_on_the_instance() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let restarted = cluster.client.restart("n1", "greeter").await.unwrap();
    assert!(restarted.changed);
    agents[0].until(|seen| seen.starts == 2).await;
    cluster.wait("greeter@n1", Until::Running).await.unwrap();
    assert_eq!(
        cluster.json("/v1/instances/n1/greeter").await["incarnation"],
        2
    );
    cluster.client.stop("n1", "greeter").await.unwrap();
    cluster
        .wait("greeter@n1", Until::State("Stopped".to_owned()))
        .await
        .unwrap();
    let stopped = cluster.json("/v1/instances/n1/greeter").await;
    assert_eq!(
        (stopped["desired"].as_str(), stopped["state"].as_str()),
        (Some("Stopped"), Some("Stopped"))
    );
    for verb in ["stop", "restart", "clear"] {
        let path = format!("/v1/instances/n1/gretter/{verb}");
        let problem = cluster
            .client
            .post::<_, serde_json::Value>(&path, &json!(null))
            .await
            .unwrap_err();
        assert_eq!(problem.exit, Exit::NotFound, "{problem}");
        assert_eq!(problem.nearest, ["greeter@n1"]);
        assert!(problem.what.starts_with(verb));
        let path = format!("/v1/instances/n1/supervisor/{verb}");
        let problem = cluster
            .client
            .post::<_, serde_json::Value>(&path, &json!(null))
            .await
            .unwrap_err();
        assert_eq!(problem.exit, Exit::Refused, "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn start_everywhere_takes_in_nodes_that_come_later() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let mut wish = request("greeter", &[]);
    wish.on = On::All;
    cluster.client.start(&wish).await.unwrap();
    cluster.wait("greeter@n1", Until::Running).await.unwrap();
    let _later = cluster.agent(crate::agent::AgentConfig::named("n2")).await;
    cluster.wait("greeter@n2", Until::Running).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_acts_once_and_gets_the_same_answer() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let path = "/v1/instances/n1/greeter/restart";
    let first = raw_post(&cluster, path, "key-1").await;
    let again = raw_post(&cluster, path, "key-1").await;
    assert_eq!(first, again);
    agents[0].until(|seen| seen.starts == 2).await;
    cluster.wait("greeter@n1", Until::Running).await.unwrap();
    let revision = |answer: &str| {
        answer
            .split("\"revision\":")
            .nth(1)
            .map(|rest| rest.to_owned())
    };
    assert!(revision(&first).is_some(), "{first}");
    let other = raw_post(&cluster, path, "key-2").await;
    assert_ne!(revision(&first), revision(&other));
    agents[0].until(|seen| seen.starts == 3).await;
}

/// The body of the answer.
async fn raw_post(cluster: &Cluster, path: &str, key: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::UnixStream::connect(&cluster.options.api_socket)
        .await
        .unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nidempotency-key: {key}\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}
