//! Arguments of what people say of nodes: `node`, `maintenance`.

use std::time::Duration;

use clap::{Args, Subcommand};
use mainstay_protocol::NodeName;
use mainstay_resource_graph::Key;

use super::values;

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay node drain n2 --reason 'a new disk'"
)]
pub struct NodeArguments {
    #[command(subcommand)]
    pub command: NodeCommand,
}

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Take nothing new on nodes; what is there stays
    #[command(after_help = "Example:\n  mainstay node cordon n2 --reason 'its disk is old'")]
    Cordon(SayArguments),
    /// End what runs on nodes, and take nothing new, until they are uncordoned
    #[command(
        after_help = "Refused with 10 where nothing would be left of a placement.\n\n\
                      Examples:\n  mainstay node drain n2 --reason 'a new disk'\n  mainstay node uncordon n2"
    )]
    Drain(DrainArguments),
    /// Take instances again; what is wanted there starts
    #[command(after_help = "Example:\n  mainstay node uncordon n2")]
    Uncordon {
        #[arg(value_name = "NODE", required = true, value_parser = values::node)]
        nodes: Vec<NodeName>,
    },
    /// Set labels of a node, over those that its agent brings; placements follow
    #[command(
        after_help = "Examples:\n  mainstay node label n2 role=web rack=7\n  mainstay node label n2 role-"
    )]
    Label {
        #[arg(value_name = "NODE", value_parser = values::node)]
        node: NodeName,
        /// KEY=VALUE sets one, KEY- takes it away
        #[arg(value_name = "LABEL", required = true, value_parser = values::label)]
        labels: Vec<(String, Option<String>)>,
        /// Also where too little is left of what leaves the node for it
        #[arg(long)]
        force: bool,
    },
    /// Say that a node is off: nobody waits for it any longer
    #[command(
        after_help = "What was on it is Lost, and started elsewhere where its placement says so. Refused with 10 while its agent is connected.\n\n\
                      Example:\n  mainstay node confirm-dead n2 --reason 'no power'"
    )]
    ConfirmDead {
        #[arg(value_name = "NODE", value_parser = values::node)]
        node: NodeName,
        #[command(flatten)]
        reason: Reason,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Restart the machine of a node: through its agent, then another's, then give it up
    #[command(
        after_help = "By the commands host.restart and host.fence (mainstay settings get). Waits to the end of it; 9 if it is not back.\n\n\
                      Examples:\n  mainstay settings set host.restart='[\"/usr/bin/systemctl\",\"reboot\"]'\n  mainstay node restart n2 --reason 'it hangs'"
    )]
    Restart {
        #[arg(value_name = "NODE", value_parser = values::node)]
        node: NodeName,
        #[command(flatten)]
        reason: Reason,
        /// Also where too little would be left meanwhile
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Return once it is decided
        #[arg(long)]
        no_wait: bool,
    },
    /// Take a node out of the cluster for good; its agent must have ended
    #[command(
        after_help = "Refused with 10 while its agent is connected, a station runs on it, or something is wanted on it alone.\n\n\
                      Examples:\n  mainstay node drain n2\n  mainstay node remove n2"
    )]
    Remove {
        #[arg(value_name = "NODE", value_parser = values::node)]
        node: NodeName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct SayArguments {
    #[arg(value_name = "NODE", required = true, value_parser = values::node)]
    pub nodes: Vec<NodeName>,
    #[command(flatten)]
    pub reason: Reason,
}

#[derive(Debug, Args)]
pub struct Reason {
    /// What others shall know about it
    #[arg(
        long = "reason",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub text: String,
}

#[derive(Debug, Args)]
pub struct DrainArguments {
    #[command(flatten)]
    pub say: SayArguments,
    /// Also what runs nowhere else
    #[arg(long)]
    pub force: bool,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay maintenance on node/n2 --for 30m --reason 'a new disk'"
)]
pub struct MaintenanceArguments {
    #[command(subcommand)]
    pub command: MaintenanceCommand,
}

#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Leave whatever happens there as it is: nothing is started, restarted or told as a problem
    #[command(after_help = "Of all nodes that are there now: cluster.\n\n\
                      Examples:\n  mainstay maintenance on node/n2 --for 30m --reason 'a new disk'\n  \
                      mainstay maintenance on web --for 5m\n  mainstay maintenance on cluster --for 1h --reason 'a new switch'")]
    On {
        /// node/NODE, a placement, or cluster
        #[arg(value_name = "WHERE", value_parser = values::worked_on)]
        of: Key,
        /// It ends by itself after so long; else with `maintenance off`
        #[arg(long = "for", value_name = "TIME", value_parser = values::duration)]
        within: Option<Duration>,
        #[command(flatten)]
        reason: Reason,
    },
    /// Judge what is there again
    #[command(
        after_help = "Examples:\n  mainstay maintenance off node/n2\n  mainstay maintenance off cluster"
    )]
    Off {
        /// node/NODE, a placement, or cluster
        #[arg(value_name = "WHERE", value_parser = values::worked_on)]
        of: Key,
    },
}

fn all(nodes: &[NodeName]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    names.join(" ")
}

impl NodeCommand {
    pub(super) fn told(&self) -> String {
        match self {
            Self::Cordon(say) => format!("cordon {}", all(&say.nodes)),
            Self::Drain(drain) => format!("drain {}", all(&drain.say.nodes)),
            Self::Uncordon { nodes } => format!("uncordon {}", all(nodes)),
            Self::Label { node, .. } => format!("label {node}"),
            Self::ConfirmDead { node, .. } => format!("say that {node} is dead"),
            Self::Restart { node, .. } => format!("restart the machine of {node}"),
            Self::Remove { node, .. } => format!("remove {node}"),
        }
    }
}

impl MaintenanceCommand {
    pub(super) fn told(&self) -> String {
        match self {
            Self::On { of, .. } => format!("take {of} into maintenance"),
            Self::Off { of } => format!("end the maintenance of {of}"),
        }
    }
}
