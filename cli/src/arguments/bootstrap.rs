//! Arguments of `bootstrap`.

use clap::Args;
use mainstay_protocol::PersonName;

use super::values;

#[derive(Debug, Args)]
#[command(
    after_help = "Goes on where it stopped, and says so if there is nothing to do. docs/files.md says what the file holds.\n\n\
                  Examples:\n  mainstay bootstrap cluster.toml --dry-run\n  mainstay bootstrap cluster.toml"
)]
pub struct BootstrapArguments {
    /// The cluster: YAML, TOML or JSON of kind Cluster, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Print the shell commands of a new cluster; no machine is asked for anything
    #[arg(long)]
    pub dry_run: bool,
    /// Who is let in here as its first admin; else $USER
    #[arg(long = "as", value_name = "NAME", value_parser = values::person)]
    pub person: Option<PersonName>,
}

impl BootstrapArguments {
    pub(super) fn told(&self) -> String {
        format!("bootstrap {}", self.file)
    }
}
