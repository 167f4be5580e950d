//! Arguments of `rule`.

use clap::{Args, Subcommand};

use super::values;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mainstay rule list",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct RuleArguments {
    #[command(subcommand)]
    pub command: RuleCommand,
}

#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Every rule, in the order in which they run
    #[command(after_help = "Examples:\n  mainstay rule list\n  mainstay rule list -o wide")]
    List,
    /// One of them
    #[command(after_help = "Example:\n  mainstay rule show restart")]
    Show(RuleOneArguments),
    /// Switch a rule off, for the whole cluster and until it is enabled again
    Disable(RuleDisableArguments),
    /// Switch a rule on again; what it watches is judged at once
    #[command(after_help = "Example:\n  mainstay rule enable restart")]
    Enable(RuleOneArguments),
}

#[derive(Debug, Args)]
pub struct RuleOneArguments {
    /// Its name, as `rule list` says
    #[arg(value_name = "RULE", value_parser = values::rule)]
    pub name: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mainstay rule disable restart --reason 'we look at a crash'")]
pub struct RuleDisableArguments {
    /// Its name, as `rule list` says
    #[arg(value_name = "RULE", value_parser = values::rule)]
    pub name: String,
    /// What others shall know about it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Also a rule that safety needs
    #[arg(long)]
    pub i_mean_it: bool,
}
