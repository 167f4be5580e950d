//! A service that looks others up and calls them, through the test kit: others are what the test says there is.

use std::time::Duration;

use mainstay_service::protocol::code;
use mainstay_service::protocol::health::Health;
use mainstay_service::testing::{Answering, TestService};
use mainstay_service::{
    Busy, CannotStart, Context, Failure, NoConfig, Refusal, Reply, Service, TypeInfo, Value, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const SOON: Duration = Duration::from_secs(5);

/// Keeps what it is told in a database elsewhere.
struct Front;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Says {
    Keep { text: String },
    Ask { of: String },
}

/// As the database's own crate has it.
#[derive(Serialize)]
enum DatabaseMessage {
    Put { text: String },
}

impl Service for Front {
    type Config = NoConfig;
    type Message = Says;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("front", "1.0.0");

    async fn start(_: NoConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        Ok((Self, ctx.busy()))
    }

    async fn handle(&mut self, says: Says, ctx: &Context) -> Result<Reply, Failure> {
        let done = match says {
            Says::Keep { text } => keep(ctx, text).await.map(|kept| json!({ "kept": kept })),
            Says::Ask { of } => asked(ctx, &of).await,
        };
        Ok(done.map_or_else(
            |refusal| Reply::refused(refusal.code.to_string()),
            Reply::json,
        ))
    }
}

async fn keep(ctx: &Context, text: String) -> Result<u64, Refusal> {
    let databases = ctx.lookup("type/db").await?;
    let nowhere = || Refusal::new(code::NOT_RUNNING, "no database is up");
    let database = databases.up().ok_or_else(nowhere)?;
    ctx.call(database, DatabaseMessage::Put { text }, SOON)
        .await
}

async fn asked(ctx: &Context, of: &str) -> Result<Value, Refusal> {
    let found = ctx.lookup(of).await?.instances.into_iter().next();
    let found = found.ok_or_else(|| Refusal::new(code::NOT_FOUND, "nobody"))?;
    let monitor = ctx.monitor(&found).await?;
    let (health, _) = ctx.check(&found.instance, SOON).await?;
    assert_eq!(health, Health::Ok);
    let status = ctx.ask_status(&found, SOON).await?;
    Ok(json!({ "status": status, "state": monitor.last().state }))
}

fn database(message: &str, body: Value) -> Result<Value, Refusal> {
    assert_eq!((message, &body), ("Put", &json!({ "text": "hello" })));
    Ok(json!(1))
}

// proves: S14
#[test]
fn a_service_finds_and_calls_the_others_that_its_test_says_there_are() {
    let others: [(&str, Answering); 1] = [("db@n2", database)];
    let front = TestService::<Front>::start_beside(&others, json!({})).expect("it starts");
    let kept = front
        .call("keep", json!({ "text": "hello" }))
        .expect("it is kept");
    assert_eq!(kept, json!({ "kept": 1 }));
    let asked = front
        .call("ask", json!({ "of": "db@n2" }))
        .expect("it is there");
    assert_eq!(asked["state"], "Running");
    assert_eq!(asked["status"], "db@n2, as the test has it");
    front.stop();
}

// proves: S14
#[test]
fn a_service_without_others_finds_none() {
    let front = TestService::<Front>::start(json!({})).expect("it starts");
    let refused = front.call("keep", json!({ "text": "hello" })).unwrap_err();
    assert!(
        refused.text.contains(code::NOT_RUNNING.as_str()),
        "{}",
        refused.text
    );
    let refused = front.call("ask", json!({ "of": "db@n1" })).unwrap_err();
    assert!(
        refused.text.contains(code::NOT_FOUND.as_str()),
        "{}",
        refused.text
    );
    let wrong = front.call("ask", json!({ "of": "node/n1" })).unwrap_err();
    assert!(
        wrong.text.contains(code::BAD_REQUEST.as_str()),
        "{}",
        wrong.text
    );
    front.stop();
}
