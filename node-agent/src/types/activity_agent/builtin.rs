//! What it does of its own, for tests and for learning.

use std::time::Duration;

use mainstay_protocol::limits;
use mainstay_service::{Call, Processed, Processor};
use serde::Deserialize;
use tokio::time::sleep;

use super::question::as_written;

/// A longer sleep holds no hand, and survives whoever began it: it is another call, after that time.
const HELD_MAX: Duration = Duration::from_secs(1);
/// In the scratch of a sleep that is over when it is called again.
const SLEPT: &str = "slept";

pub(super) struct Sleep;
pub(super) struct Echo;
pub(super) struct Fail;

#[derive(Deserialize)]
struct Wanted {
    millis: Option<u64>,
    seconds: Option<u64>,
}

impl Wanted {
    fn time(&self) -> Result<Duration, Processed> {
        let ms = match (self.millis, self.seconds) {
            (Some(ms), None) => ms,
            (None, Some(seconds)) => seconds.saturating_mul(1_000),
            (Some(_), Some(_)) => return Err(Processed::fatal("say millis or seconds, not both")),
            (None, None) => return Err(Processed::fatal("say for how long: millis or seconds")),
        };
        let most = limits::WORK_WAIT_MS_MAX;
        match ms <= most {
            true => Ok(Duration::from_millis(ms)),
            false => Err(Processed::fatal(format!("{most} ms are the longest sleep"))),
        }
    }
}

impl Processor for Sleep {
    async fn process(&self, call: Call) -> Processed {
        let time = match call.read::<Wanted>().and_then(|wanted| wanted.time()) {
            Ok(time) => time,
            Err(no) => return no,
        };
        if time <= HELD_MAX {
            sleep(time).await;
            return Processed::complete(());
        }
        // Nobody calls it again before its time is over.
        match call.scratch().member(SLEPT) {
            Some(_) => Processed::complete(()),
            None => Processed::again_after(time).set_scratch(SLEPT, true),
        }
    }
}

impl Processor for Echo {
    async fn process(&self, call: Call) -> Processed {
        Processed::complete(as_written(call.inputs()))
    }
}

#[derive(Deserialize)]
struct Failing {
    #[serde(default = "as_told")]
    error: String,
    #[serde(default)]
    how: How,
    /// Of the first attempts, so many; without it, all.
    times: Option<u32>,
}

fn as_told() -> String {
    "it fails, as it was told to".to_owned()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    #[default]
    Fatal,
    Retry,
    Panic,
}

impl Processor for Fail {
    async fn process(&self, call: Call) -> Processed {
        let failing: Failing = match call.read() {
            Ok(failing) => failing,
            Err(no) => return no,
        };
        if failing.times.is_some_and(|times| call.attempt() > times) {
            return Processed::complete(());
        }
        match failing.how {
            How::Fatal => Processed::fatal(failing.error),
            How::Retry => Processed::retry(failing.error),
            How::Panic => panic!("{}", failing.error),
        }
    }
}
