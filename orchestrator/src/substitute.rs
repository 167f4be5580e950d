//! `{{inputs.parameters.x}}` and its like in the strings of a template: filled after parsing, once, so that no value can change
//! what stands around it, nor is read for more.

use std::collections::BTreeSet;
use std::fmt;

use mainstay_protocol::json::{Json, Shape};

/// What stands between the braces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `inputs.parameters.x`: of the template itself.
    Input(String),
    /// `workflow.parameters.x`: of the order.
    Workflow(String),
    /// Of a task before it.
    Task { task: String, output: Output },
}

/// What a task leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// `tasks.t.outputs.parameters.y`: a file that it wrote.
    Parameter(String),
    /// `tasks.t.outputs.result`: what it said on its standard output.
    Result,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "parameters.{name}"),
            Self::Result => f.write_str("result"),
        }
    }
}

impl Reference {
    /// None for what is no reference of ours: other programs write braces as well.
    fn read(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        match parts.as_slice() {
            ["inputs", "parameters", name] => Some(Self::Input((*name).to_owned())),
            ["workflow", "parameters", name] => Some(Self::Workflow((*name).to_owned())),
            ["tasks" | "steps", task, "outputs", "parameters", name] => Some(Self::Task {
                task: (*task).to_owned(),
                output: Output::Parameter((*name).to_owned()),
            }),
            ["tasks" | "steps", task, "outputs", "result"] => Some(Self::Task {
                task: (*task).to_owned(),
                output: Output::Result,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => write!(f, "inputs.parameters.{name}"),
            Self::Workflow(name) => write!(f, "workflow.parameters.{name}"),
            Self::Task { task, output } => write!(f, "tasks.{task}.outputs.{output}"),
        }
    }
}

/// Every reference in the strings of a value, each once; and what looks like one of ours and is none.
pub(crate) fn references(template: &Json) -> (BTreeSet<Reference>, BTreeSet<String>) {
    let (mut found, mut odd) = (BTreeSet::new(), BTreeSet::new());
    each_string(template, &mut |text| {
        odd.extend(almost(text));
        found.extend(parts(text).into_iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        }));
    });
    (found, odd)
}

/// What stands in braces and begins as a reference does.
fn almost(text: &str) -> Vec<String> {
    let inner = text.split("{{").skip(1);
    let inner = inner.filter_map(|rest| Some(rest.split_once("}}")?.0.trim()));
    let begins = ["inputs.", "workflow.", "tasks.", "steps."];
    let ours = inner.filter(|inner| begins.iter().any(|begin| inner.starts_with(begin)));
    let ours = ours.filter(|inner| Reference::read(inner).is_none());
    ours.map(str::to_owned).collect()
}

pub(crate) enum Part<'t> {
    Text(&'t str),
    Reference(Reference),
}

pub(crate) fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(begins) = rest.find("{{") {
        let inner = &rest[begins + 2..];
        let found = inner.find("}}").and_then(|ends| {
            let reference = Reference::read(&inner[..ends])?;
            Some((reference, &inner[ends + 2..]))
        });
        match found {
            Some((reference, after)) => {
                parts.push(Part::Text(&rest[..begins]));
                parts.push(Part::Reference(reference));
                rest = after;
            }
            // One brace further: `{{{inputs..` has its reference behind the first.
            None => {
                parts.push(Part::Text(&rest[..=begins]));
                rest = &rest[begins + 1..];
            }
        }
    }
    parts.push(Part::Text(rest));
    parts
}

fn each_string(value: &Json, then: &mut impl FnMut(&str)) {
    match value.shape() {
        Shape::Text => value.as_text().iter().for_each(|text| then(text)),
        Shape::Array => value
            .items()
            .iter()
            .for_each(|item| each_string(item, then)),
        Shape::Object => value
            .members()
            .values()
            .for_each(|member| each_string(member, then)),
        Shape::Null | Shape::Bool | Shape::Number => {}
    }
}

/// A string without its quotes, anything else as it is written.
pub(crate) fn as_text(value: &Json) -> String {
    value.as_text().unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn every_kind_of_reference_is_found_with_spaces_and_beside_other_braces() {
        let template = json(
            r#"["{{ workflow.parameters.a }}{{{inputs.parameters.b}}}","{{.Names}} {{tasks.t.outputs.parameters.y}}",{"k":"{{steps.s.outputs.result}} {{inputs.paramters.x}}"},7]"#,
        );
        let (found, odd) = references(&template);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "inputs.parameters.b",
                "workflow.parameters.a",
                "tasks.s.outputs.result",
                "tasks.t.outputs.parameters.y",
            ]
        );
        let odd: Vec<String> = odd.into_iter().collect();
        assert_eq!(odd, ["inputs.paramters.x"]);
    }
}
