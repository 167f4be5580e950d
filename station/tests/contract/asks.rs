//! Questions to agents: Check, Status, messages, chaos, on instances and on the runtime's own supervisor.

use mainstay_api::Exit;
use mainstay_api::types::{ChaosAct, ChaosRequest, Health};
use mainstay_protocol::code;
use serde_json::json;

use crate::agent::AgentConfig;
use crate::cluster::{Cluster, contract, keys};

#[tokio::test(flavor = "multi_thread")]
async fn check_and_status_are_answered_by_the_node() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let check = cluster.client.check("n1", "greeter").await.unwrap();
    assert_eq!(
        (check.reference.as_str(), check.health),
        ("greeter@n1", Health::Ok)
    );
    assert_eq!(
        keys(&serde_json::to_value(&check).unwrap()),
        contract("ref, health, detail, took_ms")
    );
    let status = cluster.client.ask_status("n1", "greeter").await.unwrap();
    assert_eq!(status.text, "greeter@n1 is fine");
    assert_eq!(
        cluster
            .client
            .supervisor_check("n1")
            .await
            .unwrap()
            .reference,
        "supervisor/n1"
    );
    assert_eq!(
        cluster.client.supervisor_status("n1").await.unwrap().text,
        "watches"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_refused_or_timed_out_and_never_silent() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let answer = cluster
        .client
        .call("n1", "greeter", "greet", &json!({"who": "you"}))
        .await
        .unwrap();
    assert_eq!(answer.answer, json!({"heard": {"who": "you"}}));
    let unknown = cluster
        .client
        .call("n1", "greeter", "gret", &json!({}))
        .await
        .unwrap_err();
    assert_eq!(
        (unknown.exit, unknown.nearest),
        (Exit::NotFound, vec!["greet".to_owned()])
    );
    let hung = cluster
        .client
        .call("n1", "greeter", "hang", &json!({}))
        .await
        .unwrap_err();
    assert_eq!(hung.exit, Exit::TimedOut);
    let bad = cluster
        .client
        .call("n1", "greeter", &"x".repeat(500), &json!({}))
        .await
        .unwrap_err();
    assert_eq!(bad.exit, Exit::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_run_cannot_answer_and_says_why() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    assert_eq!(
        cluster
            .client
            .check("n1", "gretter")
            .await
            .unwrap_err()
            .exit,
        Exit::NotFound
    );
    agents.remove(0).kill().await;
    cluster
        .wait(
            "node/n1",
            mainstay_api::types::Until::State("AgentDown".to_owned()),
        )
        .await
        .unwrap();
    let gone = cluster.client.check("n1", "greeter").await.unwrap_err();
    assert_eq!(
        (gone.exit, gone.code),
        (Exit::TargetFailed, code::AGENT_DOWN)
    );
    assert_eq!(
        cluster
            .client
            .supervisor_check("n1")
            .await
            .unwrap_err()
            .code,
        code::AGENT_DOWN
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_reaches_instances_supervisors_and_agents() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    for (reference, hit) in [
        ("greeter@n1", "Kill Instance"),
        ("supervisor/n1", "Kill Supervisor"),
        ("node/n1", "Kill Agent"),
        ("agent/n1", "Kill Agent"),
    ] {
        let request = ChaosRequest {
            reference: reference.to_owned(),
            act: ChaosAct::Kill,
            by_ms: None,
            from_station: false,
        };
        let done = cluster.client.chaos(&request).await.unwrap();
        let told = format!("{reference}: {hit}");
        assert!(done.text.starts_with(&told), "{}", done.text);
    }
    let nowhere = ChaosRequest {
        reference: "greeter".to_owned(),
        act: ChaosAct::Kill,
        by_ms: None,
        from_station: false,
    };
    assert_eq!(
        cluster.client.chaos(&nowhere).await.unwrap_err().exit,
        Exit::Usage
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_is_refused_by_a_station_that_was_not_started_for_it() {
    let mut cluster = Cluster::unstarted();
    cluster.options.chaos = false;
    cluster.start().await;
    let agent = cluster.agent(AgentConfig::named("n1")).await;
    cluster.run_on("greeter", &["n1"]).await;
    for (reference, act) in [
        ("greeter@n1", ChaosAct::Kill),
        ("supervisor/n1", ChaosAct::Panic),
        ("node/n1", ChaosAct::Stop),
        ("station/s1", ChaosAct::Kill),
        ("nonsense/", ChaosAct::Hang),
    ] {
        let request = ChaosRequest {
            reference: reference.to_owned(),
            act,
            by_ms: None,
            from_station: false,
        };
        let problem = cluster.client.chaos(&request).await.unwrap_err();
        assert_eq!(
            (problem.exit, problem.code),
            (Exit::Refused, code::REFUSED_BY_SAFETY),
            "{reference}"
        );
        assert!(problem.why.contains("--chaos"), "{}", problem.why);
    }
    // Nothing reached the node, and the station is still there.
    cluster.client.check("n1", "greeter").await.unwrap();
    assert_eq!(agent.seen().struck, 0);
}
