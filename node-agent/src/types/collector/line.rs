//! What a record says of a line.

use mainstay_service::protocol::limits;
use mainstay_service::{Value, json};
use regex::Regex;
use serde_json::Map;

use super::follow::Line;
use super::{CollectorConfig, Format};

/// Of a longer line, the beginning; escaped it may take six times as much.
const LINE_BYTES_KEPT: usize = limits::WORD_BYTES_MAX / 8;

/// Fields of records that are not groups.
const OWN_FIELDS: [&str; 5] = ["file", "line", "json", "cut", "error"];

pub(super) struct Reader {
    name: String,
    format: Format,
    only: Option<Regex>,
}

impl Reader {
    pub(super) fn of(config: &CollectorConfig) -> Result<Self, String> {
        let only = config.only.as_deref().map(Regex::new).transpose();
        let only = only.map_err(|error| format!("only: {error}"))?;
        let groups = only.iter().flat_map(Regex::capture_names).flatten();
        for group in groups {
            if OWN_FIELDS.contains(&group) {
                return Err(format!(
                    "only: a group cannot be called {group}; every record has {} of its own",
                    OWN_FIELDS.join(", ")
                ));
            }
        }
        Ok(Self {
            name: config.record.clone(),
            format: config.format,
            only,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The record's body; none for a line that is not wanted.
    pub(super) fn read(&self, line: &Line) -> Option<Value> {
        let text = line.text.trim_end_matches(['\n', '\r']);
        let mut body = Map::new();
        if let Some(only) = &self.only {
            let found = only.captures(text)?;
            for group in only.capture_names().flatten() {
                let value = found.name(group).map(|value| cut(value.as_str()).0);
                body.insert(group.to_owned(), json!(value));
            }
        }
        body.insert("file".to_owned(), json!(line.file));
        if self.format == Format::Json {
            match serde_json::from_str::<Map<String, Value>>(text) {
                Ok(object) if fits(&object) => {
                    body.insert("json".to_owned(), Value::Object(object));
                    return Some(Value::Object(body));
                }
                Ok(_) => {
                    body.insert("error".to_owned(), json!("it is too long"));
                }
                Err(error) => {
                    body.insert("error".to_owned(), json!(error.to_string()));
                }
            }
        }
        let (kept, was_cut) = cut(text);
        body.insert("line".to_owned(), json!(kept));
        if was_cut || line.was_cut {
            body.insert("cut".to_owned(), json!(true));
        }
        if !fits(&body) {
            let (kept, _) = cut(text);
            return Some(json!({
                "file": line.file,
                "line": kept,
                "error": "its groups are too long",
            }));
        }
        Some(Value::Object(body))
    }
}

fn fits(object: &Map<String, Value>) -> bool {
    let bytes = serde_json::to_string(object).map_or(usize::MAX, |json| json.len());
    bytes <= limits::WORD_BYTES_MAX - 64
}

fn cut(text: &str) -> (&str, bool) {
    match text.len() <= LINE_BYTES_KEPT {
        true => (text, false),
        false => (&text[..text.floor_char_boundary(LINE_BYTES_KEPT)], true),
    }
}
