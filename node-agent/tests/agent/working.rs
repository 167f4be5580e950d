//! Activities of runs: taken once, answered when they are done, and not answered for by an instance that is gone.

use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::report::{CommandOutcome, Report};
use mainstay_protocol::session::StationMessage;
use mainstay_protocol::work::{Skill, Work, WorkAnswer};
use mainstay_protocol::{CommandId, Json, RunId, StepKey, WorkName};
use mainstay_service::{
    Activities, Busy, Call, CannotStart, Context, NoConfig, NoMessage, Processed, Processor,
    Service, TypeInfo, json,
};

use crate::station::{Cluster, incarnation, instance, leadership};

pub struct Worker;

static CALLS: AtomicU32 = AtomicU32::new(0);

/// Says how often it was called; asked to wait, it never ends by itself.
struct Count;

impl Processor for Count {
    async fn process(&self, call: Call) -> Processed {
        if call.inputs().member("waits").is_some() {
            std::future::pending::<()>().await;
        }
        Processed::complete(json!({ "calls": CALLS.fetch_add(1, Ordering::Relaxed) }))
    }
}

impl Service for Worker {
    type Config = NoConfig;
    type Message = NoMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("worker", "1.0.0").generic();

    async fn start(_: NoConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        Ok((Self, ctx.busy()))
    }

    fn activities() -> Activities {
        Activities::at_once(2).does("example.com", "count", Count)
    }
}

fn work(activity: &str, inputs: &str) -> Order {
    let name = |text: &str| WorkName::new(text).unwrap();
    Order::Work(Box::new(Work {
        instance: instance("w"),
        incarnation: incarnation(1),
        step: StepKey::new(RunId::new("r1").unwrap(), name("a")),
        skill: Skill {
            provider: "example.com".to_owned(),
            activity: name(activity),
        },
        discriminator: None,
        attempt: 1,
        call: 1,
        inputs: Json::parse(inputs).unwrap(),
        scratch: Json::empty_object(),
        context: Json::empty_object(),
        time_ms: None,
    }))
}

fn calls(output: &Json) -> Option<u64> {
    output.member("calls")?.as_count()
}

fn worker() -> Cluster {
    let cluster = Cluster::new();
    cluster.start("worker", "w", 1, "{}");
    cluster.started("w", 1);
    cluster
}

fn answer(cluster: &Cluster, to: CommandId) -> WorkAnswer {
    let worked =
        |report: &Report| matches!(report, Report::Worked { command, .. } if *command == to);
    match cluster.report("what came of it", worked) {
        Report::Worked { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

// proves: O4
#[test]
fn an_activity_is_done_once_however_often_it_is_sent() {
    let cluster = worker();
    let told = cluster.wait("the introduction", |heard| heard.node_ups.last().cloned());
    let serves = told
        .provides
        .iter()
        .find(|one| one.name.as_str() == "worker");
    assert_eq!(serves.unwrap().serves.hands, 2);
    let id = cluster.command(work("count", "{}"));
    // It was not heard that it has it.
    cluster.say(&StationMessage::Command(Box::new(Command {
        id,
        leadership: leadership(),
        order: work("count", "{}"),
    })));
    assert_eq!(cluster.outcome(id), CommandOutcome::Done);
    let WorkAnswer::Complete { output, .. } = answer(&cluster, id) else {
        panic!("it is not complete")
    };
    let first = calls(&output).unwrap();
    let next = cluster.command(work("count", "{}"));
    let WorkAnswer::Complete { output, .. } = answer(&cluster, next) else {
        panic!("it is not complete")
    };
    assert_eq!(calls(&output), Some(first + 1));
}

#[test]
fn what_it_does_not_do_is_an_attempt_that_says_so() {
    let cluster = worker();
    let id = cluster.command(work("sing", "{}"));
    let WorkAnswer::Retry { error, .. } = answer(&cluster, id) else {
        panic!("it is no attempt")
    };
    assert!(error.contains("does not do sing of example.com"), "{error}");
}

// proves: O7
#[test]
fn an_instance_that_is_stopped_leaves_what_it_was_doing() {
    let cluster = worker();
    let id = cluster.command(work("count", r#"{"waits":true}"#));
    assert_eq!(cluster.outcome(id), CommandOutcome::Done);
    let stop = cluster.stop("w", 1, 2_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    let late = cluster.command(work("count", "{}"));
    assert_eq!(cluster.outcome(late), CommandOutcome::NotRunning);
    let heard = |heard: &crate::station::Heard| {
        let said = heard.reports.iter();
        let worked = |report: &Report| matches!(report, Report::Worked { .. });
        Some(said.filter(|(_, report)| worked(report)).count())
    };
    assert_eq!(
        cluster.wait("nothing more", heard),
        0,
        "its end answers for it"
    );
}
