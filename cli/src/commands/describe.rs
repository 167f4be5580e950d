//! `describe`: everything known about one resource, with what last happened to it and what was last decided.

use std::time::Duration;

use mainstay_api::client::{DecisionFilter, EventFilter};
use mainstay_api::types::{
    Asked, Collected, Configuration, Decision, Described, Event, Instance, Name, Node, Placement,
    Procedure, Reason, Resource, ServiceType, Station, Supervisor, Usage, WatchedBy,
};
use mainstay_api::{Client, Exit, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::arguments::DescribeArguments;
use crate::commands::{decisions, events, watch};
use crate::console::Style;
use crate::outcome::Outcome;
use crate::shown::Shown;
use crate::table::Look;
use crate::text::{age_of, bytes, one_line, span};

/// Of each, so many are a story; `events` and `decisions` tell the rest.
const LATEST: usize = 5;

/// As JSON: the resource with its latest events and decisions beside it.
#[derive(Serialize)]
struct Whole<'a> {
    kind: &'a str,
    #[serde(rename = "ref")]
    reference: &'a str,
    value: InOrder,
    events: Vec<Event>,
    decisions: Vec<Decision>,
}

/// A resource with its keys in the order of its type, as `get` shows them.
#[derive(Serialize)]
#[serde(untagged)]
enum InOrder {
    Node(Box<Node>),
    Station(Box<Station>),
    Type(Box<ServiceType>),
    Placement(Box<Placement>),
    Instance(Box<Instance>),
    Name(Box<Name>),
    Supervisor(Box<Supervisor>),
    Configuration(Box<Configuration>),
    Resource(Box<Resource>),
    Asked(Box<Asked>),
    Procedure(Box<Procedure>),
    Collected(Box<Collected>),
    /// Of a kind, or with keys, that this build does not know.
    Other(Value),
}

impl InOrder {
    fn of(described: &Described) -> Self {
        fn typed<T>(value: &Value, wrap: fn(Box<T>) -> InOrder) -> Option<InOrder>
        where
            T: DeserializeOwned + Serialize,
        {
            let read = T::deserialize(value).ok()?;
            // Nothing is left out for the sake of order.
            let whole = serde_json::to_value(&read).is_ok_and(|same| same == *value);
            whole.then(|| wrap(Box::new(read)))
        }
        let value = &described.value;
        let known = match described.kind.as_str() {
            "node" => typed(value, Self::Node),
            "station" => typed(value, Self::Station),
            "type" => typed(value, Self::Type),
            "placement" => typed(value, Self::Placement),
            "instance" => typed(value, Self::Instance),
            "name" => typed(value, Self::Name),
            "supervisor" => typed(value, Self::Supervisor),
            "config" => typed(value, Self::Configuration),
            "resource" => typed(value, Self::Resource),
            "asked" => typed(value, Self::Asked),
            "procedure" => typed(value, Self::Procedure),
            "collected" => typed(value, Self::Collected),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other(value.clone()))
    }
}

pub async fn run(app: &mut App<'_>, arguments: &DescribeArguments) -> Outcome {
    let client = app.client().await?;
    let reference = arguments.reference.to_string();
    let style = app.console.style;
    if arguments.watching.watch {
        let told = format!("describe {reference}");
        return watch::run(app, &client, &told, async || {
            look(&client, style, &reference).await
        })
        .await;
    }
    let shown = look(&client, style, &reference).await?;
    app.console.shown(&shown)?;
    Ok(Exit::Ok)
}

async fn look(client: &Client, style: Style, reference: &str) -> Result<Shown, Problem> {
    let described = client.resource_and_usage(reference).await?;
    let (events, decisions) = latest(client, &described.reference).await;
    let whole = Whole {
        kind: &described.kind,
        reference: &described.reference,
        value: InOrder::of(&described),
        events,
        decisions,
    };
    let reference = described.reference.clone();
    let state = described.value["state"].as_str().unwrap_or_default();
    let reason = reason_line(&described.value["reason"]).unwrap_or_default();
    let line = one_line(&format!("{reference}  {state}  {reason}"));
    let references = [reference.clone()];
    Shown::one(style, &whole, &references, (reference, line), |look| {
        text(&described, &whole, look)
    })
}

fn text(described: &Described, whole: &Whole<'_>, look: Look) -> String {
    let mut text = format!("{} {}\n", described.kind, described.reference);
    push(&mut text, &folded(described), 1);
    if !whole.events.is_empty() {
        text.push_str("\nlatest events\n");
        text.push_str(&events::table(&whole.events).render(look));
    }
    if !whole.decisions.is_empty() {
        text.push_str("\nlatest decisions\n");
        text.push_str(&decisions::text(&whole.decisions));
    }
    text
}

/// History is a help beside the resource itself: without it the resource is still told.
async fn latest(client: &Client, reference: &str) -> (Vec<Event>, Vec<Decision>) {
    let events = EventFilter {
        reference: Some(reference.to_owned()),
        limit: Some(LATEST),
        ..EventFilter::default()
    };
    let decisions = DecisionFilter {
        reference: Some(reference.to_owned()),
        limit: Some(LATEST),
        ..DecisionFilter::default()
    };
    (
        client.recent_events(&events).await.unwrap_or_default(),
        client
            .recent_decisions(&decisions)
            .await
            .unwrap_or_default(),
    )
}

/// As people want it: a reason is a line; a type's schemas become a line for each message and each key. JSON has
/// all of them.
fn folded(described: &Described) -> Value {
    let mut value = described.value.clone();
    if let Some(reason) = value.get_mut("reason")
        && let Some(line) = reason_line(reason)
    {
        *reason = Value::String(line);
    }
    if let Some(usage) = value.get_mut("usage")
        && let Ok(known) = Usage::deserialize(&*usage)
    {
        *usage = Value::String(usage_line(&known));
    }
    if let Some(watched_by) = value.get_mut("watched_by").and_then(Value::as_array_mut) {
        for watcher in watched_by {
            if let Ok(known) = WatchedBy::deserialize(&*watcher) {
                *watcher = Value::String(watcher_line(&known));
            }
        }
    }
    if described.kind != "type" {
        return value;
    }
    if let Some(messages) = value.get_mut("messages").and_then(Value::as_array_mut) {
        for message in messages {
            let name = message["name"].as_str().unwrap_or("-").to_owned();
            *message = Value::String(schema_line(&name, &message["schema"]));
        }
    }
    if let Some(schema) = value.get_mut("schema") {
        *schema = Value::String(schema_line("", schema));
    }
    value
}

/// `supervisor/n2: n2 is told that it is ok (for 3s)`.
fn watcher_line(watcher: &WatchedBy) -> String {
    let supervisor = &watcher.supervisor;
    match (&watcher.says, watcher.since) {
        (Some(says), Some(since)) => format!("{supervisor}: {says} (for {})", age_of(since)),
        (_, _) => format!("{supervisor}: has said nothing yet"),
    }
}

fn reason_line(reason: &Value) -> Option<String> {
    let known = Reason::deserialize(reason).ok()?;
    Some(decisions::told(Some(&known)))
}

/// What it has no words for is left out: an actor has no processor time and memory of its own.
fn usage_line(usage: &Usage) -> String {
    let ms = |ms| span(Duration::from_millis(ms));
    let cpu = usage.cpu_ms.map(|cpu| format!("{} of cpu", ms(cpu)));
    let memory = usage.memory_bytes.zip(usage.processes);
    let memory = memory.map(|(memory, processes)| match processes {
        1 => format!("{} in 1 process", bytes(memory)),
        many => format!("{} in {many} processes", bytes(memory)),
    });
    let served = format!(
        "busy for {} with {} messages",
        ms(usage.busy_ms),
        usage.served
    );
    let began = format!(
        "began {} ago, {} restarts",
        age_of(usage.started),
        usage.restarts
    );
    let served = Some(served).filter(|_| usage.served > 0 || usage.cpu_ms.is_none());
    let parts = [cpu, memory, served, Some(began)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// `greet {name}  Greets somebody.`; keys that may be left out have a question mark.
fn schema_line(name: &str, schema: &Value) -> String {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let keys: Vec<String> = schema["properties"]
        .as_object()
        .map(|keys| {
            keys.iter()
                .map(|(key, value)| key_text(key, value, &required))
                .collect()
        })
        .unwrap_or_default();
    let content = if keys.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", keys.join(", "))
    };
    let about = schema["description"].as_str().unwrap_or_default();
    [name, &content, &one_line(about)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("  ")
}

fn key_text(key: &str, schema: &Value, required: &[&str]) -> String {
    let mark = if required.contains(&key) { "" } else { "?" };
    match schema["type"].as_str() {
        Some(kind) => format!("{key}{mark}: {kind}"),
        None => format!("{key}{mark}"),
    }
}

/// The order in which people want to read a resource: what it is, how it is, what it is made of.
const ORDER: [&str; 32] = [
    "ref",
    "name",
    "hash",
    "id",
    "node",
    "type",
    "version",
    "target",
    "desired",
    "state",
    "health",
    "reason",
    "since",
    "checked_ms",
    "heard_ms",
    "incarnation",
    "attempts",
    "next_try",
    "usage",
    "generation",
    "want",
    "have",
    "healthy",
    "stopped",
    "waiting_on",
    "role",
    "holder",
    "waiting",
    "watches",
    "watched_by",
    "config",
    "config_wanted",
];

/// Keys without a place of their own come last, in their alphabet.
fn place(key: &str) -> usize {
    ORDER
        .iter()
        .position(|known| *known == key)
        .unwrap_or(ORDER.len())
}

/// Keys and values, indented; whatever fits a line stays on one.
fn push(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| place(key));
            for (key, value) in fields {
                match short(value) {
                    Some(text) => out.push_str(&format!("{indent}{key}: {text}\n")),
                    None => {
                        out.push_str(&format!("{indent}{key}:\n"));
                        push(out, value, depth + 1);
                    }
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                match short(value) {
                    Some(text) => out.push_str(&format!("{indent}- {text}\n")),
                    None => {
                        out.push_str(&format!("{indent}-\n"));
                        push(out, value, depth + 1);
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&format!("{indent}{}\n", short(value).unwrap_or_default()));
        }
    }
}

fn short(value: &Value) -> Option<String> {
    const LINE_MAX: usize = 72;
    match value {
        Value::Null => Some("-".to_owned()),
        Value::String(text) if text.is_empty() => Some("-".to_owned()),
        Value::String(text) => Some(one_line(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            let plain = text.len() <= LINE_MAX;
            plain.then_some(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_shows_a_line_for_each_message() {
        let described = Described {
            kind: "type".to_owned(),
            reference: "type/greeter".to_owned(),
            value: json!({
                "messages": [
                    {"name": "greet", "schema": {
                        "description": "Greets.",
                        "properties": {"name": {"type": "string"}, "how": {"$ref": "#/$defs/How"}},
                        "required": ["name"],
                    }},
                    {"name": "end", "schema": null},
                ],
                "schema": {"properties": {"greeting": {"type": "string"}}},
            }),
        };
        assert_eq!(
            folded(&described),
            json!({
                "messages": ["greet  {how?, name: string}  Greets.", "end"],
                "schema": "{greeting?: string}",
            })
        );
    }

    #[test]
    fn a_resource_begins_with_what_it_is_and_how_it_is() {
        let described = Described {
            kind: "instance".to_owned(),
            reference: "a@n1".to_owned(),
            value: json!({
                "attempts": 1,
                "ref": "a@n1",
                "reason": {"code": "MS-PANICKED", "text": "panicked: boom", "refs": []},
                "state": "Failed",
                "uses": [],
            }),
        };
        let mut out = String::new();
        push(&mut out, &folded(&described), 0);
        assert_eq!(
            out,
            "ref: a@n1\nstate: Failed\nreason: MS-PANICKED: panicked: boom\nattempts: 1\nuses: []\n"
        );
    }

    #[test]
    fn long_values_unfold_and_short_ones_stay_on_their_line() {
        let long = "x".repeat(80);
        let mut out = String::new();
        push(
            &mut out,
            &json!({"a": {"b": 1}, "c": {"d": long}, "e": null, "f": ["y"]}),
            1,
        );
        assert_eq!(
            out,
            format!("  a: {{\"b\":1}}\n  c:\n    d: {long}\n  e: -\n  f: [\"y\"]\n")
        );
    }
}
