//! What an instance says of its own accord, through the test kit: resources, questions, announcements, records.

use std::time::Duration;

use mainstay_service::protocol::code;
use mainstay_service::protocol::report::{Manner, Report};
use mainstay_service::testing::TestService;
use mainstay_service::{
    Busy, CannotStart, Context, Failure, NoConfig, Refusal, Reply, Service, TypeInfo, Value, json,
};
use schemars::JsonSchema;
use serde::Deserialize;

struct Talker;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Says {
    Acquire { kind: String, name: String },
    Share { name: String },
    Release { name: String },
    Ask { failure: String, within_ms: u64 },
    AskWithMuch { bytes: usize },
    Record { name: String },
    Leave { why: String },
}

impl Service for Talker {
    type Config = NoConfig;
    type Message = Says;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("talker", "1.0.0").may_use(&["disk"]);

    async fn start(_: NoConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        // Also before it has started.
        let has = ctx.acquire("disk", "boot").await;
        has.map_err(|refusal| CannotStart::not_now(refusal.text))?;
        Ok((Self, ctx.busy()))
    }

    async fn handle(&mut self, says: Says, ctx: &Context) -> Result<Reply, Failure> {
        let said = match says {
            Says::Acquire { kind, name } => ctx.acquire(&kind, &name).await,
            Says::Share { name } => ctx.share("disk", &name).await,
            Says::Release { name } => ctx.release("disk", &name).await,
            Says::Record { name } => ctx.record(&name, json!({ "line": "x" })).await,
            Says::Ask { failure, within_ms } => {
                let within = Duration::from_millis(within_ms);
                let answer = ctx
                    .ask::<Value>(&failure, json!({ "free": 0 }), within)
                    .await;
                return Ok(answer.map_or_else(refused, Reply::json));
            }
            Says::AskWithMuch { bytes } => {
                let body = "x".repeat(bytes);
                let within = Duration::from_secs(1);
                ctx.ask::<Value>("much", body, within).await.map(drop)
            }
            Says::Leave { why } => {
                let said = ctx.announce_stop(why).await;
                ctx.end();
                said
            }
        };
        Ok(said.map_or_else(refused, |()| Reply::done()))
    }
}

fn refused(refusal: Refusal) -> Reply {
    Reply::refused(format!("{}: {}", refusal.code, refusal.text))
}

fn talker() -> TestService<Talker> {
    let talker = TestService::<Talker>::start(json!({})).expect("it starts");
    assert!(matches!(talker.said(), Report::Acquired { .. }));
    talker
}

// proves: S6, S7
#[test]
fn a_resource_is_acquired_shared_and_released() {
    let talker = talker();
    talker
        .call("acquire", json!({ "kind": "disk", "name": "sda" }))
        .unwrap();
    let Report::Acquired {
        resource, manner, ..
    } = talker.said()
    else {
        panic!("it acquires")
    };
    assert_eq!(
        (resource.to_string().as_str(), manner),
        ("disk/sda", Manner::Alone)
    );
    talker.call("share", json!({ "name": "sdb" })).unwrap();
    assert!(matches!(
        talker.said(),
        Report::Acquired {
            manner: Manner::Shared,
            ..
        }
    ));
    talker.call("release", json!({ "name": "sdb" })).unwrap();
    assert!(matches!(talker.said(), Report::Released { .. }));
}

// proves: S6
#[test]
fn a_kind_its_type_may_not_use_is_refused_before_anybody_is_asked() {
    let talker = talker();
    let refusal = talker
        .call("acquire", json!({ "kind": "tape", "name": "st0" }))
        .unwrap_err();
    assert!(
        refusal.text.contains("MS-RESOURCE-NOT-ALLOWED"),
        "{refusal:?}"
    );
    assert!(refusal.text.contains("disk"), "{refusal:?}");
    let refusal = talker
        .call("acquire", json!({ "kind": "disk", "name": "No Such Name" }))
        .unwrap_err();
    assert!(refusal.text.contains("resource name"), "{refusal:?}");
}

// proves: S7
#[test]
fn a_question_is_answered_or_its_time_is_up() {
    let talker = talker();
    talker.send(
        "ask",
        json!({ "failure": "disk-full", "within_ms": 600_000 }),
    );
    let (question, failure, body) = talker.asked();
    assert_eq!((failure.as_str(), &body["free"]), ("disk-full", &json!(0)));
    assert!(talker.answer(question, json!({ "drop": 3 })));
    // It waits for it no more.
    talker.status().unwrap();
    assert!(!talker.answer(question, json!(null)));

    let refusal = talker
        .call("ask", json!({ "failure": "disk-full", "within_ms": 20 }))
        .unwrap_err();
    assert!(
        refusal.text.contains(code::NOT_ANSWERED.as_str()),
        "{refusal:?}"
    );
}

#[test]
fn what_is_too_long_or_has_no_name_is_refused() {
    let talker = talker();
    let refusal = talker
        .call("ask-with-much", json!({ "bytes": 5000 }))
        .unwrap_err();
    assert!(refusal.text.contains("5002 bytes"), "{refusal:?}");
    let refusal = talker
        .call("ask", json!({ "failure": "Disk Full", "within_ms": 20 }))
        .unwrap_err();
    assert!(refusal.text.contains("kebab case"), "{refusal:?}");
}

// proves: S7
#[test]
fn what_it_announces_and_records_is_said_before_what_it_does_next() {
    let talker = talker();
    talker.call("record", json!({ "name": "smart" })).unwrap();
    let Report::Recorded { name, body, .. } = talker.said() else {
        panic!("it records")
    };
    assert_eq!((name.as_str(), body.as_str()), ("smart", r#"{"line":"x"}"#));
    talker.send("leave", json!({ "why": "its work is done" }));
    let Report::Announced { why, .. } = talker.said() else {
        panic!("it announces its stop")
    };
    assert_eq!(why, "its work is done");
    talker.ended();
}
