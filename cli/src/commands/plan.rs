//! `plan`: what files would change, shown and kept; nothing is changed.

use std::fs;
use std::path::Path;

use mainstay_api::types::{
    Act, FieldChange, InstanceChange, PLAN_FORMAT, Plan, PlanChange, PlanMode,
};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::{code, limits};
use serde_json::Value;

use crate::app::App;
use crate::arguments::PlanArguments;
use crate::commands::wishes;
use crate::outcome::{Outcome, machine, usage};
use crate::text::one_line;

pub async fn run(app: &mut App<'_>, arguments: &PlanArguments) -> Outcome {
    let wishes = wishes::read(&mut app.console, &arguments.files)?;
    let client = app.client().await?;
    let plan = wishes::plan(app, &client, &wishes, mode(arguments.prune)).await?;
    if let Some(file) = &arguments.out {
        keep(&plan, Path::new(file))?;
    }
    show(app, &plan)?;
    if let Some(file) = &arguments.out {
        app.console.say(&format!(
            "kept; carry it out with: mainstay apply --plan {file}"
        ));
    }
    Ok(
        match arguments.exit_code && plan.pending().next().is_some() {
            true => Exit::ChangesPending,
            false => Exit::Ok,
        },
    )
}

pub fn mode(prune: bool) -> PlanMode {
    match prune {
        true => PlanMode::Prune,
        false => PlanMode::Apply,
    }
}

/// On standard output, as data.
pub fn show(app: &mut App<'_>, plan: &Plan) -> Result<(), Problem> {
    let references: Vec<String> = plan
        .pending()
        .map(|change| change.reference.clone())
        .collect();
    app.console.answer(plan, &references, |_| in_words(plan))
}

fn keep(plan: &Plan, file: &Path) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(plan)
        .map_err(|why| crate::outcome::bug("write the plan", why))?;
    fs::write(file, text + "\n")
        .map_err(|why| machine(format!("write the plan to {}", file.display()), why))
}

/// A plan that was kept.
pub fn kept(file: &str) -> Result<Plan, Problem> {
    let what = format!("read the plan {file}");
    let about = fs::metadata(file).map_err(|why| machine(&what, why))?;
    if about.len() > limits::PLAN_BYTES_MAX as u64 {
        return Err(usage(&what, "it is larger than any plan").to_do("mainstay plan --help"));
    }
    let text = fs::read_to_string(file).map_err(|why| machine(&what, why))?;
    let value: Value =
        serde_json::from_str(&text).map_err(|why| not_a_plan(&what, &why.to_string()))?;
    let format = value.get("format").and_then(Value::as_u64);
    if format.is_some_and(|format| format != u64::from(PLAN_FORMAT)) {
        let why = "it was kept by another version of mainstay";
        return Err(Problem::new(code::VERSION_MISMATCH, what, why).to_do("mainstay plan --help"));
    }
    serde_json::from_value(value).map_err(|why| not_a_plan(&what, &why.to_string()))
}

fn not_a_plan(what: &str, why: &str) -> Problem {
    usage(
        what,
        format!("this is no plan that `plan --out` kept: {why}"),
    )
    .to_do("mainstay plan --help")
}

/// As people read it: a sign for each change, its fields from old to new, what follows for instances.
pub fn in_words(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for change in plan.pending() {
        lines.push(headline(change));
        lines.extend(
            change
                .fields
                .iter()
                .map(|field| in_change(change.act, field)),
        );
        lines.extend(change.instances.iter().map(instance));
        let unplaced = change.unplaced.iter();
        lines.extend(unplaced.map(|text| format!("    {}", one_line(text))));
        lines.extend(
            change
                .steps
                .iter()
                .map(|steps| format!("    in steps: {steps}")),
        );
        lines.push(String::new());
    }
    lines.push(counts(plan));
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn headline(change: &PlanChange) -> String {
    let sign = match change.act {
        Act::Create => '+',
        Act::Change => '~',
        Act::Delete => '-',
        Act::Unchanged => '=',
    };
    let is_placement = change.reference != mainstay_api::plan::SETTINGS_REFERENCE;
    let generation = match change.act {
        Act::Change if is_placement => format!(
            " (generation {} -> {})",
            change.based_on,
            change.based_on + 1
        ),
        Act::Create | Act::Change | Act::Delete | Act::Unchanged => String::new(),
    };
    let after = match change.after.is_empty() {
        true => String::new(),
        false => format!(", after {}", change.after.join(", ")),
    };
    format!(
        "{sign} {} {}{generation}{after}",
        change.act.as_str(),
        change.reference
    )
}

fn in_change(act: Act, field: &FieldChange) -> String {
    let path = one_line(&field.path);
    match act {
        Act::Create => format!("    {path}: {}", value(&field.new)),
        Act::Change | Act::Delete | Act::Unchanged => format!("    {}", from_to(field)),
    }
}

pub fn from_to(field: &FieldChange) -> String {
    let path = one_line(&field.path);
    format!("{path}: {} -> {}", value(&field.old), value(&field.new))
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "(nothing)".to_owned(),
        other => one_line(&other.to_string()),
    }
}

fn instance(instance: &InstanceChange) -> String {
    let text = match instance.text.is_empty() {
        true => String::new(),
        false => format!(": {}", one_line(&instance.text)),
    };
    format!("    {} {}{text}", instance.act.as_str(), instance.reference)
}

fn counts(plan: &Plan) -> String {
    if plan.pending().next().is_none() {
        return match plan.mode {
            PlanMode::Delete => "nothing to do: what the files name is not there".to_owned(),
            PlanMode::Apply | PlanMode::Prune => {
                "nothing to do: everything is as the files say".to_owned()
            }
        };
    }
    format!(
        "{} to create, {} to change, {} to delete, {} unchanged",
        plan.count(Act::Create),
        plan.count(Act::Change),
        plan.count(Act::Delete),
        plan.count(Act::Unchanged)
    )
}
