//! `ocf`: a resource agent script of the Open Cluster Framework as a service. Generic in its name.
//!
//! ```text
//!   start    meta-data -> parameters -> monitor --running--> taken as it is
//!                                         |  not running
//!                                         v
//!                                  validate-all -> start -> monitor
//!   beside   monitor, monitor, ..: the last answer is what Check tells
//!   stop     stop, again if it fails; not when only the agent ends: the resource lives on, and the next start finds it
//! ```

mod code;
mod config;
mod meta_data;
mod record;
mod resource;
mod script;

use std::sync::Arc;
use std::time::Duration;

use mainstay_service::{
    CannotStart, Context, Failure, Reply, Service, StatusText, StopReason, TypeInfo, Value, json,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use code::{Code, Found};
pub use config::{OcfConfig, Param, Timeouts};
use record::Records;
use resource::{Acted, End, Resource};

use super::watching::{self, Latest, Watching};
use crate::secret_files::SecretFiles;

/// The longest start, with what goes before and after it.
const START_DEADLINE: Duration = Duration::from_secs(12 * 60);
/// The longest stop, and one more try of a shorter one.
const STOP_DEADLINE: Duration = Duration::from_secs(5 * 60);
const STOP_TRIES: u32 = 3;
const STOP_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OcfMessage {
    /// Runs the script's monitor now, at some depth (OCF_CHECK_LEVEL), and answers what it found.
    Monitor {
        #[serde(default)]
        level: Option<u32>,
    },
    /// What the script says of itself: its actions, and a JSON Schema of its parameters.
    MetaData,
    /// Runs the script's validate-all.
    ValidateAll,
}

#[derive(Debug)]
pub struct Ocf {
    resource: Arc<Resource>,
    records: Records,
    /// It ran already when this incarnation began.
    was_found: bool,
    since: Instant,
    monitors: Watching,
}

impl Service for Ocf {
    type Config = OcfConfig;
    type Message = OcfMessage;
    type Probe = Latest;
    const TYPE: TypeInfo = TypeInfo::new("ocf", "1.0.0")
        .generic()
        .without_lease()
        .start_deadline(START_DEADLINE)
        .stop_deadline(STOP_DEADLINE);

    async fn start(config: OcfConfig, ctx: &Context) -> Result<(Self, Latest), CannotStart> {
        config.check().map_err(CannotStart::config)?;
        let secrets = SecretFiles::kept(ctx);
        let directory = ctx.directory();
        let opened = directory.and_then(|dir| Records::open(dir, secrets.clone()));
        let records = opened.map_err(CannotStart::not_now)?;
        let scratch = records.scratch().map_err(CannotStart::not_now)?;
        let instance = ctx.identity().instance.placement.to_string();
        let before = records.read();
        if before.is_none() {
            // Of a start that came to nothing: the next is given what there is now.
            secrets.remove();
        }
        let wanted = config.secrets();
        secrets.complete(wanted.clone(), ctx).await?;
        let describe = |config: OcfConfig| {
            Resource::describe(config, instance.clone(), scratch.clone(), secrets.clone())
        };
        let resource = describe(config).await?;
        let wrong = resource
            .meta
            .check(&resource.config.agent, &resource.config.params);
        wrong.map_err(|all| {
            let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
            CannotStart::config(texts.join("; "))
        })?;
        if let Some(before) = before
            && !before.same_resource(&resource.config)
        {
            // What it was started with is there as long as it runs.
            let before = describe(before).await?;
            end_what_ran(&before, &records).await?;
            secrets.complete(wanted, ctx).await?;
        }
        let (acted, was_found) = bring_up(&resource, &records).await?;
        let every = resource.config.monitor_every(&resource.meta);
        let resource = Arc::new(resource);
        let watched = Arc::clone(&resource);
        let (monitors, latest) = Watching::begin(found(&acted), every, ctx.clone(), move || {
            let resource = Arc::clone(&watched);
            async move { found(&resource.monitor(resource.config.check_level).await) }
        });
        let ocf = Self {
            resource,
            records,
            was_found,
            since: Instant::now(),
            monitors,
        };
        Ok((ocf, latest))
    }

    async fn handle(&mut self, message: OcfMessage, ctx: &Context) -> Result<Reply, Failure> {
        let answer = async {
            match message {
                OcfMessage::Monitor { level } => self.monitor_now(level).await,
                OcfMessage::MetaData => Reply::json(self.resource.meta.to_json()),
                OcfMessage::ValidateAll => {
                    Reply::json(in_json(&self.resource.act("validate-all").await))
                }
            }
        };
        // A stop does not wait for an action that only answers a question.
        tokio::select! {
            reply = answer => Ok(reply),
            _ = ctx.shutdown() => Ok(Reply::refused("the instance is stopping")),
        }
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        let begun = if self.was_found {
            "it ran already when this incarnation began"
        } else {
            "started by this incarnation"
        };
        format!(
            "{}; {begun}, {} s ago; {}",
            self.resource.config.agent,
            self.since.elapsed().as_secs(),
            self.monitors.latest().in_words(),
        )
        .into()
    }

    async fn stop(self, ctx: &Context, why: StopReason) {
        drop(self.monitors);
        if why == StopReason::AgentStops {
            tracing::info!(parent: ctx.span(), "the resource is left running: only its agent ends");
            return;
        }
        match stopped(&self.resource).await {
            Ok(()) => self.records.forget(),
            // What is left of it is told as a failure, in the script's words.
            Err(text) => ctx.fail(Failure::new(text)),
        }
    }
}

impl Ocf {
    async fn monitor_now(&self, level: Option<u32>) -> Reply {
        let usual = self.resource.config.check_level;
        let level = level.unwrap_or(usual);
        let acted = self.resource.monitor(level).await;
        if level == usual {
            self.monitors.set(found(&acted));
        }
        Reply::json(in_json(&acted))
    }
}

fn found(acted: &Acted) -> watching::Found {
    watching::Found::now(acted.health(), acted.text.clone(), acted.took)
}

fn in_json(acted: &Acted) -> Value {
    let code = match acted.end {
        End::Code(code) => Some(code.number()),
        End::Broken(_) => None,
    };
    json!({
        "code": code,
        "health": acted.health().state(),
        "text": acted.text,
        "took_ms": acted.took.as_millis() as u64,
    })
}

/// Looks first: what runs is taken as it is, what is broken is cleared away. Whether it was found running.
async fn bring_up(resource: &Resource, records: &Records) -> Result<(Acted, bool), CannotStart> {
    let seen = resource.act("monitor").await;
    match seen.found() {
        Found::Running | Found::Limping => {
            tracing::info!(agent = resource.config.agent, "runs already");
            written(records, resource)?;
            return Ok((seen, true));
        }
        Found::NotRunning => {}
        // Neither running nor stopped: from the beginning.
        Found::Failed(code::Severity::Soft) => {
            tracing::warn!(text = seen.text, "is stopped before it is started");
            end_what_ran(resource, records).await?;
        }
        Found::Failed(code::Severity::Hard | code::Severity::Fatal) => {
            return Err(seen.cannot_start());
        }
    }
    if resource.meta.action("validate-all", 0).is_some() {
        let valid = resource.act("validate-all").await;
        // One that describes it and does not have it is common, and no harm.
        if !valid.is(Code::Success) && !valid.is(Code::Unimplemented) {
            return Err(valid.cannot_start());
        }
    }
    written(records, resource)?;
    match begin(resource).await {
        Ok(runs) => Ok((runs, false)),
        Err(failed) => Err(cleared_away(resource, records, failed).await),
    }
}

fn written(records: &Records, resource: &Resource) -> Result<(), CannotStart> {
    records
        .write(&resource.config)
        .map_err(CannotStart::not_now)
}

/// It runs when `monitor` says so: what `start` says is a promise.
async fn begin(resource: &Resource) -> Result<Acted, Acted> {
    let started = resource.act("start").await;
    let good = matches!(started.end, End::Code(code) if code.started());
    if !good {
        return Err(started);
    }
    let mut seen = resource.act("monitor").await;
    match seen.found() {
        Found::Running | Found::Limping => Ok(seen),
        Found::NotRunning | Found::Failed(_) => {
            seen.text = format!("start went well, but then: {}", seen.text);
            Err(seen)
        }
    }
}

/// A start that failed may have begun something.
async fn cleared_away(resource: &Resource, records: &Records, failed: Acted) -> CannotStart {
    match stopped(resource).await {
        Ok(()) => {
            records.forget();
            failed.cannot_start()
        }
        Err(text) => resource::cannot_start(
            failed.severity(),
            format!(
                "{}; and what it began may still be there: {text}",
                failed.text
            ),
        ),
    }
}

async fn end_what_ran(resource: &Resource, records: &Records) -> Result<(), CannotStart> {
    match stopped(resource).await {
        Ok(()) => {
            records.forget();
            Ok(())
        }
        Err(text) => Err(CannotStart::not_now(format!(
            "what ran before must be stopped first: {text}"
        ))),
    }
}

/// A stop that fails is tried again as long as another try fits.
async fn stopped(resource: &Resource) -> Result<(), String> {
    let began = Instant::now();
    let one_try = resource.config.timeout("stop", &resource.meta) + STOP_PAUSE;
    let mut tries = 1;
    loop {
        let acted = resource.act("stop").await;
        if acted.is(Code::Success) || acted.is(Code::NotRunning) {
            return Ok(());
        }
        tracing::warn!(text = acted.text, tries, "stop failed");
        let fits = began.elapsed() + one_try < STOP_DEADLINE;
        if tries == STOP_TRIES || !fits || acted.severity() != code::Severity::Soft {
            return Err(format!("{} ({tries} tries)", acted.text));
        }
        tries += 1;
        sleep(STOP_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
