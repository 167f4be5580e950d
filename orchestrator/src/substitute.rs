//! `{{inputs.parameters.x}}` and its like in the strings of a template: filled after parsing, once, so that no value can change
//! what stands around it, nor is read for more.

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

/// Every reference in the strings of a value, in their order.
pub fn references(template: &Json) -> Vec<Reference> {
    let mut found = Vec::new();
    each_string(template, &mut |text| {
        let parts = parts(text).into_iter();
        found.extend(parts.filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        }));
    });
    found
}

/// With every reference filled; or those that nothing is known for.
pub fn fill(
    template: &Json,
    known: &impl Fn(&Reference) -> Option<Json>,
) -> Result<Json, Vec<Reference>> {
    let mut unresolved = Vec::new();
    let filled = filled(template, known, &mut unresolved);
    match unresolved.is_empty() {
        true => Ok(filled),
        false => Err(unresolved),
    }
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

fn filled(
    value: &Json,
    known: &impl Fn(&Reference) -> Option<Json>,
    unresolved: &mut Vec<Reference>,
) -> Json {
    match value.shape() {
        Shape::Text => {
            let text = value.as_text().unwrap_or_default();
            let mut whole = String::with_capacity(text.len());
            for part in parts(&text) {
                match part {
                    Part::Text(text) => whole.push_str(text),
                    Part::Reference(reference) => match known(&reference) {
                        Some(value) => whole.push_str(&as_text(&value)),
                        None => unresolved.push(reference),
                    },
                }
            }
            Json::text(&whole)
        }
        Shape::Array => {
            let items = value.items();
            let items = items.iter().map(|item| filled(item, known, unresolved));
            let items: Vec<Json> = items.collect();
            Json::array(&items)
        }
        Shape::Object => {
            let members = value.members().into_iter();
            let members = members.map(|(key, member)| (key, filled(&member, known, unresolved)));
            Json::object(&members.collect())
        }
        Shape::Null | Shape::Bool | Shape::Number => value.clone(),
    }
}

/// A string without its quotes, anything else as it is written.
pub(crate) fn as_text(value: &Json) -> String {
    value.as_text().unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    // case: orchestrations 66
    #[test]
    fn a_value_is_put_in_as_it_is_and_not_read_again() {
        let template = json(r#"{"args":["echo '{{inputs.parameters.message}}'"]}"#);
        let hostile = "it's {{inputs.parameters.message}} \"q\"\n$(rm)";
        let filled = fill(&template, &|_| Some(Json::text(hostile))).unwrap();
        let said = filled.at(["args", "0"]).unwrap().as_text().unwrap();
        assert_eq!(said, format!("echo '{hostile}'"));
    }

    #[test]
    fn every_kind_of_reference_is_found_with_spaces_and_beside_other_braces() {
        let template = json(
            r#"["{{ workflow.parameters.a }}{{{inputs.parameters.b}}}","{{.Names}} {{tasks.t.outputs.parameters.y}}",{"k":"{{steps.s.outputs.result}}"},7]"#,
        );
        let found: Vec<String> = references(&template)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "workflow.parameters.a",
                "inputs.parameters.b",
                "tasks.t.outputs.parameters.y",
                "tasks.s.outputs.result",
            ]
        );
        let filled = fill(&template, &|_| Some(json("12"))).unwrap();
        assert_eq!(
            filled.as_str(),
            r#"["12{12}","{{.Names}} 12",{"k":"12"},7]"#
        );
    }

    #[test]
    fn what_nothing_is_known_for_is_told_all_of_it() {
        let template = json(r#"["{{inputs.parameters.a}} {{inputs.parameters.b}}"]"#);
        let known = |reference: &Reference| match reference {
            Reference::Input(name) if name == "a" => Some(Json::text("x")),
            _ => None,
        };
        let missing = fill(&template, &known).unwrap_err();
        assert_eq!(missing, [Reference::Input("b".to_owned())]);
    }

    proptest! {
        // acceptance: issue 6, line 4
        /// Whatever the value: around it everything stays, and it is there once, as it was given.
        #[test]
        fn no_value_changes_what_stands_around_it(
            value in any::<String>(),
            before in "[a-z \"'\\\\]{0,8}",
            after in "[a-z \"'\\\\]{0,8}",
        ) {
            let text = format!("{before}{{{{inputs.parameters.x}}}}{after}");
            let template = Json::array(&[Json::text(&text), Json::text("beside"), json("[1,{}]")]);
            let filled = fill(&template, &|_| Some(Json::text(&value))).unwrap();
            let items = filled.items();
            prop_assert_eq!(items.len(), 3);
            prop_assert_eq!(items[0].as_text().unwrap(), format!("{before}{value}{after}"));
            prop_assert_eq!(items[1].as_str(), "\"beside\"");
            prop_assert_eq!(items[2].as_str(), "[1,{}]");
            prop_assert_eq!(Json::parse(filled.as_str()).unwrap(), filled);
        }
    }
}
