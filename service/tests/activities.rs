//! Activities of runs, through the test kit: what a processor sees, what comes of it, and what becomes of a panic.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mainstay_service::testing::TestService;
use mainstay_service::{
    Activities, Busy, Call, CannotStart, Context, Json, NoConfig, NoMessage, Processed, Processor,
    Service, TypeInfo, TypeSet, json,
};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

struct Worker;

struct Greet;

/// Has begun something that cannot be broken off, and goes on when it is dropped itself.
struct Cling;

static BEGUN: Notify = Notify::const_new();
static ENDED: AtomicBool = AtomicBool::new(false);

impl Processor for Cling {
    async fn process(&self, call: Call) -> Processed {
        let (dropped, is_dropped) = mpsc::sync_channel::<()>(1);
        let beside = call.clone();
        spawn_blocking(move || {
            // Nothing is ever sent.
            let _ = is_dropped.recv();
            // tidy: waits because whoever does not wait for it would be seen to be too early
            thread::sleep(Duration::from_millis(50));
            ENDED.store(true, Ordering::Relaxed);
            drop(beside);
        });
        BEGUN.notify_one();
        pending::<()>().await;
        drop(dropped);
        Processed::complete(())
    }
}

#[derive(Deserialize)]
struct Wanted {
    name: String,
}

impl Processor for Greet {
    async fn process(&self, call: Call) -> Processed {
        match call.read::<Wanted>() {
            Ok(wanted) => Processed::complete(json!({ "said": format!("Hi, {}", wanted.name) }))
                .set_context("greeted", true),
            Err(no) => no,
        }
    }
}

/// Counts its calls in its scratch, and is done with the third.
struct Poll;

impl Processor for Poll {
    async fn process(&self, call: Call) -> Processed {
        let calls = call
            .scratch()
            .member("calls")
            .and_then(|calls| calls.as_count());
        match calls.unwrap_or_default() {
            2 => Processed::complete(()),
            calls => {
                Processed::again_after(Duration::from_millis(5)).set_scratch("calls", calls + 1)
            }
        }
    }
}

/// Two operations; to make is what is meant where nothing is said.
struct Cell;

impl Processor for Cell {
    async fn process(&self, call: Call) -> Processed {
        match call.discriminator() {
            None | Some("" | "deploy") => Processed::complete(json!({ "path": "/cells/7" }))
                .set_context("by", call.discriminator()),
            Some("dispose") => Processed::complete(
                json!({ "made by": call.context().member("by").and_then(|by| by.as_text()) }),
            )
            .delete_context("by"),
            Some(_) => Processed::unsupported(&call),
        }
    }
}

/// Whatever it is asked: it panics, or ends its instance and goes on.
struct Anything;

impl Processor for Anything {
    async fn process(&self, call: Call) -> Processed {
        assert_ne!(call.activity().as_str(), "panics", "as it was told to");
        call.ctx().end();
        std::future::pending::<()>().await;
        Processed::complete(())
    }
}

impl Service for Worker {
    type Config = NoConfig;
    type Message = NoMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("worker", "1.0.0");

    async fn start(_: NoConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        Ok((Self, ctx.busy()))
    }

    fn activities() -> Activities {
        Activities::at_once(4)
            .does("example.com", "greet", Greet)
            .does("example.com", "poll", Poll)
            .does("example.com", "cell", Cell)
            .does("example.com", "cling", Cling)
            .does_all("any", Anything)
    }
}

fn worker() -> TestService<Worker> {
    TestService::start(json!({})).expect("it starts")
}

// proves: O4
#[test]
fn a_processor_sees_its_inputs_and_says_what_it_leaves_behind() {
    let worker = worker();
    let said = worker.does("example.com", "greet", json!({ "name": "Ada" }));
    let wanted = Processed::complete(json!({ "said": "Hi, Ada" })).set_context("greeted", true);
    assert_eq!(said, wanted);
    let said = worker.does("example.com", "greet", json!({ "nome": "Ada" }));
    let text = format!("{said:?}");
    assert!(text.contains("missing field `name`"), "{text}");
    worker.stop();
}

// proves: O5
#[test]
fn what_it_left_for_its_next_call_is_there_then() {
    let worker = worker();
    let again =
        |calls: u32| Processed::again_after(Duration::from_millis(5)).set_scratch("calls", calls);
    let poll = ("example.com", "poll");
    assert_eq!(worker.does(poll.0, poll.1, json!({})), again(1));
    assert_eq!(
        worker.does_again(poll, json!({}), json!({ "calls": 1 })),
        again(2)
    );
    let done = worker.does_again(poll, json!({}), json!({ "calls": 2 }));
    assert_eq!(done, Processed::complete(json!({})));
    worker.stop();
}

// case: orchestrations 43, 55
// proves: O8
#[test]
fn one_processor_does_what_the_discriminator_says_and_nothing_for_one_it_does_not_know() {
    let worker = worker();
    let does = |discriminator: Option<&str>| {
        worker.does_work(("example.com", "cell"), json!({}), |work| {
            work.discriminator = discriminator.map(str::to_owned);
            work.context = Json::parse(r#"{"by":"deploy"}"#).unwrap();
        })
    };
    // None, and an empty one, are as legal as any.
    for discriminator in [None, Some(""), Some("deploy")] {
        let made = Processed::complete(json!({ "path": "/cells/7" }));
        assert_eq!(does(discriminator), made.set_context("by", discriminator));
    }
    let gone = Processed::complete(json!({ "made by": "deploy" })).delete_context("by");
    assert_eq!(does(Some("dispose")), gone);
    let unknown = Processed::fatal("unsupported discriminator \"frob\"");
    assert_eq!(does(Some("frob")), unknown);
    worker.stop();
}

// proves: O11
// case: orchestrations 61
#[test]
fn what_is_taken_back_is_over_when_nothing_of_it_is_at_work() {
    let worker = worker();
    let said = worker.does_work_until(("example.com", "cling"), json!({}), BEGUN.notified());
    assert_eq!(said, Processed::retry("it was taken back"));
    assert!(ENDED.load(Ordering::Relaxed), "it was said too early");
    worker.stop();
}

// case: orchestrations 44
#[test]
fn a_panic_is_an_attempt_and_the_instance_goes_on() {
    let worker = worker();
    let said = format!("{:?}", worker.does("any", "panics", json!({})));
    assert!(
        said.contains("Retry") && said.contains("as it was told to"),
        "{said}"
    );
    let said = worker.does("example.com", "greet", json!({ "name": "Bo" }));
    assert!(format!("{said:?}").contains("Hi, Bo"));
    worker.stop();
}

#[test]
fn what_nobody_does_and_who_has_ended_is_an_attempt_too() {
    let worker = worker();
    let said = format!("{:?}", worker.does("example.com", "sing", json!({})));
    assert!(said.contains("does not do sing of example.com"), "{said}");
    let said = format!("{:?}", worker.does("any", "ends", json!({})));
    assert!(said.contains("its instance ended"), "{said}");
}

#[test]
fn a_type_declares_what_it_does_and_a_name_that_is_none_is_told_at_the_start() {
    let mut types = TypeSet::default();
    types.add::<Worker>().expect("its names are names");
    let serves = &types.declarations()[0].serves;
    assert_eq!(serves.hands, 4);
    assert_eq!(serves.skills.0["any"], None);
    let named: Vec<&str> = serves.skills.0["example.com"]
        .iter()
        .flatten()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(named, ["cell", "cling", "greet", "poll"]);
    let refused = types
        .add::<Misnamed>()
        .expect_err("its activity has no name");
    assert_eq!(
        refused.to_string(),
        "the service type misnamed 1.0.0 says wrongly which activities it does: \"no name\" is no name: write 1 to 128 of A to Z, a to z, 0 to 9, '.', '_' and '-'"
    );
}

struct Misnamed;

impl Service for Misnamed {
    type Config = NoConfig;
    type Message = NoMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("misnamed", "1.0.0");

    async fn start(_: NoConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        Ok((Self, ctx.busy()))
    }

    fn activities() -> Activities {
        Activities::at_once(1).does("example.com", "no name", Greet)
    }
}
