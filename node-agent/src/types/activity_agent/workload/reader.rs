//! Reads parts of a task. A string may be put together from what other activities left behind; what it is put together
//! from is never read for more.

use std::collections::BTreeMap;

use mainstay_protocol::Json;
use mainstay_protocol::json::Shape;

#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// Of the call: its parts are taken from here.
    pub(super) inputs: &'a BTreeMap<String, Json>,
}

impl Reader<'_> {
    pub(super) fn object(&self, at: &str, value: &Json) -> Result<BTreeMap<String, Json>, String> {
        match value.shape() {
            Shape::Object => Ok(value.members()),
            other => Err(format!("{at}: is an object, not {}", other.with_article())),
        }
    }

    pub(super) fn text(&self, at: &str, value: &Json) -> Result<String, String> {
        let text = match value.as_text() {
            Some(text) => text,
            None => self.joined(at, value)?,
        };
        match text.contains('\0') {
            true => Err(format!("{at}: has a zero byte in it")),
            false => Ok(text),
        }
    }

    pub(super) fn texts(&self, at: &str, value: &Json) -> Result<Vec<String>, String> {
        let items = self.items(at, value)?;
        let items = items.iter().enumerate();
        items
            .map(|(place, item)| self.text(&format!("{at}[{place}]"), item))
            .collect()
    }

    pub(super) fn items(&self, at: &str, value: &Json) -> Result<Vec<Json>, String> {
        match value.shape() {
            Shape::Array => Ok(value.items()),
            other => Err(format!("{at}: is an array, not {}", other.with_article())),
        }
    }

    fn joined(&self, at: &str, value: &Json) -> Result<String, String> {
        let Some(parts) = value.member("parts") else {
            let is = value.shape().with_article();
            return Err(format!("{at}: is a string, not {is}"));
        };
        let mut joined = String::new();
        for part in self.items(&format!("{at}.parts"), &parts)? {
            if let Some(text) = part.as_text() {
                joined.push_str(&text);
                continue;
            }
            let name = part.member("input").and_then(|name| name.as_text());
            let name = name.ok_or_else(|| format!("{at}: {part} is no part of a string"))?;
            let input = self.inputs.get(&name);
            let input = input.ok_or_else(|| format!("{at}: its input {name} is missing"))?;
            let text = input.as_text();
            joined.push_str(&text.unwrap_or_else(|| input.as_str().to_owned()));
        }
        Ok(joined)
    }
}
