//! A field of a configuration that refers to a secret.

use std::borrow::Cow;

use mainstay_protocol::secret::{BadReference, SecretReference};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// `secret://NAME`, one of the cluster's, or `file:///PATH`, a file of the node. [`Context::secret`](crate::Context::secret)
/// gives what it refers to; the configuration, and everything that shows it, has the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(SecretReference);

impl Secret {
    pub fn reference(&self) -> &SecretReference {
        &self.0
    }
}

impl From<SecretReference> for Secret {
    fn from(reference: SecretReference) -> Self {
        Self(reference)
    }
}

impl TryFrom<String> for Secret {
    type Error = BadReference;

    fn try_from(text: String) -> Result<Self, BadReference> {
        text.parse().map(Self)
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.0.to_string()
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Refers to a secret: secret://NAME, or file:///PATH",
            "pattern": "^(secret://|file:///)",
        })
    }
}
