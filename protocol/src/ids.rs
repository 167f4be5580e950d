//! Names and identities. Names are what people type; ids are what machines compare.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thiserror::Error;
use uuid::Uuid;

use crate::limits;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{kind} \"{text}\" is not valid: a name is 1 to 63 of a-z, 0-9, '.' and '-', and begins with a letter or digit"
)]
pub struct BadName {
    pub kind: &'static str,
    pub text: String,
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else {
        return false;
    };
    bytes.len() <= limits::NAME_BYTES_MAX
        && (first.is_ascii_lowercase() || first.is_ascii_digit())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

// The text of most names lies in the name itself: a graph of a million has them in memory many times over, and compares
// them all the time.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// The text, checked against the one grammar of names.
            pub fn new(text: impl Into<SmolStr>) -> Result<Self, BadName> {
                let text = text.into();
                if is_name(&text) {
                    Ok(Self(text))
                } else {
                    let text = text.into();
                    Err(BadName { kind: $kind, text })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = BadName;
            fn try_from(text: SmolStr) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl From<$name> for SmolStr {
            fn from(name: $name) -> SmolStr {
                name.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    /// A node, as people call it: `n1`.
    NodeName = "node name";
    /// A placement: the wish an instance comes from.
    PlacementName = "placement name";
    /// The exclusive slot on a node that an instance must hold.
    SlotName = "name";
    /// A service type.
    TypeName = "type name";
    /// A cluster's display name.
    ClusterName = "cluster name";
    /// What sort of thing a resource is: `disk`, `database`.
    ResourceKind = "resource kind";
    /// One resource among those of its kind.
    ResourceName = "resource name";
    /// Somebody who may use the cluster.
    PersonName = "person's name";
    /// People who may do the same.
    PeopleName = "group of people";
    /// What only its users are to know.
    SecretName = "secret's name";
    /// Placements whose instances on one node restart together.
    GroupName = "restart group";
}

macro_rules! uuids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuids! {
    /// One cluster; what keeps two clusters apart.
    ClusterId;
    /// One node, minted when it first joins.
    NodeId;
    /// One life of an agent process; tells a restarted agent from a second one.
    AgentRunId;
    /// One life of a station process; tells that it was started again.
    StationRunId;
}

/// The machine's boot, as the kernel names it; changes with a reboot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootId(pub String);

/// A station's number; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StationId(pub u64);

impl fmt::Display for StationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// As it is shown: s1, and neither s0 nor s01.
impl FromStr for StationId {
    type Err = NotAStation;

    fn from_str(text: &str) -> Result<Self, NotAStation> {
        let number = text
            .strip_prefix('s')
            .and_then(|number| number.parse().ok());
        let id = number
            .map(Self)
            .filter(|id| id.0 > 0 && id.to_string() == text);
        id.ok_or_else(|| NotAStation(text.to_owned()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no station; they are called s1, s2, s3 ..")]
pub struct NotAStation(String);

/// A command's number: unique in the cluster, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A question of an instance, numbered within its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuestionId(pub u64);

/// Something passive that instances hold or share: a disk, a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    pub kind: ResourceKind,
    pub name: ResourceName,
}

impl ResourceKey {
    pub fn new(kind: ResourceKind, name: ResourceName) -> Self {
        Self { kind, name }
    }
}

/// As people write it behind `resource/`: `disk/sda`.
impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// One placement's service on one node. Ordered by node first, so that a node's instances are a range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    pub node: NodeName,
    pub placement: PlacementName,
}

impl InstanceKey {
    pub fn new(node: NodeName, placement: PlacementName) -> Self {
        Self { node, placement }
    }
}

/// As people write it: `web@n1`.
impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.placement, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_grammar() {
        for good in ["n1", "a", "0", "web.front-1", &"x".repeat(63)] {
            assert!(NodeName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "A", "a_b", "a b", "ä", &"x".repeat(64)] {
            let error = NodeName::new(bad).unwrap_err().to_string();
            assert!(error.contains("node name"), "{error}");
        }
    }
}
