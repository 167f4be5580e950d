//! One instance's life through the test kit, which is the hosting that agents use: every way to begin and to end.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_service::hosting::{ExitFact, ExitHow, StopOutcome};
use mainstay_service::protocol::code;
use mainstay_service::protocol::health::{FailureKind, Health as State, RefusedStart};
use mainstay_service::protocol::report::Ending;
use mainstay_service::testing::TestService;
use mainstay_service::{
    Busy, CannotStart, Context, Failure, Health, Probe, Reconfigure, Reply, Service, StatusText,
    StopReason, TypeInfo, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    start: Start,
    #[serde(default)]
    stop: Stop,
    #[serde(default = "five", deserialize_with = "no_more_than_a_hundred")]
    limit: u32,
}

fn five() -> u32 {
    5
}

/// Badly written on purpose.
fn no_more_than_a_hundred<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(from)?;
    assert!(number <= 100, "{number} is too much");
    Ok(number)
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Default)]
enum Start {
    #[default]
    Works,
    BadConfig,
    NotNow,
    Panics,
    Waits,
    Spins,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Default)]
enum Stop {
    #[default]
    Works,
    Waits,
    Spins,
    Panics,
}

#[derive(Deserialize, JsonSchema)]
enum Message {
    Add {
        by: u32,
    },
    Who,
    Fail {
        text: String,
    },
    Panic {
        text: String,
    },
    ReportFailure {
        text: String,
    },
    End,
    Wait,
    WaitForShutdown,
    Spin,
    Refuse,
    Large,
    Limit {
        #[serde(deserialize_with = "no_more_than_a_hundred")]
        to: u32,
    },
}

/// Does whatever it is told, well and badly.
struct Trial {
    config: Config,
    sum: u32,
}

/// As long as this thread lives, it will not yield. The test's threads are left behind.
fn spin() -> ! {
    loop {
        std::thread::park_timeout(Duration::from_secs(1));
    }
}

impl Service for Trial {
    type Config = Config;
    type Message = Message;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("trial", "1.0.0")
        .start_deadline(Duration::from_millis(300))
        .in_place();

    async fn start(config: Config, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        match config.start {
            Start::Works => {}
            Start::BadConfig => return Err(CannotStart::config("the limit is wrong")),
            Start::NotNow => return Err(CannotStart::not_now("the disk is away")),
            Start::Panics => panic!("start fell over"),
            Start::Waits => pending().await,
            Start::Spins => spin(),
        }
        Ok((Self { config, sum: 0 }, ctx.busy()))
    }

    async fn handle(&mut self, message: Message, ctx: &Context) -> Result<Reply, Failure> {
        match message {
            Message::Add { by } => {
                self.sum += by;
                return Ok(Reply::json(self.sum));
            }
            Message::Who => return Ok(Reply::text(ctx.identity().to_string())),
            Message::Fail { text } => return Err(Failure::new(text)),
            Message::Panic { text } => panic!("{text}"),
            Message::ReportFailure { text } => ctx.report_failure(text),
            Message::End => ctx.end(),
            Message::Wait => pending().await,
            Message::WaitForShutdown => return Ok(Reply::text(ctx.shutdown().await.as_str())),
            Message::Spin => spin(),
            Message::Limit { to } => self.config.limit = to,
            Message::Refuse => return Ok(Reply::refused("not today")),
            Message::Large => return Ok(Reply::text("x".repeat(100_000))),
        }
        Ok(Reply::done())
    }

    async fn reconfigure(&mut self, new: Config, _: &Context) -> Reconfigure {
        match new.limit {
            0 => Reconfigure::Restart,
            limit if limit < self.sum => Reconfigure::refused("it has more than that already"),
            99 => panic!("the change fell over"),
            _ => {
                self.config = new;
                Reconfigure::Applied
            }
        }
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        format!("the sum is {} of {}", self.sum, self.config.limit).into()
    }

    async fn stop(self, _: &Context, _: StopReason) {
        match self.config.stop {
            Stop::Works => {}
            Stop::Waits => pending().await,
            Stop::Spins => spin(),
            Stop::Panics => panic!("stop fell over"),
        }
    }
}

fn trial() -> TestService<Trial> {
    TestService::start(json!({})).expect("it starts")
}

fn ended(ending: Ending) -> ExitHow {
    ExitHow::Ended(ending)
}

fn failed(fact: ExitFact) -> (FailureKind, String, Option<String>) {
    match fact.how {
        ExitHow::Failed(kind, evidence) => (kind, evidence.text, evidence.location),
        ExitHow::Ended(ending) => panic!("it ended: {ending:?}"),
    }
}

#[test]
fn a_started_instance_says_the_configuration_in_use() {
    // proves: S8
    let trial = TestService::<Trial>::start(json!({ "limit": 7 })).unwrap();
    assert_eq!(
        trial.config(),
        &json!({ "limit": 7, "start": "Works", "stop": "Works" })
    );
}

#[test]
fn messages_status_and_check_are_answered() {
    // proves: S13
    // case: services 25
    let trial = trial();
    assert_eq!(trial.call("add", json!({ "by": 3 })).unwrap(), 3);
    assert_eq!(trial.call("Add", json!({ "by": 4 })).unwrap(), 7);
    assert_eq!(
        trial.call("who", json!(null)).unwrap(),
        "trial@n1 incarnation 1"
    );
    assert_eq!(trial.status().unwrap(), "the sum is 7 of 5");
    let checked = trial.check();
    assert_eq!((checked.health, checked.detail.as_str()), (State::Ok, ""));
}

#[test]
fn another_configuration_is_taken_while_it_runs_or_it_is_said_why_not() {
    // proves: S7, S19
    let trial = trial();
    let whole = json!({ "limit": 9, "start": "Works", "stop": "Works" });
    assert_eq!(trial.reconfigure(json!({ "limit": 9 })).unwrap(), whole);
    trial.call("add", json!({ "by": 3 })).unwrap();
    assert_eq!(trial.status().unwrap(), "the sum is 3 of 9");
    let code_of = |config| trial.reconfigure(config).unwrap_err().code;
    assert_eq!(code_of(json!({ "limit": 0 })), code::NEEDS_RESTART);
    let refusal = trial.reconfigure(json!({ "limit": 2 })).unwrap_err();
    assert_eq!(refusal.code, code::BAD_CONFIG);
    assert_eq!(refusal.text, "it has more than that already");
    let refusal = trial.reconfigure(json!({ "limti": 2 })).unwrap_err();
    assert_eq!(refusal.code, code::BAD_CONFIG);
    assert!(refusal.text.contains("limti"), "{refusal:?}");
    assert_eq!(
        trial.status().unwrap(),
        "the sum is 3 of 9",
        "it goes on as it was"
    );
    let refusal = trial.reconfigure(json!({ "limit": 99 })).unwrap_err();
    assert!(refusal.text.contains("the change fell over"), "{refusal:?}");
    let (kind, text, _) = failed(trial.ended());
    assert_eq!(
        (kind, text.as_str()),
        (FailureKind::Panic, "the change fell over")
    );
}

#[test]
fn a_message_that_is_not_served_is_refused_and_hurts_nothing() {
    let trial = trial();
    let refusal = trial.call("ad", json!({})).unwrap_err();
    assert_eq!(refusal.code, code::UNKNOWN_MESSAGE);
    assert_eq!(refusal.nearest, ["add"]);
    assert_eq!(
        trial.call("add", json!({ "by": "x" })).unwrap_err().code,
        code::BAD_REQUEST
    );
    let refusal = trial.call("refuse", json!({})).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.text.as_str()),
        (code::MESSAGE_REFUSED, "not today")
    );
    assert_eq!(
        trial.call("large", json!({})).unwrap_err().code,
        code::MESSAGE_REFUSED
    );
    assert_eq!(trial.check().health, State::Ok);
}

#[test]
fn a_panic_while_reading_a_configuration_or_a_message_is_told_and_contained() {
    let why = TestService::<Trial>::start(json!({ "limit": 101 }))
        .err()
        .unwrap();
    assert_eq!(
        (why.refused, why.text.as_str()),
        (RefusedStart::Panic, "101 is too much")
    );
    let trial = trial();
    trial.call("limit", json!({ "to": 100 })).unwrap();
    let refusal = trial.call("limit", json!({ "to": 200 })).unwrap_err();
    assert_eq!(refusal.code, code::BAD_REQUEST);
    assert!(refusal.text.contains("200 is too much"), "{}", refusal.text);
    assert_eq!(trial.status().unwrap(), "the sum is 0 of 100");
}

#[test]
fn a_start_that_is_refused_says_why() {
    // proves: S8
    // case: services 22
    for (start, refused, word) in [
        ("BadConfig", RefusedStart::Config, "the limit is wrong"),
        ("NotNow", RefusedStart::NotNow, "the disk is away"),
        ("Panics", RefusedStart::Panic, "start fell over at "),
        ("Waits", RefusedStart::Deadline, "within 300 ms"),
        ("Sings", RefusedStart::Config, "unknown variant `Sings`"),
    ] {
        let why = TestService::<Trial>::start(json!({ "start": start }))
            .err()
            .unwrap();
        assert_eq!(why.refused, refused, "{why:?}");
        assert!(why.text.contains(word), "{why:?}");
    }
    let why = TestService::<Trial>::start(json!({ "limti": 3 }))
        .err()
        .unwrap();
    assert!(why.text.contains("unknown field `limti`"), "{why:?}");
}

#[test]
fn a_panic_is_told_with_its_words_and_its_place() {
    // proves: S10
    // case: services 27
    let trial = trial();
    let refusal = trial
        .call("panic", json!({ "text": "the cable is cut" }))
        .unwrap_err();
    assert!(
        refusal.text.contains("the cable is cut"),
        "{}",
        refusal.text
    );
    let (kind, text, place) = failed(trial.ended());
    assert_eq!(
        (kind, text.as_str()),
        (FailureKind::Panic, "the cable is cut")
    );
    assert!(place.unwrap().contains("life.rs:"));
    let (kind, text, _) = failed(self::trial().panic("on purpose"));
    assert_eq!((kind, text.as_str()), (FailureKind::Panic, "on purpose"));
}

#[test]
fn an_error_from_handle_is_the_end_and_a_report_is_not() {
    // proves: S7
    // case: services 26
    let one = trial();
    assert!(one.call("fail", json!({ "text": "no more disk" })).is_err());
    let (kind, text, _) = failed(one.ended());
    assert_eq!(
        (kind, text.as_str()),
        (FailureKind::Reported, "no more disk")
    );

    let other = trial();
    other
        .call("report-failure", json!({ "text": "half is lost" }))
        .unwrap();
    other
        .call("report-failure", json!({ "text": "and more" }))
        .unwrap();
    assert_eq!(other.failure(), "half is lost");
    assert_eq!(other.check().health, State::Ok, "it lives");
    let StopOutcome::Gone(fact) = other.stop() else {
        panic!("it stops")
    };
    assert_eq!(fact.how, ended(Ending::Asked));
}

#[test]
fn an_instance_that_ends_itself_ends_cleanly() {
    // proves: S10
    // case: services 30
    let trial = trial();
    trial.call("end", json!({})).unwrap();
    assert_eq!(trial.ended().how, ended(Ending::ByItself));
    assert_eq!(
        trial.call("who", json!({})).unwrap_err().code,
        code::NOT_RUNNING
    );
}

#[test]
fn a_killed_instance_failed() {
    // proves: S10
    let (kind, _, _) = failed(trial().kill());
    assert_eq!(kind, FailureKind::Killed);
}

/// Takes its time to let go of what it has.
struct Lingers;

static LET_GO: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicBool = AtomicBool::new(false);

impl Drop for Lingers {
    fn drop(&mut self) {
        // tidy: waits because whoever says too early that nothing is left is to be caught
        std::thread::sleep(Duration::from_millis(100));
        LET_GO.store(true, Ordering::SeqCst);
    }
}

impl Service for Lingers {
    type Config = Config;
    type Message = Message;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("lingers", "1.0.0");

    async fn start(_: Config, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        ctx.ends_with(async {
            let let_go = LET_GO.load(Ordering::SeqCst);
            // tidy: waits because whoever says too early that nothing is left is to be caught
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            ENDED.store(let_go, Ordering::SeqCst);
        });
        Ok((Self, ctx.busy()))
    }

    async fn handle(&mut self, _: Message, _: &Context) -> Result<Reply, Failure> {
        Ok(Reply::json(json!({})))
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        "lingers".into()
    }

    async fn stop(self, _: &Context, _: StopReason) {}
}

#[test]
fn a_killed_instance_is_gone_once_it_has_let_go_of_what_it_had() {
    // proves: S10
    let lingers = TestService::<Lingers>::start(json!({})).unwrap();
    let (kind, _, _) = failed(lingers.kill());
    assert_eq!(kind, FailureKind::Killed);
    assert!(LET_GO.load(Ordering::SeqCst));
    // And then with what it said that it ends with.
    assert!(ENDED.load(Ordering::SeqCst));
}

#[test]
fn an_instance_stuck_in_a_message_is_unresponsive_and_says_in_what() {
    // proves: S10, S13
    // case: services 24
    for stuck in ["wait", "spin"] {
        let trial = trial();
        trial.send(stuck, json!({}));
        let checked = trial.check_until(State::Unresponsive);
        assert!(
            checked.detail.starts_with("busy in handle for "),
            "{}",
            checked.detail
        );
    }
    let trial = trial();
    trial.hang();
    trial.check_until(State::Unresponsive);
}

#[test]
fn a_stop_that_is_heard_ends_a_waiting_message() {
    let trial = trial();
    trial.send("wait-for-shutdown", json!({}));
    let StopOutcome::Gone(fact) = trial.stop() else {
        panic!("it stops")
    };
    assert_eq!(fact.how, ended(Ending::Asked));
}

#[test]
fn a_stop_that_is_ignored_becomes_a_kill_at_its_deadline() {
    // case: services 20
    let slow = TestService::<Trial>::start(json!({ "stop": "Waits" })).unwrap();
    let StopOutcome::Gone(fact) = slow.stop_deadline(Duration::from_millis(100)).stop() else {
        panic!("it can be killed")
    };
    assert_eq!(fact.how, ended(Ending::Killed));
    assert!(fact.ran_ms >= 100, "it had its deadline: {fact:?}");

    let stuck = trial().stop_deadline(Duration::from_millis(100));
    stuck.send("wait", json!({}));
    stuck.check_until(State::Unresponsive);
    let StopOutcome::Gone(fact) = stuck.stop() else {
        panic!("it can be killed")
    };
    assert_eq!(fact.how, ended(Ending::Killed));
}

#[test]
fn a_task_that_never_yields_will_not_end() {
    // case: services 20
    let trial = trial().stop_deadline(Duration::from_millis(100));
    trial.send("spin", json!({}));
    trial.check_until(State::Unresponsive);
    assert_eq!(trial.stop(), StopOutcome::WillNotEnd);
    let spinner = TestService::<Trial>::start(json!({ "stop": "Spins" })).unwrap();
    assert_eq!(
        spinner.stop_deadline(Duration::from_millis(50)).stop(),
        StopOutcome::WillNotEnd
    );
}

#[test]
fn a_stop_that_panics_is_a_panic() {
    let trial = TestService::<Trial>::start(json!({ "stop": "Panics" })).unwrap();
    let StopOutcome::Gone(fact) = trial.stop() else {
        panic!("it is gone")
    };
    assert_eq!(failed(fact).1, "stop fell over");
}

#[test]
fn messages_beyond_the_mailbox_are_refused_as_overloaded() {
    let trial = trial();
    trial.hang();
    trial.check_until(State::Unresponsive);
    let refused = trial.flood(200);
    assert_eq!(
        refused,
        [code::OVERLOADED; 200 - 128],
        "{} are refused",
        refused.len()
    );
}

/// Its thread is its own, so it may block.
struct Blocker;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum BlockerMessage {
    Thread,
}

#[derive(Clone)]
struct Sulky;

impl Probe for Sulky {
    async fn check(&self) -> Health {
        Health::degraded("it is dark in here")
    }
}

impl Service for Blocker {
    type Config = mainstay_service::NoConfig;
    type Message = BlockerMessage;
    type Probe = Sulky;
    const TYPE: TypeInfo = TypeInfo::new("blocker", "1.0.0").generic().blocking();

    async fn start(_: Self::Config, _: &Context) -> Result<(Self, Sulky), CannotStart> {
        Ok((Self, Sulky))
    }

    async fn handle(&mut self, _: BlockerMessage, _: &Context) -> Result<Reply, Failure> {
        let name = std::thread::current().name().map(str::to_owned);
        // tidy: waits because its thread has timers of its own, which is what is tried here.
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(Reply::json(name))
    }
}

#[test]
fn a_blocking_type_has_a_thread_of_its_own() {
    let blocker = TestService::<Blocker>::start(json!({})).unwrap();
    assert_eq!(blocker.call("thread", json!(null)).unwrap(), "blocker");
    let checked = blocker.check();
    assert_eq!(
        (checked.health, checked.detail.as_str()),
        (State::Degraded, "it is dark in here")
    );
    let StopOutcome::Gone(fact) = blocker.stop() else {
        panic!("it stops")
    };
    assert_eq!(fact.how, ended(Ending::Asked));
}
