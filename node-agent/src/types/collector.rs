//! `collector`: follows a file, the files of a directory, or a fifo, and reports each line as a record that rules can
//! use. Generic in its name.
//!
//! How far it is in each file is kept in its directory, after the records are on their way: what an agent's end cuts
//! short is read once more, never left out. A path that is not there is waited for, and said.

mod follow;
mod line;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::ResourceName;
use mainstay_service::{
    CannotStart, Context, Failure, Health, NoMessage, Probe, Reply, Service, StatusText, TypeInfo,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use follow::Follow;
use line::Reader;

const EVERY_MS_MIN: u64 = 20;
const EVERY_MS_MAX: u64 = 60 * 60 * 1000;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectorConfig {
    /// The file, directory or fifo that is followed. Of a directory: the files in it, also those that come later.
    pub path: PathBuf,
    /// What its records are called.
    #[serde(default = "record")]
    pub record: String,
    /// What a line is.
    #[serde(default)]
    pub format: Format,
    /// Only lines in which this regular expression is found; its named groups are fields of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// Where a file that is there already is begun.
    #[serde(default)]
    pub from: From,
    /// Between two looks at files.
    #[serde(default = "every_ms")]
    pub every_ms: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Text.
    #[default]
    Lines,
    /// An object of JSON on each line.
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    #[default]
    End,
    Beginning,
}

fn record() -> String {
    "line".to_owned()
}

fn every_ms() -> u64 {
    250
}

#[derive(Debug)]
pub struct Collector {
    path: PathBuf,
    seen: Seen,
    following: JoinHandle<()>,
}

/// What it has done so far, and how it is.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<Counts>>);

#[derive(Debug, Clone, Default)]
struct Counts {
    records: u64,
    passed_over: u64,
    files: usize,
    trouble: Option<String>,
}

impl Seen {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for Seen {
    async fn check(&self) -> Health {
        match &self.counts().trouble {
            None => Health::ok(),
            Some(trouble) => Health::degraded(trouble.clone()),
        }
    }
}

impl Service for Collector {
    type Config = CollectorConfig;
    type Message = NoMessage;
    type Probe = Seen;
    const TYPE: TypeInfo = TypeInfo::new("collector", "1.0.0").generic();

    async fn start(config: CollectorConfig, ctx: &Context) -> Result<(Self, Seen), CannotStart> {
        if !(EVERY_MS_MIN..=EVERY_MS_MAX).contains(&config.every_ms) {
            return Err(CannotStart::config(format!(
                "every_ms: it can be from {EVERY_MS_MIN} to {EVERY_MS_MAX}"
            )));
        }
        if !config.path.is_absolute() {
            let path = config.path.display();
            return Err(CannotStart::config(format!(
                "path: {path} is not absolute, and an agent's own directory is nobody's business"
            )));
        }
        if let Err(bad) = ResourceName::new(&config.record) {
            return Err(CannotStart::config(format!("record: {bad}")));
        }
        let reader = Reader::of(&config).map_err(CannotStart::config)?;
        let kept = ctx
            .directory()
            .map_err(|error| CannotStart::not_now(format!("its directory: {error}")))?
            .join("followed.json");
        let follow =
            Follow::resume(config.path.clone(), config.from, kept).map_err(CannotStart::not_now)?;
        let seen = Seen::default();
        let every = Duration::from_millis(config.every_ms);
        let following = tokio::spawn(keep_following(
            follow,
            reader,
            every,
            seen.clone(),
            ctx.clone(),
        ));
        let path = config.path;
        Ok((
            Self {
                path,
                seen: seen.clone(),
                following,
            },
            seen,
        ))
    }

    async fn handle(&mut self, message: NoMessage, _: &Context) -> Result<Reply, Failure> {
        match message {}
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        let counts = self.seen.counts().clone();
        let trouble = counts
            .trouble
            .map(|trouble| format!("; {trouble}"))
            .unwrap_or_default();
        format!(
            "{} records of {} ({} files followed, {} lines passed over){trouble}",
            counts.records,
            self.path.display(),
            counts.files,
            counts.passed_over
        )
        .into()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// Reads, says, and only then counts it as read.
async fn keep_following(
    mut follow: Follow,
    reader: Reader,
    every: Duration,
    seen: Seen,
    ctx: Context,
) {
    loop {
        let (more, trouble) = match follow.next().await {
            Ok(lines) => {
                for line in &lines {
                    let Some(body) = reader.read(line) else {
                        seen.counts().passed_over += 1;
                        continue;
                    };
                    if let Err(refusal) = ctx.record(reader.name(), &body).await {
                        tracing::warn!(parent: ctx.span(), why = refusal.text, "a record was not taken");
                        seen.counts().passed_over += 1;
                        continue;
                    }
                    seen.counts().records += 1;
                }
                let more = !lines.is_empty();
                let unkept = follow.done(lines).await.err();
                (more, unkept.or_else(|| follow.trouble()))
            }
            Err(trouble) => {
                let unkept = follow.done(Vec::new()).await.err();
                (false, Some(unkept.unwrap_or(trouble)))
            }
        };
        let changed = {
            let mut counts = seen.counts();
            counts.files = follow.files();
            let changed = counts.trouble != trouble;
            counts.trouble = trouble;
            changed
        };
        if changed {
            ctx.recheck().await;
        }
        if !more {
            follow.wait(every).await;
        }
    }
}

#[cfg(test)]
mod tests;
