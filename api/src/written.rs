//! What people write, as JSON Schemas for editors and other programs: made of the types below and of nothing else, checked in
//! under `docs/schemas/` and served. What a file means is judged where it is read; keys that these do not name are taken,
//! and told of.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::types::WrittenSchema;

/// An orchestration: activities, and which waits for which.
#[derive(JsonSchema)]
#[schemars(rename = "Orchestration", rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is made")]
struct OrchestrationFile {
    /// What it is called by.
    #[schemars(rename = "type", extend("pattern" = NAME))]
    name: String,
    /// In words.
    description: Option<String>,
    /// Whether runs of it can begin; true unless said.
    active: Option<bool>,
    /// A JSON Schema of what a run must be given.
    schema: Option<BTreeMap<String, Value>>,
    /// What stands under what a run is given.
    input: Option<BTreeMap<String, Value>>,
    /// What a run leaves behind.
    output: Option<Vec<Mapped>>,
    /// What follows an error that no attempt can mend.
    on_fatal: Option<OnFatal>,
    /// One list, or several by what is done: deploy, dispose.
    activities: Activities,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is made")]
enum OnFatal {
    Stop,
    Compensate,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is made")]
enum Activities {
    One(Vec<ActivityEntry>),
    Sections(BTreeMap<String, Vec<ActivityEntry>>),
}

/// An activity of an orchestration.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is made")]
struct ActivityEntry {
    /// What it is called by in this definition.
    #[schemars(extend("pattern" = NAME))]
    id: String,
    /// Its type, as `mainstay activity list` has it.
    #[schemars(rename = "type", extend("pattern" = NAME))]
    of: String,
    /// What whoever does several things is to do.
    discriminator: Option<String>,
    /// It begins when these are complete.
    depends_on: Option<OneOrSeveral>,
    /// What it is given, exactly; all of the run's input unless said.
    inputs: Option<Vec<Mapped>>,
    /// Over what its type says.
    retry: Option<RetryFile>,
    /// An attempt that takes longer has failed, as in 5m.
    attempt_timeout: Option<String>,
    /// Whoever waits longer for somebody outside has failed for good.
    wait_timeout: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is made")]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

/// A name that is source and target, or both.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is made")]
enum Mapped {
    Same(String),
    From {
        /// `name` of the run's input, or `activity.path.to.it`.
        source: String,
        /// What it is called where it goes.
        target: String,
    },
}

/// How often and when it is tried again.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is made")]
struct RetryFile {
    /// Attempts in all, 1 to 1000.
    max_attempts: Option<u32>,
    /// The first wait, as in 1s.
    first: Option<String>,
    /// The longest wait.
    max: Option<String>,
    /// By which waits grow, 1 to 100.
    factor: Option<u32>,
    /// Whether waits are spread.
    jitter: Option<bool>,
    /// No attempt begins after it.
    total_timeout: Option<String>,
}

/// A type of activity: who does it, what it takes and leaves behind.
#[derive(JsonSchema)]
#[schemars(rename = "Activity", rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is made")]
struct ActivityFile {
    /// What it is called by.
    #[schemars(rename = "type", extend("pattern" = NAME))]
    name: String,
    /// Whoever says that they do it.
    #[schemars(length(min = 1))]
    provider: String,
    /// In words.
    description: Option<String>,
    /// A JSON Schema of what it takes; it may stand in `openAPIV3Schema`.
    input_schema: Option<BTreeMap<String, Value>>,
    /// A JSON Schema of what it leaves behind; it may stand in `openAPIV3Schema`.
    output_schema: Option<BTreeMap<String, Value>>,
    /// What its activities go by where they say nothing.
    retry: Option<RetryFile>,
    /// Modules that it needs.
    modules: Option<BTreeMap<String, Value>>,
}

/// A service that others order, or that is hosted.
#[derive(JsonSchema)]
#[schemars(rename = "Service")]
#[expect(dead_code, reason = "only its schema is made")]
struct ServiceFile {
    /// `urn:ivcap:schema:service.2`, or an older one.
    #[schemars(rename = "$schema")]
    form: String,
    /// What it is called by, as in urn:ivcap:service:UUID.
    id: String,
    /// What people call it.
    name: String,
    /// In words.
    description: Option<String>,
    /// What an order of it says.
    parameters: Option<Vec<ParameterFile>>,
    /// What it runs; its `$schema` is the model.
    controller: Option<ControllerFile>,
    /// What a service.1 runs.
    workflow: Option<BTreeMap<String, Value>>,
    /// For people.
    tags: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct ControllerFile {
    /// The model, as in urn:ivcap:schema:service.basic.1.
    #[schemars(rename = "$schema")]
    model: String,
}

/// What an order says, or may say.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct ParameterFile {
    /// What it is called by: no braces, no points.
    name: String,
    #[schemars(rename = "type")]
    of: ParameterOf,
    /// What people call it.
    label: Option<String>,
    /// Of what a number is so many.
    unit: Option<String>,
    /// In words.
    description: Option<String>,
    /// What it is where an order says nothing.
    default: Option<Value>,
    /// An order can leave it out although it has no default.
    optional: Option<bool>,
    /// It is always its default.
    constant: Option<bool>,
    /// The values that it can have, or objects with `value`.
    options: Option<Vec<Value>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is made")]
enum ParameterOf {
    String,
    Int,
    Float,
    Bool,
    Artifact,
    Queue,
}

/// Of what things are called by.
const NAME: &str = "^[A-Za-z0-9._-]{1,128}$";

/// What there are schemas of.
pub const NAMES: [&str; 3] = ["activity", "orchestration", "service"];

/// One of `NAMES`, laid out for people to read as well.
pub fn schema(name: &str) -> Option<String> {
    let generator = SchemaGenerator::default();
    let made: Schema = match name {
        "activity" => generator.into_root_schema_for::<ActivityFile>(),
        "orchestration" => generator.into_root_schema_for::<OrchestrationFile>(),
        "service" => generator.into_root_schema_for::<ServiceFile>(),
        _ => return None,
    };
    let text = serde_json::to_string_pretty(&made).ok()?;
    Some(text + "\n")
}

/// All that there are.
pub fn list() -> Vec<WrittenSchema> {
    let about = |name: &str| {
        let made: Option<Value> = serde_json::from_str(&schema(name)?).ok();
        Some(made?["description"].as_str()?.to_owned())
    };
    let all = NAMES.iter().map(|name| WrittenSchema {
        name: (*name).to_owned(),
        about: about(name).unwrap_or_default(),
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::schema;

    fn read(path: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// `UPDATE=1` rewrites them; the difference is reviewed like code.
    #[test]
    fn schemas_that_are_checked_in_are_what_the_code_says() {
        for name in NAMES {
            let made = super::schema(name).unwrap();
            let file = format!("docs/schemas/{name}.json");
            if std::env::var_os("UPDATE").is_some() {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&file);
                std::fs::write(path, &made).unwrap();
            }
            assert!(
                read(&file) == made,
                "{file} is not what the code says; UPDATE=1 rewrites it"
            );
        }
    }

    #[test]
    fn what_is_taken_fits_its_schema_and_what_is_not_does_not() {
        for (name, file) in [
            (
                "activity",
                "orchestrator/tests/examples/activity-definition.json",
            ),
            (
                "orchestration",
                "orchestrator/tests/examples/orchestration-tenant.json",
            ),
            (
                "orchestration",
                "orchestrator/tests/examples/orchestration-test-deploy.json",
            ),
            ("orchestration", "examples/orchestrations/tenant.json"),
            ("orchestration", "examples/orchestrations/saga.json"),
            ("service", "orchestrator/tests/examples/service-basic.json"),
            (
                "service",
                "orchestrator/tests/examples/service-basic-v1-legacy.json",
            ),
            (
                "service",
                "orchestrator/tests/examples/service-argo-wf.json",
            ),
            ("service", "examples/services/two-steps.json"),
        ] {
            let of = super::schema(name).unwrap();
            let wrong = schema::check(&of, &read(file));
            assert!(wrong.is_empty(), "{file}: {wrong:?}");
        }
        for (name, text) in [
            ("activity", r#"{"type":"a"}"#),
            ("orchestration", r#"{"type":"a","activities":7}"#),
            ("orchestration", r#"{"type":"a","activities":[{"id":"a"}]}"#),
            (
                "orchestration",
                r#"{"type":"a","activities":[{"id":"a","type":"b","inputs":[{"source":"x"}]}]}"#,
            ),
            (
                "service",
                r#"{"$schema":"urn:ivcap:schema:service.2","id":"a","name":"b","parameters":[{"name":"n","type":"strng"}]}"#,
            ),
        ] {
            let of = super::schema(name).unwrap();
            assert!(!schema::check(&of, text).is_empty(), "{name}: {text}");
        }
        assert_eq!(super::schema("cluster"), None);
        assert!(
            list().iter().all(|one| one.about.ends_with('.')),
            "{:?}",
            list()
        );
    }
}
