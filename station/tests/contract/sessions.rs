//! Sessions: one per node, welcomed where the node left off, closed when silent or stuck.

use mainstay_api::types::Until;
use mainstay_protocol::frame::{Frame, encode_frame};
use mainstay_protocol::handshake::Channel;
use mainstay_protocol::{ClusterId, Sequence, code};
use uuid::Uuid;

use crate::agent::{Act, Agent, AgentConfig};
use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_under_a_nodes_name_is_refused_and_the_first_goes_on() {
    let (cluster, agents) = Cluster::with(&["n1"]).await;
    let denied = Agent::connect(&cluster.sessions(), AgentConfig::named("n1"))
        .await
        .err()
        .unwrap();
    assert_eq!(denied.code, code::NODE_ID_IN_USE);
    assert!(!agents[0].seen().closed);
    cluster.run_on("greeter", &["n1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_agent_takes_its_own_session_over_and_goes_on_where_it_was() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let first = &mut agents[0];
    // Started, HealthChanged, CommandDone.
    first.until(|seen| seen.acknowledged == Sequence(3)).await;
    let again = Agent::connect(&cluster.sessions(), first.config())
        .await
        .unwrap();
    assert_eq!(again.welcome.watermark, Sequence(3));
    assert_eq!(again.welcome.node_id, first.welcome.node_id);
    first.until(|seen| seen.closed).await;
    cluster
        .wait("node/n1", Until::State("Online".to_owned()))
        .await
        .unwrap();
    assert!(!again.seen().closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_is_down_and_its_next_process_is_welcome() {
    // acceptance: 5
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let mut config = agents[0].config().run_again();
    // Its file is void: nobody can tell what became of what it hosted, and the rule decides.
    config.node_epoch = None;
    agents.remove(0).kill().await;
    cluster
        .wait("node/n1", Until::State("AgentDown".to_owned()))
        .await
        .unwrap();
    let unknown = cluster.json("/v1/instances/n1/greeter").await;
    assert_eq!(unknown["state"], "Unknown");
    let mut agent = cluster.agent(config).await;
    agent.until(|seen| seen.starts == 1).await;
    cluster.wait("greeter@n1", Until::Running).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_is_given_up_and_its_connection_closed() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    agents[0].act(Act::Freeze).await;
    cluster
        .wait("node/n1", Until::State("AgentDown".to_owned()))
        .await
        .unwrap();
    let node = cluster.json("/v1/nodes/n1").await;
    assert_eq!(node["reason"]["code"], "MS-AGENT-DOWN");
    let said = node["reason"]["text"].as_str().unwrap();
    assert!(said.contains("heartbeats stopped"), "{said}");
    agents[0].until(|seen| seen.closed).await;
    let config = agents[0].config().run_again();
    let _next = cluster.agent(config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_cluster_gets_no_session() {
    let cluster = Cluster::alone().await;
    let mut config = AgentConfig::named("n1");
    config.cluster = Some(ClusterId(Uuid::new_v4()));
    assert!(Agent::connect(&cluster.sessions(), config).await.is_err());
    assert_eq!(
        cluster.json("/v1/nodes").await.as_array().map(Vec::len),
        Some(0)
    );
}

// case: orchestrations 53
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_is_answered_and_the_session_lives() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    let mut bytes = Vec::new();
    for (kind, body) in [(999, vec![1, 2, 3]), (2, vec![0xff; 40])] {
        let frame = Frame {
            kind,
            body_version: 1,
            compat: 1,
            codec: 1,
            request_id: 7,
            trace: [0; 24],
            term: 0,
            body,
        };
        encode_frame(&frame, Channel::Control, &mut bytes).unwrap();
    }
    agents[0].act(Act::Raw(bytes)).await;
    agents[0].until(|seen| seen.unsupported == 1).await;
    cluster.run_on("greeter", &["n1"]).await;
    agents.remove(0).kill().await;
    cluster
        .wait("node/n1", Until::State("AgentDown".to_owned()))
        .await
        .unwrap();
    let bad = cluster.client.bad_frames().await.unwrap();
    assert_eq!(
        (bad[0].peer.as_str(), bad[0].total, bad[0].last[0].kind),
        ("n1", 1, Some(2))
    );
}

// proves: S23
#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_that_wants_leases_renewed_is_told_its_own_moment() {
    let (_cluster, mut agents) = Cluster::with(&["n1"]).await;
    agents[0].until(|seen| seen.renewed >= Some(3)).await;
}
