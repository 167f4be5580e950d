//! What an instance stands for outside: its start, its failures and its end are that of the instance.

#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use mainstay_service::hosting::{Breakage, ExitHow, StopOutcome};
use mainstay_service::protocol::code;
use mainstay_service::protocol::health::{Evidence, FailureKind, ProcessIdentity, RefusedStart};
use mainstay_service::protocol::report::Ending;
use mainstay_service::protocol::request::Refusal;
use mainstay_service::testing::TestService;
use mainstay_service::{
    Beginning, BoxFuture, Busy, CannotStart, Context, Failure, Outside, Reply, Service, StopReason,
    TypeInfo, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Something outside that takes until it is let go to be gone.
struct Thing {
    clears: AtomicUsize,
    gone: watch::Sender<bool>,
}

/// By the name that each test gives it.
type Things = Vec<(String, Arc<Thing>)>;
static THINGS: LazyLock<Mutex<Things>> = LazyLock::new(Mutex::default);

fn thing(name: &str) -> Arc<Thing> {
    let mut things = THINGS.lock().unwrap();
    if let Some((_, thing)) = things.iter().find(|(known, _)| known == name) {
        return Arc::clone(thing);
    }
    let thing = Arc::new(Thing {
        clears: AtomicUsize::new(0),
        gone: watch::Sender::new(false),
    });
    things.push((name.to_owned(), Arc::clone(&thing)));
    thing
}

impl Outside for Thing {
    fn processes(&self) -> Vec<ProcessIdentity> {
        vec![ProcessIdentity { pid: 7, started: 8 }]
    }

    fn clear(self: Arc<Self>) -> BoxFuture<()> {
        Box::pin(async move {
            self.clears.fetch_add(1, Ordering::SeqCst);
            let mut gone = self.gone.subscribe();
            gone.wait_for(|gone| *gone).await.unwrap();
        })
    }

    fn break_it(&self, how: &Breakage) -> Result<(), Refusal> {
        match how {
            Breakage::Kill => {
                self.gone.send_replace(true);
                Ok(())
            }
            Breakage::Panic(_) | Breakage::Hang | Breakage::End => {
                Err(Refusal::new(code::BAD_REQUEST, "it only breaks in one way"))
            }
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
struct Config {
    thing: String,
    #[serde(default)]
    refuses: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Message {
    Ends { code: i32 },
    Panic,
}

struct Stand;

impl Service for Stand {
    type Config = Config;
    type Message = Message;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("stand", "1.0.0").outside();

    async fn start(config: Config, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        assert_eq!(ctx.beginning(), Beginning::Anew);
        ctx.stands_for(thing(&config.thing));
        match config.refuses {
            true => Err(CannotStart::not_now("it is busy")),
            false => Ok((Self, ctx.busy())),
        }
    }

    async fn handle(&mut self, message: Message, ctx: &Context) -> Result<Reply, Failure> {
        match message {
            Message::Ends { code } => {
                let evidence = Evidence {
                    exit_code: Some(code),
                    ran_ms: 12_345,
                    ..Evidence::text("exited")
                };
                ctx.fail(Failure::seen(FailureKind::Exit, evidence));
                Ok(Reply::done())
            }
            Message::Panic => panic!("oh"),
        }
    }

    async fn stop(self, ctx: &Context, why: StopReason) {
        if why == StopReason::NotWanted {
            ctx.had_to_be_killed();
        }
    }
}

fn stand(name: &str) -> (TestService<Stand>, Arc<Thing>) {
    let thing = thing(name);
    (TestService::start(json!({ "thing": name })).unwrap(), thing)
}

// proves: S4
#[test]
fn it_fails_as_what_it_stands_for_did_with_that_evidence() {
    let (service, thing) = stand("fails");
    service.call("ends", json!({ "code": 3 })).unwrap();
    thing.gone.send_replace(true);
    let fact = service.ended();
    assert_eq!(fact.ran_ms, 12_345, "it ran longer than this agent knows");
    let ExitHow::Failed(FailureKind::Exit, evidence) = fact.how else {
        panic!("{fact:?}")
    };
    assert_eq!(evidence.exit_code, Some(3));
}

#[test]
fn it_is_not_gone_before_what_it_stands_for_is() {
    let (service, thing) = stand("panics");
    let refused = service.call("panic", json!(null)).unwrap_err();
    assert!(refused.text.contains("oh"), "{refused:?}");
    // Its actor has ended, and yet it is not gone: it can still be asked.
    while thing.clears.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    service.check();
    thing.gone.send_replace(true);
    assert!(matches!(
        service.ended().how,
        ExitHow::Failed(FailureKind::Panic, _)
    ));

    let (service, thing) = stand("stops");
    thing.gone.send_replace(true);
    let StopOutcome::Gone(fact) = service.stop() else {
        panic!("it is gone")
    };
    assert_eq!(fact.how, ExitHow::Ended(Ending::Killed));
    assert_eq!(thing.clears.load(Ordering::SeqCst), 1);
}

#[test]
fn a_start_that_is_refused_clears_what_it_began() {
    let thing = thing("refused");
    thing.gone.send_replace(true);
    let refused = TestService::<Stand>::start(json!({ "thing": "refused", "refuses": true }));
    let Err(refused) = refused else {
        panic!("it does not start")
    };
    assert_eq!(refused.refused, RefusedStart::NotNow);
    assert_eq!(thing.clears.load(Ordering::SeqCst), 1);
}
