//! Arguments of the commands that read files, and of settings.

use clap::{Args, Subcommand};

use super::values::{self, ConfigPair};

#[derive(Debug, Args)]
#[command(
    after_help = "Reads YAML, TOML and JSON; a directory stands for its files, - for standard input. Changes nothing.\n\n\
                  Examples:\n  mainstay plan -f web.yaml\n  mainstay plan -f deploy/ --exit-code\n  \
                  mainstay plan -f deploy/ --out monday.plan"
)]
pub struct PlanArguments {
    /// A file, a directory, or - for standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
    pub files: Vec<String>,
    /// The files are all there is to be: every other placement would be deleted
    #[arg(long)]
    pub prune: bool,
    /// End with 11 if there is something to change
    #[arg(long)]
    pub exit_code: bool,
    /// Keep the plan in a file, for `apply --plan`
    #[arg(long, value_name = "FILE")]
    pub out: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "All of it takes effect, or nothing. Waits for what comes of it; ends with 9 if something failed, with 8 \
                  if time is up, with 4 if something changed since the plan was made.\n\n\
                  Examples:\n  mainstay apply -f web.yaml\n  mainstay apply -f deploy/ --prune --yes\n  \
                  mainstay apply --plan monday.plan"
)]
pub struct ApplyArguments {
    /// A file, a directory, or - for standard input
    #[arg(
        short = 'f',
        long = "file",
        value_name = "PATH",
        required_unless_present = "plan"
    )]
    pub files: Vec<String>,
    /// A plan that `plan --out` kept; refused if what it touches has changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "prune"])]
    pub plan: Option<String>,
    /// The files are all there is to be: every other placement is deleted
    #[arg(long)]
    pub prune: bool,
    /// Delete what --prune finds without being asked again
    #[arg(long)]
    pub yes: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Return once it is decided
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay settings get\n  mainstay settings set restart.attempts=3 backoff.max=30s\n  \
                  mainstay settings validate silence=1s",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct SettingsArguments {
    #[command(subcommand)]
    pub command: SettingsCommand,
}

#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// What the cluster's rules measure against
    #[command(
        after_help = "Examples:\n  mainstay settings get\n  mainstay settings get backoff.max"
    )]
    Get(SettingsGetArguments),
    /// Change some of it, at once and for all
    #[command(
        after_help = "Example:\n  mainstay settings set restart.attempts=3 restart.window=5m"
    )]
    Set(SettingsSetArguments),
    /// Would this be taken
    #[command(after_help = "Example:\n  mainstay settings validate silence=1s")]
    Validate(SettingsSetArguments),
}

impl SettingsCommand {
    /// What is being done, as people say it.
    pub fn told(&self) -> &'static str {
        match self {
            Self::Get(_) => "get settings",
            Self::Set(_) => "set settings",
            Self::Validate(_) => "validate settings",
        }
    }
}

#[derive(Debug, Args)]
pub struct SettingsGetArguments {
    /// One setting, or a group of them: backoff.max, backoff
    #[arg(value_name = "SETTING")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct SettingsSetArguments {
    /// What is to be; the others stay as they are
    #[arg(value_name = "NAME=VALUE", required = true, num_args = 1.., value_parser = values::config_pair)]
    pub pairs: Vec<ConfigPair>,
}
