//! What any outside queue has to do, tried on each: a real NATS server.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::sync::Arc;
use std::time::Duration;

use mainstay_orchestrator::{ActivityQueue, Due, Turn};
use mainstay_protocol::work::Skill;
use mainstay_protocol::{RunId, StepKey, Timestamp, WorkName};
use mainstay_queue_nats::{Login, Nats, NatsOptions};
use mainstay_tests::NatsServer;

fn skill(provider: &str) -> Skill {
    Skill {
        provider: provider.to_owned(),
        activity: WorkName::new("a.b").unwrap(),
    }
}

fn due(run: &str, since: u64) -> Due {
    Due {
        since: Timestamp(since),
        step: StepKey::new(RunId::new(run).unwrap(), WorkName::new("step_1").unwrap()),
        skill: skill("p"),
    }
}

fn runs(turns: &[Turn]) -> Vec<(String, u64)> {
    turns
        .iter()
        .map(|turn| (turn.due.step.run.to_string(), turn.due.since.0))
        .collect()
}

fn said(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter()
        .map(|(run, since)| ((*run).to_owned(), *since))
        .collect()
}

/// What is given up or whose lease is over is there again soon, and not at once.
async fn taken(queue: &dyn ActivityQueue, want: &[(&str, u64)]) -> Vec<Turn> {
    for _ in 0..600 {
        let turns = queue.take(&skill("p"), 10).await.unwrap();
        if !turns.is_empty() {
            assert_eq!(runs(&turns), said(want));
            return turns;
        }
        // tidy: waits because the condition is asked again
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{want:?} is never there");
}

async fn is_empty(queue: &dyn ActivityQueue) {
    assert_eq!(runs(&queue.take(&skill("p"), 10).await.unwrap()), []);
}

/// Short leases, so that they end within a test. Two of one queue: what one has the other has not.
async fn conforms(one: Arc<dyn ActivityQueue>, other: Arc<dyn ActivityQueue>) {
    let (one, other) = (&*one, &*other);
    one.open().await.unwrap();
    other.open().await.unwrap();
    is_empty(one).await;

    // In the order of their publishing, each to one alone, as many as are asked for.
    one.publish(&[due("r3", 1), due("r1", 2), due("r2", 3)])
        .await
        .unwrap();
    let first = one.take(&skill("p"), 1).await.unwrap();
    assert_eq!(runs(&first), said(&[("r3", 1)]));
    let second = other.take(&skill("p"), 10).await.unwrap();
    assert_eq!(runs(&second), said(&[("r1", 2), ("r2", 3)]));
    assert_eq!(
        runs(&other.take(&skill("q"), 10).await.unwrap()),
        [],
        "other work"
    );
    assert_eq!(one.depth(&skill("p")).await.unwrap(), 3);

    // Given up, it is there again; complete, it is not.
    one.complete(&first[0]).await.unwrap();
    other.give_up(&second[0]).await.unwrap();
    other.complete(&second[1]).await.unwrap();
    let again = taken(one, &[("r1", 2)]).await;

    // Published once more it gives way: there once, as the newest says, and completing the older does nothing to it.
    one.publish(&[due("r1", 9)]).await.unwrap();
    one.publish(&[due("r1", 10)]).await.unwrap();
    one.complete(&again[0]).await.unwrap();
    let newest = taken(other, &[("r1", 10)]).await;
    is_empty(one).await;

    // A lease that is extended goes on; one that is not is over, and another has it.
    for _ in 0..10 {
        other.extend(&newest[0]).await.unwrap();
        // tidy: waits because a lease of two seconds would be over by then
        tokio::time::sleep(Duration::from_millis(300)).await;
        is_empty(one).await;
    }
    let over = taken(one, &[("r1", 10)]).await;
    one.complete(&over[0]).await.unwrap();
    // What the first one says of it now is of nothing.
    other.complete(&newest[0]).await.unwrap();
    is_empty(other).await;

    // Opened again it has what it had.
    one.publish(&[due("r4", 1)]).await.unwrap();
    other.open().await.unwrap();
    one.open().await.unwrap();
    let kept = taken(other, &[("r4", 1)]).await;
    other.complete(&kept[0]).await.unwrap();

    // What nobody wants done any more is gone; what is not there cannot be.
    one.publish(&[due("r5", 1), due("r6", 2)]).await.unwrap();
    other.withdraw(&due("r5", 1)).await.unwrap();
    other.withdraw(&due("r7", 1)).await.unwrap();
    assert_eq!(one.depth(&skill("p")).await.unwrap(), 1);
    let left = taken(one, &[("r6", 2)]).await;
    one.complete(&left[0]).await.unwrap();

    many_at_once(one).await;
    is_empty(other).await;
}

async fn many_at_once(one: &dyn ActivityQueue) {
    let many: Vec<Due> = (0..1000).map(|n| due(&format!("m{n}"), n)).collect();
    one.publish(&many).await.unwrap();
    let mut came = Vec::new();
    while came.len() < many.len() {
        let some = one.take(&skill("p"), 100).await.unwrap();
        assert!(!some.is_empty(), "{} of {}", came.len(), many.len());
        for turn in some {
            one.complete(&turn).await.unwrap();
            came.push(turn.due);
        }
    }
    assert_eq!(came, many);
}

fn nats(options: NatsOptions) -> Arc<dyn ActivityQueue> {
    Arc::new(
        Nats::new(options, "test")
            .unwrap()
            .with_lease(Duration::from_secs(2)),
    )
}

fn options(server: &NatsServer) -> NatsOptions {
    NatsOptions {
        servers: server.servers(),
        login: None,
        trusts: None,
    }
}

// proves: O9
// acceptance: issue 6, line 2
#[tokio::test(flavor = "multi_thread")]
async fn jetstream_does_what_an_outside_queue_has_to() {
    let server = NatsServer::start();
    conforms(nats(options(&server)), nats(options(&server))).await;
}

// proves: O9
#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_log_in_is_told_and_whoever_may_is_served() {
    let server = NatsServer::with(&["--user", "ada", "--pass", "s3cret"]);
    let refused = nats(options(&server)).open().await.unwrap_err();
    assert!(refused.to_string().starts_with("connect:"), "{refused}");
    let login = Login::Password {
        user: "ada".to_owned(),
        password: "s3cret".to_owned(),
    };
    assert!(!format!("{login:?}").contains("s3cret"));
    let let_in = NatsOptions {
        login: Some(login),
        ..options(&server)
    };
    nats(let_in).open().await.unwrap();
}

/// Nobody waits without end, and nothing that somebody else put there does harm.
// proves: O9
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_a_fault_and_garbage_is_dropped() {
    let mut server = NatsServer::start();
    let queue = nats(options(&server));
    queue.open().await.unwrap();
    queue.publish(&[due("r1", 1)]).await.unwrap();

    let client = async_nats::connect(server.servers()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let near = "mainstay.test.due.p.a_2Eb.r0.step_5F1";
    context
        .publish(near, "no JSON".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let turns = queue.take(&skill("p"), 10).await.unwrap();
    assert_eq!(runs(&turns), said(&[("r1", 1)]));

    server.kill();
    let fault = queue.publish(&[due("r2", 2)]).await.unwrap_err();
    assert_eq!(fault.what, "publish");
    server.wipe();
    server.start_again();
    // A client that lost its server needs a moment to find it again.
    while queue.open().await.is_err() {}
    queue.publish(&[due("r2", 3)]).await.unwrap();
    let turns = queue.take(&skill("p"), 10).await.unwrap();
    assert_eq!(
        runs(&turns),
        said(&[("r2", 3)]),
        "the new one, of a stream that was made anew"
    );
}
