//! Who may come, and who is let in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Text that is for whoever it is sent to and nobody else: nothing prints it by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hidden")
    }
}

/// Lets somebody in, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// What it is found by; no secret.
    pub id: String,
    /// Whom: `agent`, `agent/n1`, `station`, `person/ada/operator`.
    pub admits: String,
    /// `open`, `expired`, `used`, `revoked`.
    pub state: String,
    /// Whom it let in; null before that.
    pub used_by: Option<String>,
    /// Who made it.
    pub by: String,
    /// Until when it can be used.
    pub until: Time,
    /// Since when it is in this state.
    pub since: Time,
}

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// `agent/n1`, `station/s1`, `person/ada/operator`.
    pub name: String,
    /// `admitted`, `revoked`.
    pub state: String,
    /// SHA-256 of its public key.
    pub key: String,
    /// Who took it back, and why; null as long as it is let in.
    pub revoked: Option<Revoked>,
    /// Since when it is in this state.
    pub since: Time,
}

/// What somebody shows over the network, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Whose it is: `agent/n1`, `station/s1`, `person/ada/operator`.
    pub name: String,
    /// `good`; `due` (it is to be renewed now); `expired`; `revoked` (its bearer is let in no more); `unknown` (nobody showed it to
    /// the station that was asked).
    pub state: String,
    /// When it ends; null where that is not known.
    pub ends: Option<Time>,
    /// Milliseconds that it still stands, 0 once it has ended; null where that is not known.
    pub left_ms: Option<u64>,
    /// When it is renewed by itself; null where nobody does so: a person's, or one that is revoked.
    pub renews: Option<Time>,
    /// What there is to say of its state; null where nothing is.
    pub note: Option<String>,
}

/// Who took something back, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// Who took it back.
    pub by: String,
    /// The reason that was given.
    pub why: String,
}

/// That there is a secret; what it is, only those it is handed to learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Who set it last.
    pub by: String,
    /// When it was set last.
    pub since: Time,
    /// The instances whose configuration refers to it.
    pub used_by: Vec<String>,
    /// Those of them that run with what it was before: they are given it at their next start.
    pub outdated: Vec<String>,
}

/// A token to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenRequest {
    /// `station`, `agent`, `reader`, `operator`, `admin`.
    pub role: String,
    /// The node, or the person; an agent's may be left open.
    pub name: Option<String>,
    /// Milliseconds for which it can be used.
    pub valid_ms: u64,
}

/// The token, once: nobody can ask for it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenMade {
    /// What it is found by; no secret.
    pub id: String,
    /// All of it, its secret included.
    pub token: Hidden,
    /// Whom it lets in.
    pub admits: String,
    /// The addresses of stations that it can be shown to.
    pub addresses: Vec<String>,
    /// Milliseconds for which it can be used.
    pub valid_ms: u64,
}

/// Somebody shows a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinRequest {
    /// The token's id.
    pub id: String,
    /// The token's secret, in hexadecimal; what is kept of it is its SHA-256.
    pub secret: Hidden,
    /// The public key that certificates will be issued to, in hexadecimal.
    pub public_key: String,
    /// `agent`, `station`, `person`.
    #[serde(rename = "as")]
    pub kind: String,
    /// The node's name, of an agent.
    pub node: Option<String>,
    /// By the joiner's clock.
    pub wall_ms: u64,
    /// What the joiner says, signed with the key that it wants a certificate for: it has it. In hexadecimal.
    pub proof: String,
}

impl JoinRequest {
    /// What is signed.
    pub fn said(&self) -> String {
        let node = self.node.as_deref().unwrap_or("-");
        format!(
            "join: {} {} {node} {} {}",
            self.id, self.kind, self.public_key, self.wall_ms
        )
    }
}

/// What whoever was let in needs from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// `agent/n1`, `station/s2`, `person/ada/operator`.
    pub name: String,
    /// The cluster's identity.
    pub cluster_id: String,
    /// The cluster's name.
    pub cluster_name: String,
    /// X.509, DER, in hexadecimal.
    pub certificate: String,
    /// Of the cluster's authority, in the same form.
    pub authority: String,
    /// Their numbers and addresses.
    pub stations: BTreeMap<String, String>,
    /// What the store is sealed under, in hexadecimal; stations alone are told.
    pub seal_key: Option<Hidden>,
}

/// Who is let in no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokeRequest {
    /// The reason.
    pub why: String,
}

/// What is to be kept from everybody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRequest {
    /// The secret.
    pub value: Hidden,
}

/// People who may do what its role may, whatever each of them was let in as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `reader`, `operator`, `admin`.
    pub role: String,
    /// The names of the people in it.
    pub members: Vec<String>,
    /// Who set it last.
    pub by: String,
}

/// A group as it is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupRequest {
    /// `reader`, `operator`, `admin`.
    pub role: String,
    /// The names of the people in it.
    pub members: Vec<String>,
}

/// Who somebody is to the station that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Whoami {
    /// `person/ada/operator`, or the user of a process on the station's own machine.
    pub name: String,
    /// `reader`, `operator`, `admin`: what it was let in as, or what its group may.
    pub role: String,
    /// The group that lets it do more than it was let in for.
    pub group: Option<String>,
    /// The routes that it may ask.
    pub may: Vec<String>,
}
