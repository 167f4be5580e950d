//! Artifacts: what is kept under a URN.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Content that is kept, and never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// What it is called by: urn:ivcap:artifact: and a UUID.
    pub id: String,
    /// What people call it; null where nobody said.
    pub name: Option<String>,
    /// What its content is, as whoever put it said.
    pub media_type: String,
    /// Bytes of its content.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// It is an archive that a site can be served from.
    pub archive: bool,
    /// Why no site can be served from it; null where one can.
    pub no_archive: Option<String>,
    /// Who put it.
    pub by: String,
    /// Since when it is there.
    pub since: Time,
    /// The paths of an archive's files; null in lists, and where it is none.
    pub files: Option<Vec<String>>,
}
