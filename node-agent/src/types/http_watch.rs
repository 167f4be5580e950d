//! `http-watch`: asks an outside URL again and again, and tells what it finds as its health. Generic in its name.
//!
//! What it watches is not its own: that it does not answer is `degraded`, never a failure of this instance, since
//! starting it anew would mend nothing. Redirects are answers like any other, and are not followed.

use std::sync::Arc;
use std::time::Duration;

use mainstay_service::{
    CannotStart, Context, Failure, Health, Reply, Service, StatusText, TypeInfo, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::http_url::{self, Url};
use super::watching::{Found, Latest, Watching};

const EVERY_MS_MIN: u64 = 100;
const EVERY_MS_MAX: u64 = 60 * 60 * 1000;
const TIMEOUT_MS_MAX: u64 = 60 * 1000;
/// A text is looked for in so much of an answer.
const BODY_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpWatchConfig {
    /// What is asked: http://HOST[:PORT][/PATH].
    pub url: String,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
    /// Between two questions.
    #[serde(default = "every_ms")]
    pub every_ms: u64,
    /// The whole answer must be there within this.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// One of these status codes; any from 200 to 299, unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// Its body has this text within its first 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

fn every_ms() -> u64 {
    10_000
}

fn timeout_ms() -> u64 {
    5_000
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HttpWatchMessage {
    /// Asks now, and answers what came of it.
    Ask,
}

#[derive(Debug)]
pub struct HttpWatch {
    watch: Arc<Watch>,
    watching: Watching,
}

#[derive(Debug)]
struct Watch {
    url: Url,
    expect: Expect,
    timeout: Duration,
}

impl Service for HttpWatch {
    type Config = HttpWatchConfig;
    type Message = HttpWatchMessage;
    type Probe = Latest;
    const TYPE: TypeInfo = TypeInfo::new("http-watch", "1.0.0").generic();

    async fn start(config: HttpWatchConfig, ctx: &Context) -> Result<(Self, Latest), CannotStart> {
        let watch = Arc::new(Watch::of(&config).map_err(CannotStart::config)?);
        let first = watch.look().await;
        let looks = Arc::clone(&watch);
        let every = Duration::from_millis(config.every_ms);
        let (watching, latest) = Watching::begin(first, every, ctx.clone(), move || {
            let watch = Arc::clone(&looks);
            async move { watch.look().await }
        });
        Ok((Self { watch, watching }, latest))
    }

    async fn handle(&mut self, message: HttpWatchMessage, _: &Context) -> Result<Reply, Failure> {
        let HttpWatchMessage::Ask = message;
        let found = self.watch.look().await;
        self.watching.set(found.clone());
        Ok(Reply::json(json!({
            "health": found.health.state(),
            "text": found.text,
            "took_ms": found.took.as_millis() as u64,
        })))
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        self.watching.latest().in_words().into()
    }
}

impl Watch {
    fn of(config: &HttpWatchConfig) -> Result<Self, String> {
        let url = Url::parse(&config.url).map_err(|why| format!("url: {why}"))?;
        for (field, value, least, most) in [
            ("every_ms", config.every_ms, EVERY_MS_MIN, EVERY_MS_MAX),
            ("timeout_ms", config.timeout_ms, 1, TIMEOUT_MS_MAX),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("{field}: it can be from {least} to {most}"));
            }
        }
        for status in &config.expect.status {
            if !(200..=599).contains(status) {
                return Err(format!("expect.status: {status} is no status of an answer"));
            }
        }
        Ok(Self {
            url,
            expect: config.expect.clone(),
            timeout: Duration::from_millis(config.timeout_ms),
        })
    }

    async fn look(&self) -> Found {
        let began = Instant::now();
        let wanted = self.expect.text.as_ref().map(|_| BODY_BYTES_MAX);
        let asked = http_url::get(&self.url, wanted.unwrap_or_default(), self.timeout).await;
        let took = began.elapsed();
        match asked.map_err(|error| error.to_string()).and_then(|answer| {
            self.judge(answer.status, &answer.body)?;
            Ok(answer.status)
        }) {
            Ok(status) => Found::now(
                Health::ok(),
                format!("{} answered {status}", self.url),
                took,
            ),
            Err(why) => {
                let text = format!("{} {why}", self.url);
                Found::now(Health::degraded(text.clone()), text, took)
            }
        }
    }

    fn judge(&self, status: u16, body: &[u8]) -> Result<(), String> {
        let expected = &self.expect.status;
        let good = if expected.is_empty() {
            (200..300).contains(&status)
        } else {
            expected.contains(&status)
        };
        if !good {
            let listed: Vec<String> = expected.iter().map(ToString::to_string).collect();
            let wanted = if listed.is_empty() {
                "200 to 299".to_owned()
            } else {
                listed.join(" or ")
            };
            return Err(format!("answered {status}, not {wanted}"));
        }
        let Some(text) = &self.expect.text else {
            return Ok(());
        };
        if String::from_utf8_lossy(body).contains(text.as_str()) {
            return Ok(());
        }
        let cut = if body.len() < BODY_BYTES_MAX {
            ""
        } else {
            " within its first 256 KiB"
        };
        Err(format!("answered {status} without \"{text}\"{cut}"))
    }
}

#[cfg(test)]
mod tests;
