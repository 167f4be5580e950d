//! Who may come to the cluster, and what only some may read. No secret stands here in the clear: of a token there is a hash,
//! of a secret what a key outside the graph opens.

use std::collections::BTreeSet;

use mainstay_protocol::{Admits, Bearer, PeopleName, PersonName, Role, Timestamp};
use serde::{Deserialize, Serialize};

use crate::vertex::Cluster;

/// SHA-256.
pub type Digest = [u8; 32];

/// The authority that all certificates of the cluster are issued by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAuthority {
    /// X.509, DER.
    pub certificate: Vec<u8>,
    /// Its key, under the stations' seal key.
    pub key: Vec<u8>,
}

/// Lets somebody in, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Of its secret.
    pub hash: Digest,
    pub admits: Admits,
    /// Log time.
    pub until: Timestamp,
    pub by: String,
    pub state: TokenState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenState {
    /// It can be used until its time is over.
    Open,
    /// By whom; the same one, with the same key, may ask again.
    Used(Bearer),
    /// Somebody took it back.
    Revoked { by: String },
}

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Of the public key that its certificates are issued to.
    pub key: Digest,
    /// By whom, and why: it is let in no more.
    pub revoked: Option<Revoked>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub by: String,
    pub why: String,
}

/// People who may do what its role may, whatever each of them was let in as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    pub role: Role,
    pub members: BTreeSet<PersonName>,
    /// Who set it last.
    pub by: String,
}

impl Cluster {
    /// The group that lets somebody do the most, if one lets it do more than its own role.
    pub fn group_of(&self, person: &str, own: Role) -> Option<(&PeopleName, &People)> {
        let is_member = |group: &People| group.members.iter().any(|one| one.as_str() == person);
        self.groups
            .iter()
            .filter(|(_, group)| group.role > own && is_member(group))
            .max_by_key(|(_, group)| group.role)
    }
}

/// What is handed to services that refer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Under the stations' seal key.
    pub sealed: Vec<u8>,
    pub by: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mainstay_protocol::{ClusterId, ClusterName, Epoch};
    use uuid::Uuid;

    use super::*;
    use crate::policy::Settings;

    #[test]
    fn the_group_that_lets_somebody_do_the_most_counts() {
        // proves: U1
        let group = |role, member: &str| People {
            role,
            members: [PersonName::new(member).unwrap()].into(),
            by: "root".to_owned(),
        };
        let groups = [
            ("a", group(Role::Operator, "ada")),
            ("b", group(Role::Admin, "ada")),
            ("c", group(Role::Reader, "ada")),
            ("d", group(Role::Operator, "bo")),
        ];
        let cluster = Cluster {
            id: ClusterId(Uuid::from_u128(1)),
            epoch: Epoch(1),
            name: ClusterName::new("prod").unwrap(),
            settings: Settings::LAN,
            rules_off: BTreeMap::new(),
            authority: None,
            groups: groups
                .map(|(name, group)| (PeopleName::new(name).unwrap(), group))
                .into(),
            brake: None,
            epoch_began: None,
        };
        for (person, own, expected) in [
            ("ada", Role::Reader, Some("b")),
            ("ada", Role::Operator, Some("b")),
            ("ada", Role::Admin, None),
            ("bo", Role::Reader, Some("d")),
            ("bo", Role::Operator, None),
            ("cy", Role::Reader, None),
        ] {
            let group = cluster.group_of(person, own).map(|(name, _)| name.as_str());
            assert_eq!(group, expected, "{person} {own:?}");
        }
    }
}
