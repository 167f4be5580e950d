//! `flaky`: fails on command, in every way that a service can. Generic in its name.

use std::future::pending;
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_service::{
    Busy, CannotStart, Context, Failure, FoundInstance, Refusal, Reply, Service, StatusText,
    StopReason, TypeInfo, Value, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::witness;

/// More would endanger the machine that it is tried on.
const LEAK_BYTES_MAX: u64 = 1024 * 1024 * 1024;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlakyConfig {
    /// Refuses to start: "config", "not-now" or "panic", each also with words of your own behind a colon, as in
    /// "not-now: the disk is away".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuse: Option<String>,
    /// How long its start takes.
    #[serde(default)]
    pub start_ms: u64,
    /// How long its stop takes.
    #[serde(default)]
    pub stop_ms: u64,
    /// A file that gets a line per start and stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlakyMessage {
    /// Panics with these words.
    Panic { text: String },
    /// Ends cleanly, by itself.
    End,
    /// Fails with these words, and ends.
    Fail { text: String },
    /// Reports a failure with these words, and goes on living.
    Report { text: String },
    /// Never finishes this message.
    Hang { how: Hang },
    /// Takes so long to answer.
    Slow { ms: u64 },
    /// Takes so much memory, and keeps it.
    Leak { bytes: u64 },
    /// Wants a resource for itself: of kind disk or database.
    Acquire { kind: String, name: String },
    /// Wants a resource beside others.
    Share { kind: String, name: String },
    /// Gives a resource up.
    Release { kind: String, name: String },
    /// Fails by this name and asks what to do; answers what it was told.
    Ask { failure: String, within_ms: u64 },
    /// Says that it is about to stop, and ends.
    Announce { why: String },
    /// Reports a record of this name.
    Record { name: String, text: String },
    /// Calls another instance, like greeter@n2, and answers what that answered.
    Call {
        to: String,
        message: String,
        #[serde(default)]
        body: Value,
        within_ms: u64,
    },
    /// Waits until the incarnation of another instance that runs now runs no more.
    Await { end_of: String },
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hang {
    /// Waiting for nothing: it can be killed.
    Wait,
    /// Without ever yielding its thread: it cannot.
    Spin,
}

#[derive(Debug)]
pub struct Flaky {
    config: FlakyConfig,
    leaked: Vec<Vec<u8>>,
}

impl Service for Flaky {
    type Config = FlakyConfig;
    type Message = FlakyMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("flaky", "1.1.0")
        .generic()
        .may_use(&["disk", "database"]);

    async fn start(config: FlakyConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        linger(config.start_ms).await;
        witness::write(config.witness.as_deref(), "start", ctx).map_err(CannotStart::not_now)?;
        if let Some(how) = &config.refuse {
            return Err(refusal(how));
        }
        let leaked = Vec::new();
        Ok((Self { config, leaked }, ctx.busy()))
    }

    async fn handle(&mut self, message: FlakyMessage, ctx: &Context) -> Result<Reply, Failure> {
        match message {
            FlakyMessage::Panic { text } => panic!("{text}"),
            FlakyMessage::End => ctx.end(),
            FlakyMessage::Fail { text } => return Err(Failure::new(text)),
            FlakyMessage::Report { text } => ctx.report_failure(text),
            FlakyMessage::Hang { how: Hang::Wait } => pending().await,
            FlakyMessage::Hang { how: Hang::Spin } => loop {
                std::hint::spin_loop();
            },
            FlakyMessage::Slow { ms } => linger(ms).await,
            FlakyMessage::Leak { bytes } => return Ok(self.leak(bytes)),
            FlakyMessage::Acquire { kind, name } => {
                return Ok(said(ctx.acquire(&kind, &name).await));
            }
            FlakyMessage::Share { kind, name } => return Ok(said(ctx.share(&kind, &name).await)),
            FlakyMessage::Release { kind, name } => {
                return Ok(said(ctx.release(&kind, &name).await));
            }
            FlakyMessage::Ask { failure, within_ms } => {
                let within = Duration::from_millis(within_ms);
                let body = json!({ "asked_by": ctx.identity().to_string() });
                return Ok(match ctx.ask::<Value>(&failure, body, within).await {
                    Ok(answer) => Reply::json(answer),
                    Err(refusal) => Reply::refused(refusal.text),
                });
            }
            FlakyMessage::Announce { why } => {
                if let Err(refusal) = ctx.announce_stop(why).await {
                    return Ok(Reply::refused(refusal.text));
                }
                ctx.end();
            }
            FlakyMessage::Record { name, text } => {
                return Ok(said(ctx.record(&name, json!({ "text": text })).await));
            }
            FlakyMessage::Call {
                to,
                message,
                body,
                within_ms,
            } => {
                let within = Duration::from_millis(within_ms);
                let message = json!({ message: body });
                return Ok(answered(call(ctx, &to, message, within).await));
            }
            FlakyMessage::Await { end_of } => return Ok(answered(end(ctx, &end_of).await)),
        }
        Ok(Reply::done())
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        format!("well so far; {} bytes leaked", self.leaked_bytes()).into()
    }

    async fn stop(self, ctx: &Context, _: StopReason) {
        linger(self.config.stop_ms).await;
        witness::write_last(self.config.witness.as_deref(), ctx);
    }
}

/// Not at all when it is not asked to: a sleep of nothing still waits for the clock's next tick.
async fn linger(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

impl Flaky {
    fn leak(&mut self, bytes: u64) -> Reply {
        let leaked = self.leaked_bytes();
        let wanted = leaked.saturating_add(bytes);
        let size = usize::try_from(bytes)
            .ok()
            .filter(|_| wanted <= LEAK_BYTES_MAX);
        let Some(size) = size else {
            return Reply::refused(format!("{wanted} bytes are more than {LEAK_BYTES_MAX}"));
        };
        // Ones, so that every page is really there.
        self.leaked.push(vec![1; size]);
        Reply::json(json!({ "leaked": wanted }))
    }

    fn leaked_bytes(&self) -> u64 {
        self.leaked.iter().map(|piece| piece.len() as u64).sum()
    }
}

fn said(done: Result<(), Refusal>) -> Reply {
    match done {
        Ok(()) => Reply::done(),
        Err(refusal) => Reply::refused(refusal.text),
    }
}

fn answered(answer: Result<Value, Refusal>) -> Reply {
    match answer {
        Ok(answer) => Reply::json(answer),
        Err(refusal) => Reply::refused(format!("{} ({})", refusal.text, refusal.code)),
    }
}

async fn call(ctx: &Context, to: &str, message: Value, within: Duration) -> Result<Value, Refusal> {
    let found = found(ctx, to).await?;
    ctx.call(&found, message, within).await
}

/// How often it changed before.
async fn end(ctx: &Context, of: &str) -> Result<Value, Refusal> {
    let mut monitor = ctx.monitor(&found(ctx, of).await?).await?;
    let mut changes = 0;
    while monitor.changed().await.is_some() {
        changes += 1;
    }
    Ok(json!({ "incarnation": monitor.last().incarnation.count, "changes": changes }))
}

async fn found(ctx: &Context, sought: &str) -> Result<FoundInstance, Refusal> {
    let found = ctx.lookup(sought).await?.instances.into_iter().next();
    found.ok_or_else(|| Refusal::new(code::NOT_RUNNING, format!("the graph has no {sought}")))
}

fn refusal(how: &str) -> CannotStart {
    let (how, words) = match how.split_once(':') {
        Some((how, words)) => (how.trim(), words.trim()),
        None => (how, "refused on purpose"),
    };
    match how {
        "config" => CannotStart::config(words),
        "not-now" => CannotStart::not_now(words),
        "panic" => panic!("{words}"),
        other => CannotStart::config(format!(
            "refuse is \"{other}\"; it can be config, not-now or panic"
        )),
    }
}
