//! What an activity is given: from the run's input, or from what activities before it have put out.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_protocol::WorkName;
use mainstay_protocol::json::{Json, Shape};
use thiserror::Error;

use crate::fault::{Found, Pointer};
use crate::reader::Reader;

/// One entry of `inputs`, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub source: String,
    pub target: String,
}

/// What a source means, in a definition with certain activities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Of the run's input.
    Input(String),
    /// Of what an activity put out; all of it where the path is empty.
    Output { of: WorkName, path: Vec<String> },
}

impl Source {
    /// An activity counts before an input whose name has a point. Of several that fit the longest name counts, since names
    /// have points as well.
    pub fn of(text: &str, is_activity: impl Fn(&str) -> bool) -> Self {
        let points = text.match_indices('.').map(|(at, _)| at);
        let ends = points.rev().filter(|at| is_activity(&text[..*at]));
        match ends.into_iter().next() {
            Some(at) => Self::Output {
                of: WorkName::new(&text[..at]).expect("activities have names"),
                path: text[at + 1..].split('.').map(str::to_owned).collect(),
            },
            None => Self::Input(text.to_owned()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => write!(f, "{name} of the run's input"),
            Self::Output { of, path } => write!(f, "{} of what {of} put out", path.join(".")),
        }
    }
}

impl Mapping {
    /// A string is source and target.
    pub(crate) fn read(at: Pointer, value: &Json, found: &mut Found) -> Option<Self> {
        if let Some(text) = value.as_text() {
            return named(&at, text.clone(), text, found);
        }
        if value.shape() != Shape::Object {
            let is = value.shape().with_article();
            let text = format!("write a string, or an object with source and target; it is {is}");
            found.fault(&at, text);
            return None;
        }
        let mut reader = Reader::new(at.clone(), value, found)?;
        let source = reader.needed("source");
        let target = reader.needed("target");
        let source = source.and_then(|(at, value)| crate::reader::text(&at, &value, reader.found));
        let target = target.and_then(|(at, value)| crate::reader::text(&at, &value, reader.found));
        reader.others();
        named(&at, source?, target?, found)
    }

    pub(crate) fn write(&self) -> Json {
        Json::of(&[
            ("source", Json::text(&self.source)),
            ("target", Json::text(&self.target)),
        ])
    }
}

fn named(at: &Pointer, source: String, target: String, found: &mut Found) -> Option<Mapping> {
    if source.is_empty() || target.is_empty() {
        found.fault(at, "a source and a target have a name");
        return None;
    }
    Some(Mapping { source, target })
}

/// A source that an activity needs has no value: its error is fatal, since another attempt finds none either.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("missing-input: {activity} needs {target}, from {from}, which has no such value")]
pub struct MissingInput {
    pub activity: WorkName,
    pub target: String,
    pub from: Source,
}

/// One source and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    pub source: Source,
    pub target: String,
    /// Without it the activity is called all the same.
    pub optional: bool,
}

/// What an activity is called with: exactly what is mapped to it.
pub fn inputs(
    activity: &WorkName,
    mapped: &[Mapped],
    input: &Json,
    outputs: &BTreeMap<WorkName, Json>,
) -> Result<Json, MissingInput> {
    let mut members = BTreeMap::new();
    for one in mapped {
        let value = match &one.source {
            Source::Input(name) => input.member(name),
            Source::Output { of, path } => outputs
                .get(of)
                .and_then(|output| output.at(path.iter().map(String::as_str))),
        };
        match value {
            Some(value) => _ = members.insert(one.target.clone(), value),
            None if one.optional => {}
            None => {
                return Err(MissingInput {
                    activity: activity.clone(),
                    target: one.target.clone(),
                    from: one.source.clone(),
                });
            }
        }
    }
    Ok(Json::object(&members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> WorkName {
        WorkName::new(text).unwrap()
    }

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    fn mapped(source: &str, target: &str) -> Mapped {
        Mapped {
            source: Source::of(source, |of| ["activity1", "a", "a.b"].contains(&of)),
            target: target.to_owned(),
            optional: false,
        }
    }

    // case: orchestrations 26, 30
    #[test]
    fn an_activity_sees_exactly_what_is_mapped_to_it_as_it_was_written() {
        let outputs = BTreeMap::from([(
            name("activity1"),
            json(r#"{"resource":{"id":123456789012345678901,"ü":{}},"other":1}"#),
        )]);
        let inputs = inputs(
            &name("activity2"),
            &[
                mapped("activity1.resource", "resourceId"),
                mapped("cell", "cell"),
            ],
            &json(r#"{"cell":"日本","unmapped":true}"#),
            &outputs,
        );
        assert_eq!(
            inputs.unwrap().as_str(),
            r#"{"cell":"日本","resourceId":{"id":123456789012345678901,"ü":{}}}"#
        );
    }

    // case: orchestrations 27
    #[test]
    fn what_is_missing_is_told_with_source_target_and_activity_unless_it_is_optional() {
        let mut wanted = mapped("activity1.resource.id", "id");
        let outputs = BTreeMap::from([(name("activity1"), json(r#"{"resource":7}"#))]);
        let input = Json::empty_object();
        let said = inputs(&name("b"), std::slice::from_ref(&wanted), &input, &outputs)
            .unwrap_err()
            .to_string();
        assert_eq!(
            said,
            "missing-input: b needs id, from resource.id of what activity1 put out, which has no such value"
        );
        wanted.optional = true;
        let inputs = inputs(&name("b"), &[wanted], &input, &outputs);
        assert_eq!(inputs.unwrap(), input);
    }

    #[test]
    fn an_activity_counts_before_an_input_and_a_longer_name_before_a_shorter() {
        let source = |text: &str| mapped(text, "x").source;
        let output = |of: &str, path: &[&str]| Source::Output {
            of: name(of),
            path: path.iter().map(|step| (*step).to_owned()).collect(),
        };
        assert_eq!(source("a.x"), output("a", &["x"]));
        assert_eq!(source("a.b.x"), output("a.b", &["x"]));
        assert_eq!(source("a"), Source::Input("a".to_owned()));
        assert_eq!(source("c.x"), Source::Input("c.x".to_owned()));
    }

    #[test]
    fn null_is_a_value() {
        let input = json(r#"{"cell":null}"#);
        let none = BTreeMap::new();
        let inputs = inputs(&name("b"), &[mapped("cell", "cell")], &input, &none);
        assert_eq!(inputs.unwrap(), input);
    }
}
