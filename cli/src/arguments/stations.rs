//! Arguments of `station`: the daemon itself, and who is in the group.

use clap::{Args, Subcommand};
use mainstay_protocol::StationId;

use super::daemons::StationRunArguments;
use super::disaster::{RecoverArguments, RepairArguments};
use super::values;

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  mainstay station list\n  mainstay station run --help"
)]
pub struct StationArguments {
    #[command(subcommand)]
    pub command: StationCommand,
}

#[derive(Debug, Subcommand)]
pub enum StationCommand {
    /// Run a station, until it is asked to stop
    Run(Box<StationRunArguments>),
    /// The stations of the cluster, and which one leads
    #[command(after_help = "Example:\n  mainstay station list -o wide")]
    List,
    /// Add a station that runs with --joins; returns once it has caught up and votes
    Add(StationAddArguments),
    /// Take a station out of the group; its number is not used again
    Remove(StationRemoveArguments),
    /// Hand leadership over to a station
    #[command(after_help = "Example:\n  mainstay station lead s2")]
    Lead(StationOneArguments),
    /// Go on with what one station of a lost group has
    Recover(RecoverArguments),
    /// Salvage what can be read of a damaged data directory
    Repair(RepairArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mainstay station add s2 --at unix:/var/lib/mainstay/s2/sessions.sock"
)]
pub struct StationAddArguments {
    /// Its number, as it was run with
    #[arg(value_name = "STATION", value_parser = values::station)]
    pub station: StationId,
    /// Where the others reach it: HOST:PORT; on this machine unix:SOCKET, the one that agents come to
    #[arg(long, value_name = "ADDRESS", value_parser = values::address)]
    pub at: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mainstay station remove s2 --yes")]
pub struct StationRemoveArguments {
    /// Its number, as `station list` says
    #[arg(value_name = "STATION", value_parser = values::station)]
    pub station: StationId,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct StationOneArguments {
    /// Its number, as `station list` says
    #[arg(value_name = "STATION", value_parser = values::station)]
    pub station: StationId,
}

impl StationCommand {
    pub(super) fn told(&self) -> String {
        match self {
            Self::Run(_) => "run a station".to_owned(),
            Self::List => "list stations".to_owned(),
            Self::Add(add) => format!("add station {}", add.station),
            Self::Remove(remove) => format!("remove station {}", remove.station),
            Self::Lead(one) => format!("let station {} lead", one.station),
            Self::Recover(recover) => format!("recover {}", recover.from.display()),
            Self::Repair(repair) => format!("repair {}", repair.dir.display()),
        }
    }
}
