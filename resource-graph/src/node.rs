//! A node: what its agent says of it, and what people have said.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_protocol::code::Reason;
use mainstay_protocol::report::SysInfo;
use mainstay_protocol::{AgentRunId, BootId, NodeId, PlacementName, Timestamp, TypeName};
use serde::{Deserialize, Serialize};

use crate::words::Stray;

/// One machine that runs an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub state: NodeState,
    pub reason: Option<Reason>,
    pub address: String,
    pub build: String,
    pub boot_id: BootId,
    pub agent_run: AgentRunId,
    /// Those that its agent brings, with what people have said over them.
    pub labels: BTreeMap<String, String>,
    pub sysinfo: SysInfo,
    pub care: Care,
    /// The types its agent has, with their versions.
    pub provides: BTreeMap<TypeName, String>,
    /// What runs there and is not what the graph knows, by the placement it says it is of.
    pub strays: BTreeMap<PlacementName, Stray>,
    /// When it is given up, where it is away.
    pub lost_at: Option<Timestamp>,
}

/// What people have said of a node. Its agent changes nothing of it, and it outlives every agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Care {
    pub cordon: Option<Cordon>,
    pub maintenance: Option<Maintenance>,
    /// Over those that its agent brings; none takes one away.
    pub labels: BTreeMap<String, Option<String>>,
}

/// It takes no instance that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cordon {
    pub said: Said,
    /// What is there ends, and waits until the cordon is lifted.
    pub drains: bool,
}

/// Whatever becomes of what is there, it is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    pub said: Said,
    /// It ends by itself; without it, when somebody says so.
    pub until: Option<Timestamp>,
}

/// Who said something, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub by: String,
    pub why: String,
    pub at: Timestamp,
}

impl Care {
    pub fn drains(&self) -> Option<&Said> {
        let cordon = self.cordon.as_ref().filter(|cordon| cordon.drains);
        cordon.map(|cordon| &cordon.said)
    }

    /// What the labels are, of which its agent brings these.
    pub fn over(&self, brought: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = brought.clone();
        for (name, value) in &self.labels {
            match value {
                Some(value) => labels.insert(name.clone(), value.clone()),
                None => labels.remove(name),
            };
        }
        labels
    }
}

/// "by ada (admin): a new disk".
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why.as_str() {
            "" => write!(f, "by {}", self.by),
            why => write!(f, "by {}: {why}", self.by),
        }
    }
}

/// A node's connection to the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NodeState {
    /// Its agent has a session. Left when the session closes or falls silent.
    Online,
    /// Its session closed or fell silent. Left when the agent introduces itself again, or when nobody waits any longer.
    AgentDown,
    /// It was given up. Left when its agent introduces itself after all.
    Lost,
}

impl NodeState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "Online",
            Self::AgentDown => "AgentDown",
            Self::Lost => "Lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_say_of_labels_stands_over_what_the_agent_brings() {
        // proves: S25
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        let said = [("role", Some("db")), ("zone", None), ("gone", None)];
        let care = Care {
            labels: said
                .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
                .into(),
            ..Care::default()
        };
        let brought = labels(&[("role", "web"), ("zone", "a"), ("rack", "7")]);
        assert_eq!(
            care.over(&brought),
            labels(&[("role", "db"), ("rack", "7")])
        );
        assert_eq!(Care::default().over(&brought), brought);
    }
}
