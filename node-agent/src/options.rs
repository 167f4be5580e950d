//! What an agent is told when it is started, and how it says that it cannot run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use mainstay_protocol::code::Code;
use mainstay_protocol::{ClusterId, NodeName};

/// How to run an agent.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    pub node: NodeName,
    /// Its data: file, locks. One agent at a time.
    pub dir: PathBuf,
    pub station: Endpoint,
    /// Which cluster the station must belong to; any, if it is not said.
    pub cluster: Option<ClusterId>,
    /// Whether it may be broken on purpose.
    pub chaos: bool,
    pub labels: BTreeMap<String, String>,
    /// What is written to the log, as `RUST_LOG` has it; `info`, if it is not said.
    pub log: Option<String>,
    /// It ends when this process ends, however it ends; that process must be its parent.
    pub parent: Option<u32>,
    /// The program that holds outside processes; beside this one, if it is not said.
    pub hold: Option<PathBuf>,
    /// A control group that is this agent's to divide: bounds of memory are then of all that a process starts.
    pub memory_groups: Option<PathBuf>,
}

/// Where a station is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// On this machine, of this user.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Why an agent does not run, in the four lines that every error has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotRun {
    pub what: String,
    pub why: String,
    pub remedy: String,
    pub code: Code,
    pub exit: u8,
}

impl CannotRun {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        writeln!(f, "  why: {}", self.why)?;
        writeln!(f, "  do:  {}", self.remedy)?;
        // It is told here, not asked for over a wire: there is no request to name.
        write!(f, "  {} (request -)", self.code)
    }
}

impl std::error::Error for CannotRun {}
