//! Arguments of `dev` and of the daemons.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mainstay_agent::AgentArguments as AgentRunArguments;
use mainstay_protocol::limits::{DEV_NODES_MAX, DEV_STATIONS_MAX};
use mainstay_protocol::{Address, ClusterName, NodeName, StationId};
use mainstay_station::Profile;
use uuid::Uuid;

use super::values;

#[derive(Debug, Clone, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "Ctrl-C, or `mainstay dev stop`, ends it and removes everything it made; what --keep kept stays.\n\n\
                  Examples:\n  mainstay dev\n  mainstay dev --nodes 5 --detach\n  mainstay dev --stations 3\n  mainstay dev --agent-bin ./target/debug/my-agent"
)]
pub struct DevArguments {
    #[command(subcommand)]
    pub command: Option<DevCommand>,
    /// How many nodes: n1, n2, ..
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(DEV_NODES_MAX)))]
    pub nodes: u16,
    /// How many stations: s1, s2, ..; 3 bear the loss of one, 5 of two
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(DEV_STATIONS_MAX)))]
    pub stations: u16,
    /// Where its data is; else a temporary directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Without the demo placements
    #[arg(long)]
    pub no_demo: bool,
    /// Return once it is ready
    #[arg(long)]
    pub detach: bool,
    /// Keep the data when it ends
    #[arg(long)]
    pub keep: bool,
    /// The agent to run on every node: a program with service types of your own
    #[arg(long, value_name = "PROGRAM")]
    pub agent_bin: Option<PathBuf>,
    /// The program that each station is: one with rules of your own
    #[arg(long, value_name = "PROGRAM")]
    pub station_bin: Option<PathBuf>,
    /// Said to itself by `--detach`
    #[arg(long, hide = true)]
    pub detached: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub enum DevCommand {
    /// End the dev cluster and remove everything it made and was not told to keep
    #[command(after_help = "Example:\n  mainstay dev stop")]
    Stop,
}

/// `demo`: a process of the demo, in the directory that all of them run in.
#[derive(Debug, Args)]
pub struct DemoArguments {
    #[command(subcommand)]
    pub part: DemoPart,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum DemoPart {
    /// Keeps what is counted
    Db {
        #[arg(value_name = "PORT")]
        port: u16,
    },
    /// Counts
    Worker,
    /// Shows it
    Web {
        #[arg(value_name = "PORT")]
        port: u16,
    },
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay agent run --help"
)]
pub struct AgentArguments {
    #[command(subcommand)]
    pub command: AgentCommand,
}

#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Run the agent of a node, until it is asked to stop
    #[command(
        after_help = "Example:\n  mainstay agent run --node n1 --dir /var/lib/mainstay/n1 --station /run/mainstay/agents.sock"
    )]
    Run(AgentRunArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay station run\n  mainstay station run --dir /var/lib/mainstay/s1 --cluster prod\n  mainstay station run \
                  --dir s2 --cluster dev --station s2 --joins 0c6f6a346f0e4c0f9e0b2d7f5a3c1b22"
)]
pub struct StationRunArguments {
    /// Where its data lies, one station at a time; else /var/lib/mainstay/station, or ~/.local/state/mainstay/station
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The cluster's name, for a station that was neither initialised nor joined: on this machine only
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<ClusterName>,
    /// Where it is reached over the network; else where it was told when it was initialised or joined
    #[arg(long, value_name = "HOST:PORT", value_parser = values::tls_address)]
    pub listen: Option<Address>,
    /// The socket of the API; else DIR/api.sock
    #[arg(long, value_name = "SOCKET")]
    pub api: Option<PathBuf>,
    /// The socket that agents come to; else DIR/sessions.sock
    #[arg(long, value_name = "SOCKET")]
    pub agents: Option<PathBuf>,
    /// Its number in the cluster, never used for another; else s1
    #[arg(long, value_name = "STATION", value_parser = values::station)]
    pub station: Option<StationId>,
    /// The cluster it is to be added to, by its id; else an empty directory founds a cluster of its own
    #[arg(long, value_name = "CLUSTER", requires = "station")]
    pub joins: Option<Uuid>,
    /// The node it runs on, if its machine is one
    #[arg(long, value_name = "NAME")]
    pub node: Option<NodeName>,
    /// The timers of a new cluster: lan, wan or dev
    #[arg(
        long,
        value_name = "PROFILE",
        value_enum,
        default_value = "lan",
        hide_possible_values = true
    )]
    pub profile: ProfileName,
    /// Whose turn it is of what is due says a queue outside, NATS JetStream: its servers, with commas between
    #[arg(long, value_name = "SERVERS", env = "MAINSTAY_NATS", value_parser = values::nats_servers)]
    pub nats: Option<String>,
    /// Logs in there: USER:PASSWORD, or a token, in one line
    #[arg(
        long,
        value_name = "FILE",
        env = "MAINSTAY_NATS_LOGIN",
        requires = "nats"
    )]
    pub nats_login: Option<PathBuf>,
    /// Whose certificates count there, as PEM; else those that this machine trusts
    #[arg(long, value_name = "FILE", env = "MAINSTAY_NATS_CA", requires = "nats")]
    pub nats_ca: Option<PathBuf>,
    /// Let it, and through it agents and instances, be broken on purpose (`mainstay chaos`)
    #[arg(long)]
    pub chaos: bool,
    /// What to log, as RUST_LOG has it
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileName {
    Lan,
    Wan,
    Dev,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Lan => Self::Lan,
            ProfileName::Wan => Self::Wan,
            ProfileName::Dev => Self::Dev,
        }
    }
}

/// `dev-daemon`: dies with its parent, then becomes the daemon.
#[derive(Debug, Args)]
pub struct DaemonArguments {
    /// The process whose end ends this one
    #[arg(long)]
    pub parent: u32,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub program: Vec<OsString>,
}

/// `dev-reaper`: outlives the parent and removes what it made. All it needs to know comes through its input.
#[derive(Debug, Args)]
pub struct ReaperArguments {}
