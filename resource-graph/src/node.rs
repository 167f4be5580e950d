//! A node: what its agent says of it, and what people have said.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_protocol::code::Reason;
use mainstay_protocol::report::SysInfo;
use mainstay_protocol::sight::Sight;
use mainstay_protocol::{AgentRunId, BootId, NodeId, NodeName, PlacementName, Timestamp, TypeName};
use serde::{Deserialize, Serialize};

use crate::host::HostRestart;
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
    /// What is known of it while it has no session and is not given up.
    pub away: Option<Away>,
    /// When it is given up, where it is away.
    pub lost_at: Option<Timestamp>,
    /// Its machine is being restarted, or was once.
    pub restart: Option<HostRestart>,
}

/// A node that is not heard, and what others see of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    pub since: Timestamp,
    /// In words: how it came to be away.
    pub why: String,
    /// Its session was closed: until then it was heard. Else it had been silent for a while.
    pub closed: bool,
    /// None until somebody has looked.
    pub seen: Option<Sightings>,
    /// What the sightings were found to mean.
    pub finding: Option<Finding>,
    /// Since when that is so: one that is not seen is so for whatever reason, Unseen or Unheard.
    pub found: Timestamp,
}

/// What was seen when the leading station, and through it those who guard a node, looked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// What the station saw that knocked there itself.
    pub knock: Sight,
    /// What each guard saw; none where it could not be asked, or did not answer in time.
    pub guards: BTreeMap<NodeName, Option<Sight>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Finding {
    /// Its machine answers: the agent may be on its way back.
    AgentDown,
    /// It lives, and is cut off from the station alone.
    Isolated,
    /// Whoever was asked and answered sees nothing of it.
    Unseen,
    /// Nobody could be asked.
    Unheard,
}

impl Finding {
    /// Neither its agent nor its machine was seen.
    pub fn is_out_of_sight(self) -> bool {
        match self {
            Self::Unseen | Self::Unheard => true,
            Self::AgentDown | Self::Isolated => false,
        }
    }
}

impl Sightings {
    pub fn finding(&self) -> Finding {
        let guards = || self.guards.values().flatten();
        if self.knock != Sight::Nothing {
            Finding::AgentDown
        } else if guards().any(|sight| sight.is_of_agent()) {
            Finding::Isolated
        } else if guards().any(|sight| *sight == Sight::Machine) {
            Finding::AgentDown
        } else if guards().next().is_some() {
            Finding::Unseen
        } else {
            Finding::Unheard
        }
    }
}

/// "the station sees nothing of it, n2 sees its agent, n3 gives no answer".
impl fmt::Display for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the station sees {}", self.knock)?;
        for (guard, sight) in &self.guards {
            match sight {
                Some(sight) => write!(f, ", {guard} sees {sight}")?,
                None => write!(f, ", {guard} gives no answer")?,
            }
        }
        Ok(())
    }
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
    /// Even where fewer than its minimum are left of a placement.
    pub forced: bool,
}

/// "is drained, by ada: new disks".
impl fmt::Display for Cordon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.drains {
            true => "is drained",
            false => "takes no new instances",
        };
        write!(f, "{how}, {}", self.said)
    }
}

/// Whatever becomes of what is there, it is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    pub said: Said,
    /// It ends by itself; without it, when somebody says so.
    pub until: Option<Timestamp>,
    /// It was said of all nodes at once, and ends so.
    pub of_all: bool,
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
    /// Its agent is away, and its machine answers. Left when the agent introduces itself again, or when nobody waits any
    /// longer.
    AgentDown,
    /// It was given up. Left when its agent introduces itself after all.
    Lost,
    /// Its session closed or fell silent, and nobody has seen it since. Left when somebody does, when its agent introduces
    /// itself again, or when nobody waits any longer.
    Suspect,
    /// Others see its agent; the station does not. Left as Suspect is, except that nobody stops waiting by the clock.
    Isolated,
}

impl NodeState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "Online",
            Self::AgentDown => "AgentDown",
            Self::Lost => "Lost",
            Self::Suspect => "Suspect",
            Self::Isolated => "Isolated",
        }
    }

    /// Neither here nor given up.
    pub fn is_away(self) -> bool {
        match self {
            Self::Suspect | Self::AgentDown | Self::Isolated => true,
            Self::Online | Self::Lost => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_judged_by_the_table() {
        // proves: S23
        let seen = |knock, guards: &[Option<Sight>]| {
            let names = (2..).map(|at| format!("n{at}").parse().unwrap());
            let guards = names.zip(guards.iter().copied()).collect();
            Sightings { knock, guards }.finding()
        };
        let watching = Some(Sight::Watching { supervisor: 1 });
        let nothing = Some(Sight::Nothing);
        for guards in [&[][..], &[None, nothing], &[watching, None]] {
            assert_eq!(seen(Sight::Machine, guards), Finding::AgentDown);
        }
        let unwatched = Some(Sight::Unwatched { supervisor: 1 });
        for guards in [&[watching, nothing][..], &[None, unwatched]] {
            assert_eq!(seen(Sight::Nothing, guards), Finding::Isolated);
        }
        let machine = Some(Sight::Machine);
        assert_eq!(
            seen(Sight::Nothing, &[nothing, machine]),
            Finding::AgentDown
        );
        for guards in [&[nothing, nothing][..], &[None, nothing]] {
            assert_eq!(seen(Sight::Nothing, guards), Finding::Unseen);
        }
        for guards in [&[][..], &[None, None]] {
            assert_eq!(seen(Sight::Nothing, guards), Finding::Unheard);
        }
        let said = Sightings {
            knock: Sight::Nothing,
            guards: [("n2", watching), ("n3", None)]
                .map(|(node, sight)| (node.parse().unwrap(), sight))
                .into(),
        };
        assert_eq!(
            said.to_string(),
            "the station sees nothing of it, n2 sees its agent, n3 gives no answer"
        );
    }

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
