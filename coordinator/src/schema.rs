//! Configurations against their type's JSON Schema, where people give them and again where they become wishes.
//!
//! What is checked is what the schemas of our types say: types, fields, what must be there, values, bounds, and the
//! ways to combine these. A keyword that is not known here (`pattern`, `format`) is left to the node, which reads the
//! configuration with the type's own code. A whole library of the standard would bring thirty crates into a pure one,
//! hash seeds among them, and its messages name schemas and not fields.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;

use mainstay_orchestrator::Pointer;
use mainstay_protocol::words::nearest;
use serde_json::{Map, Value};

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The field from the top, as in `check.http`; empty for the configuration itself.
    pub path: String,
    /// The same place as an RFC 6901 pointer: `/check/http`.
    pub pointer: Pointer,
    pub text: String,
    /// The nearest valid names, where a name was wrong.
    pub nearest: Vec<String>,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.text),
            path => write!(f, "{path}: {}", self.text),
        }
    }
}

/// References to references end here, and so does a configuration nested deeper than any we keep.
const DEPTH_MAX: usize = 128;
/// So often a schema is held against a value, in one check: what refers to itself twice would otherwise never end.
const LOOKS_MAX: u32 = 200_000;
/// What is wrong beyond this is not told.
const WRONG_MAX: usize = 64;
/// References to references, where a schema is put into words.
const WORDS_DEPTH_MAX: usize = 8;

/// Everything that is wrong, in the order of the fields; nothing when it fits, or when the schema is none.
pub fn check(schema: &str, config: &str) -> Vec<Wrong> {
    let Ok(schema) = serde_json::from_str::<Value>(schema) else {
        return Vec::new();
    };
    match serde_json::from_str(config) {
        Ok(config) => check_values(&schema, &config),
        // A number beyond all that are compared: whoever sent it is told, not let through.
        Err(error) => vec![Place::top().wrong(format!("it cannot be checked: {error}"))],
    }
}

pub fn check_values(schema: &Value, config: &Value) -> Vec<Wrong> {
    let checker = Checker {
        root: schema,
        looks_left: Cell::new(LOOKS_MAX),
    };
    let mut found = Vec::new();
    checker.value(schema, config, &Place::top(), &mut found);
    if checker.looks_left.get() == 0 {
        let text = "there is more to check than is checked: it, or its schema, refers to too much";
        return vec![Place::top().wrong(text)];
    }
    found.truncate(WRONG_MAX);
    found
}

/// Keywords of the standard that are not looked at here, each with its place: whoever writes a schema of their own should
/// know.
pub fn not_held(schema: &str) -> Vec<(String, Pointer)> {
    let mut found = Vec::new();
    if let Ok(schema) = serde_json::from_str::<Value>(schema) {
        not_held_in(&schema, &Pointer::root(), &mut found);
    }
    found
}

const NOT_HELD: [&str; 13] = [
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "multipleOf",
    "not",
    "pattern",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedProperties",
    "uniqueItems",
];
/// Data, not schemas.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];
/// By names that people choose.
const BY_NAME: [&str; 3] = ["properties", "$defs", "definitions"];

fn not_held_in(schema: &Value, at: &Pointer, found: &mut Vec<(String, Pointer)>) {
    match schema {
        Value::Object(rules) => {
            for (keyword, below) in rules {
                let place = at.key(keyword);
                match below {
                    _ if found.len() >= WRONG_MAX => return,
                    _ if NOT_HELD.contains(&keyword.as_str()) => {
                        found.push((keyword.clone(), place));
                    }
                    _ if DATA.contains(&keyword.as_str()) => {}
                    Value::Object(named) if BY_NAME.contains(&keyword.as_str()) => {
                        for (name, below) in named {
                            not_held_in(below, &place.key(name), found);
                        }
                    }
                    below => not_held_in(below, &place, found),
                }
            }
        }
        Value::Array(schemas) => {
            for (number, below) in schemas.iter().enumerate() {
                not_held_in(below, &at.index(number), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A field of what stands at this path.
pub(crate) fn field(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// The field being looked at.
struct Place {
    path: String,
    pointer: Pointer,
    depth: usize,
}

impl Place {
    fn top() -> Self {
        Self {
            path: String::new(),
            pointer: Pointer::root(),
            depth: 0,
        }
    }

    fn field(&self, name: &str) -> Self {
        Self {
            path: field(&self.path, name),
            pointer: self.pointer.key(name),
            depth: self.depth + 1,
        }
    }

    /// The same field, one schema further in.
    fn same(&self) -> Self {
        Self {
            path: self.path.clone(),
            pointer: self.pointer.clone(),
            depth: self.depth + 1,
        }
    }

    fn wrong(&self, text: impl Into<String>) -> Wrong {
        Wrong {
            path: self.path.clone(),
            pointer: self.pointer.clone(),
            text: text.into(),
            nearest: Vec::new(),
        }
    }
}

struct Checker<'a> {
    /// References lead from here.
    root: &'a Value,
    looks_left: Cell<u32>,
}

impl Checker<'_> {
    fn value(&self, schema: &Value, value: &Value, at: &Place, found: &mut Vec<Wrong>) {
        let Some(left) = self.looks_left.get().checked_sub(1) else {
            return;
        };
        self.looks_left.set(left);
        let rules = match schema {
            Value::Bool(false) => return found.push(at.wrong("nothing may be here")),
            Value::Object(rules) if at.depth < DEPTH_MAX => rules,
            Value::Object(_)
            | Value::Bool(true)
            | Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => return,
        };
        let nullable = rules.get("nullable").and_then(Value::as_bool) == Some(true);
        if nullable && value.is_null() {
            return;
        }
        if let Some(target) = rules.get("$ref").and_then(|name| self.target(name)) {
            self.value(target, value, &at.same(), found);
        }
        if let Some(text) = wrong_type(rules, value) {
            return found.push(at.wrong(text));
        }
        self.one_of_values(rules, value, at, found);
        bounds(rules, value, at, found);
        if let Value::Object(fields) = value {
            self.fields(rules, fields, at, found);
        }
        if let Value::Array(items) = value {
            self.items(rules, items, at, found);
        }
        self.combinations(rules, value, at, found);
    }

    fn target(&self, name: &Value) -> Option<&Value> {
        let pointer = name.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    fn one_of_values(
        &self,
        rules: &Map<String, Value>,
        value: &Value,
        at: &Place,
        found: &mut Vec<Wrong>,
    ) {
        let allowed: Vec<&Value> = match (rules.get("const"), rules.get("enum")) {
            (Some(only), _) => vec![only],
            (None, Some(Value::Array(values))) => values.iter().collect(),
            (None, _) => return,
        };
        if allowed.contains(&value) {
            return;
        }
        let words = allowed.iter().filter_map(|value| value.as_str());
        let near = value
            .as_str()
            .map(|text| nearest(text, words))
            .unwrap_or_default();
        let all: Vec<String> = allowed.iter().map(|value| shown(value)).collect();
        found.push(Wrong {
            nearest: near,
            ..at.wrong(format!("{} is none of {}", shown(value), all.join(", ")))
        });
    }

    fn fields(
        &self,
        rules: &Map<String, Value>,
        fields: &Map<String, Value>,
        at: &Place,
        found: &mut Vec<Wrong>,
    ) {
        let none = Map::new();
        let known = rules
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let others = rules.get("additionalProperties");
        // Names by pattern are for the node to judge.
        let open = rules.contains_key("patternProperties");
        for (name, value) in fields {
            match (known.get(name), others) {
                (Some(schema), _) => self.value(schema, value, &at.field(name), found),
                (None, Some(Value::Bool(false))) if !open => {
                    found.push(Wrong {
                        nearest: nearest(name, known.keys().map(String::as_str)),
                        ..at.field(name).wrong(no_such_field(known))
                    });
                }
                (None, Some(schema)) if !open => {
                    self.value(schema, value, &at.field(name), found);
                }
                (None, Some(_) | None) => {}
            }
        }
        let required = rules.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                found.push(at.field(name).wrong("it is missing"));
            }
        }
    }

    fn items(
        &self,
        rules: &Map<String, Value>,
        items: &[Value],
        at: &Place,
        found: &mut Vec<Wrong>,
    ) {
        let first = rules.get("prefixItems").and_then(Value::as_array);
        for (number, item) in items.iter().enumerate() {
            let schema = first
                .and_then(|first| first.get(number))
                .or_else(|| rules.get("items"));
            if let Some(schema) = schema {
                self.value(schema, item, &at.field(&number.to_string()), found);
            }
        }
    }

    fn combinations(
        &self,
        rules: &Map<String, Value>,
        value: &Value,
        at: &Place,
        found: &mut Vec<Wrong>,
    ) {
        let list = |keyword: &str| rules.get(keyword).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            self.value(schema, value, &at.same(), found);
        }
        // Our types make `oneOf` of what excludes each other anyway: more than one match is no fault of the writer.
        for schemas in [list("anyOf"), list("oneOf")].into_iter().flatten() {
            found.extend(self.nearest_way(schemas, value, at));
        }
    }

    /// Nothing if one of the schemas fits; else what is wrong with the one that was most likely meant.
    fn nearest_way(&self, schemas: &[Value], value: &Value, at: &Place) -> Vec<Wrong> {
        let mut tries: Vec<Vec<Wrong>> = Vec::new();
        for schema in schemas {
            let mut wrong = Vec::new();
            self.value(schema, value, &at.same(), &mut wrong);
            if wrong.is_empty() {
                return Vec::new();
            }
            tries.push(wrong);
        }
        // What is wrong further in was closer than what is wrong right here.
        let here = |wrong: &Vec<Wrong>| wrong.iter().filter(|one| one.path == at.path).count();
        let meant = tries
            .into_iter()
            .min_by_key(|wrong| (here(wrong), wrong.len()));
        match meant {
            Some(wrong) if here(&wrong) == 0 && !no_way_begun(schemas, value) => wrong,
            Some(mut wrong) if wrong.len() == 1 || no_way_begun(schemas, value) => {
                let all: Vec<String> = schemas
                    .iter()
                    .filter_map(|one| self.in_words(one, 0))
                    .collect();
                if all.len() == schemas.len() {
                    wrong.truncate(1);
                    wrong[0].path.clone_from(&at.path);
                    wrong[0].pointer.clone_from(&at.pointer);
                    wrong[0].text = format!("{} is none of {}", shown(value), all.join(", "));
                }
                wrong
            }
            Some(wrong) => wrong,
            None => Vec::new(),
        }
    }

    /// What a schema takes, in a word or two.
    fn in_words(&self, schema: &Value, depth: usize) -> Option<String> {
        if depth > WORDS_DEPTH_MAX {
            return None;
        }
        if let Some(target) = schema.get("$ref").and_then(|name| self.target(name)) {
            return self.in_words(target, depth + 1);
        }
        if let Some(only) = schema.get("const") {
            return Some(shown(only));
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let values: Vec<String> = values.iter().map(shown).collect();
            return Some(values.join(", "));
        }
        if let Some(fields) = schema.get("required").and_then(Value::as_array)
            && let Some(name) = fields.first().and_then(Value::as_str)
        {
            return Some(format!("{{{name}: ..}}"));
        }
        schema.get("type").and_then(Value::as_str).map(in_words)
    }
}

/// An object with none of the fields by which the ways to write one are told apart.
fn no_way_begun(schemas: &[Value], value: &Value) -> bool {
    let Value::Object(fields) = value else {
        return false;
    };
    let mut marks = Vec::new();
    for schema in schemas {
        let required = schema.get("required").and_then(Value::as_array);
        let is_plain = schema.get("const").is_some() || schema.get("enum").is_some();
        match required {
            Some(required) => marks.extend(required.iter().filter_map(Value::as_str)),
            None if is_plain => {}
            // Any object may be meant by it.
            None => return false,
        }
    }
    !marks.is_empty() && !marks.iter().any(|mark| fields.contains_key(*mark))
}

fn no_such_field(known: &Map<String, Value>) -> String {
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    match names.is_empty() {
        true => "there is no such field; it takes none".to_owned(),
        false => format!("there is no such field; there are {}", names.join(", ")),
    }
}

fn wrong_type(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let wanted: Vec<&str> = match rules.get("type")? {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    if wanted.iter().any(|name| is_of_type(name, value)) {
        return None;
    }
    let wanted: Vec<String> = wanted.into_iter().map(in_words).collect();
    Some(format!("{} is not {}", shown(value), wanted.join(" or ")))
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        // Beyond these two all that floats tell apart are whole.
        "integer" => {
            let is_larger = |number: f64| number.abs() >= i64::MAX as f64;
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(is_larger)
        }
        _ => true,
    }
}

fn in_words(name: &str) -> String {
    match name {
        "null" => "null",
        "boolean" => "true or false",
        "string" => "a text",
        "array" => "a list",
        "object" => "an object",
        "number" => "a number",
        "integer" => "a whole number",
        other => other,
    }
    .to_owned()
}

fn bounds(rules: &Map<String, Value>, value: &Value, at: &Place, found: &mut Vec<Wrong>) {
    let limit = |keyword: &str| rules.get(keyword).and_then(Value::as_f64);
    let (size, of) = match value {
        Value::Number(number) => (number.as_f64().unwrap_or_default(), Sized::Number),
        Value::String(text) => (text.chars().count() as f64, Sized::Text),
        Value::Array(items) => (items.len() as f64, Sized::List),
        Value::Object(fields) => (fields.len() as f64, Sized::Object),
        Value::Null | Value::Bool(_) => return,
    };
    let (least, most, unit) = match of {
        Sized::Number => ("minimum", "maximum", ""),
        Sized::Text => ("minLength", "maxLength", " characters"),
        Sized::List => ("minItems", "maxItems", " items"),
        Sized::Object => ("minProperties", "maxProperties", " fields"),
    };
    if let Some(exact) = exact_bounds(rules, value) {
        found.extend(exact.into_iter().map(|text| at.wrong(text)));
        return;
    }
    if let Some(least) = limit(least).filter(|least| size < *least) {
        found.push(at.wrong(format!("{size}{unit} is less than {least}")));
    }
    if let Some(most) = limit(most).filter(|most| size > *most) {
        found.push(at.wrong(format!("{size}{unit} is more than {most}")));
    }
    if let Sized::Number = of {
        if let Some(low) = limit("exclusiveMinimum").filter(|low| size <= *low) {
            found.push(at.wrong(format!("{size} is not more than {low}")));
        }
        if let Some(high) = limit("exclusiveMaximum").filter(|high| size >= *high) {
            found.push(at.wrong(format!("{size} is not less than {high}")));
        }
    }
}

/// Of a whole number among whole numbers: beyond 2^53 others are no longer told apart.
fn exact_bounds(rules: &Map<String, Value>, value: &Value) -> Option<Vec<String>> {
    let whole = |value: &Value| {
        let signed = value.as_i64().map(i128::from);
        signed.or_else(|| value.as_u64().map(i128::from))
    };
    let number = whole(value)?;
    let mut wrong = Vec::new();
    let words = [
        ("minimum", "is less than"),
        ("maximum", "is more than"),
        ("exclusiveMinimum", "is not more than"),
        ("exclusiveMaximum", "is not less than"),
    ];
    for (keyword, words) in words {
        let Some(limit) = rules.get(keyword) else {
            continue;
        };
        let limit = whole(limit)?;
        let is_wrong = match keyword {
            "minimum" => number < limit,
            "maximum" => number > limit,
            "exclusiveMinimum" => number <= limit,
            _ => number >= limit,
        };
        if is_wrong {
            wrong.push(format!("{number} {words} {limit}"));
        }
    }
    Some(wrong)
}

#[derive(Clone, Copy)]
enum Sized {
    Number,
    Text,
    List,
    Object,
}

/// A value as a message shows it: short.
fn shown(value: &Value) -> String {
    const SHOWN_MAX: usize = 60;
    let mut text = value.to_string();
    if text.chars().count() > SHOWN_MAX {
        text = text.chars().take(SHOWN_MAX).collect::<String>() + "..";
    }
    text
}
