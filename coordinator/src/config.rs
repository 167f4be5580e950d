//! Configurations: canonical JSON and its hash, so that equal wishes are one vertex.

use mainstay_protocol::limits;
use mainstay_resource_graph::ConfigHash;
use serde_json::Value;
use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadConfig {
    #[error("the configuration is not JSON: {0}")]
    NotJson(String),
    #[error("the configuration must be an object such as {{\"greeting\": \"hello\"}}, not {0}")]
    NotAnObject(&'static str),
    #[error("the configuration has {0} bytes; at most {max} are kept", max = limits::JSON_BYTES_MAX)]
    TooLarge(usize),
}

/// The same object as text with sorted keys and no white space, and its hash. Empty text is `{}`.
pub fn canonical(text: &str) -> Result<(ConfigHash, String), BadConfig> {
    if text.len() > limits::JSON_BYTES_MAX {
        return Err(BadConfig::TooLarge(text.len()));
    }
    let value: Value = if text.trim().is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_str(text).map_err(|error| BadConfig::NotJson(error.to_string()))?
    };
    let kind = match &value {
        Value::Object(_) => None,
        Value::Null => Some("null"),
        Value::Bool(_) => Some("true or false"),
        Value::Number(_) => Some("a number"),
        Value::String(_) => Some("a text"),
        Value::Array(_) => Some("a list"),
    };
    if let Some(kind) = kind {
        return Err(BadConfig::NotAnObject(kind));
    }
    // serde_json's map is sorted by key unless its `preserve_order` feature is on; sort to be sure.
    let json = sorted(value).to_string();
    Ok((hash(&json), json))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(k, v)| (k, sorted(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// 16 hexadecimal digits: readable in a table, and collisions would need billions of configurations.
fn hash(json: &str) -> ConfigHash {
    ConfigHash(crate::hash::digest(json, 8))
}

/// What differs between two canonical objects, in words, for a conflict's message.
pub fn difference(have: &str, want: &str) -> String {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let (Value::Object(have), Value::Object(want)) = (parse(have), parse(want)) else {
        return format!("{have} against {want}");
    };
    let mut parts = Vec::new();
    for (key, value) in &have {
        match want.get(key) {
            None => parts.push(format!("{key}: {value} against nothing")),
            Some(other) if other != value => parts.push(format!("{key}: {value} against {other}")),
            Some(_) => {}
        }
    }
    for (key, value) in &want {
        if !have.contains_key(key) {
            parts.push(format!("{key}: nothing against {value}"));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_objects_have_one_hash_whatever_their_order() {
        let (a, text) = canonical(r#"{ "b": 1, "a": {"d": 2, "c": 3} }"#).unwrap();
        let (b, _) = canonical(r#"{"a":{"c":3,"d":2},"b":1}"#).unwrap();
        assert_eq!(a, b);
        assert_eq!(text, r#"{"a":{"c":3,"d":2},"b":1}"#);
        assert_eq!(canonical("").unwrap().1, "{}");
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_kind() {
        assert!(canonical("[1]").unwrap_err().to_string().contains("a list"));
        assert!(canonical("{").unwrap_err().to_string().contains("not JSON"));
    }

    #[test]
    fn a_difference_names_each_key() {
        let text = difference(r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3,"c":4}"#);
        assert_eq!(text, "b: 2 against 3, c: nothing against 4");
    }
}
