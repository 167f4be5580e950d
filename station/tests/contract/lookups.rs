//! What an agent follows of the graph: told at once, and again whenever it is something else.

use mainstay_protocol::frame::encode_frame;
use mainstay_protocol::handshake::Channel;
use mainstay_protocol::limits;
use mainstay_protocol::lookup::{Follows, Found, Sought};
use mainstay_protocol::session::AgentMessage;

use crate::agent::{Act, Agent, AgentConfig, Seen};
use crate::cluster::{Cluster, instance};

async fn follow(agent: &Agent, sought: &[&str]) {
    let sought = sought.iter().map(|sought| sought.parse().unwrap());
    say(agent, sought.collect::<Vec<_>>()).await;
}

async fn say(agent: &Agent, sought: Vec<Sought>) {
    let follows = AgentMessage::Follows(Follows {
        sought: sought.into_iter().collect(),
    });
    let mut bytes = Vec::new();
    encode_frame(&follows.to_frame(), Channel::Control, &mut bytes).unwrap();
    agent.act(Act::Raw(bytes)).await;
}

/// The instances that were told of, in order, with their incarnations.
fn told(seen: &Seen, sought: &str) -> Option<Vec<String>> {
    let found: &Found = seen.found.get(&sought.parse::<Sought>().unwrap())?;
    let shown = found.instances.iter().map(|one| {
        let (instance, incarnation) = (&one.instance, one.incarnation);
        format!("{instance} {incarnation} {}", one.state)
    });
    Some(shown.collect())
}

fn is(seen: &Seen, sought: &str, wanted: &[&str]) -> bool {
    told(seen, sought).is_some_and(|told| told == wanted)
}

// proves: S14
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_of_what_it_follows_at_once_and_whenever_it_changes() {
    let (cluster, mut agents) = Cluster::with(&["n1", "n2"]).await;
    let all = [
        "greeter",
        "greeter@n1",
        "type/greeter",
        "name/greeter@n1",
        "type/generic",
    ];
    follow(&agents[1], &all).await;
    // Nothing is an answer too.
    let seen = agents[1].until(|seen| all.iter().all(|sought| is(seen, sought, &[])));
    seen.await;

    cluster.run_on("greeter", &["n1", "n2"]).await;
    // Its own node's first.
    let both = ["greeter@n2 1 Running", "greeter@n1 1 Running"];
    let one = ["greeter@n1 1 Running"];
    let seen = agents[1].until(|seen| {
        is(seen, "greeter", &both)
            && is(seen, "type/greeter", &both)
            && is(seen, "greeter@n1", &one)
            && is(seen, "name/greeter@n1", &one)
    });
    let seen = seen.await;
    let found = &seen.found[&"greeter@n1".parse::<Sought>().unwrap()];
    assert_eq!(found.instances[0].address, "unix:/nowhere/agent.sock");
    assert_eq!(found.instances[0].service_type.as_str(), "greeter");
    assert!(is(&seen, "type/generic", &[]));

    let failed = Act::Fail(instance("greeter@n1"), "out of ink".to_owned());
    agents[0].act(failed).await;
    let next = ["greeter@n1 2 Running"];
    agents[1].until(|seen| is(seen, "greeter@n1", &next)).await;

    // A new session knows nothing of the one before: what is followed is said anew, and told anew.
    let again = Agent::connect(&cluster.sessions(), agents[1].config()).await;
    let mut again = again.unwrap();
    follow(&again, &["greeter@n1"]).await;
    again.until(|seen| is(seen, "greeter@n1", &next)).await;
    assert!(again.seen().found.len() == 1, "{:?}", again.seen().found);
}

// proves: S14
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_more_than_an_agent_may_loses_its_session() {
    let (_cluster, mut agents) = Cluster::with(&["n1"]).await;
    let many = (0..=limits::LOOKUPS_FOLLOWED_MAX).map(|number| format!("web-{number}"));
    let many = many.map(|sought| sought.parse().unwrap()).collect();
    say(&agents[0], many).await;
    agents[0].until(|seen| seen.closed).await;
}

// proves: S14
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_agent_comes_back_elsewhere_is_told_with_its_new_address() {
    let (cluster, mut agents) = Cluster::with(&["n1", "n2"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    follow(&agents[1], &["greeter@n1"]).await;
    let sought: Sought = "greeter@n1".parse().unwrap();
    let at = |seen: &Seen, address: &str| {
        let one = seen
            .found
            .get(&sought)
            .and_then(|found| found.instances.first());
        one.is_some_and(|one| one.address == address)
    };
    agents[1]
        .until(|seen| at(seen, "unix:/nowhere/agent.sock"))
        .await;
    let first = agents.remove(0);
    let config = AgentConfig {
        address: "10.0.0.9:7601".to_owned(),
        ..first.config().run_again()
    };
    first.kill().await;
    let _back = cluster.agent(config).await;
    agents[0].until(|seen| at(seen, "10.0.0.9:7601")).await;
}
