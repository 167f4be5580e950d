//! Looking instances up: what an agent wants to know of the graph, and what it is told, now and whenever it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::health::Health;
use crate::ids::{BadName, InstanceKey, NodeName, PlacementName, SlotName, TypeName};
use crate::numbers::Incarnation;

/// Instances that somebody looks for, as people write it: `web`, `web@n1`, `type/greeter`, `name/front@n2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sought {
    pub by: SoughtBy,
    /// There, or anywhere.
    pub node: Option<NodeName>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SoughtBy {
    Placement(PlacementName),
    Type(TypeName),
    /// The exclusive name that it holds on its node.
    Name(SlotName),
}

/// All that an agent wants to be told of, at most `limits::LOOKUPS_FOLLOWED_MAX`. What an earlier one has beside it is
/// followed no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follows {
    pub sought: BTreeSet<Sought>,
}

/// What the graph says of something that is followed: told at once, and again whenever it is something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub sought: Sought,
    /// Those that run come first, and of these those on the asker's own node.
    pub instances: Vec<FoundInstance>,
    /// So many more are there than one answer has room for.
    pub left_out: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundInstance {
    pub instance: InstanceKey,
    pub service_type: TypeName,
    /// The exclusive name that it holds on its node.
    pub name: SlotName,
    pub incarnation: Incarnation,
    /// As `mainstay get instances` shows it: `Running`, `Backoff`.
    pub state: String,
    pub health: Health,
    /// Where the agent of its node can be called (`HOST:PORT`, `unix:PATH`); empty where nobody can call it.
    pub address: String,
    /// The ports that it listens on, by their names.
    pub ports: BTreeMap<String, u16>,
}

impl FoundInstance {
    /// Whether it is up, as far as the graph knows: a call has somebody to answer it.
    pub fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "Running" | "Degraded")
    }

    /// Whether that incarnation runs no more, as far as the graph knows. One that is out of sight may.
    pub fn is_over(&self) -> bool {
        let alive = [
            "Starting",
            "Running",
            "Degraded",
            "Unresponsive",
            "Stopping",
            "Unknown",
            "Lost",
        ];
        !alive.contains(&self.state.as_str())
    }

    /// `HOST:PORT` of its port `http`, else of its first by name, as seen from a node. None where it has no port, or is on
    /// another machine of which nobody knows where it is.
    pub fn address_from(&self, node: &NodeName) -> Option<String> {
        let port = self
            .ports
            .get("http")
            .or_else(|| self.ports.values().next())?;
        if self.instance.node == *node {
            return Some(format!("127.0.0.1:{port}"));
        }
        match self.address.parse().ok()? {
            Address::Tls { host, .. } if host.contains(':') => Some(format!("[{host}]:{port}")),
            Address::Tls { host, .. } => Some(format!("{host}:{port}")),
            // Its agent is on this machine too.
            Address::Unix(_) => Some(format!("127.0.0.1:{port}")),
        }
    }
}

impl FromStr for Sought {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let (what, node) = match text.split_once('@') {
            Some((what, node)) => (what, Some(node.parse()?)),
            None => (text, None),
        };
        let by = match what.split_once('/') {
            Some(("type" | "types", name)) => SoughtBy::Type(name.parse()?),
            Some(("name" | "names", name)) => SoughtBy::Name(name.parse()?),
            Some(("placement" | "placements" | "instance" | "instances", name)) => {
                SoughtBy::Placement(name.parse()?)
            }
            // One with another word before its slash is refused as what it is: no name.
            Some(_) | None => SoughtBy::Placement(what.parse()?),
        };
        Ok(Self { by, node })
    }
}

impl From<&InstanceKey> for Sought {
    fn from(instance: &InstanceKey) -> Self {
        Self {
            by: SoughtBy::Placement(instance.placement.clone()),
            node: Some(instance.node.clone()),
        }
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            SoughtBy::Placement(name) => write!(f, "{name}")?,
            SoughtBy::Type(name) => write!(f, "type/{name}")?,
            SoughtBy::Name(name) => write!(f, "name/{name}")?,
        }
        match &self.node {
            Some(node) => write!(f, "@{node}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_read_as_it_is_written() {
        // proves: S14
        for text in [
            "web",
            "web@n1",
            "type/greeter",
            "type/greeter@n2",
            "name/front@n1",
        ] {
            let sought: Sought = text.parse().unwrap();
            assert_eq!(sought.to_string(), text);
        }
        let one: Sought = "instances/web@n1".parse().unwrap();
        assert_eq!(one.to_string(), "web@n1");
        for bad in ["", "@n1", "web@", "node/n1", "Web", "web@n1@n2"] {
            assert!(bad.parse::<Sought>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_is_reached_where_its_agent_is_and_on_the_own_node_here() {
        // proves: S14
        let found = |address: &str, ports: &[(&str, u16)]| FoundInstance {
            instance: InstanceKey::new("n2".parse().unwrap(), "db".parse().unwrap()),
            service_type: "process".parse().unwrap(),
            name: "db".parse().unwrap(),
            incarnation: Incarnation::default().next(),
            state: "Running".to_owned(),
            health: Health::Ok,
            address: address.to_owned(),
            ports: ports
                .iter()
                .map(|(name, port)| ((*name).to_owned(), *port))
                .collect(),
        };
        let from = |node: &str, found: FoundInstance| found.address_from(&node.parse().unwrap());
        let both = [("admin", 81), ("http", 80)];
        assert_eq!(
            from("n1", found("10.0.0.2:7601", &both)).unwrap(),
            "10.0.0.2:80"
        );
        assert_eq!(
            from("n2", found("10.0.0.2:7601", &both)).unwrap(),
            "127.0.0.1:80"
        );
        assert_eq!(
            from("n1", found("[::2]:7601", &[("b", 2), ("a", 1)])).unwrap(),
            "[::2]:1"
        );
        assert_eq!(
            from("n1", found("unix:/n2/agent.sock", &both)).unwrap(),
            "127.0.0.1:80"
        );
        assert_eq!(from("n1", found("10.0.0.2:7601", &[])), None);
        // Something else may listen here.
        assert_eq!(from("n1", found("", &both)), None);
    }
}
