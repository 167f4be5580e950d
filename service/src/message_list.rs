//! A type's messages, read from the JSON Schema of its message enum: names as typed on the command line, a schema
//! for each body, and the way back to the enum.
//!
//! Serde's own names may be in any case (`Greet`, `greet`, `sayGoodbye`): the command line has them in kebab
//! case, and both are taken.

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use mainstay_protocol::report::MessageDeclaration;
use mainstay_protocol::{limits, words};

/// A message that cannot be given to the service.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    #[error("there is no message \"{name}\"; there {}", list(.known))]
    Unknown {
        name: String,
        nearest: Vec<String>,
        known: Vec<String>,
    },
    #[error("the body of \"{name}\" is not valid: {why}")]
    Body { name: String, why: String },
}

fn list(known: &[String]) -> String {
    match known {
        [] => "are none".to_owned(),
        [one] => format!("is {one}"),
        several => format!("are {}", several.join(", ")),
    }
}

/// One variant.
#[derive(Debug, Clone)]
struct Variant {
    /// As on the command line.
    kebab: String,
    /// As serde has it.
    name: String,
    /// None for a variant without a body.
    schema: Option<Value>,
}

/// The messages of one type.
#[derive(Debug, Clone, Default)]
pub struct MessageList {
    variants: Vec<Variant>,
}

impl MessageList {
    /// Reads the list from the schema of an externally tagged enum.
    pub fn of<M: JsonSchema>() -> Self {
        let schema = SchemaGenerator::default().into_root_schema_for::<M>();
        Self::from_schema(&schema.to_value())
    }

    fn from_schema(root: &Value) -> Self {
        let definitions = root.get("$defs");
        let mut variants = Vec::new();
        let alternatives = ["oneOf", "anyOf"]
            .iter()
            .find_map(|key| root.get(*key)?.as_array());
        match alternatives {
            Some(alternatives) => {
                for alternative in alternatives {
                    read_alternative(alternative, definitions, &mut variants);
                }
            }
            None => read_alternative(root, definitions, &mut variants),
        }
        Self { variants }
    }

    pub fn names(&self) -> Vec<String> {
        self.variants.iter().map(|v| v.kebab.clone()).collect()
    }

    /// What the type declares to the cluster.
    pub fn declarations(&self) -> Vec<MessageDeclaration> {
        self.variants
            .iter()
            .map(|variant| MessageDeclaration {
                name: variant.kebab.clone(),
                schema: variant.schema.clone().unwrap_or(Value::Null).to_string(),
            })
            .collect()
    }

    /// The enum's value from a name and a JSON body; an empty body is `{}` or nothing, as the message needs.
    pub fn decode<M: DeserializeOwned>(&self, name: &str, body: &str) -> Result<M, MessageError> {
        let wanted = kebab(name);
        let Some(variant) = self.variants.iter().find(|v| v.kebab == wanted) else {
            return Err(self.unknown(name));
        };
        let bad = |why: String| MessageError::Body {
            name: variant.kebab.clone(),
            why,
        };
        if body.len() > limits::JSON_BYTES_MAX {
            let most = limits::JSON_BYTES_MAX;
            return Err(bad(format!(
                "it has {} bytes, more than {most}",
                body.len()
            )));
        }
        let body = match body.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).map_err(|error| bad(error.to_string()))?,
        };
        let tagged = variant.tagged(body).map_err(&bad)?;
        serde_json::from_value(tagged).map_err(|error| bad(error.to_string()))
    }

    fn unknown(&self, name: &str) -> MessageError {
        let known = self.variants.iter().map(|v| v.kebab.as_str());
        MessageError::Unknown {
            name: name.to_owned(),
            nearest: words::nearest(&kebab(name), known),
            known: self.names(),
        }
    }
}

impl Variant {
    fn tagged(&self, body: Value) -> Result<Value, String> {
        if self.schema.is_none() {
            let empty = body.is_null() || body.as_object().is_some_and(Map::is_empty);
            return if empty {
                Ok(Value::String(self.name.clone()))
            } else {
                Err("this message has no body".to_owned())
            };
        }
        let body = if body.is_null() && self.takes_object() {
            Value::Object(Map::new())
        } else {
            body
        };
        if let Some(object) = self.object().filter(|_| !body.is_object()) {
            return Err(not_an_object(object, &body));
        }
        Ok(Value::Object(Map::from_iter([(self.name.clone(), body)])))
    }

    /// The schema of the object that it takes, if it takes one.
    fn object(&self) -> Option<&Value> {
        let schema = self.schema.as_ref()?;
        let named = schema.get("$ref").and_then(Value::as_str);
        let body = match named.and_then(|name| name.strip_prefix("#/$defs/")) {
            Some(name) => schema.get("$defs")?.get(name)?,
            None => schema,
        };
        (body.get("type")? == "object").then_some(body)
    }

    fn takes_object(&self) -> bool {
        let schema = self.schema.as_ref();
        schema
            .and_then(|s| s.get("type"))
            .is_some_and(|kind| kind == "object")
            || schema.is_some_and(|s| s.get("$ref").is_some())
    }
}

fn not_an_object(schema: &Value, body: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let keys: Vec<String> = properties
        .into_iter()
        .flat_map(Map::keys)
        .map(|key| format!("\"{key}\""))
        .collect();
    let what = match body {
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Null | Value::Object(_) => "nothing",
    };
    match keys.is_empty() {
        true => format!("it is an object, and this is {what}"),
        false => format!(
            "it is an object with {}, and this is {what}",
            keys.join(", ")
        ),
    }
}

fn read_alternative(schema: &Value, definitions: Option<&Value>, into: &mut Vec<Variant>) {
    let unit = |name: &Value| {
        let name = name.as_str()?.to_owned();
        Some(Variant {
            kebab: kebab(&name),
            name,
            schema: None,
        })
    };
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        into.extend(names.iter().filter_map(unit));
    } else if let Some(name) = schema.get("const") {
        into.extend(unit(name));
    } else if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, body) in properties {
            let mut body = body.clone();
            if let (Some(body), Some(definitions)) = (body.as_object_mut(), definitions) {
                body.insert("$defs".to_owned(), definitions.clone());
            }
            if let (Some(body), Some(text)) = (body.as_object_mut(), schema.get("description")) {
                body.entry("description").or_insert_with(|| text.clone());
            }
            into.push(Variant {
                kebab: kebab(name),
                name: name.clone(),
                schema: Some(body),
            });
        }
    }
}

/// `SayGoodbye`, `say_goodbye` and `sayGoodbye` are `say-goodbye`.
fn kebab(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut previous: Option<char> = None;
    for letter in name.chars() {
        if letter == '_' || letter == ' ' {
            text.push('-');
        } else {
            let begins_word = letter.is_ascii_uppercase()
                && previous.is_some_and(|p| p.is_ascii_lowercase() || p.is_ascii_digit());
            if begins_word {
                text.push('-');
            }
            text.push(letter.to_ascii_lowercase());
        }
        previous = Some(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Amount {
        bytes: u64,
    }

    /// Every shape a variant can have, in serde's default case.
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    enum Shapes {
        /// Ends.
        End,
        StopNow,
        Greet {
            name: String,
        },
        SayGoodbye {
            #[serde(default)]
            loud: bool,
        },
        Leak(Amount),
        Count(u32),
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    enum Plain {
        OneThing,
        Other,
    }

    #[test]
    fn names_are_kebab_case_whatever_serde_says() {
        let names = MessageList::of::<Shapes>().names();
        for name in ["end", "stop-now", "greet", "say-goodbye", "leak", "count"] {
            assert!(
                names.iter().any(|n| n == name),
                "{name} is not in {names:?}"
            );
        }
        assert_eq!(names.len(), 6, "{names:?}");
        assert_eq!(MessageList::of::<Plain>().names(), ["one-thing", "other"]);
        assert!(MessageList::of::<crate::NoMessage>().names().is_empty());
    }

    #[test]
    fn every_shape_of_variant_is_decoded() {
        let list = MessageList::of::<Shapes>();
        let decode = |name: &str, body: &str| list.decode::<Shapes>(name, body).unwrap();
        assert_eq!(decode("end", ""), Shapes::End);
        assert_eq!(decode("StopNow", "{}"), Shapes::StopNow);
        assert_eq!(
            decode("greet", r#"{"name":"Ada"}"#),
            Shapes::Greet { name: "Ada".into() }
        );
        assert_eq!(
            decode("say-goodbye", ""),
            Shapes::SayGoodbye { loud: false }
        );
        assert_eq!(
            decode("leak", r#"{"bytes":7}"#),
            Shapes::Leak(Amount { bytes: 7 })
        );
        assert_eq!(decode("count", "3"), Shapes::Count(3));
    }

    #[test]
    fn an_unknown_message_names_the_nearest() {
        let list = MessageList::of::<Shapes>();
        let error = list.decode::<Shapes>("gret", "").unwrap_err();
        let MessageError::Unknown { nearest, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(nearest, &["greet"]);
        assert!(error.to_string().contains("say-goodbye"), "{error}");
    }

    #[test]
    fn a_bad_body_is_told() {
        let list = MessageList::of::<Shapes>();
        for (name, body, word) in [
            ("greet", "{}", "name"),
            ("greet", "{", "EOF"),
            ("end", "{\"a\":1}", "no body"),
            ("count", "\"x\"", "invalid type"),
            (
                "greet",
                "[]",
                "it is an object with \"name\", and this is a list",
            ),
            (
                "leak",
                "7",
                "it is an object with \"bytes\", and this is a number",
            ),
        ] {
            let error = list.decode::<Shapes>(name, body).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let long = format!("\"{}\"", "x".repeat(limits::JSON_BYTES_MAX));
        assert!(list.decode::<Shapes>("count", &long).is_err());
    }
}
