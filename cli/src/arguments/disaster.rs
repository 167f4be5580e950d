//! Arguments of `backup` and `restore`, and of what helps a station whose group or disk is lost.

use std::path::PathBuf;

use clap::Args;
use mainstay_protocol::{ClusterName, StationId};

use super::values;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mainstay backup /var/backups/prod-monday.backup")]
pub struct BackupArguments {
    /// The file to write; nothing is ever written over
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The station is a group of its own then, in a new epoch: stop every other one first.\n\n\
                  Example:\n  mainstay restore prod-monday.backup --dir /var/lib/mainstay/s1"
)]
pub struct RestoreArguments {
    /// What `mainstay backup` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The data directory to make; empty, or not there yet
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Which station it is to be; else the one that wrote the backup
    #[arg(long, value_name = "STATION", value_parser = values::station)]
    pub station: Option<StationId>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "For when less than a majority is left for good: what the others had and this one had not is lost.\n\n\
                  Example:\n  mainstay station recover --from /var/lib/mainstay/s2 --to /var/lib/mainstay/s2.recovered"
)]
pub struct RecoverArguments {
    /// The data directory of a station that is left, and does not run; it is not changed
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// The data directory to make; empty, or not there yet
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Do not ask for the cluster's name: it is this
    #[arg(long, value_name = "NAME")]
    pub yes_cluster: Option<ClusterName>,
}

#[derive(Debug, Args)]
#[command(after_help = "Says what could not be read and is left out.\n\n\
                  Example:\n  mainstay station repair --dir /var/lib/mainstay/s1 --to /var/lib/mainstay/s1.repaired")]
pub struct RepairArguments {
    /// The data directory that is damaged; it is not changed
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The data directory to make of what can be read; empty, or not there yet
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Of one of several stations: the others of this cluster are lost for good
    #[arg(long, value_name = "NAME")]
    pub yes_cluster: Option<ClusterName>,
}

impl BackupArguments {
    pub(super) fn told(&self) -> String {
        format!("write a backup to {}", self.file.display())
    }
}

impl RestoreArguments {
    pub(super) fn told(&self) -> String {
        format!("restore {}", self.file.display())
    }
}
