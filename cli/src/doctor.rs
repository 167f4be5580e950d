//! What `doctor` checks: facts about this machine and the cluster in, a verdict for each check out. Judging is pure; `gather` and
//! `ask` find the facts out.

pub mod ask;
mod cluster;
pub mod gather;
mod machine;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mainstay_api::types::{Certificate, Node, Station, Status};
use serde::Serialize;

use crate::commands::Kept;

/// One verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: `disk`, `clock`.
    pub check: &'static str,
    /// Of what: a directory, a station; null where there is only one.
    pub subject: Option<String>,
    pub state: State,
    /// What was found, and why that is good or bad.
    pub detail: String,
    /// A command to run; null where nothing is to be done.
    pub to_do: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// It works, and will not for ever, or not as well as it could.
    Warn,
    /// It does not work, or is not safe.
    Fail,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// Everything that is judged.
#[derive(Debug)]
pub struct Facts {
    pub now: SystemTime,
    /// The build of this program.
    pub build: String,
    pub machine: Machine,
    pub directories: Vec<Directory>,
    pub listens: Vec<Listen>,
    pub kept: Vec<KeptHere>,
    /// What is shown from here and cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
    pub cluster: Known,
}

/// What the kernel gives a process here; none where there is no bound, or it does not tell.
#[derive(Debug, Clone)]
pub struct Machine {
    pub kernel: String,
    pub open_files: Option<u64>,
    pub processes: Option<u64>,
    /// Whether the memory of processes can be bounded together.
    pub memory_groups: bool,
}

/// A daemon's data directory, or where it would be.
#[derive(Debug, Clone)]
pub struct Directory {
    pub path: PathBuf,
    /// `station`, `agent`.
    pub whose: &'static str,
    /// It is there; else this is said of where it would be made.
    pub there: bool,
    /// Why it cannot be used, in the system's words.
    pub unusable: Option<String>,
    pub free_bytes: Option<u64>,
    pub free_files: Option<u64>,
    /// What others may read or write, with its mode.
    pub open_to_others: Vec<(PathBuf, u32)>,
    /// What does not belong to the directory's owner.
    pub foreign: Vec<PathBuf>,
    /// How long a small write takes until it is on the disk, at the median.
    pub sync: Option<Duration>,
}

/// Where a station listens, or is to.
#[derive(Debug, Clone)]
pub struct Listen {
    pub address: String,
    /// Its station runs.
    pub runs: bool,
    /// The address is one of this machine; else why not.
    pub local: Result<(), String>,
    /// Whether it can be connected to, where the station runs; whether it can be taken, where it does not.
    pub usable: Result<(), String>,
}

/// A certificate in a directory of this machine.
#[derive(Debug, Clone)]
pub struct KeptHere {
    pub kept: Kept,
    /// A daemon shows it now.
    pub runs: bool,
}

/// What is known of a cluster here.
#[derive(Debug)]
pub enum Known {
    /// No context: none was made or joined here yet.
    None,
    /// There is one, and it cannot be used; why, and what to do.
    Unusable(String, String),
    Of(Box<Cluster>),
}

#[derive(Debug)]
pub struct Cluster {
    pub context: String,
    /// What to run where nobody answers.
    pub start: String,
    /// Each address that is known, asked by itself.
    pub stations: Vec<Reached>,
    /// None where nobody could be asked.
    pub status: Option<Status>,
    pub group: Vec<Station>,
    pub nodes: Vec<Node>,
    pub certificates: Vec<Certificate>,
}

/// One station, asked by itself.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Its number, or its address where it did not say that.
    pub name: String,
    pub answer: Result<Answered, String>,
}

#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// None where it tells this only to those who show more than this machine can.
    pub build: Option<String>,
    /// How far its clock is ahead of ours.
    pub ahead_ms: Option<i64>,
    pub took: Duration,
}

/// Every check, in the order of a machine's life: itself, its disk, its network, the cluster.
pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = machine::judge(facts);
    checks.extend(cluster::judge(facts));
    checks
}

pub fn worst(checks: &[Check]) -> State {
    let states = checks.iter().map(|check| check.state);
    states.max().unwrap_or(State::Ok)
}

fn ok(check: &'static str, subject: Option<String>, detail: impl Into<String>) -> Check {
    Check {
        check,
        subject,
        state: State::Ok,
        detail: detail.into(),
        to_do: None,
    }
}

fn bad(
    state: State,
    (check, subject): (&'static str, Option<String>),
    detail: impl Into<String>,
    to_do: impl Into<String>,
) -> Check {
    Check {
        check,
        subject,
        state,
        detail: detail.into(),
        to_do: Some(to_do.into()),
    }
}
