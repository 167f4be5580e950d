//! Arguments of `service` and `order`.

use clap::{Args, Subcommand};
use mainstay_protocol::{Json, RunId};

use super::values;
use super::work::DefinitionApplyArguments;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay service register -f service.json\n  mainstay service list",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct ServiceArguments {
    #[command(subcommand)]
    pub command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Register them as files describe them, for orders that follow
    #[command(
        after_help = "Reads JSON and YAML. Every fault of a description is told, with its place.\n\n\
                      Example:\n  mainstay service register -f service.json"
    )]
    Register(DefinitionApplyArguments),
    /// All there are
    #[command(after_help = "Examples:\n  mainstay service list\n  mainstay service list -o wide")]
    List,
    /// One, with what an order of it says
    #[command(after_help = "Example:\n  mainstay service show two-steps")]
    Show(ServiceOneArguments),
    /// Delete one; what was ordered of it goes on
    #[command(after_help = "Example:\n  mainstay service delete two-steps")]
    Delete(ServiceOneArguments),
}

#[derive(Debug, Args)]
pub struct ServiceOneArguments {
    /// Its id, or its name if no other has it
    #[arg(value_name = "SERVICE", value_parser = values::service)]
    pub service: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The same one again is the order that is there. An order is a run: `run follow`, `run cancel` and `run retry` are for it too.\n\
                  Ends with 0 if it succeeds, with 9 if it does not, with 8 if time is up.\n\n\
                  Examples:\n  mainstay order two-steps message='hello there'\n  \
                  mainstay order two-steps message=hello --id o7 --no-wait\n  mainstay order list",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub struct OrderArguments {
    #[command(subcommand)]
    pub command: Option<OrderCommand>,
    #[command(flatten)]
    pub placed: Option<OrderPlaceArguments>,
}

#[derive(Debug, Args)]
pub struct OrderPlaceArguments {
    /// The service's id, or its name if no other has it
    #[arg(value_name = "SERVICE", value_parser = values::service, required = true)]
    pub service: String,
    /// What the service asks for, as `service show` says
    #[arg(value_name = "NAME=VALUE", value_parser = values::parameter)]
    pub parameters: Vec<(String, Json)>,
    /// What it is to be called by; made up, unless given
    #[arg(long, value_name = "RUN", value_parser = values::run_id)]
    pub id: Option<RunId>,
    /// In your words
    #[arg(long = "name", value_name = "TEXT")]
    pub words: Option<String>,
    /// Return once it is ordered
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Those there are
    List(OrderListArguments),
    /// One, with its steps and what they left behind
    #[command(after_help = "Examples:\n  mainstay order show o7\n  mainstay order show o7 -o json")]
    Show(OrderOneArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay order list --of two-steps\n  mainstay order list --status failed"
)]
pub struct OrderListArguments {
    /// Those of one service
    #[arg(long, value_name = "SERVICE", value_parser = values::service)]
    pub of: Option<String>,
    /// Those with one status
    #[arg(long, value_name = "STATUS", value_parser = values::order_status)]
    pub status: Option<String>,
}

#[derive(Debug, Args)]
pub struct OrderOneArguments {
    /// What it is called by, as `order list` says
    #[arg(value_name = "RUN", value_parser = values::run_id)]
    pub id: RunId,
}

impl ServiceCommand {
    pub fn told(&self) -> String {
        match self {
            Self::Register(_) => "service register".to_owned(),
            Self::List => "service list".to_owned(),
            Self::Show(one) => format!("show service {}", one.service),
            Self::Delete(one) => format!("delete service {}", one.service),
        }
    }
}

impl OrderArguments {
    pub fn told(&self) -> String {
        match (&self.command, &self.placed) {
            (Some(OrderCommand::List(_)), _) => "order list".to_owned(),
            (Some(OrderCommand::Show(one)), _) => format!("show order {}", one.id),
            (None, Some(placed)) => format!("order {}", placed.service),
            (None, None) => "order".to_owned(),
        }
    }
}
