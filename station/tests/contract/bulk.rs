//! The bulk connection of a session, as an agent opens it: long requests come over it, long answers go over it.

use mainstay_protocol::handshake::Channel;
use mainstay_protocol::request::{Answer, Ask};
use mainstay_protocol::session::{AgentMessage, BulkUp, StationMessage};
use mainstay_protocol::{AgentRunId, limits};
use serde_json::json;
use tokio::net::unix::OwnedWriteHalf;
use uuid::Uuid;

use crate::agent::{AgentConfig, Wire, send, shaken_on};
use crate::cluster::Cluster;

/// A bulk connection up to the station's word about it.
async fn bulk(
    cluster: &Cluster,
    config: &AgentConfig,
    agent_run: AgentRunId,
) -> (Wire, OwnedWriteHalf, Option<StationMessage>) {
    let stream = shaken_on(Channel::Bulk, &cluster.sessions(), config).await;
    let (reader, mut writer) = stream.into_split();
    let mut wire = Wire::new(reader);
    send(&mut writer, &AgentMessage::BulkUp(BulkUp { agent_run })).await;
    let word = wire.next().await;
    (wire, writer, word)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_message_and_its_answer_go_over_the_bulk_connection_and_short_ones_do_not() {
    // proves: S22
    let (cluster, agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let config = agents[0].config();
    let (mut wire, mut writer, word) = bulk(&cluster, &config, config.agent_run).await;
    assert!(
        matches!(word, Some(StationMessage::BulkReady(_))),
        "{word:?}"
    );
    let long = json!({ "text": "x".repeat(limits::BULKY_BYTES_MIN) });
    let (client, body) = (cluster.client.clone(), long.clone());
    let call = tokio::spawn(async move { client.call("n1", "greeter", "greet", &body).await });
    let Some(StationMessage::Request {
        request_id,
        request,
    }) = wire.next().await
    else {
        panic!("no request")
    };
    let Ask::Message { body, .. } = request.ask else {
        panic!("{request:?}")
    };
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&body).unwrap(),
        long
    );
    // While that one is under way, a short one goes over the session and is answered by the agent there.
    let short = cluster
        .client
        .call("n1", "greeter", "greet", &json!(1))
        .await;
    assert_eq!(short.unwrap().answer, json!({ "heard": 1 }));
    let answer = Answer::Reply {
        body: long.to_string(),
    };
    send(&mut writer, &AgentMessage::Answer { request_id, answer }).await;
    assert_eq!(call.await.unwrap().unwrap().answer, long);
    // It goes, and long ones go over the session again.
    drop((wire, writer));
    let answer = cluster.client.call("n1", "greeter", "greet", &long).await;
    assert_eq!(answer.unwrap().answer, json!({ "heard": long }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_connection_without_a_session_or_with_other_words_is_refused() {
    let (cluster, agents) = Cluster::with(&["n1"]).await;
    let config = agents[0].config();
    let stranger = AgentRunId(Uuid::from_u128(7));
    let (_, _, word) = bulk(&cluster, &config, stranger).await;
    assert!(matches!(word, Some(StationMessage::Denied(_))), "{word:?}");
    let (mut wire, mut writer, word) = bulk(&cluster, &config, config.agent_run).await;
    assert!(
        matches!(word, Some(StationMessage::BulkReady(_))),
        "{word:?}"
    );
    send(&mut writer, &AgentMessage::Heartbeat(Default::default())).await;
    assert_eq!(
        wire.next().await,
        None,
        "reports and heartbeats do not come this way"
    );
    // With its session it ends, whoever holds it.
    let (mut wire, _writer, word) = bulk(&cluster, &config, config.agent_run).await;
    assert!(
        matches!(word, Some(StationMessage::BulkReady(_))),
        "{word:?}"
    );
    for agent in agents {
        agent.kill().await;
    }
    assert_eq!(wire.next().await, None);
}
