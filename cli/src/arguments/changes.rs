//! Arguments of the commands that change something.

use std::time::Duration;

use clap::{Args, Subcommand};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, SlotName, StationId, TypeName};
use mainstay_resource_graph::Key;
use serde_json::Value;

use super::values::{self, ConfigPair};

#[derive(Debug, Args)]
#[command(
    after_help = "Waits for Running. Ends with 9 if it failed, with 4 if its name is held, with 8 if time is up.\n\n\
                  Examples:\n  mainstay start greeter --all\n  mainstay start greeter --count 3 --spread rack\n  mainstay start flaky --on n1,n2 --name shaky --holds shaky\n  \
                  mainstay start greeter --on n1 --config greeting=hi"
)]
pub struct StartArguments {
    /// A service type, as `get types` lists them
    #[arg(value_name = "TYPE", value_parser = values::service_type)]
    pub service_type: TypeName,
    /// On these nodes
    #[arg(long, value_name = "NODE", num_args = 1.., value_delimiter = ',', value_parser = values::node, required_unless_present_any = ["all", "count"], conflicts_with_all = ["all", "count"])]
    pub on: Vec<NodeName>,
    /// On every node, also on those that come later
    #[arg(long, conflicts_with = "count")]
    pub all: bool,
    /// So many, on nodes that the cluster chooses; one whose node is lost or drained is replaced
    #[arg(long, value_name = "COUNT", value_parser = values::instance_count)]
    pub count: Option<u32>,
    // That `--count` is missing is not told beside what it conflicts with.
    /// Spread them over the values of this label
    #[arg(long, value_name = "LABEL-NAME", requires = "count", conflicts_with_all = ["on", "all"], value_parser = values::label_name)]
    pub spread: Option<String>,
    /// The placement's name; else the type's
    #[arg(long, value_name = "NAME", value_parser = values::placement)]
    pub name: Option<PlacementName>,
    /// The exclusive name it takes on a node; generic types only
    #[arg(long, value_name = "NAME", value_parser = values::slot)]
    pub holds: Option<SlotName>,
    /// Its configuration; dots reach into objects, values may be JSON
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = values::config_pair)]
    pub config: Vec<ConfigPair>,
    /// With the configuration that last ran there, whatever is wanted; its type's defaults if none did
    #[arg(long, conflicts_with_all = ["all", "count", "config"])]
    pub safe_mode: bool,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "One instance after the other, as the placement's update says; one that does not get well takes it back.\n\
                  Ends with 9 if it was taken back, with 4 if somebody changed the placement meanwhile.\n\n\
                  Examples:\n  mainstay reconfigure greeter greeting=hi\n  mainstay reconfigure greeter greeting=hi --on n1\n  \
                  mainstay reconfigure greeter@n2 --unset greeting"
)]
pub struct ReconfigureArguments {
    /// PLACEMENT, or PLACEMENT@NODE
    #[arg(value_name = "REF", value_parser = values::instances)]
    pub reference: Key,
    /// What changes; dots reach into objects, values may be JSON
    #[arg(value_name = "KEY=VALUE", required_unless_present = "unset", value_parser = values::config_pair)]
    pub config: Vec<ConfigPair>,
    /// On these nodes first; the others keep what they have
    #[arg(long, value_name = "NODE", num_args = 1.., value_delimiter = ',', value_parser = values::node)]
    pub on: Vec<NodeName>,
    /// Takes a key away, so that its default counts again
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<String>,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay placement history greeter\n  mainstay placement rollback greeter --to 2",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct PlacementArguments {
    #[command(subcommand)]
    pub command: PlacementCommand,
}

#[derive(Debug, Subcommand)]
pub enum PlacementCommand {
    /// Its wishes, the newest first
    #[command(after_help = "Example:\n  mainstay placement history greeter")]
    History(OnePlacement),
    /// Go back to an earlier wish
    Rollback(RollbackArguments),
}

#[derive(Debug, Args)]
pub struct OnePlacement {
    /// A placement
    #[arg(value_name = "PLACEMENT", value_parser = values::whole_placement)]
    pub placement: PlacementName,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay placement rollback greeter\n  mainstay placement rollback greeter --to 2"
)]
pub struct RollbackArguments {
    /// A placement
    #[arg(value_name = "PLACEMENT", value_parser = values::whole_placement)]
    pub placement: PlacementName,
    /// The generation to go back to; else the last good one
    #[arg(long, value_name = "GENERATION")]
    pub to: Option<u64>,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
pub struct ChangeArguments {
    /// PLACEMENT@NODE, or PLACEMENT for all its instances
    #[arg(value_name = "REF", value_parser = values::instances)]
    pub reference: Key,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It ends where it is when the other serves; if that does not in time, it stays. Of a singleton it ends first.\n\
                  Refused with 10 where its node is away, or one is on the other node already.\n\n\
                  Example:\n  mainstay move web@n1 --to n2"
)]
pub struct MoveArguments {
    /// PLACEMENT@NODE
    #[arg(value_name = "REF", value_parser = values::instance)]
    pub instance: InstanceKey,
    /// The node it is to run on
    #[arg(long, value_name = "NODE", value_parser = values::node)]
    pub to: NodeName,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Refused with 10 while another placement depends on it.\n\n\
                  Examples:\n  mainstay delete greeter\n  mainstay delete placement/greeter --no-wait\n  \
                  mainstay delete -f deploy/"
)]
pub struct DeleteArguments {
    /// A placement
    #[arg(value_name = "PLACEMENT", value_parser = values::whole_placement, required_unless_present = "files")]
    pub placement: Option<PlacementName>,
    /// What these files name: a file, a directory, or - for standard input
    #[arg(
        short = 'f',
        long = "file",
        value_name = "PATH",
        conflicts_with = "placement"
    )]
    pub files: Vec<String>,
    /// Show what would be deleted, and change nothing; with files
    #[arg(long, requires = "files")]
    pub dry_run: bool,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

impl DeleteArguments {
    pub fn named(&self) -> Option<String> {
        self.placement.as_ref().map(ToString::to_string)
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "`mainstay describe type/TYPE` lists a type's messages.\n\n\
                  Examples:\n  mainstay call greeter@n1 greet '{\"name\":\"Ada\"}'\n  mainstay call flaky@n2 end"
)]
pub struct CallArguments {
    /// PLACEMENT@NODE
    #[arg(value_name = "REF", value_parser = values::instance)]
    pub reference: InstanceKey,
    /// The message's name
    #[arg(value_name = "MESSAGE")]
    pub message: String,
    /// The message's content
    #[arg(value_name = "JSON", value_parser = values::json)]
    pub body: Option<Value>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mainstay get asked\n  mainstay answer 1048576 '\"retry\"'")]
pub struct AnswerArguments {
    /// The question, as `get asked` lists it
    #[arg(value_name = "ASKED", value_parser = values::question)]
    pub id: String,
    /// What it is to do, in its own words
    #[arg(value_name = "JSON", value_parser = values::json)]
    pub answer: Value,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mainstay chaos kill greeter@n2",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct ChaosArguments {
    #[command(subcommand)]
    pub command: ChaosCommand,
}

#[derive(Debug, Subcommand)]
pub enum ChaosCommand {
    /// End it without warning
    #[command(
        after_help = "Examples:\n  mainstay chaos kill greeter@n2\n  mainstay chaos kill node/n2"
    )]
    Kill(BreakArguments),
    /// Make its code panic
    #[command(
        after_help = "Examples:\n  mainstay chaos panic greeter@n2\n  mainstay chaos panic supervisor/n2"
    )]
    Panic(BreakArguments),
    /// Make it stop answering: an instance, or an agent (for ten seconds)
    #[command(after_help = "Example:\n  mainstay chaos hang greeter@n2")]
    Hang(BreakArguments),
    /// Let it end cleanly, as if by itself
    #[command(after_help = "Example:\n  mainstay chaos stop greeter@n2")]
    Stop(BreakArguments),
    /// Cut a node off: from everybody, or from the station alone
    #[command(
        after_help = "Examples:\n  mainstay chaos partition node/n2\n  mainstay chaos partition node/n2 --from-station\n  mainstay chaos heal node/n2"
    )]
    Partition {
        #[arg(value_name = "NODE", value_parser = values::node)]
        node: NodeName,
        /// Others still see it
        #[arg(long)]
        from_station: bool,
        #[command(flatten)]
        meant: Meant,
    },
    /// Have what goes to a node, and comes from it, take longer
    #[command(after_help = "Example:\n  mainstay chaos delay node/n2 --by 500ms")]
    Delay {
        #[arg(value_name = "NODE", value_parser = values::node)]
        node: NodeName,
        /// By how much
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        by: Duration,
        #[command(flatten)]
        meant: Meant,
    },
    /// Have a station's disk take longer for each sync
    #[command(after_help = "Example:\n  mainstay chaos slow-disk station/s1 --by 200ms")]
    SlowDisk {
        #[arg(value_name = "STATION", value_parser = values::station)]
        station: StationId,
        /// By how much
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        by: Duration,
        #[command(flatten)]
        meant: Meant,
    },
    /// Have a station's clock be wrong
    #[command(
        after_help = "Examples:\n  mainstay chaos skew station/s1 --by 1h\n  mainstay chaos skew station/s1 --by 1h --back"
    )]
    Skew {
        #[arg(value_name = "STATION", value_parser = values::station)]
        station: StationId,
        /// By how much
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        by: Duration,
        /// It is slow, not fast
        #[arg(long)]
        back: bool,
        #[command(flatten)]
        meant: Meant,
    },
    /// Make good what was done to a node's way, a station's disk or its clock
    #[command(
        after_help = "Examples:\n  mainstay chaos heal node/n2\n  mainstay chaos heal cluster"
    )]
    Heal {
        /// node/NODE, station/ID, or cluster for all of it
        #[arg(value_name = "WHAT", value_parser = values::healable)]
        what: Key,
        #[command(flatten)]
        meant: Meant,
    },
}

#[derive(Debug, Args)]
pub struct Meant {
    /// Also where the cluster is not a dev cluster
    #[arg(long)]
    pub i_mean_it: bool,
}

#[derive(Debug, Args)]
pub struct BreakArguments {
    /// PLACEMENT@NODE, supervisor/NODE, node/NODE for its agent, or station/ID
    #[arg(value_name = "REF", value_parser = values::breakable)]
    pub reference: Key,
    #[command(flatten)]
    pub meant: Meant,
}

impl StartArguments {
    /// The placement it is about.
    pub fn placement(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.service_type.as_str(),
        }
    }
}
