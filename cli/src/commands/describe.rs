//! `describe`: everything known about one resource, with what last happened to it and what was last decided.

use mainstay_api::client::{DecisionFilter, EventFilter};
use mainstay_api::types::{Decision, Described, Event};
use mainstay_api::{Client, Exit};
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::arguments::OneArguments;
use crate::commands::{decisions, events};
use crate::outcome::Outcome;
use crate::text::one_line;

/// Of each, so many are a story; `events` and `decisions` tell the rest.
const LATEST: usize = 5;

/// As JSON: the resource with its latest events and decisions beside it.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    described: Described,
    events: Vec<Event>,
    decisions: Vec<Decision>,
}

pub async fn run(app: &mut App<'_>, arguments: &OneArguments) -> Outcome {
    let client = app.client()?;
    let reference = arguments.reference.to_string();
    let described = client.resource(&reference).await?;
    let (events, decisions) = latest(&client, &described.reference).await;
    let whole = Whole {
        described,
        events,
        decisions,
    };
    if app.console.style.json {
        app.console.json(&whole)?;
        return Ok(Exit::Ok);
    }
    let colour = app.console.style.colour;
    let mut text = format!("{} {}\n", whole.described.kind, whole.described.reference);
    push(&mut text, &whole.described.value, 1);
    if !whole.events.is_empty() {
        text.push_str("\nlatest events\n");
        text.push_str(&events::table(&whole.events).render(colour));
    }
    if !whole.decisions.is_empty() {
        text.push_str("\nlatest decisions\n");
        text.push_str(&decisions::table(&whole.decisions).render(colour));
    }
    app.console.data(&text)?;
    Ok(Exit::Ok)
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
        client.events(&events).await.unwrap_or_default(),
        client.decisions(&decisions).await.unwrap_or_default(),
    )
}

/// Keys and values, indented; whatever fits a line stays on one.
fn push(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
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
