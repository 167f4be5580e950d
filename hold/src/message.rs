//! What is said on a slot's socket: a line each way.
//!
//! ```text
//!   agent: state                        hold: state instance=.. phase=..
//!   agent: subscribe                    hold: state .., then events as they happen
//!   agent: stop step=TERM:5000 step=KILL:0      hold: ok
//!   agent: kill                         hold: ok
//!   agent: lease until-ms=..            hold: ok, or error: the lease has run out, or there is none
//!   agent: usage                        hold: usage cpu-ticks=.. rss-bytes=.. processes=..
//! ```

use std::fmt;
use std::str::FromStr;

use crate::fields::{BadFields, Fields};
use crate::limits;
use crate::records::{Exit, State};

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    State,
    /// The state now, and every event from now on.
    Subscribe,
    /// A signal, a wait, the next signal ..; a later ladder takes the place of an earlier one.
    Stop(Vec<Step>),
    Kill,
    /// Prolongs the lease to this time of the boot clock; never shortens it. One that has run out is past for ever.
    Lease {
        until_ms: u64,
    },
    Usage,
}

/// One step of a stop: sent to the process's group, and so long until the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `TERM`, without SIG.
    pub signal: String,
    pub wait_ms: u64,
}

/// What a hold says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Also whenever something in it has changed, to subscribers.
    State(State),
    /// The last thing that is said.
    Exit(Exit),
    Usage {
        cpu_ticks: u64,
        rss_bytes: u64,
        processes: u32,
    },
    Ok,
    Error(String),
}

impl Request {
    pub fn to_line(&self) -> String {
        match self {
            Self::State => "state".to_owned(),
            Self::Subscribe => "subscribe".to_owned(),
            Self::Kill => "kill".to_owned(),
            Self::Usage => "usage".to_owned(),
            Self::Lease { until_ms } => Fields::new().with("until-ms", until_ms).to_line("lease"),
            Self::Stop(steps) => {
                let mut fields = Fields::new();
                Step::push_all(&mut fields, "step", steps);
                fields.to_line("stop")
            }
        }
    }

    pub fn from_line(line: &str) -> Result<Self, BadFields> {
        let (word, fields) = Fields::from_line(line)?;
        match word {
            "state" => Ok(Self::State),
            "subscribe" => Ok(Self::Subscribe),
            "kill" => Ok(Self::Kill),
            "usage" => Ok(Self::Usage),
            "lease" => Ok(Self::Lease {
                until_ms: fields.number("until-ms")?,
            }),
            "stop" => Step::all(&fields, "step").map(Self::Stop),
            other => Err(BadFields(format!(
                "\"{other}\" is no request; state, subscribe, stop, kill, lease and usage are"
            ))),
        }
    }
}

impl Step {
    /// All that have this key: a whole ladder.
    pub(crate) fn all(fields: &Fields, key: &str) -> Result<Vec<Self>, BadFields> {
        let steps: Vec<Self> = fields.all(key).map(str::parse).collect::<Result<_, _>>()?;
        if steps.is_empty() || steps.len() > limits::STOP_STEPS_MAX {
            let most = limits::STOP_STEPS_MAX;
            return Err(BadFields(format!("a stop has 1 to {most} steps")));
        }
        Ok(steps)
    }

    pub(crate) fn push_all(fields: &mut Fields, key: &str, steps: &[Self]) {
        for step in steps {
            fields.push(key, step);
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.signal, self.wait_ms)
    }
}

impl FromStr for Step {
    type Err = BadFields;
    fn from_str(text: &str) -> Result<Self, BadFields> {
        let bad = || BadFields(format!("\"{text}\" is no step: TERM:5000 is one"));
        let (signal, wait) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self {
            signal: signal.to_owned(),
            wait_ms: wait.parse().map_err(|_| bad())?,
        })
    }
}

impl Event {
    pub fn to_line(&self) -> String {
        match self {
            Self::State(state) => state.to_fields().to_line("state"),
            Self::Exit(exit) => exit.to_fields().to_line("exit"),
            Self::Usage {
                cpu_ticks,
                rss_bytes,
                processes,
            } => Fields::new()
                .with("cpu-ticks", cpu_ticks)
                .with("rss-bytes", rss_bytes)
                .with("processes", processes)
                .to_line("usage"),
            Self::Ok => "ok".to_owned(),
            Self::Error(text) => Fields::new().with("text", text).to_line("error"),
        }
    }

    pub fn from_line(line: &str) -> Result<Self, BadFields> {
        let (word, fields) = Fields::from_line(line)?;
        match word {
            "state" => State::from_fields(&fields).map(Self::State),
            "exit" => Exit::from_fields(&fields).map(Self::Exit),
            "usage" => Ok(Self::Usage {
                cpu_ticks: fields.number("cpu-ticks")?,
                rss_bytes: fields.number("rss-bytes")?,
                processes: fields.number("processes")?,
            }),
            "ok" => Ok(Self::Ok),
            "error" => fields.text("text").map(Self::Error),
            other => Err(BadFields(format!(
                "\"{other}\" is nothing that a hold says"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_as_they_were_asked() {
        let steps = [("TERM", 5000), ("KILL", 0)].map(|(signal, wait_ms)| Step {
            signal: signal.to_owned(),
            wait_ms,
        });
        for request in [
            Request::State,
            Request::Subscribe,
            Request::Stop(steps.to_vec()),
            Request::Kill,
            Request::Lease { until_ms: 77_000 },
            Request::Usage,
        ] {
            assert_eq!(Request::from_line(&request.to_line()), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_what_is() {
        for (line, word) in [
            ("shrug", "state, subscribe"),
            ("stop", "1 to 8 steps"),
            ("stop step=TERM", "TERM:5000"),
            ("stop step=TERM:soon", "TERM:soon"),
            ("lease", "until-ms is missing"),
            ("lease until-ms=soon", "until-ms is \"soon\""),
            ("lease until-ms=-1", "no such number"),
        ] {
            let error = Request::from_line(line).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
