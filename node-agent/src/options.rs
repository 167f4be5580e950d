//! What an agent is told when it is started, and how it says that it cannot run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use mainstay_protocol::code::Code;
use mainstay_protocol::room::Room;
use mainstay_protocol::{Address, BadAddress, ClusterId, NodeName};

/// How to run an agent.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    pub node: NodeName,
    /// Its data: file, locks. One agent at a time.
    pub dir: PathBuf,
    /// Those that it asks first; at least one. It is told of the others by them.
    pub stations: Vec<Address>,
    /// Where others can call it, over the network; what it finds, if it is not said.
    pub listen: Option<Address>,
    /// Which cluster the station must belong to; any, if it is not said.
    pub cluster: Option<ClusterId>,
    /// Whether it may be broken on purpose.
    pub chaos: bool,
    pub labels: BTreeMap<String, String>,
    /// What its instances may take together, where that is not all there is.
    pub offer: Offer,
    /// What is written to the log, as `RUST_LOG` has it; `info`, if it is not said.
    pub log: Option<String>,
    /// It ends when this process ends, however it ends; that process must be its parent.
    pub parent: Option<u32>,
    /// The program that holds outside processes; beside this one, if it is not said.
    pub hold: Option<PathBuf>,
    /// A control group that is this agent's to divide: bounds of memory are then of all that a process starts.
    pub memory_groups: Option<PathBuf>,
}

/// What is offered of a machine; all of it, where nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    pub millicores: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
}

impl Offer {
    pub(crate) fn of(self, all: Room) -> Room {
        Room {
            millicores: self.millicores.unwrap_or(all.millicores),
            memory_bytes: self.memory_bytes.unwrap_or(all.memory_bytes),
            disk_bytes: self.disk_bytes.unwrap_or(all.disk_bytes),
        }
    }
}

/// As people write it: as stations tell it, or the bare path of a socket.
pub(crate) fn station_address(text: OsString) -> Result<Address, BadAddress> {
    let bare = |text: &str| text.contains('/') && !text.starts_with("unix:");
    match text.to_str() {
        Some(text) if !bare(text) => text.parse(),
        Some(_) | None => Ok(Address::Unix(
            std::path::absolute(&text).unwrap_or(text.into()),
        )),
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
    fn an_argument_may_also_be_the_bare_path() {
        let read = |text: &str| station_address(text.into());
        let socket = Address::Unix("/s".into());
        assert_eq!(read("/s"), Ok(socket.clone()));
        assert_eq!(read("unix:/s"), Ok(socket));
        assert_eq!(read("host:7400").unwrap().to_string(), "host:7400");
        assert!(read("./s").unwrap().to_string().starts_with("unix:/"));
        assert!(read("unix:").is_err() && read("").is_err() && read("host").is_err());
    }
}
