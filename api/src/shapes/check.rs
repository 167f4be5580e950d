//! Holds a value against a shape and tells everything that is wrong at once.

use std::fmt;

use mainstay_broker as broker;
use mainstay_protocol::label;
use mainstay_protocol::words::nearest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::duration::{duration, duration_text};
use super::path::{On, Path};
use super::shape::{Of, Shape};

/// One thing that is wrong with a specification, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flaw {
    /// Where: fields and indices from the top.
    pub path: Path,
    /// Whether the name of the field is wrong, or what it holds.
    pub on: On,
    /// What is wrong.
    pub why: String,
    /// The nearest valid names, where a name was wrong.
    pub nearest: Vec<String>,
}

/// `policy.window: wants ..`.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.why)
    }
}

impl Flaw {
    pub fn new(path: Path, why: impl Into<String>) -> Self {
        Self {
            path,
            on: On::Value,
            why: why.into(),
            nearest: Vec::new(),
        }
    }

    #[must_use]
    pub fn near(mut self, names: Vec<String>) -> Self {
        self.nearest = names;
        self
    }

    #[must_use]
    pub fn on_key(mut self) -> Self {
        self.on = On::Key;
        self
    }
}

/// Everything that is wrong with it; nothing is left for a later step but what only a cluster can know.
pub fn check(shape: &'static Shape, value: &Value) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    object(shape, value, &Path::default(), &mut flaws);
    flaws
}

fn object(shape: &'static Shape, value: &Value, path: &Path, flaws: &mut Vec<Flaw>) {
    let Value::Object(fields) = value else {
        let wants = format!("wants an object with {}", shape.names().join(", "));
        flaws.push(Flaw::new(path.clone(), wrong_kind(&wants, value)));
        return;
    };
    for (name, value) in fields {
        let at = path.field(name);
        match shape.field(name) {
            None => flaws.push(unknown(shape, name, at)),
            // A field that is null is one that is left out.
            Some(field) if value.is_null() && !field.required => {}
            Some(field) => of(&field.of, value, &at, flaws),
        }
    }
    missing(shape, fields, path, flaws);
}

fn unknown(shape: &'static Shape, name: &str, at: Path) -> Flaw {
    let names = shape.names();
    let near = nearest(name, names.iter().copied());
    let there = match near.is_empty() {
        true => format!("; there are {}", names.join(", ")),
        false => String::new(),
    };
    Flaw::new(at, format!("{} has no field \"{name}\"{there}", shape.name))
        .near(near)
        .on_key()
}

fn missing(shape: &'static Shape, fields: &Map<String, Value>, path: &Path, flaws: &mut Vec<Flaw>) {
    let there = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    for field in shape.fields {
        if field.required && !fields.contains_key(field.name) {
            let why = format!("\"{}\" is missing: {}", field.name, field.of.words());
            flaws.push(Flaw::new(path.clone(), why));
        }
    }
    for group in shape.one_of {
        let mut given: Vec<&str> = group.iter().copied().filter(|name| there(name)).collect();
        // `all` says which nodes are counted.
        if given == ["all", "count"] {
            given.remove(0);
        }
        match given.as_slice() {
            [_] => {}
            [] => {
                let why = format!("wants one of {}", group.join(", "));
                flaws.push(Flaw::new(path.clone(), why));
            }
            [_, second, ..] => {
                let why = format!("{} do not go together: write one", given.join(" and "));
                flaws.push(Flaw::new(path.field(second), why).on_key());
            }
        }
    }
}

fn of(of_: &Of, value: &Value, path: &Path, flaws: &mut Vec<Flaw>) {
    let flaw = |why: String| Some(Flaw::new(path.clone(), why));
    let found = match (of_, value) {
        (Of::Object(shape), value) => return object(shape, value, path, flaws),
        (Of::List(inner), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                of(inner, item, &path.index(index), flaws);
            }
            repeated(items, path, flaws);
            return;
        }
        (Of::Words, Value::Array(words)) => return self::words(words, path, flaws),
        (Of::Labels, Value::Object(labels)) => return self::labels(labels, path, flaws),
        (Of::Bool, Value::Bool(_)) | (Of::Free, Value::Object(_)) => None,
        (Of::Bool, Value::String(text)) => {
            flaw(format!("wants true or false, not the text \"{text}\""))
        }
        (Of::Name(_, parse), Value::String(text)) => parse(text).err().and_then(flaw),
        (Of::Name(what, _), Value::Number(_) | Value::Bool(_)) => {
            flaw(format!("wants {what}: write \"{value}\", in quotes"))
        }
        (Of::Count { min, max }, Value::Number(number)) => match number.as_u64() {
            Some(count) if (*min..=*max).contains(&count) => None,
            Some(_) | None => flaw(format!("wants a number from {min} to {max}, not {number}")),
        },
        (Of::Duration { min_ms, max_ms }, Value::String(text)) => match duration(text) {
            Err(bad) => flaw(bad.to_string()),
            Ok(ms) if (*min_ms..=*max_ms).contains(&ms) => None,
            Ok(_) => flaw(format!(
                "wants a time from {} to {}, not {text}",
                duration_text(*min_ms),
                duration_text(*max_ms)
            )),
        },
        (Of::Duration { .. }, Value::Number(number)) => flaw(format!(
            "wants a time with its unit: write {number}s or {number}ms"
        )),
        (Of::Cores | Of::Bytes, Value::String(_) | Value::Number(_)) => {
            amount(of_, value).and_then(flaw)
        }
        (Of::OneOf(words), Value::String(text)) => {
            if words.contains(&text.as_str()) {
                None
            } else {
                let why = format!("wants {}, not \"{text}\"", words.join(" or "));
                let near = nearest(text, words.iter().copied());
                flaws.push(Flaw::new(path.clone(), why).near(near));
                None
            }
        }
        (
            Of::Bool
            | Of::Name(..)
            | Of::Count { .. }
            | Of::Duration { .. }
            | Of::Cores
            | Of::Bytes
            | Of::OneOf(_)
            | Of::List(_)
            | Of::Words
            | Of::Labels
            | Of::Free,
            value,
        ) => flaw(wrong_kind(&format!("wants {}", of_.words()), value)),
    };
    flaws.extend(found);
}

/// What is wrong with a number of cores or bytes. Cores may stand without quotes: they have no unit.
fn amount(of_: &Of, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let read = match of_ {
        Of::Cores => broker::millicores(&text),
        _ => broker::bytes(&text),
    };
    read.err().map(|bad| bad.to_string())
}

/// The same thing twice in a list of names, or a dependency on one placement twice, is a slip of the pen.
fn repeated(items: &[Value], path: &Path, flaws: &mut Vec<Flaw>) {
    let name = |item: &Value| match item {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => {
            let text = |name: &str| fields.get(name).and_then(Value::as_str);
            // Beside it by one label, and by another one.
            let by = text("label").map(|label| format!(" by {label}"));
            text("placement").map(|name| format!("{name}{}", by.unwrap_or_default()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    };
    let names: Vec<Option<String>> = items.iter().map(name).collect();
    for (index, item) in names.iter().enumerate() {
        if let Some(item) = item
            && names[..index]
                .iter()
                .flatten()
                .any(|earlier| earlier == item)
        {
            flaws.push(Flaw::new(
                path.index(index),
                format!("\"{item}\" is there twice"),
            ));
        }
    }
}

fn words(words: &[Value], path: &Path, flaws: &mut Vec<Flaw>) {
    for (index, word) in words.iter().enumerate() {
        if !word.is_string() {
            let why = wrong_kind("wants a text", word);
            flaws.push(Flaw::new(path.index(index), why));
        }
    }
}

fn labels(labels: &Map<String, Value>, path: &Path, flaws: &mut Vec<Flaw>) {
    for (name, value) in labels {
        let at = path.field(name);
        if let Err(bad) = label::name(name) {
            flaws.push(Flaw::new(at.clone(), bad.to_string()).on_key());
        }
        match value {
            Value::String(text) => {
                let bad = label::value(text).err();
                flaws.extend(bad.map(|bad| Flaw::new(at, bad.to_string())));
            }
            Value::Number(_) | Value::Bool(_) => {
                let why = format!("a label's value is a text: write \"{value}\", in quotes");
                flaws.push(Flaw::new(at, why));
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                flaws.push(Flaw::new(at, wrong_kind("wants a text", value)));
            }
        }
    }
}

fn wrong_kind(wants: &str, value: &Value) -> String {
    let have = match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let mut short = text.clone();
            mainstay_protocol::words::cut(&mut short, WORD_BYTES_MAX);
            format!("the text {short:?}")
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("{wants}, and has {have}")
}

/// Bytes of a wrong text that a message repeats.
const WORD_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::shapes::PLACEMENT;

    fn told(value: &Value) -> Vec<String> {
        check(&PLACEMENT, value)
            .into_iter()
            .map(|flaw| format!("{}: {}", flaw.path, flaw.why))
            .collect()
    }

    fn good() -> Value {
        json!({"name": "web", "type": "greeter", "target": {"nodes": ["n1"]}})
    }

    fn with(field: &str, value: Value) -> Vec<String> {
        let mut spec = good();
        spec[field] = value;
        told(&spec)
    }

    #[test]
    fn a_specification_in_full_has_no_flaw() {
        let full = json!({
            "name": "web", "type": "noisy", "holds": "web", "target": {"all": {"role": "web"}},
            "config": {"anything": [1, null]},
            "policy": {"restart": "always", "attempts": 5, "window": "10m", "backoff": {"max": "60s"}},
            "depends_on": [{"placement": "db", "until": "healthy"}, {"placement": "q"}],
            "update": {"strategy": "rolling", "at_once": 2, "wait": "5s", "rollback": false}
        });
        assert_eq!(told(&full), [] as [&str; 0]);
        assert_eq!(with("policy", Value::Null), [] as [&str; 0]);
    }

    #[test]
    fn everything_is_told_at_once() {
        let bad = json!({"nmae": "web", "type": 7, "target": {}, "policy": {"window": "10x", "attempts": -1}});
        let told = told(&bad);
        assert_eq!(told.len(), 6, "{told:#?}");
    }

    #[test]
    fn so_many_are_of_nodes_with_labels_or_of_all_and_not_of_named_ones() {
        for (target, wanted) in [
            (json!({"nodes": ["n1"], "count": 3}), "do not go together"),
            (json!({"count": -1}), "target.count"),
            (json!({"count": 3, "spread": ""}), "target.spread"),
        ] {
            let found = with("target", target.clone());
            let said = found.iter().any(|line| line.contains(wanted));
            assert!(said, "{target}: {wanted} is not in {found:#?}");
        }
        let right = json!({"count": 3, "all": {"role": "web"}, "spread": "rack"});
        assert_eq!(with("target", right), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_value_is_held_to_its_field() {
        for (field, value, said) in [
            ("name", json!("Web"), "name: "),
            (
                "name",
                json!(null),
                "wants a placement's name, and has nothing",
            ),
            ("type", json!(8080), "write \"8080\", in quotes"),
            (
                "target",
                json!("n1"),
                "wants an object with nodes, all, count, spread, constraints, affinity, anti_affinity, and has the text \"n1\"",
            ),
            (
                "target",
                json!({"nodes": ["n1"], "all": {}}),
                "do not go together",
            ),
            (
                "target",
                json!({"nodes": ["n1", "n1"]}),
                "target.nodes[1]: \"n1\" is there twice",
            ),
            (
                "target",
                json!({"all": {"a": 1}}),
                "target.all.a: a label's value is a text",
            ),
            ("config", json!([1]), "wants an object, and has a list"),
            (
                "policy",
                json!({"restart": "alway"}),
                "wants always or on-failure or never",
            ),
            ("policy", json!({"window": 600}), "write 600s or 600ms"),
            (
                "policy",
                json!({"window": "1ms"}),
                "wants a time from 1s to 7days",
            ),
            (
                "policy",
                json!({"attempts": 1.5}),
                "wants a number from 1 to 32, not 1.5",
            ),
            (
                "update",
                json!({"rollback": "no"}),
                "wants true or false, not the text \"no\"",
            ),
            (
                "depends_on",
                json!([{"until": "healthy"}]),
                "depends_on[0]: \"placement\" is missing",
            ),
            ("depends_on", json!({"placement": "db"}), "wants a list"),
            ("singleton", json!({"lease": "2s"}), "3s"),
        ] {
            let told = with(field, value.clone());
            assert_eq!(told.len(), 1, "{value}: {told:#?}");
            assert!(told[0].contains(said), "{value}: {told:#?}");
        }
    }

    #[test]
    fn amounts_are_told_with_what_was_written() {
        for (field, value, said) in [
            (
                "needs",
                json!({"memory": 512}),
                "\"512\" is no number of bytes",
            ),
            (
                "needs",
                json!({"memory": "4gb"}),
                "\"4gb\" is no number of bytes",
            ),
            (
                "needs",
                json!({"cores": "two"}),
                "\"two\" is no number of cores",
            ),
            ("needs", json!({"ports": [0]}), "a number from 1 to 65535"),
        ] {
            let told = with(field, value.clone());
            assert_eq!(told.len(), 1, "{value}: {told:#?}");
            assert!(told[0].contains(said), "{value}: {told:#?}");
        }
    }

    #[test]
    fn an_unknown_field_names_the_nearest_or_all_there_are() {
        let mut spec = good();
        spec["polcy"] = json!({});
        spec["xyzzy"] = json!(1);
        let flaws = check(&PLACEMENT, &spec);
        let of = |name: &str| flaws.iter().find(|flaw| flaw.why.contains(name)).unwrap();
        assert_eq!(of("polcy").nearest, ["policy"]);
        assert_eq!(of("polcy").on, On::Key);
        assert!(
            of("xyzzy").why.contains("there are name, type"),
            "{:?}",
            of("xyzzy")
        );
    }

    #[test]
    fn a_field_is_found_by_its_path_through_lists() {
        assert_eq!(PLACEMENT.find("policy.backoff.max").unwrap().name, "max");
        assert_eq!(
            PLACEMENT.find("depends_on.until").unwrap().default,
            "healthy"
        );
        assert!(PLACEMENT.find("policy.nothing").is_none());
        assert!(PLACEMENT.find("config.anything").is_none());
    }
}
