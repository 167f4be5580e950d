//! What a machine said when it was asked, and what speaks against making a cluster of it.

use std::collections::BTreeMap;

use mainstay_api::{Exit, Problem};
use mainstay_identity::Membership;
use mainstay_protocol::code;
use serde_json::Value;

use super::file::{Cluster, Machine, Role};

/// A machine as it was found.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// None where the program is not.
    pub version: Option<String>,
    pub station: Daemon,
    pub agent: Daemon,
    /// What its station knows of stations, nodes and identities, by their references; empty where it does not answer, or nobody
    /// leads: what the graph remembers is no news then.
    pub states: BTreeMap<String, String>,
    /// Where stations of the group are, by their references.
    pub addresses: BTreeMap<String, String>,
    /// Programs of the machine's system that are not there.
    pub lacks: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Daemon {
    pub place: Place,
    pub runs: bool,
}

/// A daemon's directory.
#[derive(Debug, Clone, Default)]
pub enum Place {
    #[default]
    Empty,
    /// Something else is in it.
    Taken,
    Member(Box<Membership>),
    /// It cannot be read.
    Unclear(String),
}

impl Seen {
    pub fn daemon(&self, role: Role) -> &Daemon {
        match role {
            Role::Station => &self.station,
            Role::Agent => &self.agent,
        }
    }

    /// The answer to `shell::look`; what comes before it, such as a greeting, is passed over.
    pub fn read(answer: &str) -> Option<Self> {
        let mut parts: BTreeMap<&str, String> = BTreeMap::new();
        let mut part = None;
        for line in answer.lines() {
            match line.strip_prefix("== ") {
                Some(name) => part = Some(name),
                None => {
                    if let Some(part) = part {
                        let text = parts.entry(part).or_default();
                        text.push_str(line);
                        text.push('\n');
                    }
                }
            }
        }
        part?;
        let text = |name: &str| parts.get(name).map_or("", |text| text.trim());
        let daemon = |role: Role| Daemon {
            place: place(text(role.as_str())),
            runs: text(&format!("{} runs", role.as_str())) == "yes",
        };
        let version = text("version").strip_prefix("mainstay ");
        let (mut states, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for (kind, list, name) in [
            ("station", "stations", "id"),
            ("node", "nodes", "name"),
            ("identity", "identities", "name"),
        ] {
            let list: Vec<Value> = serde_json::from_str(text(list)).unwrap_or_default();
            for one in &list {
                let Some(name) = one[name].as_str() else {
                    continue;
                };
                let reference = format!("{kind}/{name}");
                if let (Some(address), "station") = (one["address"].as_str(), kind) {
                    addresses.insert(reference.clone(), address.to_owned());
                }
                if let Some(state) = one["state"].as_str() {
                    states.insert(reference, state.to_owned());
                }
            }
        }
        let status: Value = serde_json::from_str(text("status")).unwrap_or_default();
        if status["quorum"] != true {
            states.clear();
        }
        let lacks = text("lacks").lines().map(str::to_owned).collect();
        Some(Self {
            version: version.map(str::to_owned),
            station: daemon(Role::Station),
            agent: daemon(Role::Agent),
            states,
            addresses,
            lacks,
        })
    }
}

impl Daemon {
    pub fn member(&self) -> Option<&Membership> {
        match &self.place {
            Place::Member(membership) => Some(membership),
            Place::Empty | Place::Taken | Place::Unclear(_) => None,
        }
    }
}

fn place(text: &str) -> Place {
    match text {
        "" | "empty" => Place::Empty,
        "taken" => Place::Taken,
        text => match serde_json::from_str(text) {
            Ok(membership) => Place::Member(Box::new(membership)),
            Err(error) => Place::Unclear(error.to_string()),
        },
    }
}

/// Something that speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    pub kind: Kind,
    /// "m2: ..".
    pub text: String,
}

/// The gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Unreachable,
    Version,
    Taken,
}

impl Trouble {
    pub fn new(kind: Kind, machine: &str, why: &str) -> Self {
        let text = format!("{machine}: {why}");
        Self { kind, text }
    }
}

/// Of which cluster the machines are, by its id; none of them if it is still to be founded.
pub fn cluster_of(cluster: &Cluster, seen: &[Seen]) -> Option<String> {
    let stations = cluster.with(Role::Station);
    let mut known = stations.filter_map(|(at, _)| seen[at].station.member());
    let known = known.find(|known| known.cluster_name == cluster.name)?;
    Some(known.cluster.to_string())
}

/// All that speaks against going on, of all machines at once.
pub fn troubles(cluster: &Cluster, seen: &[Seen]) -> Vec<Trouble> {
    let id = cluster_of(cluster, seen);
    let mut found = Vec::new();
    let all = seen;
    for (machine, seen) in cluster.machines.iter().zip(all) {
        let mut add = |kind, why: String| found.push(Trouble::new(kind, &machine.name, &why));
        let own = env!("CARGO_PKG_VERSION");
        match seen.version.as_deref() {
            None => add(
                Kind::Version,
                format!("there is no program {} on it", cluster.binary),
            ),
            Some(version) if version != own => add(
                Kind::Version,
                format!("its mainstay is {version}, and this one {own}"),
            ),
            Some(_) => {}
        }
        if !seen.lacks.is_empty() {
            let why = format!("it lacks {} (of util-linux)", seen.lacks.join(", "));
            add(Kind::Version, why);
        }
        for role in &machine.roles {
            if let Some(why) = in_its_place(machine, *role, seen.daemon(*role), all) {
                add(Kind::Taken, why);
            }
            if let Some(why) = against(cluster, machine, *role, seen.daemon(*role), id.as_deref()) {
                add(Kind::Taken, why);
            }
        }
    }
    found
}

/// What the cluster knows under the name, or at the address, of a machine on which nothing is: to let it in would shut that out,
/// or stand beside its vote for ever.
fn in_its_place(machine: &Machine, role: Role, daemon: &Daemon, all: &[Seen]) -> Option<String> {
    let known = all.iter().find(|one| !one.states.is_empty())?;
    match (role, &daemon.place) {
        (Role::Agent, Place::Empty) => {
            let node = format!("node/{}", machine.node);
            let online = known
                .states
                .get(&node)
                .is_some_and(|state| state == "Online");
            let why = format!(
                "{node} is Online on another machine, which would be shut out; stop the agent there first"
            );
            online.then_some(why)
        }
        (Role::Station, Place::Empty) => {
            let listen = machine.listen.to_string();
            let mut there = known.addresses.iter().filter(|(_, at)| **at == listen);
            let (reference, _) = there.find(|(reference, _)| {
                known
                    .states
                    .get(*reference)
                    .is_some_and(|state| state != "Removed")
            })?;
            let id = reference.trim_start_matches("station/");
            Some(format!(
                "its address is that of {id}, whose data is not there any more: mainstay station remove {id} --yes, then again"
            ))
        }
        (Role::Station, Place::Member(known_as)) => {
            let removed = known
                .states
                .get(&known_as.name)
                .is_some_and(|state| state == "Removed");
            let why = format!(
                "{} was removed from the group, and no number is used again: take the machine out of the file, or empty {}",
                known_as.name,
                machine.dir_of(role)
            );
            removed.then_some(why)
        }
        (Role::Agent, Place::Member(_)) | (_, Place::Taken | Place::Unclear(_)) => None,
    }
}

fn against(
    cluster: &Cluster,
    machine: &Machine,
    role: Role,
    daemon: &Daemon,
    id: Option<&str>,
) -> Option<String> {
    let dir = machine.dir_of(role);
    let known = match &daemon.place {
        Place::Empty => return None,
        Place::Taken => {
            return Some(format!("{dir} is not empty, and of no cluster"));
        }
        Place::Unclear(why) => return Some(format!("{dir}/identity cannot be read: {why}")),
        Place::Member(known) => known,
    };
    let (name, of, its) = (&known.name, &known.cluster_name, known.cluster.to_string());
    let fits = match role {
        Role::Station => name.starts_with("station/"),
        Role::Agent => *name == format!("agent/{}", machine.node),
    };
    if *of != cluster.name {
        Some(format!("{dir} is {name} of another cluster, {of}"))
    } else if id.is_none() {
        Some(format!(
            "{dir} is {name} of cluster {of} ({its}), none of whose stations is in the file"
        ))
    } else if id != Some(its.as_str()) {
        Some(format!(
            "{dir} is {name} of another cluster that is called {of} as well ({its})"
        ))
    } else if !fits {
        Some(format!(
            "{dir} is {name}, and the file wants node {} there",
            machine.node
        ))
    } else {
        None
    }
}

/// What sums them up; each was told on a line of its own.
pub fn problem(what: &str, troubles: &[Trouble], again: &str) -> Option<Problem> {
    let gravest = troubles.iter().min()?;
    let code = match gravest.kind {
        Kind::Unreachable => code::MACHINE_UNREACHABLE,
        Kind::Version => code::VERSION_MISMATCH,
        Kind::Taken => code::DATA_DIRECTORY,
    };
    let why = match troubles {
        [one] => one.text.clone(),
        all => format!("{} reasons, the first: {}", all.len(), gravest.text),
    };
    let why = format!("{why}; nothing was changed");
    let mut problem = Problem::new(code, what, why).to_do(again);
    if gravest.kind == Kind::Taken {
        problem.exit = Exit::Conflict;
    }
    Some(problem)
}
