//! Events and decisions: complete, in order, resumable.

use std::time::Duration;

use mainstay_api::client::{DecisionFilter, EventFilter};
use mainstay_api::types::Until;

use crate::cluster::{Cluster, contract, keys};

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
