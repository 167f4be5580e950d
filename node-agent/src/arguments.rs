//! `agent run` on the command line: the same for the `mainstay` program and for users' own agents.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use mainstay_identity::{DIRECTORY, Keep, Membership, default_directory};
use mainstay_protocol::label;
use mainstay_protocol::{Address, Bearer, ClusterId, NodeName, code};
use uuid::Uuid;

use crate::options::{AgentOptions, CannotRun, Offer, station_address};

/// The arguments of `agent run`.
#[derive(Debug, Clone, Args)]
pub struct AgentArguments {
    /// The node's name; one that joined knows its own
    #[arg(long, value_name = "NAME")]
    pub node: Option<NodeName>,
    /// Where its data lies, one agent at a time; else /var/lib/mainstay/agent, or ~/.local/state/mainstay/agent
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where a station is: HOST:PORT, or the PATH of its socket; repeat for more. One that joined knows them
    #[arg(long = "station", value_name = "ADDRESS",
        value_parser = OsStringValueParser::new().try_map(station_address))]
    pub stations: Vec<Address>,
    /// Where other agents can call this one; a port of its own on every interface unless given
    #[arg(long, value_name = "HOST:PORT", value_parser = OsStringValueParser::new().try_map(listen_address))]
    pub listen: Option<Address>,
    /// Join no other cluster than this
    #[arg(long, value_name = "ID")]
    pub cluster: Option<Uuid>,
    /// Let it be broken on purpose (`mainstay chaos`)
    #[arg(long)]
    pub chaos: bool,
    /// A label of the node; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub labels: Vec<(String, String)>,
    /// What instances may take of it together, cores, memory and disk: cores=2,memory=4GiB; else all there is
    #[arg(long = "offer", value_name = "KEY=AMOUNT", value_delimiter = ',', value_parser = offered)]
    pub offers: Vec<(Offered, u64)>,
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

/// Over the network: on its machine an agent listens in its directory.
fn listen_address(text: OsString) -> Result<Address, String> {
    let text = text.to_string_lossy();
    match text.parse() {
        Ok(address @ Address::Tls { .. }) => Ok(address),
        Ok(Address::Unix(_)) | Err(_) => Err("write HOST:PORT, such as 10.0.0.7:7700".to_owned()),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => label::pair(key, value)
            .map(|()| (key.to_owned(), value.to_owned()))
            .map_err(|bad| bad.to_string()),
        None => Err("a label is KEY=VALUE".to_owned()),
    }
}

/// Of what something is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    Cores,
    Memory,
    Disk,
}

fn offered(text: &str) -> Result<(Offered, u64), String> {
    let (key, amount) = text.split_once('=').unwrap_or((text, ""));
    let (what, read) = match key {
        "cores" => (Offered::Cores, mainstay_broker::millicores(amount)),
        "memory" => (Offered::Memory, mainstay_broker::bytes(amount)),
        "disk" => (Offered::Disk, mainstay_broker::bytes(amount)),
        _ => {
            return Err(format!(
                "\"{text}\" is no offer: write cores=2, memory=4GiB or disk=100GiB"
            ));
        }
    };
    read.map(|amount| (what, amount))
        .map_err(|bad| bad.to_string())
}

/// What is said last stands.
fn offer(said: Vec<(Offered, u64)>) -> Offer {
    let mut offer = Offer::default();
    for (what, amount) in said {
        let field = match what {
            Offered::Cores => &mut offer.millicores,
            Offered::Memory => &mut offer.memory_bytes,
            Offered::Disk => &mut offer.disk_bytes,
        };
        *field = Some(amount);
    }
    offer
}

impl AgentArguments {
    /// With what the agent's directory knows since it joined; what was said goes before that.
    pub fn options(self) -> Result<AgentOptions, CannotRun> {
        let dir = self.dir.unwrap_or_else(|| default_directory("agent"));
        let joined = membership(&dir)?;
        let own = joined.as_ref().and_then(|joined| match joined.bearer() {
            Some(Bearer::Agent(node)) => Some(node),
            Some(Bearer::Station(_) | Bearer::Person { .. }) | None => None,
        });
        let unjoined = |why: &str| CannotRun {
            what: "the agent does not start".to_owned(),
            why: format!("{why}, and {} has not joined a cluster", dir.display()),
            remedy: "mainstay join --help".to_owned(),
            code: code::BAD_REQUEST,
            exit: 2,
        };
        let node = self.node.or(own);
        let node = node.ok_or_else(|| unjoined("no --node was said"))?;
        let mut stations = self.stations;
        if let Some(joined) = joined.as_ref().filter(|_| stations.is_empty()) {
            stations.extend(joined.stations.values().cloned());
        }
        if stations.is_empty() {
            return Err(unjoined("no --station was said"));
        }
        Ok(AgentOptions {
            node,
            dir,
            stations,
            listen: self.listen,
            cluster: self
                .cluster
                .map(ClusterId)
                .or(joined.map(|joined| joined.cluster)),
            chaos: self.chaos,
            labels: self.labels.into_iter().collect(),
            offer: offer(self.offers),
            log: self.log,
            parent: self.parent,
            hold: self.hold,
            memory_groups: self.memory_groups,
        })
    }
}

fn membership(dir: &Path) -> Result<Option<Membership>, CannotRun> {
    let keep = Keep::at(dir.join(DIRECTORY));
    keep.membership().map_err(|error| CannotRun {
        what: format!("the agent cannot use its directory {}", dir.display()),
        why: error.to_string(),
        remedy: "mainstay join --help".to_owned(),
        code: code::DATA_DIRECTORY,
        exit: 2,
    })
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
    use mainstay_protocol::room::Room;

    #[test]
    fn the_arguments_are_well_formed_and_read() {
        UserBinary::command().debug_assert();
        let line =
            "a agent run --node n1 --dir /d --station /s --chaos --label role=web --parent 7";
        let UserCommand::Agent { command } = UserBinary::parse_from(line.split(' ')).command;
        let AgentCommand::Run(arguments) = command;
        let options = arguments.options().unwrap();
        assert_eq!(options.node.as_str(), "n1");
        assert_eq!(options.labels["role"], "web");
        assert!(options.chaos);
        assert_eq!(options.parent, Some(7));
        assert_eq!(options.stations, [Address::Unix("/s".into())]);
        let error = refused("a agent run --node N1 --dir /d --station /s");
        assert!(error.contains("node name \"N1\" is not valid"), "{error}");
    }

    #[test]
    fn an_agent_is_started_with_one_station_or_several() {
        let line = "a agent run --node n1 --dir /d --station /s1 --station unix:/s2";
        let UserCommand::Agent { command } = UserBinary::parse_from(line.split(' ')).command;
        let AgentCommand::Run(arguments) = command;
        let expected = ["/s1", "/s2"].map(|path| Address::Unix(path.into()));
        assert_eq!(arguments.stations, expected);
        let line = "a agent run --node n1 --dir /nowhere";
        let UserCommand::Agent { command } = UserBinary::parse_from(line.split(' ')).command;
        let AgentCommand::Run(arguments) = command;
        let error = arguments.options().unwrap_err().to_string();
        assert!(
            error.contains("no --station was said, and /nowhere has not joined"),
            "{error}"
        );
        let error = refused("a agent run --node n1 --dir /d --station unix:");
        assert!(error.contains("write HOST:PORT"), "{error}");
    }

    #[test]
    fn an_agent_may_offer_less_than_there_is() {
        let line = "a agent run --node n1 --dir /d --station /s --offer cores=0.5,memory=4GiB";
        let UserCommand::Agent { command } = UserBinary::parse_from(line.split(' ')).command;
        let AgentCommand::Run(arguments) = command;
        let all = Room {
            millicores: 8_000,
            memory_bytes: 1 << 40,
            disk_bytes: 77,
        };
        let offers = Room {
            millicores: 500,
            memory_bytes: 4 << 30,
            disk_bytes: 77,
        };
        assert_eq!(arguments.options().unwrap().offer.of(all), offers);
        for (wrong, said) in [
            ("memory=512", "\"512\" is no number of bytes"),
            ("cores", "\"\" is no number of cores"),
            ("gpus=2", "\"gpus=2\" is no offer"),
        ] {
            let line = format!("a agent run --node n1 --dir /d --station /s --offer {wrong}");
            let error = refused(&line);
            assert!(error.contains(said), "{error}");
        }
    }

    fn refused(line: &str) -> String {
        let parsed = UserBinary::try_parse_from(line.split(' '));
        parsed.unwrap_err().to_string()
    }
}
