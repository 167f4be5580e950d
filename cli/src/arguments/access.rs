//! Arguments of who may come: `init`, `join`, `token`, `identity`, `cert`, `secret`, `can-i`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use mainstay_protocol::{
    Address, Bearer, ClusterName, NodeName, PeopleName, PersonName, SecretName,
};

use super::values::{self, TokenFrom};

#[derive(Debug, Args)]
#[command(
    after_help = "It starts nothing: it prints what to run.\n\nExample:\n  mainstay init --name prod --listen 10.0.0.1:7600"
)]
pub struct InitArguments {
    /// The cluster's name
    #[arg(long, value_name = "NAME")]
    pub name: ClusterName,
    /// Where other machines reach this station, and where it listens
    #[arg(long, value_name = "HOST:PORT", value_parser = values::tls_address)]
    pub listen: Address,
    /// Where the station's data will lie; else /var/lib/mainstay/station, or ~/.local/state/mainstay/station
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It asks until a station answers, and can be repeated. What to run is printed by\n\nExample:\n  mainstay token create --role agent"
)]
pub struct JoinArguments {
    /// A station of the cluster
    #[arg(value_name = "HOST:PORT", value_parser = values::tls_address)]
    pub station: Address,
    /// What `mainstay token create` printed, or - for standard input; also $MAINSTAY_TOKEN
    #[arg(long, value_name = "TOKEN", env = "MAINSTAY_TOKEN", hide_env_values = true, value_parser = values::token)]
    pub token: TokenFrom,
    /// An agent's: the node's name; else the machine's
    #[arg(long, value_name = "NAME")]
    pub node: Option<NodeName>,
    /// A station's: where other machines reach it, and where it listens
    #[arg(long, value_name = "HOST:PORT", value_parser = values::tls_address)]
    pub listen: Option<Address>,
    /// Where the daemon's data will lie; else /var/lib/mainstay/agent or station, or ~/.local/state/mainstay/..
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay token create --role agent"
)]
pub struct TokenArguments {
    #[command(subcommand)]
    pub command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print the line that joins with it
    Create(TokenCreateArguments),
    /// The tokens there are; what is over is shown for a day
    #[command(after_help = "Example:\n  mainstay token list")]
    List,
    /// Take a token back before it is used
    #[command(after_help = "Example:\n  mainstay token revoke 0a1b2c3d4e5f")]
    Revoke {
        /// What `token list` shows
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay token create --role station\n  mainstay token create --role agent --node n7\n  mainstay token \
                  create --role operator --name ada --for 1h"
)]
pub struct TokenCreateArguments {
    /// Whom it lets in: station, agent, reader, operator or admin
    #[arg(long, value_name = "ROLE", value_parser = ["station", "agent", "reader", "operator", "admin"], hide_possible_values = true)]
    pub role: String,
    /// An agent's: of this node alone, also if there was one of that name before
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub node: Option<NodeName>,
    /// A person's name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How long it can be used
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = values::duration)]
    pub valid: Duration,
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay identity list"
)]
pub struct IdentityArguments {
    #[command(subcommand)]
    pub command: IdentityCommand,
}

#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Who was let in: agents, stations, people
    #[command(after_help = "Example:\n  mainstay identity list")]
    List,
    /// Who you are to the cluster
    #[command(after_help = "Example:\n  mainstay identity whoami")]
    Whoami,
    /// Let somebody in no more
    #[command(after_help = "Example:\n  mainstay identity revoke agent/n3 --reason sold")]
    Revoke {
        /// agent/NODE, station/s1 or person/NAME/ROLE, as `identity list` shows
        #[arg(value_name = "IDENTITY")]
        identity: Bearer,
        /// Kept with it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// People who may do the same
    Group(GroupArguments),
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay identity group set ops --role operator --member ada --member bo"
)]
pub struct GroupArguments {
    #[command(subcommand)]
    pub command: GroupCommand,
}

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Say who is in a group and what those may do, beside what each was let in for; it stands for what was said before
    #[command(
        after_help = "Example:\n  mainstay identity group set ops --role operator --member ada --member bo"
    )]
    Set {
        #[arg(value_name = "NAME")]
        name: PeopleName,
        /// reader, operator or admin
        #[arg(long, value_name = "ROLE", value_parser = ["reader", "operator", "admin"], hide_possible_values = true)]
        role: String,
        /// A person's name; repeat for more
        #[arg(long = "member", value_name = "NAME")]
        members: Vec<PersonName>,
    },
    /// The groups there are, and who is in them
    #[command(after_help = "Example:\n  mainstay identity group list")]
    List,
    /// Its members have their own roles again
    #[command(after_help = "Example:\n  mainstay identity group remove ops")]
    Remove {
        #[arg(value_name = "NAME")]
        name: PeopleName,
    },
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay cert list"
)]
pub struct CertArguments {
    #[command(subcommand)]
    pub command: CertCommand,
}

#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Whose certificates there are, how long they stand and when they are renewed; those kept here also without a station
    #[command(after_help = "Examples:\n  mainstay cert list\n  mainstay cert list -o wide")]
    List {
        #[command(flatten)]
        here: HereArguments,
    },
    /// Renew a daemon's certificate now; nothing is restarted
    #[command(
        after_help = "Examples:\n  mainstay cert rotate\n  mainstay cert rotate agent/n1\n  mainstay cert rotate station/s2"
    )]
    Rotate {
        /// agent/NODE or station/s1, as `cert list` shows; else those of the daemons of this machine
        #[arg(value_name = "IDENTITY")]
        identity: Option<Bearer>,
        #[command(flatten)]
        here: HereArguments,
    },
}

/// Which data directories are meant.
#[derive(Debug, Clone, Args)]
pub struct HereArguments {
    /// A daemon's data directory, again for each; else where they are by default, and where the context says
    #[arg(long, value_name = "DIR")]
    pub dir: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay secret set db-password"
)]
pub struct SecretArguments {
    #[command(subcommand)]
    pub command: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Keep what is read from the standard input, sealed
    #[command(after_help = "Example:\n  mainstay secret set db-password")]
    Set {
        #[arg(value_name = "NAME")]
        name: SecretName,
    },
    /// Which secrets there are; what they are is not shown
    #[command(after_help = "Example:\n  mainstay secret list")]
    List,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay can-i restart greeter@n1\n  mainstay can-i token create"
)]
pub struct CanIArguments {
    /// A command: restart, apply, token create
    #[arg(value_name = "VERB", required = true, num_args = 1..=3)]
    pub words: Vec<String>,
}

impl InitArguments {
    pub(super) fn told(&self) -> String {
        format!("found cluster {}", self.name)
    }
}

impl JoinArguments {
    pub(super) fn told(&self) -> String {
        format!("join the cluster at {}", self.station)
    }
}

impl CanIArguments {
    pub(super) fn told(&self) -> String {
        format!("can-i {}", self.words.join(" "))
    }
}

impl TokenCommand {
    pub(super) fn told(&self) -> String {
        match self {
            Self::Create(create) => format!("create a token for {}", create.role),
            Self::List => "list tokens".to_owned(),
            Self::Revoke { id } => format!("revoke token {id}"),
        }
    }
}

impl IdentityCommand {
    pub(super) fn told(&self) -> String {
        match self {
            Self::List => "list identities".to_owned(),
            Self::Whoami => "identity whoami".to_owned(),
            Self::Revoke { identity, .. } => format!("revoke {identity}"),
            Self::Group(arguments) => match &arguments.command {
                GroupCommand::Set { name, .. } => format!("set the group {name}"),
                GroupCommand::List => "list groups".to_owned(),
                GroupCommand::Remove { name } => format!("remove the group {name}"),
            },
        }
    }
}

impl CertCommand {
    pub(super) fn told(&self) -> String {
        match self {
            Self::List { .. } => "list certificates".to_owned(),
            Self::Rotate {
                identity: Some(identity),
                ..
            } => format!("rotate the certificate of {identity}"),
            Self::Rotate { identity: None, .. } => {
                "rotate the certificates of this machine".to_owned()
            }
        }
    }
}

impl SecretCommand {
    pub(super) fn told(&self) -> String {
        match self {
            Self::Set { name } => format!("set secret {name}"),
            Self::List => "list secrets".to_owned(),
        }
    }
}
