//! What a resource agent says of itself: its parameters and actions, from the XML of its action `meta-data`.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::words;
use mainstay_service::{Value, json};
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Map;
use thiserror::Error;

use super::config::Param;

/// Nodes of the XML; the largest resource agents have some hundreds.
const XML_NODES_MAX: u32 = 20_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MetaData {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) about: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) actions: Vec<ActionInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) required: bool,
    pub(super) kind: Kind,
    pub(super) default: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    /// One of these.
    Select(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActionInfo {
    pub(super) name: String,
    pub(super) timeout: Option<Duration>,
    pub(super) interval: Option<Duration>,
    /// As in `OCF_CHECK_LEVEL`.
    pub(super) depth: u32,
}

/// What is wrong with the parameters of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum BadParameter {
    #[error("params.{name}: {agent} has no such parameter{hint}")]
    Unknown {
        agent: String,
        name: String,
        hint: String,
    },
    #[error("params.{name}: {agent} needs this parameter{about}")]
    Missing {
        agent: String,
        name: String,
        about: String,
    },
    #[error("params.{name}: \"{value}\" is no {wanted}")]
    Value {
        name: String,
        value: String,
        wanted: String,
    },
}

impl MetaData {
    pub(super) fn parse(xml: &str) -> Result<Self, String> {
        let options = ParsingOptions {
            // Every one of them begins with a document type. Entities are expanded within the parser's own bounds.
            allow_dtd: true,
            nodes_limit: XML_NODES_MAX,
            ..ParsingOptions::default()
        };
        let document =
            Document::parse_with_options(xml, options).map_err(|error| error.to_string())?;
        let root = document.root_element();
        if root.tag_name().name() != "resource-agent" {
            let name = root.tag_name().name();
            return Err(format!("it describes no resource-agent but a \"{name}\""));
        }
        let inside = |outer: &'static str, inner: &'static str| {
            children(root, outer).flat_map(move |list| children(list, inner))
        };
        Ok(Self {
            name: attribute(root, "name").unwrap_or_default(),
            version: attribute(root, "version").unwrap_or_default(),
            about: about(root),
            parameters: inside("parameters", "parameter")
                .filter_map(parameter)
                .collect(),
            actions: inside("actions", "action").filter_map(action).collect(),
        })
    }

    /// The first with this name and, for `monitor`, this depth; else any of the name.
    pub(super) fn action(&self, name: &str, depth: u32) -> Option<&ActionInfo> {
        let named = || self.actions.iter().filter(|action| action.name == name);
        named()
            .find(|action| action.depth == depth)
            .or_else(|| named().next())
    }

    /// Everything that is wrong, at once.
    pub(super) fn check(
        &self,
        agent: &str,
        params: &BTreeMap<String, Param>,
    ) -> Result<(), Vec<BadParameter>> {
        let mut wrong = Vec::new();
        for (name, value) in params {
            match self.parameters.iter().find(|known| known.name == *name) {
                None => wrong.push(self.unknown(agent, name)),
                Some(known) => wrong.extend(known.refuses(&value.to_string())),
            }
        }
        let missing = self
            .parameters
            .iter()
            .filter(|known| known.required && !params.contains_key(&known.name));
        wrong.extend(missing.map(|known| BadParameter::Missing {
            agent: agent.to_owned(),
            name: known.name.clone(),
            about: in_parentheses(&known.about),
        }));
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn unknown(&self, agent: &str, name: &str) -> BadParameter {
        let known: Vec<&str> = self.parameters.iter().map(|p| p.name.as_str()).collect();
        let nearest = words::nearest(name, known.iter().copied());
        let hint = match (nearest.as_slice(), known.as_slice()) {
            ([], []) => "; it has none at all".to_owned(),
            ([], all) => format!("; it has {}", all.join(", ")),
            (nearest, _) => format!("; did you mean {}?", nearest.join(" or ")),
        };
        BadParameter::Unknown {
            agent: agent.to_owned(),
            name: name.to_owned(),
            hint,
        }
    }

    /// A JSON Schema of `params`.
    pub(super) fn schema(&self) -> Value {
        let properties: Map<String, Value> = self
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.schema()))
            .collect();
        let required: Vec<&str> = self
            .parameters
            .iter()
            .filter(|parameter| parameter.required)
            .map(|parameter| parameter.name.as_str())
            .collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.about,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// As the message `meta-data` answers.
    pub(super) fn to_json(&self) -> Value {
        let milliseconds = |span: Option<Duration>| span.map(|span| span.as_millis() as u64);
        let actions: Vec<Value> = self
            .actions
            .iter()
            .map(|action| {
                json!({
                    "name": action.name,
                    "timeout_ms": milliseconds(action.timeout),
                    "interval_ms": milliseconds(action.interval),
                    "depth": action.depth,
                })
            })
            .collect();
        json!({
            "name": self.name,
            "version": self.version,
            "about": self.about,
            "params": self.schema(),
            "actions": actions,
        })
    }
}

impl Parameter {
    fn refuses(&self, value: &str) -> Option<BadParameter> {
        let wanted = match &self.kind {
            Kind::Text => return None,
            Kind::Integer => {
                if value.trim().parse::<i64>().is_ok() {
                    return None;
                }
                "whole number".to_owned()
            }
            Kind::Boolean => {
                if is_boolean(value) {
                    return None;
                }
                "boolean (true or false)".to_owned()
            }
            Kind::Select(choices) => {
                if choices.iter().any(|choice| choice == value) {
                    return None;
                }
                format!("choice; there are {}", choices.join(", "))
            }
        };
        Some(BadParameter::Value {
            name: self.name.clone(),
            value: value.to_owned(),
            wanted,
        })
    }

    fn schema(&self) -> Value {
        let kind = match &self.kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Integer => json!({ "type": "integer" }),
            Kind::Boolean => json!({ "type": "boolean" }),
            Kind::Select(choices) => json!({ "enum": choices }),
        };
        let mut schema = kind;
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(self.about));
            if let Some(default) = &self.default {
                object.insert("default".to_owned(), json!(default));
            }
        }
        schema
    }
}

/// What the scripts' own library takes for true, and for false.
fn is_boolean(value: &str) -> bool {
    [
        "yes", "true", "1", "on", "ja", "no", "false", "0", "off", "nein",
    ]
    .contains(&value.to_ascii_lowercase().as_str())
}

fn children<'a>(
    of: Node<'a, 'a>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'a>> + use<'a> {
    of.children()
        .filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn attribute(of: Node<'_, '_>, name: &str) -> Option<String> {
    of.attribute(name).map(str::to_owned)
}

/// The short text about it, on one line; the long one where there is no short one.
fn about(of: Node<'_, '_>) -> String {
    let text = of
        .children()
        .find(|child| child.tag_name().name() == "shortdesc")
        .or_else(|| {
            of.children()
                .find(|child| child.tag_name().name() == "longdesc")
        })
        .and_then(|child| child.text())
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn in_parentheses(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" ({text})")
    }
}

fn parameter(node: Node<'_, '_>) -> Option<Parameter> {
    let content = node
        .children()
        .find(|child| child.tag_name().name() == "content");
    let kind = match content.and_then(|content| content.attribute("type")) {
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Boolean,
        Some("select") => Kind::Select(
            content
                .into_iter()
                .flat_map(|content| content.children())
                .filter_map(|option| attribute(option, "value"))
                .collect(),
        ),
        // There are more names than the standard knows; each is some text.
        Some(_) | None => Kind::Text,
    };
    Some(Parameter {
        name: attribute(node, "name")?,
        about: about(node),
        required: matches!(node.attribute("required"), Some("1" | "true" | "yes")),
        kind,
        default: content.and_then(|content| attribute(content, "default")),
    })
}

fn action(node: Node<'_, '_>) -> Option<ActionInfo> {
    let span = |name| node.attribute(name).and_then(span);
    Some(ActionInfo {
        name: attribute(node, "name")?,
        timeout: span("timeout"),
        interval: span("interval"),
        depth: node
            .attribute("depth")
            .and_then(|depth| depth.trim().parse().ok())
            .unwrap_or_default(),
    })
}

/// `20s`, `20`, `500ms`, `2m`, `1min`, `1h`.
fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "s" | "sec" => number.checked_mul(1000)?,
        "ms" | "msec" => number,
        "m" | "min" => number.checked_mul(60_000)?,
        "h" | "hr" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="Demo" version="1.1">
<shortdesc lang="en">Shows
   things</shortdesc>
<parameters>
<parameter name="state" unique="1"><shortdesc>State file</shortdesc><content type="string" default="/run/x"/></parameter>
<parameter name="count" required="1"><longdesc>How many</longdesc><content type="integer"/></parameter>
<parameter name="loud"><content type="boolean" default="false"/></parameter>
<parameter name="mode"><content type="select"><option value="a"/><option value="b"/></content></parameter>
</parameters>
<actions>
<action name="start" timeout="240"/>
<action name="monitor" timeout="20s" interval="10s" depth="0"/>
<action name="monitor" timeout="1min" interval="500ms" depth="10"/>
</actions>
</resource-agent>"#;

    fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, Param> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Param::Text((*value).to_owned())))
            .collect()
    }

    #[test]
    fn a_description_is_read_with_its_actions_and_their_times() {
        let meta = MetaData::parse(XML).unwrap();
        assert_eq!(
            (meta.name.as_str(), meta.about.as_str()),
            ("Demo", "Shows things")
        );
        assert_eq!(meta.parameters.len(), 4);
        let seconds = |action: &ActionInfo| action.timeout.map(|span| span.as_secs());
        assert_eq!(seconds(meta.action("start", 0).unwrap()), Some(240));
        assert_eq!(seconds(meta.action("monitor", 10).unwrap()), Some(60));
        assert_eq!(seconds(meta.action("monitor", 3).unwrap()), Some(20));
        assert!(meta.action("stop", 0).is_none());
        let schema = meta.schema();
        assert_eq!(schema["required"], json!(["count"]));
        assert_eq!(schema["properties"]["mode"]["enum"], json!(["a", "b"]));
        assert_eq!(schema["properties"]["state"]["default"], "/run/x");
    }

    #[test]
    fn everything_wrong_with_the_parameters_is_said_at_once() {
        let meta = MetaData::parse(XML).unwrap();
        let check = |pairs: &[(&str, &str)]| {
            let wrong = meta
                .check("x:Demo", &params(pairs))
                .err()
                .unwrap_or_default();
            wrong.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            check(&[("count", "3"), ("loud", "Yes"), ("mode", "b")]),
            [""; 0]
        );
        let told = check(&[("coutn", "3"), ("loud", "maybe"), ("mode", "c")]);
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].contains("did you mean count"), "{told:#?}");
        assert!(told[1].contains("\"maybe\" is no boolean"), "{told:#?}");
        assert!(told[2].contains("there are a, b"), "{told:#?}");
        assert!(told[3].contains("params.count: x:Demo needs"), "{told:#?}");
        assert!(told[3].contains("How many"), "{told:#?}");
        assert_eq!(
            check(&[("count", "3.5")]),
            ["params.count: \"3.5\" is no whole number"]
        );
    }

    #[test]
    fn what_is_no_description_is_refused_and_entities_do_not_explode() {
        for (xml, word) in [
            ("", "root"),
            ("<a/>", "no resource-agent"),
            ("<resource-agent>", "never closed"),
            ("hello", ""),
        ] {
            let told = MetaData::parse(xml).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
        let bomb = r#"<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
            <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
            <!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;">
            ]><resource-agent name="x">&f;&f;&f;&f;&f;&f;&f;&f;&f;</resource-agent>"#;
        MetaData::parse(bomb).unwrap_err();
    }
}
