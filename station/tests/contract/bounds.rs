//! Bounds of the API, with real connections: who is one too many is told so and served later; who does not read
//! costs no more than anybody else.

use mainstay_api::Exit;
use mainstay_api::client::{EventFilter, EventStream};
use mainstay_api::types::Event;
use mainstay_protocol::{code, limits};
use tokio::net::UnixStream;

use crate::agent::{Act, AgentConfig};
use crate::cluster::{Cluster, instance, named, until};

async fn connect(cluster: &Cluster) -> UnixStream {
    loop {
        match UnixStream::connect(&cluster.options.api_socket).await {
            Ok(stream) => return stream,
            // The kernel's own queue in front of the station is full for a moment.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_to_come_back_and_served_when_there_is_room() {
    let cluster = Cluster::alone().await;
    let mut open = Vec::new();
    while open.len() < limits::API_CONNECTIONS_MAX {
        open.push(connect(&cluster).await);
    }
    // Connections from before may have had a place for a moment longer.
    until("a connection is refused", || async {
        cluster.client.status().await.is_err()
    })
    .await;
    let problem = cluster.client.status().await.unwrap_err();
    assert_eq!(
        (&problem.code, problem.status, problem.exit),
        (&code::OVERLOADED, 503, Exit::TimedOut)
    );
    assert!(problem.is_retryable());
    let raw = cluster.raw("/v1/status").await;
    assert!(raw.starts_with("HTTP/1.1 503 "), "{raw}");
    assert!(raw.contains("\r\nretry-after: 1\r\n"), "{raw}");
    assert!(raw.contains("MS-OVERLOADED"), "{raw}");
    open.truncate(limits::API_CONNECTIONS_MAX / 2);
    until("there is room again", || async {
        cluster.client.status().await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_follower_too_many_is_told_to_come_back_and_questions_still_come_through() {
    let cluster = Cluster::alone().await;
    let filter = EventFilter {
        after: Some(0),
        ..EventFilter::default()
    };
    let mut following: Vec<EventStream> = Vec::new();
    while following.len() < limits::FOLLOWERS_MAX {
        following.push(cluster.client.follow(&filter).await.unwrap());
    }
    let problem = cluster.client.follow(&filter).await.unwrap_err();
    assert_eq!((&problem.code, problem.status), (&code::OVERLOADED, 503));
    cluster.client.status().await.unwrap();
    let first = following[0].next().await.unwrap();
    assert!(first.is_some(), "those that follow are served");
    following.pop();
    until("its place is free", || async {
        cluster.client.follow(&filter).await.is_ok()
    })
    .await;
}

/// Instances whose failures make the history.
const FAILING: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_does_not_read_is_told_what_it_lost_and_goes_on_behind_it() {
    let mut cluster = Cluster::unstarted();
    cluster.options.snapshot_entries = 16;
    cluster.options.history_bytes = 64 * 1024;
    cluster.start().await;
    let mut agent = cluster.agent(AgentConfig::named("n1")).await;
    let newest = cluster
        .client
        .events(&EventFilter::default())
        .await
        .unwrap();
    let after = newest.last().unwrap().seq;
    let filter = EventFilter {
        after: Some(after),
        ..EventFilter::default()
    };
    let mut slow = cluster.client.follow(&filter).await.unwrap();
    // Each byte of it is six on the wire: far more than all buffers between the two take.
    let words = "\u{1}".repeat(limits::EVIDENCE_BYTES_MAX);
    for number in 1..=FAILING {
        let name = format!("g{number}");
        cluster.client.start(&named(&name, &["n1"])).await.unwrap();
        agent.until(|seen| seen.starts == 2 * number - 1).await;
        let failing = instance(&format!("{name}@n1"));
        agent.act(Act::Fail(failing, words.clone())).await;
        agent.until(|seen| seen.starts == 2 * number).await;
    }
    let last = cluster
        .client
        .events(&EventFilter::default())
        .await
        .unwrap();
    let last = last.last().unwrap().seq;
    let mut seen: Vec<Event> = Vec::new();
    while seen.last().is_none_or(|event| event.seq < last) {
        seen.push(slow.next().await.unwrap().expect("the stream goes on"));
    }
    assert!(seen.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let lost: Vec<usize> = (0..seen.len())
        .filter(|at| seen[*at].kind == "events.trimmed")
        .collect();
    // On a busy machine it may fall behind once more while it catches up.
    assert!(!lost.is_empty(), "it is told");
    for at in lost.iter().copied() {
        let told = &seen[at];
        assert_eq!(told.data["continue_after"].as_u64(), Some(told.seq));
        assert!(at > 0, "what was on its way came through");
        assert_eq!(told.data["after"].as_u64(), Some(seen[at - 1].seq));
    }
    let at = lost[lost.len() - 1];
    let goes_on = seen[at].seq;
    let rest = EventFilter {
        after: Some(goes_on),
        limit: Some(limits::PAGE_ROWS_MAX),
        ..EventFilter::default()
    };
    let kept = cluster.client.events(&rest).await.unwrap();
    let followed = &seen[at + 1..];
    let overlap = kept.iter().filter(|event| event.seq <= last);
    assert!(
        overlap.eq(followed.iter().filter(|event| event.seq >= kept[0].seq)),
        "nothing behind it is left out"
    );
    // It may be taking a snapshot: the directory goes after it.
    cluster.stop().await;
}
