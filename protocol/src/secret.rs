//! What is secret on its way to a service: how a configuration refers to it, and its bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::ids::{BadName, InstanceKey, SecretName};
use crate::numbers::Incarnation;
use crate::request::Refusal;

const OF_CLUSTER: &str = "secret://";
const OF_MACHINE: &str = "file://";

/// What stands in a configuration in the place of a secret. The whole text is the reference, never a part of it: so a
/// text is either shown to everybody or to nobody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretReference {
    /// One that the cluster keeps.
    Cluster(SecretName),
    /// A file of the machine that the service runs on, by its whole path.
    File(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadReference {
    #[error("\"{0}\" refers to no secret; say secret://NAME, or file:///PATH")]
    Neither(String),
    #[error("\"{0}\" refers to no secret: {1}")]
    Name(String, BadName),
    #[error("\"{0}\" refers to no file: say its whole path, as in file:///etc/key")]
    NotWhole(String),
}

impl SecretReference {
    /// None: it is a text like others, not one that refers to something.
    pub fn of(text: &str) -> Option<Result<Self, BadReference>> {
        let is_one = text.starts_with(OF_CLUSTER) || text.starts_with(OF_MACHINE);
        is_one.then(|| text.parse())
    }
}

impl FromStr for SecretReference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        if let Some(name) = text.strip_prefix(OF_CLUSTER) {
            let named = SecretName::new(name);
            return named
                .map(Self::Cluster)
                .map_err(|bad| BadReference::Name(text.to_owned(), bad));
        }
        match text.strip_prefix(OF_MACHINE) {
            Some(path) if path.starts_with('/') && !path.contains('\0') => {
                Ok(Self::File(path.to_owned()))
            }
            Some(_) => Err(BadReference::NotWhole(text.to_owned())),
            None => Err(BadReference::Neither(text.to_owned())),
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(name) => write!(f, "{OF_CLUSTER}{name}"),
            Self::File(path) => write!(f, "{OF_MACHINE}{path}"),
        }
    }
}

/// The bytes of a secret: shown nowhere, overwritten when nobody has them any more.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.expose().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

/// An instance of the asking node is to have this; it lives, or is being started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretWanted {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub name: SecretName,
}

/// What `SecretWanted` is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretAnswer {
    Given(SecretBytes),
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_whole_text_and_says_what_is_wrong_with_it() {
        // proves: U1
        let db = SecretReference::Cluster(SecretName::new("db").unwrap());
        assert_eq!(SecretReference::of("secret://db"), Some(Ok(db.clone())));
        assert_eq!(db.to_string(), "secret://db");
        let file = SecretReference::File("/etc/key".to_owned());
        assert_eq!(SecretReference::of("file:///etc/key"), Some(Ok(file)));
        for text in [
            "",
            "db",
            "https://secret",
            "--key=secret://db",
            " secret://db",
        ] {
            assert_eq!(SecretReference::of(text), None, "{text}");
        }
        for text in [
            "secret://",
            "secret://D B",
            "file://etc/key",
            "file:///a\0b",
        ] {
            let bad = SecretReference::of(text).unwrap().unwrap_err().to_string();
            assert!(bad.contains("refers to no"), "{bad}");
        }
    }

    #[test]
    fn the_bytes_of_a_secret_are_in_no_debug_output() {
        // proves: U1
        let answer = SecretAnswer::Given(SecretBytes::new(b"hunter2".to_vec()));
        assert_eq!(format!("{answer:?}"), "Given(SecretBytes)");
    }
}
