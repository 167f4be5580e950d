//! What an agent is told when it is started, and how it says that it cannot run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use mainstay_protocol::code::Code;
use mainstay_protocol::{ClusterId, NodeName, limits};
use thiserror::Error;

/// How to run an agent.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    pub node: NodeName,
    /// Its data: file, locks. One agent at a time.
    pub dir: PathBuf,
    /// Those that it asks first; at least one. It is told of the others by them.
    pub stations: Vec<Endpoint>,
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

/// Why a text does not say where a station is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadAddress {
    #[error(
        "{text:?} is no address of a station; it is unix:PATH, with the path of the station's socket"
    )]
    Unknown { text: String },
    #[error(
        "an address of {bytes} bytes; a station's has at most {}",
        limits::ADDRESS_BYTES_MAX
    )]
    TooLong { bytes: usize },
}

const UNIX: &str = "unix:";

/// As stations tell it.
impl FromStr for Endpoint {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.len() > limits::ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong { bytes: text.len() });
        }
        match text.strip_prefix(UNIX) {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(_) | None => Err(BadAddress::Unknown {
                text: text.to_owned(),
            }),
        }
    }
}

impl Endpoint {
    /// As people write it: as stations tell it, or the bare path of a socket.
    pub(crate) fn from_argument(text: OsString) -> Result<Self, BadAddress> {
        match text.to_str() {
            Some(address) if address.is_empty() || address.starts_with(UNIX) => address.parse(),
            Some(_) | None => Ok(Self::Unix(text.into())),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_understood_or_refused_with_what_is_expected() {
        let socket = Endpoint::Unix("/run/s1.sock".into());
        assert_eq!("unix:/run/s1.sock".parse(), Ok(socket.clone()));
        assert_eq!(socket.to_string(), "/run/s1.sock");
        for text in ["", "unix:", "/run/s1.sock", "host.example:7400", "UNIX:/a"] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains("it is unix:PATH"), "{error}");
        }
        let long = "x".repeat(limits::ADDRESS_BYTES_MAX + 1);
        let error = long.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains("at most 300"), "{error}");
    }

    #[test]
    fn an_argument_may_also_be_the_bare_path() {
        let read = |text: &str| Endpoint::from_argument(text.into());
        let socket = Endpoint::Unix("/s".into());
        assert_eq!(read("/s"), Ok(socket.clone()));
        assert_eq!(read("unix:/s"), Ok(socket));
        assert!(read("unix:").is_err() && read("").is_err());
    }
}
