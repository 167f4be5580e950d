//! A run as people read it: what it is, then its steps, each below what it waits for.

use std::time::SystemTime;

use mainstay_api::time::span;
use mainstay_api::types::{RunDetail, Step};

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

pub fn steps(steps: &[Step]) -> Table {
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
