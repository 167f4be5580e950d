//! The cluster of a file, with every default in its place.

use std::collections::BTreeMap;

use mainstay_api::Problem;
use mainstay_api::shapes::cluster::{PORT, listen};
use mainstay_protocol::{Address, ClusterName, NodeName};
use serde::Deserialize;
use serde_json::Value;

use crate::outcome::bug;

#[derive(Debug, Clone)]
pub struct Cluster {
    pub name: ClusterName,
    /// The program on each machine.
    pub binary: String,
    pub daemons: Option<Daemons>,
    pub machines: Vec<Machine>,
}

/// What keeps daemons running; what the machine has, if nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Daemons {
    Systemd,
    Setsid,
}

#[derive(Debug, Clone)]
pub struct Machine {
    pub name: String,
    /// Where others reach it: a station listens there.
    pub listen: Address,
    pub roles: Vec<Role>,
    pub node: NodeName,
    pub labels: BTreeMap<String, String>,
    /// Before `sh`; none of this very machine.
    pub via: Vec<String>,
    /// What its daemons' directories lie in.
    pub dir: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Station,
    Agent,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Station => "station",
            Self::Agent => "agent",
        }
    }
}

impl Cluster {
    /// Of a specification that passed the check of its shape.
    pub fn of(spec: &Value) -> Result<Self, Problem> {
        let read = serde_json::from_value::<Written>(spec.clone());
        let written = read.map_err(|error| bug("read the cluster", error))?;
        let machines = written.machines.iter().map(|one| machine(one, &written));
        Ok(Self {
            machines: machines.collect::<Option<Vec<_>>>().ok_or_else(|| {
                bug(
                    "read the cluster",
                    "a name or an address passed that is none",
                )
            })?,
            name: written.name,
            binary: written.binary.unwrap_or_else(|| "mainstay".to_owned()),
            daemons: written.daemons,
        })
    }

    /// The machines with this role, by their places in the file.
    pub fn with(&self, role: Role) -> impl Iterator<Item = (usize, &Machine)> {
        let all = self.machines.iter().enumerate();
        all.filter(move |(_, machine)| machine.roles.contains(&role))
    }

    pub fn count(&self, role: Role) -> usize {
        self.with(role).count()
    }
}

impl Machine {
    pub fn dir_of(&self, role: Role) -> String {
        format!("{}/{}", self.dir.trim_end_matches('/'), role.as_str())
    }

    pub fn is_here(&self) -> bool {
        self.via.is_empty()
    }
}

/// As it is written; a field that is null is one that is left out.
#[derive(Deserialize)]
struct Written {
    name: ClusterName,
    binary: Option<String>,
    dir: Option<String>,
    port: Option<u16>,
    daemons: Option<Daemons>,
    via: Option<Vec<String>>,
    machines: Vec<WrittenMachine>,
}

#[derive(Deserialize)]
struct WrittenMachine {
    name: NodeName,
    address: String,
    roles: Option<Vec<Role>>,
    node: Option<NodeName>,
    labels: Option<BTreeMap<String, String>>,
    via: Option<Vec<String>>,
}

const SSH: [&str; 7] = [
    "ssh",
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=10",
    "root@{address}",
    "--",
];

fn machine(written: &WrittenMachine, cluster: &Written) -> Option<Machine> {
    let listen = listen(&written.address, cluster.port.unwrap_or(PORT))?;
    let Address::Tls { host, .. } = &listen else {
        return None;
    };
    let name = written.name.to_string();
    let filled = |text: &str| text.replace("{address}", host).replace("{name}", &name);
    let via = written.via.as_ref().or(cluster.via.as_ref());
    let via = match via {
        Some(words) => words.iter().map(|word| filled(word)).collect(),
        None => SSH.map(filled).to_vec(),
    };
    let dir = cluster.dir.as_deref().unwrap_or("/var/lib/mainstay");
    Some(Machine {
        dir: filled(dir),
        via,
        roles: written.roles.clone().unwrap_or_else(|| vec![Role::Agent]),
        node: written.node.clone().unwrap_or_else(|| written.name.clone()),
        labels: written.labels.clone().unwrap_or_default(),
        listen,
        name,
    })
}
