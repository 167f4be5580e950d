//! Who may come to the cluster, and what only some may read. No secret stands here in the clear: of a token there is a hash,
//! of a secret what a key outside the graph opens.

use std::collections::BTreeSet;

use mainstay_protocol::{Admits, Bearer, PersonName, Role, Timestamp};
use serde::{Deserialize, Serialize};

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

/// What is handed to services that refer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Under the stations' seal key.
    pub sealed: Vec<u8>,
    pub by: String,
}
