//! The API's document as it is checked in, and answers held against it.
//!
//! The reader of schemas is our own, against the rule that a library goes before own code: those there are bring thirty
//! crates and more, and turn on features of crates that we ship (how `serde_json` reads numbers is one), so that tests would
//! not run what is shipped. It knows the words that our schemas use; any other ends the test, so that nothing is passed
//! over. And it is stricter than they are: an answer has no key that is not written down.

pub mod http;
pub mod spoiled;

use std::path::Path;

use serde_json::{Map, Value};

use http::Answer;

#[derive(Debug, Clone)]
pub struct Document(Value);

/// A route of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `GET`.
    pub method: String,
    /// With `{parameters}`.
    pub route: String,
    told: Value,
}

impl Document {
    /// The one that is checked in.
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let text = std::fs::read_to_string(path).expect("the document is checked in");
        Self(serde_json::from_str(&text).expect("it is JSON"))
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().expect("it has paths");
        let of_path = |(route, operations): (&String, &Value)| {
            let operations = operations.as_object().expect("operations by their methods");
            let operation = |(method, told): (&String, &Value)| Operation {
                method: method.to_uppercase(),
                route: route.clone(),
                told: told.clone(),
            };
            operations.iter().map(operation).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    #[track_caller]
    pub fn operation(&self, method: &str, route: &str) -> Operation {
        let mut all = self.operations().into_iter();
        all.find(|one| one.method == method && one.route == route)
            .unwrap_or_else(|| panic!("{method} {route} is in the document"))
    }

    /// What of an answer is not as the document says.
    pub fn flaws(&self, operation: &Operation, answer: &Answer) -> Vec<String> {
        let responses = &operation.told["responses"];
        let told = match &responses[answer.status.to_string()] {
            Value::Null => &responses["default"],
            told => told,
        };
        let told = self.meant(told);
        let mut flaws = Vec::new();
        for header in ["x-request-id", "mainstay-data-age-ms"] {
            if !answer.headers.contains_key(header) {
                flaws.push(format!("the header {header} is missing"));
            }
        }
        for header in ["mainstay-next", "etag"] {
            if answer.headers.contains_key(header) && told["headers"].get(header).is_none() {
                flaws.push(format!("the header {header} is not written down"));
            }
        }
        let kind = answer.kind();
        let Some(content) = told["content"].get(kind) else {
            flaws.push(format!(
                "{} is answered as {kind}, which is not written down",
                answer.status
            ));
            return flaws;
        };
        match (kind, content.get("x-data"), content.get("schema")) {
            ("text/event-stream", Some(of_data), _) => {
                self.hold(&answer.event(), of_data, "data", &mut flaws);
            }
            (json, _, Some(schema)) if json.ends_with("json") => {
                self.hold(&answer.json(), schema, "", &mut flaws);
            }
            (_, _, Some(schema)) => {
                self.hold(&Value::String(answer.text()), schema, "", &mut flaws);
            }
            // Bytes of somebody else's format.
            (_, _, None) => {}
        }
        if json_problem(kind) && answer.json()["status"] != answer.status {
            flaws.push(format!("it is {} and says otherwise", answer.status));
        }
        flaws
    }

    /// What of a request's body is not as the document says.
    pub fn flaws_of_body(&self, operation: &Operation, body: &Value) -> Vec<String> {
        let content = &operation.told["requestBody"]["content"]["application/json"];
        let mut flaws = Vec::new();
        match content.get("schema") {
            Some(schema) => self.hold(body, schema, "", &mut flaws),
            None => flaws.push("it takes no body".to_owned()),
        }
        flaws
    }

    /// What a reference leads to.
    fn meant<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            None => value,
            Some(reference) => {
                let path = reference.trim_start_matches('#');
                let found = self.0.pointer(path);
                found.unwrap_or_else(|| panic!("{reference} leads somewhere"))
            }
        }
    }

    fn hold(&self, value: &Value, schema: &Value, at: &str, flaws: &mut Vec<String>) {
        let words = match schema {
            Value::Bool(true) => return,
            Value::Object(words) => words,
            other => panic!("{other} is no schema we use"),
        };
        for (word, wanted) in words {
            match word.as_str() {
                // For people.
                "description" | "default" | "title" => {}
                // Read together, below.
                "properties" | "required" | "additionalProperties" => {}
                "$ref" => self.hold(value, self.meant(schema), at, flaws),
                "anyOf" | "oneOf" => self.hold_to_one(value, wanted, at, flaws),
                "items" => {
                    for (index, one) in value.as_array().into_iter().flatten().enumerate() {
                        self.hold(one, wanted, &format!("{at}[{index}]"), flaws);
                    }
                }
                word => {
                    if !is_met(value, word, wanted) {
                        flaws.push(format!("{at}: {value} is not of {word} {wanted}"));
                    }
                }
            }
        }
        if let Value::Object(fields) = value {
            self.hold_fields(fields, words, at, flaws);
        }
    }

    fn hold_fields(
        &self,
        fields: &Map<String, Value>,
        words: &Map<String, Value>,
        at: &str,
        flaws: &mut Vec<String>,
    ) {
        for key in words
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let key = key.as_str().expect("a key is text");
            if !fields.contains_key(key) {
                flaws.push(format!("{at}.{key} is missing"));
            }
        }
        let known = words.get("properties").and_then(Value::as_object);
        let others = words.get("additionalProperties");
        for (key, value) in fields {
            let at = format!("{at}.{key}");
            match (known.and_then(|known| known.get(key)), others) {
                (Some(schema), _) => self.hold(value, schema, &at, flaws),
                (None, Some(Value::Bool(false))) => flaws.push(format!("{at} is refused")),
                (None, Some(schema)) => self.hold(value, schema, &at, flaws),
                (None, None) if known.is_some() => flaws.push(format!("{at} is not written down")),
                (None, None) => {}
            }
        }
    }

    /// One of several ways. Told is what is wrong by the one that is nearest.
    fn hold_to_one(&self, value: &Value, ways: &Value, at: &str, flaws: &mut Vec<String>) {
        let ways = ways.as_array().expect("ways are a list");
        let tried = ways.iter().map(|way| {
            let mut flaws = Vec::new();
            self.hold(value, way, at, &mut flaws);
            flaws
        });
        let nearest = tried.min_by_key(Vec::len);
        flaws.extend(nearest.expect("there is a way"));
    }
}

impl Operation {
    /// The names of its parameters of one kind: `path`, `query`; those alone that are needed, where that is said.
    pub fn parameters(&self, place: &str, needed_only: bool) -> Vec<String> {
        let all = self.told["parameters"].as_array().expect("a list");
        all.iter()
            .filter(|one| one["in"] == place && (!needed_only || one["required"] == true))
            .map(|one| one["name"].as_str().expect("a name").to_owned())
            .collect()
    }

    pub fn content(&self) -> Vec<String> {
        let content = self.told["responses"]["200"]["content"].as_object();
        content.expect("a type").keys().cloned().collect()
    }
}

/// Whether a value is as one word of a schema says, by itself.
fn is_met(value: &Value, word: &str, wanted: &Value) -> bool {
    let bound = || wanted.as_f64().expect("a bound is a number");
    match word {
        "type" => types(wanted).any(|name| is_of_type(value, name)),
        "enum" => wanted.as_array().is_some_and(|all| all.contains(value)),
        "const" => value == wanted,
        "format" => is_of_format(value, wanted.as_str().unwrap_or_default()),
        "minimum" => value.as_f64().is_none_or(|number| number >= bound()),
        "maximum" => value.as_f64().is_none_or(|number| number <= bound()),
        other => panic!("the schemas use {other} now: teach it to this test"),
    }
}

fn json_problem(kind: &str) -> bool {
    kind == "application/problem+json"
}

fn types(wanted: &Value) -> impl Iterator<Item = &str> {
    let several = wanted.as_array().into_iter().flatten();
    several.chain([wanted]).filter_map(Value::as_str)
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type of JSON"),
    }
}

/// What is of another type is not judged by a format.
fn is_of_format(value: &Value, name: &str) -> bool {
    match (name, value) {
        // 2026-11-21T05:36:43.120Z
        ("date-time", Value::String(text)) => {
            let shape = |c: char| if c.is_ascii_digit() { '9' } else { c };
            let shape: String = text.chars().map(shape).collect();
            shape == "9999-99-99T99:99:99.999Z"
        }
        ("uint8" | "uint16" | "uint32" | "uint64" | "uint", Value::Number(number)) => {
            number.is_u64()
        }
        ("date-time" | "uint8" | "uint16" | "uint32" | "uint64" | "uint", _) => true,
        (other, _) => panic!("the schemas use the format {other} now: teach it to this test"),
    }
}
