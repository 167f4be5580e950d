//! TOML: a document with `kind` at its top, or `[[placement]]` tables and a `[settings]` table, whose names are kinds.

use std::ops::Range;

use mainstay_api::shapes::Reader;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::tree::{Field, Lines, Node, Place, Value};

/// The documents of a text.
pub fn read(text: &str, reader: Reader, faults: &mut Faults) -> Vec<Node> {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let at = error
                .span()
                .map_or(Place::START, |span| lines.place(span.start));
            faults.add(at, format!("this is not TOML: {}", error.message()));
        }
        // What was recovered may be half of what was meant; faults in it would mislead.
        return Vec::new();
    }
    let mut walk = Walk { lines, faults };
    let at = Place::START;
    let root = walk.table(table.get_ref(), at);
    match reader {
        Reader::Plan => documents(root),
        // One kind is read, and its fields are no kinds.
        Reader::Bootstrap => vec![root],
    }
}

/// Each table under a kind's name is a document of that kind; with `kind` at the top the whole file is one.
fn documents(root: Node) -> Vec<Node> {
    if root.field("kind").is_some() {
        return vec![root];
    }
    let Value::Fields(fields) = root.value else {
        return Vec::new();
    };
    let mut documents = Vec::new();
    for field in fields {
        match field.node.value {
            Value::List(items) => {
                documents.extend(
                    items
                        .into_iter()
                        .map(|item| of_kind(&field.key, field.at, item)),
                );
            }
            _ => documents.push(of_kind(&field.key, field.at, field.node)),
        }
    }
    documents
}

fn of_kind(name: &str, at: Place, mut node: Node) -> Node {
    let kind = Node::new(at, Value::Text(super::documents::kind_of_table(name)));
    match &mut node.value {
        Value::Fields(fields) => {
            // A `kind` of its own stays where it is and must agree; `documents` looks.
            if !fields.iter().any(|field| field.key == "kind") {
                let key = "kind".to_owned();
                fields.insert(
                    0,
                    Field {
                        key,
                        at,
                        node: kind,
                    },
                );
            }
            node
        }
        // Not a table: whoever reads the document says so.
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Bad => node,
    }
}

struct Walk<'t, 'f> {
    lines: Lines<'t>,
    faults: &'f mut Faults,
}

impl Walk<'_, '_> {
    fn at(&self, span: Range<usize>) -> Place {
        self.lines.place(span.start)
    }

    fn table(&mut self, table: &DeTable<'_>, at: Place) -> Node {
        let mut fields: Vec<Field> = table
            .iter()
            .map(|(key, value)| Field {
                key: key.get_ref().to_string(),
                at: self.at(key.span()),
                node: self.node(value),
            })
            .collect();
        // The table is sorted by key; people read in the order of the file.
        fields.sort_by_key(|field| field.at);
        Node::new(at, Value::Fields(fields))
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let at = self.at(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Integer(integer) => {
                let whole = i64::from_str_radix(integer.as_str(), integer.radix());
                whole.map_or_else(
                    |_| self.refused(at, "the number is too large"),
                    |number| Value::Number(number.into()),
                )
            }
            DeValue::Float(float) => {
                let real = float.as_str().parse().ok();
                match real.and_then(serde_json::Number::from_f64) {
                    Some(number) => Value::Number(number),
                    None => self.refused(at, "this is no number that can be kept"),
                }
            }
            DeValue::Datetime(datetime) => {
                let why = format!("dates and times are texts here: write \"{datetime}\"");
                self.refused(at, &why)
            }
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => return self.table(table, at),
        };
        Node::new(at, value)
    }

    fn refused(&mut self, at: Place, why: &str) -> Value {
        self.faults.add(at, why);
        Value::Bad
    }
}
