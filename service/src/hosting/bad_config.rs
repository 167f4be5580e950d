//! What is wrong with a configuration, by the field's name: serde knows the type it wanted and a column of JSON that
//! nobody wrote.

use mainstay_protocol::words;
use serde::de::DeserializeOwned;
use serde_json::{Error, Map, Value};

/// In words for whoever gave the configuration.
pub(crate) fn in_words<C: DeserializeOwned>(config: &str, error: &Error) -> String {
    let text = without_place(error);
    match serde_json::from_str(config) {
        Ok(Value::Object(object)) => match wrong_field::<C>(&object, &text) {
            Some(field) => format!("{field}: {text}"),
            None => text,
        },
        Ok(_) | Err(_) => text,
    }
}

/// The field without which the error is another one, or none. What serde names itself needs no more naming.
fn wrong_field<C: DeserializeOwned>(object: &Map<String, Value>, text: &str) -> Option<String> {
    if text.contains('`') && text.contains(" field ") {
        return None;
    }
    object
        .keys()
        .find(|field| {
            let mut without = object.clone();
            without.remove(*field);
            serde_json::from_value::<C>(Value::Object(without))
                .err()
                .is_none_or(|other| without_place(&other) != text)
        })
        .cloned()
}

fn without_place(error: &Error) -> String {
    words::without_place(error, error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Config {
        #[serde(default)]
        greeting: String,
        size: u8,
    }

    fn told(config: &str) -> String {
        in_words::<Config>(config, &serde_json::from_str::<Config>(config).unwrap_err())
    }

    #[test]
    fn the_wrong_field_is_named_and_no_column() {
        for (config, words) in [
            (r#"{"greeting":1,"size":2}"#, "greeting: invalid type"),
            (r#"{"greeting":"a","size":"b"}"#, "size: invalid type"),
            (r#"{"size":300}"#, "size: invalid value"),
            (r#"{}"#, "missing field `size`"),
            (r#"{"size":1,"x":2}"#, "unknown field `x`"),
        ] {
            let told = told(config);
            assert!(told.starts_with(words), "{config}: {told}");
            assert!(!told.contains("column"), "{told}");
        }
    }
}
