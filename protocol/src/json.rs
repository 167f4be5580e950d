//! JSON as text. What a user writes goes through unchanged: integers of any size, numbers as they were written, unicode. So
//! a value is never parsed into anything that does arithmetic; it is taken apart at its commas and braces.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::limits;

/// One value in canonical form: without white space, the keys of an object in order and each once, strings with no escapes
/// but the needed ones. What comes out of the codec is read as strictly: it may come from another machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Json(Arc<str>);

impl TryFrom<String> for Json {
    type Error = BadJson;

    /// Deeper than what people write: values are put into others, and what was written is always read.
    fn try_from(text: String) -> Result<Self, BadJson> {
        Self::parse_within(&text, limits::JSON_DEPTH_KEPT_MAX)
    }
}

impl From<Json> for String {
    fn from(value: Json) -> Self {
        value.as_str().to_owned()
    }
}

/// What a value is, as far as JSON itself tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Null,
    Bool,
    Number,
    Text,
    Array,
    Object,
}

impl Shape {
    /// As it stands in a sentence.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Why a text is no JSON that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadJson {
    #[error("{0}")]
    Syntax(String),
    #[error("it is nested deeper than {}", limits::JSON_DEPTH_MAX)]
    TooDeep,
}

impl Json {
    pub fn parse(text: &str) -> Result<Self, BadJson> {
        Self::parse_within(text, limits::JSON_DEPTH_MAX)
    }

    fn parse_within(text: &str, depth: usize) -> Result<Self, BadJson> {
        let raw: &RawValue = serde_json::from_str(text).map_err(syntax)?;
        let mut canonical = String::with_capacity(text.len());
        write(raw.get(), depth, &mut canonical)?;
        Ok(Self(canonical.into()))
    }

    /// How many arrays and objects are in one another.
    pub fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (0_usize, 0);
        let (mut in_text, mut escaped) = (false, false);
        for byte in self.0.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = in_text,
                b'"' => in_text = !in_text,
                b'[' | b'{' if !in_text => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !in_text => depth -= 1,
                _ => {}
            }
        }
        deepest
    }

    pub fn text(text: &str) -> Self {
        let quoted = serde_json::to_string(text).expect("a string is JSON");
        Self(quoted.into())
    }

    pub fn bool(is: bool) -> Self {
        Self(if is { "true" } else { "false" }.into())
    }

    pub fn object(members: &BTreeMap<String, Self>) -> Self {
        let mut text = String::from("{");
        for (key, value) in members {
            between(&mut text, '{');
            text.push_str(Self::text(key).as_str());
            text.push(':');
            text.push_str(value.as_str());
        }
        text.push('}');
        Self(text.into())
    }

    pub fn of(members: &[(&str, Self)]) -> Self {
        let members = members.iter();
        let members = members.map(|(key, value)| ((*key).to_owned(), value.clone()));
        Self::object(&members.collect())
    }

    pub fn array<'a>(items: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut text = String::from("[");
        for item in items {
            between(&mut text, '[');
            text.push_str(item.as_str());
        }
        text.push(']');
        Self(text.into())
    }

    pub fn empty_object() -> Self {
        Self("{}".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn shape(&self) -> Shape {
        shape(&self.0)
    }

    /// The members of an object; none of anything else.
    pub fn members(&self) -> BTreeMap<String, Self> {
        match self.shape() {
            Shape::Object => parts(&self.0),
            _ => BTreeMap::new(),
        }
    }

    /// The items of an array; none of anything else.
    pub fn items(&self) -> Vec<Self> {
        match self.shape() {
            Shape::Array => parts(&self.0),
            _ => Vec::new(),
        }
    }

    pub fn member(&self, key: &str) -> Option<Self> {
        self.members().remove(key)
    }

    /// What a path of members leads to; an item of an array by its number.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        path.into_iter()
            .try_fold(self.clone(), |value, step| match value.shape() {
                Shape::Array => value.items().into_iter().nth(step.parse().ok()?),
                _ => value.member(step),
            })
    }

    pub fn as_text(&self) -> Option<String> {
        match self.shape() {
            Shape::Text => serde_json::from_str(&self.0).ok(),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match &*self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A whole number that is not below 0.
    pub fn as_count(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// An object with what is missing in it taken from another, one level deep.
    pub fn over(&self, defaults: &Self) -> Self {
        let mut members = defaults.members();
        members.extend(self.members());
        Self::object(&members)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn syntax(error: serde_json::Error) -> BadJson {
    BadJson::Syntax(error.to_string())
}

/// A comma, unless nothing stands before it.
fn between(text: &mut String, opening: char) {
    if !text.ends_with(opening) {
        text.push(',');
    }
}

fn shape(text: &str) -> Shape {
    match text.as_bytes().first() {
        Some(b'{') => Shape::Object,
        Some(b'[') => Shape::Array,
        Some(b'"') => Shape::Text,
        Some(b't' | b'f') => Shape::Bool,
        Some(b'n') => Shape::Null,
        _ => Shape::Number,
    }
}

/// Of a canonical text, so that each part is one.
fn parts<T: FromParts>(text: &str) -> T {
    T::from_parts(text).expect("a canonical text is JSON")
}

trait FromParts: Sized {
    fn from_parts(text: &str) -> Result<Self, serde_json::Error>;
}

impl FromParts for BTreeMap<String, Json> {
    fn from_parts(text: &str) -> Result<Self, serde_json::Error> {
        let parts: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
        let parts = parts.into_iter();
        Ok(parts
            .map(|(key, raw)| (key, Json(raw.get().into())))
            .collect())
    }
}

impl FromParts for Vec<Json> {
    fn from_parts(text: &str) -> Result<Self, serde_json::Error> {
        let parts: Vec<&RawValue> = serde_json::from_str(text)?;
        Ok(parts
            .into_iter()
            .map(|raw| Json(raw.get().into()))
            .collect())
    }
}

fn write(text: &str, depth: usize, to: &mut String) -> Result<(), BadJson> {
    let deeper = || depth.checked_sub(1).ok_or(BadJson::TooDeep);
    match shape(text) {
        Shape::Object => {
            let depth = deeper()?;
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(syntax)?;
            to.push('{');
            for (key, value) in members {
                between(to, '{');
                to.push_str(Json::text(&key).as_str());
                to.push(':');
                write(value.get(), depth, to)?;
            }
            to.push('}');
        }
        Shape::Array => {
            let depth = deeper()?;
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(syntax)?;
            to.push('[');
            for item in items {
                between(to, '[');
                write(item.get(), depth, to)?;
            }
            to.push(']');
        }
        Shape::Text => {
            let unescaped: String = serde_json::from_str(text).map_err(syntax)?;
            to.push_str(Json::text(&unescaped).as_str());
        }
        Shape::Bool | Shape::Null | Shape::Number => to.push_str(text),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Json::parse(text).unwrap().to_string()
    }

    // case: orchestrations 30
    #[test]
    fn values_survive_as_they_were_written() {
        for same in [
            "9007199254740993",
            "123456789012345678901234567890",
            "-0.10",
            "1e400",
            "{}",
            "[]",
            r#"{"a":{"b":[1,{"c":null}],"ü":"日本語 🌍"}}"#,
            r#""it's {{x}} \"q\"\n""#,
        ] {
            assert_eq!(canonical(same), same);
        }
    }

    #[test]
    fn one_value_has_one_text() {
        assert_eq!(
            canonical(" { \"b\" : 1 , \"a\" : [ true , null ] } "),
            r#"{"a":[true,null],"b":1}"#
        );
        assert_eq!(canonical(r#""\u00fc\/""#), "\"ü/\"");
        assert_eq!(canonical(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
    }

    /// An item that ends as an object or an array begins is no beginning of one.
    #[test]
    fn commas_stand_between_whatever_the_parts_are() {
        assert_eq!(
            canonical(r#"["[","{",[],{},"x"]"#),
            r#"["[","{",[],{},"x"]"#
        );
        let both = [Json::text("["), Json::text("{")];
        assert_eq!(Json::array(&both).as_str(), r#"["[","{"]"#);
    }

    #[test]
    fn what_is_no_json_says_where() {
        let Err(BadJson::Syntax(said)) = Json::parse("{\"a\":\n1,}") else {
            panic!("it was taken");
        };
        assert!(said.contains("line 2"), "{said}");
        assert!(Json::parse("").is_err());
        assert!(Json::parse("{} {}").is_err());
    }

    #[test]
    fn what_is_nested_without_end_is_refused_and_does_not_fill_the_stack() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Json::parse(&deep(limits::JSON_DEPTH_MAX)).is_ok());
        assert_eq!(
            Json::parse(&deep(limits::JSON_DEPTH_MAX + 1)),
            Err(BadJson::TooDeep)
        );
        assert!(Json::parse(&deep(1_000_000)).is_err());
    }

    #[test]
    fn what_is_put_into_others_is_read_back() {
        let deep = "[".repeat(limits::JSON_DEPTH_MAX) + &"]".repeat(limits::JSON_DEPTH_MAX);
        let value = Json::parse(&deep).unwrap();
        assert_eq!(value.depth(), limits::JSON_DEPTH_MAX);
        let inside = Json::of(&[("a", Json::of(&[("b", value)]))]);
        assert_eq!(inside.depth(), limits::JSON_DEPTH_MAX + 2);
        let bytes = crate::codec::encode(&inside);
        let again: Json = crate::codec::decode(&bytes, limits::DECODE_BYTES_MAX).unwrap();
        assert_eq!(again, inside);
        assert_eq!(Json::parse(r#"{"[":"\\\"{[","b":[1]}"#).unwrap().depth(), 2);
    }

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        let value = Json::parse(r#"{"a":[{"b":7}]}"#).unwrap();
        assert_eq!(value.at(["a", "0", "b"]).unwrap().as_str(), "7");
        assert_eq!(value.at(["a", "1"]), None);
        assert_eq!(value.at(["a", "x"]), None);
        assert_eq!(value.at([]).unwrap(), value);
    }

    #[test]
    fn defaults_stand_under_what_is_said() {
        let (said, defaults) = (r#"{"a":1}"#, r#"{"a":2,"b":3}"#);
        let over = Json::parse(said)
            .unwrap()
            .over(&Json::parse(defaults).unwrap());
        assert_eq!(over.as_str(), r#"{"a":1,"b":3}"#);
    }
}
