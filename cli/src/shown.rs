//! One answer, ready to be printed: whole, in the wanted format; or by what changed in it since the last one.

use mainstay_api::Problem;
use serde::Serialize;
use serde_json::Value;

use crate::console::Style;
use crate::outcome::bug;
use crate::table::{Look, Table};

#[derive(Debug, Default)]
pub struct Shown {
    /// In the wanted format.
    pub whole: String,
    /// What people are told instead of an empty table.
    pub nothing: Option<&'static str>,
    pub rows: Vec<Row>,
    /// The newest of what is kept, newest first: what falls out of it is not gone.
    pub is_history: bool,
}

/// One thing of an answer that changes by itself.
#[derive(Debug, Clone)]
pub struct Row {
    pub reference: String,
    /// For people.
    pub line: String,
    pub value: Value,
    /// The value as JSON, its keys in their order.
    pub json: String,
}

/// Ages as of the moment of asking: they go on without anything having changed.
const AGES: [&str; 3] = ["heard_ms", "checked_ms", "data_age_ms"];

impl Shown {
    /// A list: an array, or a table's rows.
    pub fn list<T: Serialize>(
        style: Style,
        values: &[T],
        reference: impl Fn(&T) -> String,
        table: &Table,
        nothing: &'static str,
    ) -> Result<Self, Problem> {
        let references: Vec<String> = values.iter().map(reference).collect();
        let whole = style.render(values, &references, |look| table.render(look))?;
        let lines = table.lines(style.look());
        let rows = values
            .iter()
            .zip(references)
            .zip(lines.into_iter().skip(1))
            .map(|((value, reference), line)| Row::new(value, reference, line))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            whole,
            nothing: table.is_empty().then_some(nothing),
            rows,
            is_history: false,
        })
    }

    /// One thing: an object, or a text about it; `line` says it in short.
    pub fn one<T: Serialize>(
        style: Style,
        value: &T,
        references: &[String],
        subject: (String, String),
        text: impl FnOnce(Look) -> String,
    ) -> Result<Self, Problem> {
        let (reference, line) = subject;
        Ok(Self {
            whole: style.render(value, references, text)?,
            nothing: None,
            rows: vec![Row::new(value, reference, line)?],
            is_history: false,
        })
    }
}

impl Row {
    pub fn new<T: Serialize>(value: &T, reference: String, line: String) -> Result<Self, Problem> {
        let json = serde_json::to_string(value);
        let value = serde_json::to_value(value);
        let (Ok(json), Ok(value)) = (json, value) else {
            return Err(bug("write the answer as JSON", "it is none"));
        };
        Ok(Self {
            reference,
            line: line.trim_end().to_owned(),
            value: without_ages(value),
            json,
        })
    }
}

fn without_ages(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(key, _)| !AGES.contains(&key.as_str()))
            .map(|(key, value)| (key, without_ages(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(without_ages).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
