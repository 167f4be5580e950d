//! Events and decisions: complete, in order, resumable.

use std::time::Duration;

use mainstay_api::client::{DecisionFilter, EventFilter};
use mainstay_api::types::Until;
use mainstay_protocol::limits;

use crate::agent::{Act, AgentConfig};
use crate::cluster::{Cluster, contract, instance, keys, named, until};

#[tokio::test(flavor = "multi_thread")]
async fn events_have_a_total_order_and_can_be_gone_through_in_pages() {
    // case: usability 25
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let first = cluster.json("/v1/events").await;
    assert_eq!(
        keys(&first[0]),
        contract("seq, time, subject, type, cause, rule, message, data")
    );
    let all = cluster
        .client
        .events(&EventFilter::default())
        .await
        .unwrap();
    assert!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let mut paged = Vec::new();
    let mut after = 0;
    loop {
        let filter = EventFilter {
            after: Some(after),
            limit: Some(2),
            reference: None,
        };
        let page = cluster.client.events(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        paged.extend(page);
    }
    // More may have happened since; what was there is there again, without gap or repeat.
    assert_eq!(paged[..all.len()], all[..]);
    let about = EventFilter {
        reference: Some("greeter@n1".to_owned()),
        ..EventFilter::default()
    };
    let about = cluster.client.events(&about).await.unwrap();
    assert!(!about.is_empty() && about.iter().all(|event| event.subject == "greeter@n1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_stream_shows_what_happens_and_resumes_without_loss() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let newest = cluster
        .client
        .events(&EventFilter::default())
        .await
        .unwrap();
    let filter = EventFilter {
        after: newest.last().map(|event| event.seq),
        ..EventFilter::default()
    };
    let mut stream = cluster.client.follow(&filter).await.unwrap();
    cluster.run_on("greeter", &["n1"]).await;
    let mut seen = Vec::new();
    while !seen
        .iter()
        .any(|event: &mainstay_api::types::Event| event.kind == "instance.running")
    {
        let next = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
        seen.push(next.expect("an event comes in time").unwrap().unwrap());
    }
    assert!(seen.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let page = cluster.client.events(&filter).await.unwrap();
    assert_eq!(page[..seen.len()], seen[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_say_which_rule_saw_what_and_did_what() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    cluster.wait("greeter", Until::Healthy).await.unwrap();
    let raw = cluster.json("/v1/decisions").await;
    assert_eq!(
        keys(&raw[0]),
        contract("id, time, rule, subject, saw, did, declined, events")
    );
    let filter = DecisionFilter {
        reference: Some("greeter@n1".to_owned()),
        rule: Some("start".to_owned()),
        limit: Some(5),
    };
    let decisions = cluster.client.decisions(&filter).await.unwrap();
    let start = decisions.first().expect("the start was decided");
    assert_eq!(
        (start.rule.as_str(), start.subject.as_str()),
        ("start", "greeter@n1")
    );
    assert!(start.did.is_some() && start.declined.is_none());
    assert!(
        !start.saw.is_empty() && !start.events.is_empty(),
        "{start:?}"
    );
    let unknown = DecisionFilter {
        reference: Some("gretter@n1".to_owned()),
        ..DecisionFilter::default()
    };
    let problem = cluster.client.decisions(&unknown).await.unwrap_err();
    assert_eq!(problem.exit.code(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_a_default_size_and_cursors_that_lead_through_everything_once() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    for number in 1..=60 {
        let started = named(&format!("g{number}"), &["n1"]);
        cluster.client.start(&started).await.unwrap();
        agents[0].until(|seen| seen.starts == number).await;
    }
    for number in 1..=60 {
        let reference = format!("g{number}");
        cluster.wait(&reference, Until::Healthy).await.unwrap();
    }
    for route in ["/v1/events", "/v1/events?after=1", "/v1/decisions"] {
        let (rows, next) = page(&cluster, route).await;
        assert_eq!(rows.len(), limits::HISTORY_ROWS_DEFAULT, "{route}");
        assert!(next.is_some(), "{route}");
    }
    for (route, limit) in [("/v1/events?ref=g7@n1", 1), ("/v1/decisions?rule=start", 7)] {
        let (whole, none) = page(&cluster, &format!("{route}&limit=1000")).await;
        assert!(none.is_none() && whole.len() >= 2, "{route}: {whole:?}");
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let (found, next) = page(&cluster, &format!("{route}&limit={limit}{cursor}")).await;
            assert!(found.len() <= limit);
            rows.extend(found);
            let Some(next) = next else { break };
            cursor = format!("&cursor={next}");
        }
        if route.starts_with("/v1/events") {
            // The newest page comes first, though each is in order.
            rows.reverse();
        }
        assert_eq!(rows, whole, "{route}");
    }
    let about = EventFilter {
        reference: Some("g7@n1".to_owned()),
        limit: Some(2),
        ..EventFilter::default()
    };
    assert_eq!(cluster.client.events(&about).await.unwrap().len(), 2);
    for cursor in ["17", "after-", "before-x", "up-3"] {
        let path = format!("/v1/events?cursor={cursor}");
        let problem = cluster.client.get::<serde_json::Value>(&path).await;
        assert_eq!(problem.unwrap_err().exit.code(), 2, "{cursor}");
    }
}

/// One page and its cursor, as they stand on the wire.
async fn page(cluster: &Cluster, route: &str) -> (Vec<serde_json::Value>, Option<String>) {
    let raw = cluster.raw(route).await;
    let (head, _) = raw.split_once("\r\n\r\n").unwrap();
    let next = head
        .lines()
        .find_map(|line| line.strip_prefix("mainstay-next: "))
        .map(str::to_owned);
    let rows = cluster.client.get(route).await.unwrap();
    (rows, next)
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_in_events_are_numbers_and_unknown_texts_are_null() {
    let mut config = AgentConfig::named("n1");
    config.address = String::new();
    config.detail = String::new();
    let cluster = Cluster::alone().await;
    let mut agent = cluster.agent(config).await;
    cluster.run_on("greeter", &["n1"]).await;
    let node = cluster.json("/v1/nodes/n1").await;
    assert_eq!(node["address"], serde_json::Value::Null, "{node}");
    let check = cluster.client.check("n1", "greeter").await.unwrap();
    let check = serde_json::to_value(&check).unwrap();
    assert_eq!(check["detail"], serde_json::Value::Null, "{check}");
    let words = "7".to_owned();
    agent.act(Act::Fail(instance("greeter@n1"), words)).await;
    agent.until(|seen| seen.starts == 2).await;
    let about = "/v1/events?ref=greeter@n1";
    until("the failure is told", || async {
        let events = cluster.json(about).await;
        let events = events.as_array().unwrap().clone();
        let failed = events
            .iter()
            .find(|event| event["type"] == "instance.failed");
        failed.is_some_and(|event| {
            assert_eq!(event["data"]["ran_ms"], 0, "{event}");
            assert_eq!(event["data"]["incarnation"], 1, "{event}");
            assert_eq!(event["data"]["text"], "7", "a text stays one: {event}");
            true
        })
    })
    .await;
}
