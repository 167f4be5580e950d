//! Arguments of what an administrator asks of a machine: `doctor`.

use clap::Args;
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
