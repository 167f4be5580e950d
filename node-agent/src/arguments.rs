//! `agent run` on the command line: the same for the `mainstay` program and for users' own agents.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use mainstay_protocol::{ClusterId, NodeName};
use uuid::Uuid;

use crate::options::{AgentOptions, Endpoint};

/// The arguments of `agent run`.
#[derive(Debug, Clone, Args)]
pub struct AgentArguments {
    /// The node's name
    #[arg(long, value_name = "NAME")]
    pub node: NodeName,
    /// Where its data lies; one agent at a time
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The socket of a station, as PATH or unix:PATH; repeat for more
    #[arg(long = "station", value_name = "SOCKET", required = true,
        value_parser = OsStringValueParser::new().try_map(Endpoint::from_argument))]
    pub stations: Vec<Endpoint>,
    /// Join no other cluster than this
    #[arg(long, value_name = "ID")]
    pub cluster: Option<Uuid>,
    /// Let it be broken on purpose (`mainstay chaos`)
    #[arg(long)]
    pub chaos: bool,
    /// A label of the node; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// What to log, as RUST_LOG has it
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// End when this process ends, which must be the parent
    #[arg(long, value_name = "PID")]
    pub parent: Option<u32>,
    /// The program that holds outside processes; `mainstay-hold` beside this one unless given
    #[arg(long, value_name = "PROGRAM")]
    pub hold: Option<PathBuf>,
    /// A control group (memory) that is this agent's to divide
    #[arg(long, value_name = "DIR")]
    pub memory_groups: Option<PathBuf>,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("a label is KEY=VALUE".to_owned()),
    }
}

impl From<AgentArguments> for AgentOptions {
    fn from(arguments: AgentArguments) -> Self {
        Self {
            node: arguments.node,
            dir: arguments.dir,
            stations: arguments.stations,
            cluster: arguments.cluster.map(ClusterId),
            chaos: arguments.chaos,
            labels: arguments.labels.into_iter().collect(),
            log: arguments.log,
            parent: arguments.parent,
            hold: arguments.hold,
            memory_groups: arguments.memory_groups,
        }
    }
}

/// A Mainstay agent with service types of its own.
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true)]
pub(crate) struct UserBinary {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// The agent of a node
    Agent {
        #[command(subcommand)]
        command: AgentCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Run it, until it is asked to stop
    Run(AgentArguments),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed_and_read() {
        UserBinary::command().debug_assert();
        let line =
            "a agent run --node n1 --dir /d --station /s --chaos --label role=web --parent 7";
        let UserCommand::Agent { command } = UserBinary::parse_from(line.split(' ')).command;
        let AgentCommand::Run(arguments) = command;
        let options = AgentOptions::from(arguments);
        assert_eq!(options.node.as_str(), "n1");
        assert_eq!(options.labels["role"], "web");
        assert!(options.chaos);
        assert_eq!(options.parent, Some(7));
        assert_eq!(options.stations, [Endpoint::Unix("/s".into())]);
        let error = refused("a agent run --node N1 --dir /d --station /s");
        assert!(error.contains("node name \"N1\" is not valid"), "{error}");
    }

    #[test]
    fn an_agent_is_started_with_one_station_or_several() {
        let line = "a agent run --node n1 --dir /d --station /s1 --station unix:/s2";
        let UserCommand::Agent { command } = UserBinary::parse_from(line.split(' ')).command;
        let AgentCommand::Run(arguments) = command;
        let expected = ["/s1", "/s2"].map(|path| Endpoint::Unix(path.into()));
        assert_eq!(arguments.stations, expected);
        let error = refused("a agent run --node n1 --dir /d");
        assert!(error.contains("--station <SOCKET>"), "{error}");
        let error = refused("a agent run --node n1 --dir /d --station unix:");
        assert!(error.contains("it is unix:PATH"), "{error}");
    }

    fn refused(line: &str) -> String {
        let parsed = UserBinary::try_parse_from(line.split(' '));
        parsed.unwrap_err().to_string()
    }
}
