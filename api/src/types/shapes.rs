//! What values look like whose types are not of this crate: for the schemas, and so for `explain`.
#![allow(dead_code)] // they are described, never made

use schemars::JsonSchema;

/// Why something is as it is: a stable code, and words.
#[derive(JsonSchema)]
pub struct ReasonShape {
    /// A code such as MS-NAME-HELD; `mainstay explain CODE` says what it means.
    code: String,
    /// In words.
    text: String,
    /// What it is about.
    refs: Vec<String>,
}

/// What Checks say.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthShape {
    Ok,
    Degraded,
    Failed,
    Unresponsive,
    Unknown,
}
