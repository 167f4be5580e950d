//! Waiting: for what is not there yet, until a definite end, never longer than asked.

use mainstay_api::Exit;
use mainstay_api::types::{Until, WaitRequest};

use crate::agent::Act;
use crate::cluster::{Cluster, instance, named, request};

fn short(reference: &str, until: Until) -> WaitRequest {
    WaitRequest {
        reference: reference.to_owned(),
        until,
        timeout_ms: 150,
        unless_blocked: false,
        after_revision: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_succeeds_when_what_was_not_there_appears() {
    // case: usability 20
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let client = cluster.client.clone();
    let waiting = tokio::spawn(async move {
        let request = WaitRequest {
            timeout_ms: 20_000,
            ..short("greeter@n1", Until::Healthy)
        };
        client.wait(&request).await
    });
    cluster.start_on("greeter", &["n1"]).await.unwrap();
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.instances[0].reference, "greeter@n1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_over_says_how_it_stands_and_ends_with_8() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let absent = cluster
        .client
        .wait(&short("greeter", Until::Running))
        .await
        .unwrap_err();
    assert_eq!(absent.exit, Exit::TimedOut);
    assert_eq!(absent.to_do, "mainstay why greeter");
    cluster.run_on("greeter", &["n1"]).await;
    let running = cluster
        .client
        .wait(&short("greeter@n1", Until::Gone))
        .await
        .unwrap_err();
    assert!(running.why.contains("greeter@n1 is Running"), "{running}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_failure_ends_a_wait_at_once_with_9() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.start_on("stubborn", &["n1"]).await.unwrap();
    let problem = cluster.wait("stubborn", Until::Running).await.unwrap_err();
    assert_eq!(problem.exit, Exit::TargetFailed);
    assert!(
        problem.why.contains("does not like its configuration"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_come_ends_a_wait_at_once_with_9() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster
        .client
        .start(&named("immortal", &["n1"]))
        .await
        .unwrap();
    cluster.wait("immortal", Until::Running).await.unwrap();
    cluster.client.stop("n1", "immortal").await.unwrap();
    let stopped = || Until::State("Stopped".to_owned());
    for (reference, until) in [
        ("immortal@n1", Until::Gone),
        ("immortal", Until::Gone),
        ("immortal@n1", stopped()),
        ("immortal@n1", Until::Running),
    ] {
        let problem = cluster.wait(reference, until).await.unwrap_err();
        assert_eq!(problem.exit, Exit::TargetFailed, "{problem}");
        assert!(problem.why.contains("Stopping"), "{problem}");
        assert_eq!(problem.to_do, "mainstay why immortal@n1");
    }
    let stopping = Until::State("Stopping".to_owned());
    cluster.wait("immortal@n1", stopping).await.unwrap();
    cluster.start_on("stubborn", &["n1"]).await.unwrap();
    let running = Until::State("Running".to_owned());
    let problem = cluster.wait("stubborn@n1", running).await.unwrap_err();
    assert_eq!(problem.exit, Exit::TargetFailed, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_its_kind_does_not_have_is_a_usage_error_at_once() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    for (reference, state) in [
        ("node/n1", "Running"),
        ("greeter@n1", "Online"),
        ("greeter", "AgentDown"),
        ("supervisor/n1", "Stopped"),
    ] {
        let until = Until::State(state.to_owned());
        let problem = cluster.wait(reference, until).await.unwrap_err();
        assert_eq!(problem.exit, Exit::Usage, "{problem}");
        assert!(problem.why.contains("it can be "), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_ends_in_quarantine_and_a_clear_revives_it() {
    // acceptance: 4
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    agents[0]
        .act(Act::Fail(instance("greeter@n1"), "first boom".to_owned()))
        .await;
    agents[0].until(|seen| seen.starts == 2).await;
    cluster.wait("greeter@n1", Until::Running).await.unwrap();
    agents[0]
        .act(Act::Fail(instance("greeter@n1"), "second boom".to_owned()))
        .await;
    cluster
        .wait("greeter@n1", Until::State("Backoff".to_owned()))
        .await
        .unwrap();
    let shown = cluster.json("/v1/instances/n1/greeter").await;
    assert!(shown["next_try"].is_string(), "{shown}");
    let status = cluster.client.status().await.unwrap();
    assert_eq!(status.scheduled[0].reference, "greeter@n1");
    let why = serde_json::to_string(&cluster.client.why("greeter@n1").await.unwrap()).unwrap();
    assert!(why.contains("second boom"), "{why}");
    cluster.client.clear("n1", "greeter").await.unwrap();
    cluster.wait("greeter@n1", Until::Running).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_waits_are_usage_errors() {
    let cluster = Cluster::alone().await;
    for body in [
        serde_json::json!({"ref": "web", "for": "happiness", "timeout_ms": 1}),
        serde_json::json!({"ref": "We b", "for": "running", "timeout_ms": 1}),
        serde_json::json!({"ref": "web"}),
        serde_json::json!({"ref": "web", "for": "running", "timeout_ms": 1, "until": "x"}),
    ] {
        let problem = cluster
            .client
            .post::<_, serde_json::Value>("/v1/wait", &body)
            .await
            .unwrap_err();
        assert_eq!(problem.exit, Exit::Usage, "{problem}");
    }
    assert_eq!(
        cluster
            .client
            .start(&request("web", &["n1"]))
            .await
            .unwrap_err()
            .exit,
        Exit::NotFound
    );
}
