//! Arguments of the commands that look and change nothing, and of `parked`.

use clap::{Args, Subcommand, ValueEnum};
use mainstay_api::types::Until;
use mainstay_protocol::InstanceKey;
use mainstay_resource_graph::Key;

use super::values::{self, Since, Table};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay status\n  mainstay status -w\n  mainstay status --exit-code -q"
)]
pub struct StatusArguments {
    /// End with 12 when the cluster is not healthy
    #[arg(long, conflicts_with = "watch")]
    pub exit_code: bool,
    #[command(flatten)]
    pub watching: WatchArguments,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct WatchArguments {
    /// Go on: draw it anew when it changes; into a pipe, a line for each change
    #[arg(short, long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay get instances\n  mainstay get nodes n1 -o json\n  mainstay get instances node/n1 -w\n  \
                  mainstay get instances -o name"
)]
pub struct GetArguments {
    /// nodes, stations, types, placements, instances, names, supervisors or configurations
    #[arg(value_enum, value_name = "KIND", hide_possible_values = true)]
    pub kind: Table,
    /// Only this one; of instances also those of PLACEMENT, node/NODE or type/TYPE
    #[arg(value_name = "REF")]
    pub reference: Option<String>,
    #[command(flatten)]
    pub watching: WatchArguments,
}

#[derive(Debug, Args)]
pub struct DescribeArguments {
    /// PLACEMENT@NODE, PLACEMENT, or KIND/NAME
    #[arg(value_name = "REF", value_parser = values::reference)]
    pub reference: Key,
    #[command(flatten)]
    pub watching: WatchArguments,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    /// PLACEMENT@NODE, PLACEMENT for all its instances, supervisor/NODE, or station/ID
    #[arg(value_name = "REF", value_parser = values::asked)]
    pub reference: Key,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The incarnation before is the one whose end somebody wants to understand.\n\n\
                  Examples:\n  mainstay logs web@n1 -f\n  mainstay logs web@n1 --previous"
)]
pub struct LogsArguments {
    /// PLACEMENT@NODE
    #[arg(value_name = "REF", value_parser = values::instance)]
    pub reference: InstanceKey,
    /// Go on with what it writes from now, also in its next incarnation
    #[arg(short, long)]
    pub follow: bool,
    /// Of the incarnation before
    #[arg(long)]
    pub previous: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mainstay events --since 10m\n  mainstay events -f")]
pub struct EventsArguments {
    /// Go on with what happens from now
    #[arg(short, long)]
    pub follow: bool,
    /// From then on: how long ago (10m), or a UTC time
    #[arg(long, value_name = "TIME", value_parser = values::since)]
    pub since: Option<Since>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mainstay decisions\n  mainstay decisions flaky@n2")]
pub struct DecisionsArguments {
    /// Only those about this
    #[arg(value_name = "REF", value_parser = values::reference)]
    pub reference: Option<Key>,
    /// So many at most, the newest; else 20 (as JSON: as many as the station gives)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=DECISIONS_MAX))]
    pub limit: Option<u16>,
    #[command(flatten)]
    pub watching: WatchArguments,
}

/// One fewer than a page: one more is asked for, to know whether there are more.
const DECISIONS_MAX: i64 = mainstay_protocol::limits::PAGE_ROWS_MAX as i64 - 1;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mainstay why flaky@n2\n  mainstay why")]
pub struct WhyArguments {
    /// What to explain; else whatever is wrong
    #[arg(value_name = "REF", value_parser = values::reference)]
    pub reference: Option<Key>,
    #[command(flatten)]
    pub watching: WatchArguments,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "A picture: mainstay graph --format dot | dot -Tsvg > graph.svg\n\n\
                  Examples:\n  mainstay graph greeter@n1\n  mainstay graph node/n1 --depth 3\n  mainstay graph --format dot\n  \
                  mainstay graph check"
)]
pub struct GraphArguments {
    #[command(subcommand)]
    pub command: Option<GraphCommand>,
    /// From where; else the whole graph
    #[arg(value_name = "REF", value_parser = values::reference)]
    pub reference: Option<Key>,
    /// tree, dot or json
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<GraphFormat>,
    /// So many relations away from it; else 2
    #[arg(long, value_name = "N", requires = "reference", value_parser = clap::value_parser!(u16).range(0..=DEPTH_MAX))]
    pub depth: Option<u16>,
}

const DEPTH_MAX: i64 = mainstay_protocol::limits::GRAPH_DEPTH_MAX as i64;

#[derive(Debug, Subcommand)]
pub enum GraphCommand {
    /// Look for what must not be so in any graph
    #[command(
        after_help = "Ends with 1 where something is found: it is a defect of Mainstay.\n\nExample:\n  mainstay graph check"
    )]
    Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    Tree,
    Dot,
    Json,
    /// Not drawn by Mainstay: the refusal says how.
    Svg,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mainstay impact node/n1\n  mainstay impact greeter@n1")]
pub struct ImpactArguments {
    /// What might fail: PLACEMENT@NODE, PLACEMENT, or KIND/NAME
    #[arg(value_name = "REF", value_parser = values::reference)]
    pub reference: Key,
}

#[derive(Debug, Args)]
#[command(
    after_help = "gone: not running and not going to; stopped, or not there at all.\n\
                  Instances and placements can be waited for; nodes, stations and supervisors with state=STATE.\n\
                  It may not exist yet. A failure that nothing will mend ends the wait with 9, the time with 8.\n\n\
                  Examples:\n  mainstay wait greeter@n1 --for running\n  mainstay wait flaky@n2 --for state=Quarantined --timeout 2m"
)]
pub struct WaitArguments {
    /// PLACEMENT@NODE, PLACEMENT, node/NAME or supervisor/NODE
    #[arg(value_name = "REF", value_parser = values::reference)]
    pub reference: Key,
    /// running, healthy, gone or state=STATE
    #[arg(long = "for", value_name = "GOAL", value_parser = values::goal)]
    pub goal: Until,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mainstay parked list",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct ParkedArguments {
    #[command(subcommand)]
    pub command: ParkedCommand,
}

#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// Everything that is set aside
    #[command(after_help = "Example:\n  mainstay parked list -o json")]
    List,
    /// One of them, with the panic's words
    #[command(after_help = "Example:\n  mainstay parked show 3fa9c2")]
    Show(ParkedOneArguments),
    /// Judge it again
    #[command(after_help = "Example:\n  mainstay parked requeue 3fa9c2")]
    Requeue(ParkedOneArguments),
    /// Throw it away
    Drop(ParkedDropArguments),
}

#[derive(Debug, Args)]
pub struct ParkedOneArguments {
    /// Its id, as `parked list` says
    #[arg(value_name = "ID", value_parser = values::parked)]
    pub id: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mainstay parked drop 3fa9c2 --yes")]
pub struct ParkedDropArguments {
    /// Its id, as `parked list` says
    #[arg(value_name = "ID", value_parser = values::parked)]
    pub id: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}
