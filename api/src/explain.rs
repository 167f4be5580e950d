//! What every kind and every key of the JSON means. The texts are the doc comments of the types themselves, so that
//! there is one of each.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::problem::Problem;
use crate::types;
use mainstay_protocol::code;
use mainstay_protocol::words::nearest;

/// A kind, or a key of one, by its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// `instance.reason.code`
    pub path: String,
    /// `text`, `number`, `list of text`; with `or null` where it may be.
    #[serde(rename = "type")]
    pub shape: String,
    pub text: String,
    /// The keys in it.
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub shape: String,
    pub text: String,
}

/// A word people use for it, in the singular; its schema.
struct Entry {
    word: &'static str,
    schema: fn() -> Value,
}

fn schema<T: JsonSchema>() -> Value {
    SchemaGenerator::default()
        .into_root_schema_for::<T>()
        .to_value()
}

macro_rules! entries {
    ($($word:literal: $shape:ty;)*) => {
        const ENTRIES: &[Entry] = &[$(Entry { word: $word, schema: schema::<$shape> }),*];
    };
}

entries! {
    "cluster": types::Cluster;
    "station": types::Station;
    "node": types::Node;
    "type": types::ServiceType;
    "placement": types::Placement;
    "instance": types::Instance;
    "name": types::Name;
    "supervisor": types::Supervisor;
    "configuration": types::Configuration;
    "parked": types::Parked;
    "resource": types::Resource;
    "asked": types::Asked;
    "procedure": types::Procedure;
    "collected": types::Collected;
    "token": types::Token;
    "identity": types::Identity;
    "certificate": types::Certificate;
    "secret": types::Secret;
    "group": types::Group;
    "orchestration": types::Orchestration;
    "activity": types::Activity;
    "run": types::Run;
    "step": types::Step;
    "service": types::Service;
    "artifact": types::Artifact;
    "order": types::Order;
    "rule": types::Rule;
    "status": types::Status;
    "why": types::Why;
    "impact": types::Impact;
    "graph": types::Graph;
    "event": types::Event;
    "decision": types::Decision;
}

/// Everything that can be explained but codes.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.word)
}

/// `instance`, `instances`, `instance.reason.code`.
pub fn explain(path: &str) -> Result<Explained, Problem> {
    let mut parts = path.split('.');
    let word = parts.next().unwrap_or_default();
    let entry = find(word).ok_or_else(|| {
        let why = format!("there is no kind \"{word}\"; there are {}", joined(kinds()));
        Problem::new(code::NOT_FOUND, format!("explain {path}"), why).near(nearest(word, kinds()))
    })?;
    let root = (entry.schema)();
    let mut at = root.clone();
    let mut walked = entry.word.to_owned();
    for part in parts {
        let keys = properties(&root, &at);
        let Some((_, next)) = keys.iter().find(|(name, _)| name == part) else {
            let names = || keys.iter().map(|(name, _)| name.as_str());
            let why = match keys.is_empty() {
                true => format!("{walked} has no keys of its own"),
                false => format!("{walked} has no key \"{part}\"; it has {}", joined(names())),
            };
            let problem = Problem::new(code::NOT_FOUND, format!("explain {path}"), why);
            return Err(problem
                .near(nearest(part, names()))
                .to_do(format!("mainstay explain {walked}")));
        };
        walked = format!("{walked}.{part}");
        at = next.clone();
    }
    let fields = properties(&root, &at)
        .into_iter()
        .map(|(name, schema)| Field {
            name,
            shape: shape(&root, &schema),
            text: text(&root, &schema),
        })
        .collect();
    Ok(Explained {
        path: walked,
        shape: shape(&root, &at),
        text: text(&root, &at),
        fields,
    })
}

fn find(word: &str) -> Option<&'static Entry> {
    let word = match word {
        "config" | "configs" => "configuration",
        word => word,
    };
    let mut entries = ENTRIES.iter();
    entries.find(|entry| word == entry.word || word.strip_suffix('s') == Some(entry.word))
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// What a schema says, whether it stands there or is referred to; without the null it may also be.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let path = reference.trim_start_matches('#');
        return match root.pointer(path) {
            Some(found) => resolved(root, found),
            None => schema,
        };
    }
    let not_null = schema["anyOf"]
        .as_array()
        .and_then(|ways| ways.iter().find(|way| way["type"] != "null"));
    match not_null {
        Some(way) => resolved(root, way),
        None => schema,
    }
}

/// The keys of an object, or of the objects in a list.
fn properties(root: &Value, schema: &Value) -> Vec<(String, Value)> {
    let schema = resolved(root, schema);
    if let Some(items) = schema.get("items") {
        return properties(root, items);
    }
    let own = schema["properties"].as_object().into_iter().flatten();
    let mut found: Vec<(String, Value)> = own
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    // One of several shapes: the keys of each.
    for way in schema["oneOf"].as_array().into_iter().flatten() {
        found.extend(properties(root, way).into_iter().map(|(name, mut schema)| {
            if schema.get("description").is_none() {
                schema["description"] = way["description"].clone();
            }
            (name, schema)
        }));
    }
    found
}

fn text(root: &Value, schema: &Value) -> String {
    let own = schema["description"].as_str();
    let text = own.or_else(|| resolved(root, schema)["description"].as_str());
    text.unwrap_or_default().replace('\n', " ")
}

/// In words.
fn shape(root: &Value, schema: &Value) -> String {
    let types = |schema: &Value| -> Vec<String> {
        match &schema["type"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => several
                .iter()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        }
    };
    let found = resolved(root, schema);
    let all = types(found);
    let may_be_null = all.iter().any(|one| one == "null")
        || schema["anyOf"]
            .as_array()
            .is_some_and(|ways| ways.iter().any(|way| way["type"] == "null"));
    let word = match all.iter().find(|one| *one != "null").map(String::as_str) {
        Some("string") if found["format"] == "date-time" => "time".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer" | "number") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => format!("list of {}", shape(root, &found["items"])),
        Some("object") => "object".to_owned(),
        _ if found["oneOf"].is_array() && !properties(root, found).is_empty() => {
            "object".to_owned()
        }
        _ if found["oneOf"].is_array() => "text".to_owned(),
        _ => "any JSON".to_owned(),
    };
    match may_be_null {
        true => format!("{word} or null"),
        false => word,
    }
}

#[cfg(test)]
mod tests {
    use mainstay_resource_graph::Kind;

    use super::*;
    use crate::present::Standing;
    use crate::present::find::KINDS;
    use crate::present::sample::Sample;

    /// Whatever stands in a value is explained: every key, also those within.
    fn demand(path: &str, value: &Value, missing: &mut Vec<String>) {
        // What people write themselves, and schemas.
        let free = [
            "config",
            "config_wanted",
            "schema",
            "data",
            "settings",
            "labels",
            "all",
            "definition",
            "outputs",
            "scratch",
        ];
        if free.iter().any(|key| path.ends_with(&format!(".{key}"))) {
            return;
        }
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let path = format!("{path}.{key}");
                    match explain(&path) {
                        Ok(found) if !found.text.is_empty() => demand(&path, value, missing),
                        Ok(_) | Err(_) => missing.push(path),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|one| demand(path, one, missing)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Every key of a schema, also those that no sample has.
    fn demand_all(path: &str, depth: usize, missing: &mut Vec<String>) {
        let found = explain(path).unwrap();
        if found.text.is_empty() {
            missing.push(path.to_owned());
        }
        if depth < 4 {
            for field in &found.fields {
                demand_all(&format!("{path}.{}", field.name), depth + 1, missing);
            }
        }
    }

    // case: usability 27
    #[test]
    fn every_key_of_every_kind_is_explained() {
        let sample = Sample::new();
        let present = sample.present();
        let mut missing = Vec::new();
        for kind in KINDS.into_iter().chain([Kind::Parked, Kind::Cluster]) {
            for key in sample.view().keys(kind) {
                let value = present.value(&key).unwrap();
                demand(kind.as_str(), &value, &mut missing);
            }
        }
        let standing = Standing {
            quorum: true,
            term: Some(1),
            data_age_ms: 0,
        };
        let as_json = |value: Result<Value, serde_json::Error>| value.unwrap();
        for (kind, value) in [
            (
                "status",
                as_json(serde_json::to_value(present.status(standing))),
            ),
            (
                "why",
                as_json(serde_json::to_value(present.why("rival@n1").unwrap())),
            ),
            (
                "impact",
                as_json(serde_json::to_value(present.impact("web@n1").unwrap())),
            ),
            (
                "graph",
                as_json(serde_json::to_value(present.graph(None, 0).unwrap())),
            ),
        ] {
            demand(kind, &value, &mut missing);
        }
        for kind in kinds() {
            demand_all(kind, 0, &mut missing);
        }
        assert!(
            missing.is_empty(),
            "write a doc comment for {missing:?} in api/src/types"
        );
    }

    #[test]
    fn a_key_is_explained_with_its_shape_and_those_within_it() {
        let reason = explain("instances.reason").unwrap();
        assert_eq!(reason.shape, "object or null");
        let names: Vec<&str> = reason.fields.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["code", "refs", "text"]);
        assert_eq!(explain("instance.since").unwrap().shape, "time");
        assert_eq!(explain("instance.process").unwrap().shape, "list of object");
        assert_eq!(explain("node.heard_ms").unwrap().shape, "number or null");
        assert_eq!(
            explain("placement.target.nodes").unwrap().shape,
            "list of text or null"
        );
        assert_eq!(
            explain("why.because.evidence").unwrap().shape,
            "text or null"
        );
    }

    #[test]
    fn what_is_not_there_is_answered_with_the_nearest() {
        let kind = explain("instanc").unwrap_err();
        assert_eq!(kind.nearest.first().map(String::as_str), Some("instance"));
        let key = explain("instance.stat").unwrap_err();
        assert_eq!(key.nearest.first().map(String::as_str), Some("state"));
        assert!(
            explain("instance.state.x")
                .unwrap_err()
                .why
                .contains("no keys")
        );
    }
}
