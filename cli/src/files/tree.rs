//! The one tree that all three formats become: JSON's values, each with its place.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_api::shapes::{On, Step};
use mainstay_protocol::limits;
use serde_json::{Map, Number, Value as Json};

/// Line and column of a text, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub at: Place,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key twice.
    Fields(Vec<Field>),
    /// Something that was already reported: whoever meets it says no more about it.
    Bad,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub key: String,
    pub at: Place,
    pub node: Node,
}

impl Node {
    pub fn new(at: Place, value: Value) -> Self {
        Self { at, value }
    }

    pub fn field(&self, key: &str) -> Option<&Field> {
        match &self.value {
            Value::Fields(fields) => fields.iter().find(|field| field.key == key),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Bad => None,
        }
    }

    /// Something below it was already reported.
    pub fn has_bad(&self) -> bool {
        match &self.value {
            Value::Bad => true,
            Value::List(items) => items.iter().any(Self::has_bad),
            Value::Fields(fields) => fields.iter().any(|field| field.node.has_bad()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => false,
        }
    }

    /// Nodes in it, itself included.
    pub fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Fields(fields) => fields.iter().map(|field| field.node.count()).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Bad => 0,
        }
    }

    /// What was reported becomes null; `documents` keeps it from being reported again.
    pub fn json(&self) -> Json {
        match &self.value {
            Value::Null | Value::Bad => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(value) => Json::Number(value.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::json).collect()),
            Value::Fields(fields) => {
                let fields = fields
                    .iter()
                    .map(|field| (field.key.clone(), field.node.json()));
                Json::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// Where a path leads, as far as it leads anywhere: what is missing is told at what should have it.
    pub fn place(&self, path: &[Step], on: On) -> Place {
        let Some((step, rest)) = path.split_first() else {
            return self.at;
        };
        match (&self.value, step) {
            (Value::Fields(_), Step::Field(key)) => match self.field(key) {
                Some(field) if rest.is_empty() && on == On::Key => field.at,
                Some(field) => field.node.place(rest, on),
                None => self.at,
            },
            (Value::List(items), Step::Index(index)) => match items.get(*index) {
                Some(item) => item.place(rest, on),
                None => self.at,
            },
            (
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Text(_)
                | Value::List(_)
                | Value::Fields(_)
                | Value::Bad,
                Step::Field(_) | Step::Index(_),
            ) => self.at,
        }
    }
}

/// Where each line of a text begins, to turn offsets in bytes into places.
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t str) -> Self {
        let mut starts = vec![0];
        let bytes = text.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            // A carriage return alone ends a line too, as it does for YAML.
            let ends = *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
            if ends {
                starts.push(index + 1);
            }
        }
        Self { text, starts }
    }

    /// Also of an offset behind the end, or within a character: the nearest before it.
    pub fn place(&self, offset: usize) -> Place {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        Place {
            line,
            column: self.text[start..offset].chars().count() + 1,
        }
    }

    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// Where a line begins, from 1.
    pub fn start(&self, line: usize) -> usize {
        self.starts[line - 1]
    }

    /// Brings a place of someone else's reckoning into the text.
    pub fn within(&self, place: Place) -> Place {
        let line = place.line.clamp(1, self.starts.len());
        let start = self.starts[line - 1];
        let end = self
            .starts
            .get(line)
            .map_or(self.text.len(), |next| next.saturating_sub(1));
        let characters = self.text[start..end.max(start)].chars().count();
        Place {
            line,
            column: place.column.clamp(1, characters + 1),
        }
    }
}

/// What is said of a key that is there twice.
pub fn twice(key: &str, first: Place) -> String {
    format!("\"{key}\" is given twice; the first is at {first}")
}

pub fn too_deep() -> String {
    format!(
        "this is nested more than {} levels deep",
        limits::FILE_DEPTH_MAX
    )
}

pub fn too_many() -> String {
    format!(
        "the file has more than {} values, aliases followed",
        limits::FILE_NODES_MAX
    )
}

/// Collects the fields of one map; of a key given twice the first counts, and the second is told.
#[derive(Default)]
pub struct FieldsOf {
    fields: Vec<Field>,
    places: BTreeMap<String, Place>,
}

impl FieldsOf {
    /// The place of the first, if the key was there already.
    pub fn add(&mut self, key: String, at: Place, node: Node) -> Result<(), (String, Place)> {
        if let Some(first) = self.places.get(&key) {
            return Err((key, *first));
        }
        self.places.insert(key.clone(), at);
        self.fields.push(Field { key, at, node });
        Ok(())
    }

    pub fn done(self) -> Value {
        Value::Fields(self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_of_every_kind_and_characters_not_bytes() {
        let lines = Lines::new("äb\r\nc\rd\ne");
        let at = |offset| {
            let place = lines.place(offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 2));
        assert_eq!(at(5), (2, 1));
        assert_eq!(at(7), (3, 1));
        assert_eq!(at(9), (4, 1));
        assert_eq!(at(99), (4, 2));
        assert_eq!(lines.count(), 4);
    }

    #[test]
    fn a_place_outside_the_text_is_brought_into_it() {
        let lines = Lines::new("ab\ncd\n");
        let within = |line, column| {
            let place = lines.within(Place { line, column });
            (place.line, place.column)
        };
        assert_eq!(within(9, 9), (3, 1));
        assert_eq!(within(2, 9), (2, 3));
        assert_eq!(within(0, 0), (1, 1));
    }
}
