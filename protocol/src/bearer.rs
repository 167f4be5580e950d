//! What a certificate says that its bearer is: one URI, so that it can be read by whoever looks at certificates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterId, NodeName, PersonName, StationId};

const SCHEME: &str = "mainstay://";

/// Whose certificate it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Bearer {
    /// It may report about this node, and no other.
    Agent(NodeName),
    Station(StationId),
    Person {
        name: PersonName,
        role: Role,
    },
}

/// Whom a token lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admits {
    /// Of one node, or of any whose name is free.
    Agent(Option<NodeName>),
    Station,
    Person {
        name: PersonName,
        role: Role,
    },
}

impl fmt::Display for Admits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(None) => f.write_str("agent"),
            Self::Agent(Some(node)) => write!(f, "agent/{node}"),
            Self::Station => f.write_str("station"),
            Self::Person { name, role } => write!(f, "person/{name}/{}", role.as_str()),
        }
    }
}

/// What a person may do; each can do what those before it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    Reader,
    Operator,
    Admin,
}

impl Role {
    /// Somebody in this role, as it is remembered who did something: `ada (admin)`.
    pub fn of(self, name: &str) -> String {
        format!("{name} ({})", self.as_str())
    }

    /// The same of somebody whose group lets it do more: `ada (reader; admin by ops)`.
    pub fn of_member(self, name: &str, as_: Self, group: &str) -> String {
        format!("{name} ({}; {} by {group})", self.as_str(), as_.as_str())
    }

    /// Whether it was somebody of this name and role, alone or by a group, that is remembered so.
    pub fn was(self, name: &str, remembered: &str) -> bool {
        let alone = self.of(name);
        let by_group = alone.strip_suffix(')').unwrap_or(&alone);
        remembered == alone || remembered.starts_with(&format!("{by_group}; "))
    }

    /// Of somebody who did something as a member of a group: who, as what, and by which. None: it was nobody's group.
    pub fn by_group(remembered: &str) -> Option<(&str, Self, &str)> {
        let (name, rest) = remembered.split_once(" (")?;
        let (_, as_member) = rest.strip_suffix(')')?.split_once("; ")?;
        let (role, group) = as_member.split_once(" by ")?;
        Some((name, role.parse().ok()?, group))
    }

    pub const ALL: [Self; 3] = [Self::Reader, Self::Operator, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("\"{text}\" is no role; there are reader, operator and admin"))
    }
}

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(node) => write!(f, "agent/{node}"),
            Self::Station(station) => write!(f, "station/{station}"),
            Self::Person { name, role } => write!(f, "person/{name}/{}", role.as_str()),
        }
    }
}

impl Bearer {
    pub fn uri(&self, cluster: ClusterId) -> String {
        format!("{SCHEME}{cluster}/{self}")
    }

    /// The cluster and the bearer of a certificate's URI.
    pub fn of_uri(uri: &str) -> Option<(ClusterId, Self)> {
        let (cluster, bearer) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let cluster = ClusterId(uuid::Uuid::try_parse(cluster).ok()?);
        Some((cluster, bearer.parse().ok()?))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is nobody; write agent/NODE, station/s1 or person/NAME/ROLE")]
pub struct NotABearer(String);

impl FromStr for Bearer {
    type Err = NotABearer;

    fn from_str(text: &str) -> Result<Self, NotABearer> {
        let read = || {
            Some(match text.split('/').collect::<Vec<_>>()[..] {
                ["agent", node] => Self::Agent(node.parse().ok()?),
                ["station", station] => Self::Station(station.parse().ok()?),
                ["person", name, role] => Self::Person {
                    name: name.parse().ok()?,
                    role: role.parse().ok()?,
                },
                _ => return None,
            })
        };
        read().ok_or_else(|| NotABearer(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_reads_back_from_its_uri_and_nothing_else_does() {
        let cluster = ClusterId(uuid::Uuid::from_u128(7));
        let bearers = [
            Bearer::Agent("n1".parse().unwrap()),
            Bearer::Station(StationId(3)),
            Bearer::Person {
                name: "ada".parse().unwrap(),
                role: Role::Operator,
            },
        ];
        for bearer in bearers {
            let uri = bearer.uri(cluster);
            assert_eq!(Bearer::of_uri(&uri), Some((cluster, bearer)), "{uri}");
        }
        for bad in [
            "https://x/agent/n1",
            "mainstay://x/agent/n1",
            "mainstay://00000000-0000-0000-0000-000000000007/agent/N1",
            "mainstay://00000000-0000-0000-0000-000000000007/agent/n1/more",
            "mainstay://00000000-0000-0000-0000-000000000007/station/3",
            "mainstay://00000000-0000-0000-0000-000000000007/person/ada/god",
        ] {
            assert_eq!(Bearer::of_uri(bad), None, "{bad}");
        }
    }

    #[test]
    fn who_did_it_is_read_as_it_was_written() {
        for role in Role::ALL {
            let alone = role.of("ada");
            assert!(role.was("ada", &alone) && !role.was("ad", &alone));
            assert_eq!(Role::by_group(&alone), None);
            for more in Role::ALL {
                let member = role.of_member("ada", more, "ops");
                assert!(role.was("ada", &member) && !role.was("bo", &member));
                assert_eq!(Role::by_group(&member), Some(("ada", more, "ops")));
            }
        }
        assert!(!Role::Reader.was("ada", &Role::Admin.of("ada")));
        for nobody in [
            "",
            "root",
            "the end of the group ops",
            "ada (reader; god by ops)",
        ] {
            assert_eq!(Role::by_group(nobody), None, "{nobody}");
        }
    }
}
