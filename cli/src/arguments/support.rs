//! Arguments of what an administrator asks of a machine, and hands to who helps: `doctor`, `debug bundle`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mainstay_protocol::Address;

use super::access::HereArguments;
use super::values;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 when nothing fails, 12 when something does.\n\nExamples:\n  mainstay doctor\n  mainstay doctor --listen 10.0.0.1:7600\n  \
                  mainstay doctor -o json"
)]
pub struct DoctorArguments {
    #[command(flatten)]
    pub here: HereArguments,
    /// Where a station of this machine is to listen, before there is one
    #[arg(long, value_name = "HOST:PORT", value_parser = values::tls_address)]
    pub listen: Option<Address>,
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  mainstay debug bundle"
)]
pub struct DebugArguments {
    #[command(subcommand)]
    pub command: DebugCommand,
}

#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Write what somebody who helps needs to see to one file, without secrets
    Bundle(DebugBundleArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "What cannot be had is said in it. Configurations, names and addresses are in it; tokens, keys and passwords are not.\n\n\
                  Examples:\n  mainstay debug bundle\n  mainstay debug bundle case-7.tar.gz --log /var/log/mainstay.log"
)]
pub struct DebugBundleArguments {
    /// The file to write, nothing is ever written over; else mainstay-CLUSTER-TIME.tar.gz here
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub here: HereArguments,
    /// A daemon's log, again for each; those of a dev cluster are found
    #[arg(long, value_name = "FILE")]
    pub log: Vec<PathBuf>,
}

impl DebugCommand {
    pub(super) fn told(&self) -> String {
        let Self::Bundle(bundle) = self;
        match &bundle.file {
            Some(file) => format!("write a bundle to {}", file.display()),
            None => "write a bundle".to_owned(),
        }
    }
}
