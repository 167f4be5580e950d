//! Durable work: orchestrations, types of activities, runs and their steps.

use std::borrow::Cow;

use mainstay_protocol::Json;
use mainstay_protocol::code::Reason;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::shapes::ReasonShape;
use crate::time::Time;

/// JSON as it was written: no number in it becomes another one on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact(pub Json);

impl Default for Exact {
    fn default() -> Self {
        Self(Json::empty_object())
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.as_str().to_owned();
        let raw = RawValue::from_string(text).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Json::parse(raw.get()).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Exact {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Exact".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

/// What runs are begun of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Orchestration {
    /// What it is called by.
    #[serde(rename = "type")]
    pub name: String,
    /// In words; null where it says nothing.
    pub description: Option<String>,
    /// Whether runs of it can begin.
    pub active: bool,
    /// Number of this definition.
    pub generation: u64,
    /// Its sections, such as deploy and dispose; empty for one that has a single list.
    pub sections: Vec<String>,
    /// So many activities, in all of its sections.
    pub activities: usize,
    /// Who wrote this definition.
    pub by: String,
    /// Since when it is this one.
    pub since: Time,
    /// The definition in its canonical form; null in lists.
    pub definition: Option<Exact>,
}

/// A type of activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// What it is called by.
    #[serde(rename = "type")]
    pub name: String,
    /// Whoever declares that they serve it.
    pub provider: String,
    /// In words; null where it says nothing.
    pub description: Option<String>,
    /// Number of this definition.
    pub generation: u64,
    /// Instances that do it now.
    pub served_by: Vec<String>,
    /// Orchestrations that have it.
    pub used_by: Vec<String>,
    /// Who wrote this definition.
    pub by: String,
    /// Since when it is this one.
    pub since: Time,
    /// The definition as it was written; null in lists.
    pub definition: Option<Exact>,
}

/// One execution of an orchestration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// What it is called by.
    pub id: String,
    /// Its orchestration.
    #[serde(rename = "type")]
    pub orchestration: String,
    /// The section of the definition it goes through; null for one that has a single list.
    pub section: Option<String>,
    /// What whoever began it knows it by; null where nothing was said.
    pub correlation_id: Option<String>,
    /// Running, Paused, Completed, Errored, Compensating, Compensated, CompensationFailed, Cancelled.
    pub state: String,
    /// It has come to its end: nothing of it is out, and nothing undoes it by itself.
    pub over: bool,
    /// Why it is in this state; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// Steps that are complete.
    pub done: u32,
    /// Steps in all.
    pub steps: u32,
    /// Of each activity that failed for good, what it said.
    pub errors: Vec<RunError>,
    /// The run that this one undoes; null for any other.
    pub undoes: Option<String>,
    /// The run that undoes this one; null where there is none.
    pub undone_by: Option<String>,
    /// Who began it.
    pub by: String,
    /// When it began.
    pub began: Time,
    /// When it came to its end; null for one that has not.
    pub ended: Option<Time>,
    /// Since when it is in this state.
    pub since: Time,
}

/// An activity that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunError {
    /// Its id in the definition.
    pub activity: String,
    /// What it said.
    pub error: String,
}

/// A run with everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// The run, as lists show it.
    pub run: Run,
    /// What it was given, over what its orchestration says.
    pub input: Exact,
    /// What its activities share.
    pub context: Exact,
    /// What it left behind; null before its end, and of one that failed.
    pub outputs: Option<Exact>,
    /// Its steps, in the order of the definition.
    pub steps: Vec<Step>,
}

/// One activity in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The activity's id in the definition.
    pub activity: String,
    /// The activity's type.
    #[serde(rename = "type")]
    pub of: String,
    /// Who provides that type.
    pub provider: String,
    /// So many follow each other before it; for drawing, nothing waits for a tier.
    pub tier: usize,
    /// The activities that are complete before it begins.
    pub depends_on: Vec<String>,
    /// Pending, Queued, Running, Waiting, Scheduled, Retrying, Completed, Failed, Skipped, Cancelled.
    pub state: String,
    /// Why it is in this state; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// The current attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// How often it was given out.
    pub calls: u32,
    /// The instance that had it last; null before that.
    pub worker: Option<String>,
    /// Who says from outside that it is done names this; null where it is not out.
    pub token: Option<String>,
    /// When its first attempt began; null before that.
    pub began: Option<Time>,
    /// Since when it is in this state.
    pub since: Time,
    /// When its time brings it on; null where none will.
    pub due: Option<Time>,
    /// What went wrong last; null where nothing did.
    pub last_error: Option<String>,
    /// What it left behind; null before it is complete.
    pub outputs: Option<Exact>,
    /// What it keeps between calls.
    pub scratch: Exact,
}

/// A run that is to begin. The same one again is the run that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunRequest {
    /// What it is to be called by.
    pub id: String,
    /// Its orchestration.
    #[serde(rename = "type")]
    pub orchestration: String,
    /// What whoever begins it knows it by.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// The section of a definition that has several; deploy where nothing is said.
    #[serde(default)]
    pub section: Option<String>,
    /// What it is given.
    #[serde(default)]
    pub payload: Exact,
}

/// Somebody outside says what became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDone {
    /// As the activity was told, and as the step shows.
    pub token: String,
    /// What it leaves behind, where it is done: an object.
    #[serde(default)]
    pub outputs: Option<Exact>,
    /// Why it failed for good, where it did.
    #[serde(default)]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: orchestrations 30
    #[test]
    fn numbers_stay_as_they_were_written() {
        let text = r#"{"id":"r","type":"t","payload":{"big":123456789012345678901234567890,"small":1.10,"ü":{}}}"#;
        let request: RunRequest = serde_json::from_str(text).unwrap();
        let payload = r#"{"big":123456789012345678901234567890,"small":1.10,"ü":{}}"#;
        assert_eq!(request.payload.0.as_str(), payload);
        let written = serde_json::to_string(&request).unwrap();
        assert!(written.contains(payload), "{written}");
        assert_eq!(
            serde_json::from_str::<RunRequest>(&written).unwrap(),
            request
        );
    }
}
