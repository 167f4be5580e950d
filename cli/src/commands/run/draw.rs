//! A run as people read it: what it is, then its steps, each below what it waits for.

use std::time::SystemTime;

use mainstay_api::time::span;
use mainstay_api::types::{RunDetail, Step};
use serde_json::value::RawValue;

use crate::table::{Cell, Look, Table};
use crate::text::{age_of, one_line};

pub fn text(detail: &RunDetail, look: Look) -> String {
    let run = &detail.run;
    let mut text = format!("run:       {} of {}", run.id, run.orchestration);
    if let Some(section) = &run.section {
        text.push_str(&format!(", section {section}"));
    }
    text.push_str(&format!(
        "\nstate:     {} for {}, {} of {} steps done",
        run.state,
        age_of(run.since),
        run.done,
        run.steps
    ));
    let mut more = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("\n{name:<11}{}", one_line(&value)));
        }
    };
    more(
        "reason:",
        run.reason
            .as_ref()
            .map(|reason| format!("{} ({})", reason.text, reason.code)),
    );
    more(
        "undoes:",
        run.undoes.as_ref().map(|undone| format!("run/{undone}")),
    );
    more(
        "undone by:",
        run.undone_by.as_ref().map(|by| format!("run/{by}")),
    );
    more("known as:", run.correlation_id.clone());
    more(
        "began:",
        Some(format!("{} ago, by {}", age_of(run.began), run.by)),
    );
    more("given:", Some(detail.input.0.to_string()));
    let context = detail.context.0.to_string();
    more("context:", (context != "{}").then_some(context));
    more(
        "left:",
        detail.outputs.as_ref().map(|outputs| outputs.0.to_string()),
    );
    format!("{text}\n\n{}", steps(&detail.steps).render(look))
}

/// Behind so many, steps stand below each other: what each waits for is said anyway.
const TIERS_DRAWN: usize = 8;

fn steps(steps: &[Step]) -> Table {
    let headings = [
        "STEP", "STATE", "ATTEMPT", "TOOK", "AFTER", "WORKER", "TYPE", "TOKEN", "REASON",
    ];
    let mut table = Table::new(&headings).wide_only(&["TYPE", "TOKEN"]);
    let mut ordered: Vec<&Step> = steps.iter().collect();
    // A tier below the other; within one as the definition has them.
    ordered.sort_by_key(|step| step.tier);
    for step in ordered {
        let indent = match step.tier {
            0 => String::new(),
            tier => format!("└{} ", "─".repeat((tier - 1).min(TIERS_DRAWN))),
        };
        let reason = step.reason.as_ref();
        let reason = reason.map(|reason| one_line(&reason.text));
        let attempt = match step.attempt {
            0 => String::new(),
            attempt => attempt.to_string(),
        };
        table.row(vec![
            Cell::new(format!("{indent}{}", step.activity)),
            Cell::state(&step.state),
            Cell::new(attempt),
            Cell::new(took(step)),
            Cell::new(step.depends_on.join(", ")),
            Cell::new(step.worker.as_deref().unwrap_or_default()),
            Cell::new(&step.of),
            Cell::new(step.token.as_deref().unwrap_or_default()),
            Cell::new(reason.unwrap_or_default()),
        ]);
    }
    table
}

/// From its first attempt to its end, or to now.
pub fn took(step: &Step) -> String {
    let Some(began) = step.began else {
        return String::new();
    };
    let is_over = ["Completed", "Failed", "Skipped", "Cancelled"].contains(&step.state.as_str());
    let until = match is_over {
        true => step.since.system(),
        false => SystemTime::now(),
    };
    let took = until.duration_since(began.system()).unwrap_or_default();
    span(took)
}

/// A member on each line.
pub fn indented(raw: &RawValue) -> Option<String> {
    let mut text = String::new();
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let new_line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    let mut letters = raw.get().chars().peekable();
    while let Some(letter) = letters.next() {
        if in_text {
            text.push(letter);
            in_text = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '"' => {
                in_text = true;
                text.push(letter);
            }
            '{' | '[' => {
                text.push(letter);
                let closes = letters.peek().is_some_and(|next| ['}', ']'].contains(next));
                if !closes {
                    depth += 1;
                    new_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                if !text.ends_with(['{', '[']) {
                    depth = depth.checked_sub(1)?;
                    new_line(&mut text, depth);
                }
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_out_is_the_same_json() {
        for text in [
            "{}",
            "[]",
            r#"{"a":[1,{"b":"x{,\"}:["},[]],"big":123456789012345678901234567890}"#,
        ] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let laid = indented(&raw).unwrap();
            let read: serde_json::Value = serde_json::from_str(&laid).unwrap();
            assert_eq!(
                read,
                serde_json::from_str::<serde_json::Value>(text).unwrap()
            );
            assert!(!text.contains("big") || laid.contains("123456789012345678901234567890"));
        }
    }
}
