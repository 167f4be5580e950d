//! `reconfigure`, `placement history` and `placement rollback`: changes of a placement's configuration, watched until
//! they have reached every instance, or were taken back.

use std::time::{Duration, Instant};

use mainstay_api::client::InstanceFilter;
use mainstay_api::plan::difference;
use mainstay_api::types::{
    Accepted, Instance, Placement, PlacementVersion, ReconfigureRequest, RollbackRequest,
};
use mainstay_api::{Client, Exit, Problem, schema};
use mainstay_protocol::code;
use mainstay_resource_graph::Key;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::arguments::{
    PlacementArguments, PlacementCommand, ReconfigureArguments, RollbackArguments,
};
use crate::commands::change::{pointed, unanswered};
use crate::commands::plan::from_to;
use crate::commands::start::configuration;
use crate::commands::{decisions, get};
use crate::outcome::{Outcome, usage};
use crate::table::{Cell, Table};
use crate::text::age_of;

/// So often the placement is looked at while a change is under way.
const LOOK: Duration = Duration::from_millis(100);

pub async fn run(app: &mut App<'_>, arguments: ReconfigureArguments) -> Outcome {
    let (name, mut on) = match &arguments.reference {
        Key::Instance(key) => (key.placement.to_string(), vec![key.node.to_string()]),
        other => (other.to_string(), Vec::new()),
    };
    on.extend(arguments.on.iter().map(ToString::to_string));
    let client = app.client().await?;
    let placement = client.placement(&name).await?;
    let config = changed(&placement, &on, &arguments)?;
    valid(
        &client,
        &placement.service_type,
        &config,
        &format!("reconfigure {name}"),
    )
    .await?;
    let request = ReconfigureRequest {
        config,
        on: (!on.is_empty()).then_some(on),
        // Somebody else's change in between is not written over.
        generation: Some(placement.generation),
    };
    let accepted = client
        .reconfigure(&name, &request)
        .await
        .map_err(|problem| unanswered(problem, &format!("reconfigure {name}"), &name))?;
    follow(app, &client, &placement, accepted, arguments.no_wait).await
}

/// What it has on these nodes, with what is changed.
fn changed(
    placement: &Placement,
    on: &[String],
    arguments: &ReconfigureArguments,
) -> Result<Value, Problem> {
    let base = on
        .first()
        .and_then(|node| placement.config_on.get(node))
        .unwrap_or(&placement.config);
    let mut config = base.clone();
    merge(&mut config, configuration(&arguments.config)?);
    for path in &arguments.unset {
        let keys: Vec<&str> = path.split('.').collect();
        if !take_away(&mut config, &keys) {
            let what = format!("take {path} away from {}", placement.name);
            let why = format!("its configuration says nothing of {path}: {config}");
            let look = format!("mainstay describe placement/{}", placement.name);
            return Err(usage(what, why).to_do(look));
        }
    }
    Ok(config)
}

/// False: it is not there.
fn take_away(config: &mut Value, path: &[&str]) -> bool {
    let (Value::Object(fields), Some((first, rest))) = (config, path.split_first()) else {
        return false;
    };
    if rest.is_empty() {
        return fields.remove(*first).is_some();
    }
    fields
        .get_mut(*first)
        .is_some_and(|below| take_away(below, rest))
}

/// Objects field by field; anything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Against the type's schema, before anything is asked for. A type that is not known is the station's to tell.
pub async fn valid(
    client: &Client,
    service_type: &str,
    config: &Value,
    what: &str,
) -> Result<(), Problem> {
    let Ok(declared) = client.service_type(service_type).await else {
        return Ok(());
    };
    let config = match config {
        Value::Null => Value::Object(Map::new()),
        other => other.clone(),
    };
    let wrong = schema::check_values(&declared.schema, &config);
    if wrong.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let near = wrong.into_iter().flat_map(|one| one.nearest).collect();
    Err(Problem::new(code::BAD_CONFIG, what, texts.join("; "))
        .near(near)
        .to_do(format!("mainstay describe type/{service_type}")))
}

/// Until it has reached every instance; 9 where it was no good.
async fn follow(
    app: &mut App<'_>,
    client: &Client,
    before: &Placement,
    accepted: Accepted,
    no_wait: bool,
) -> Outcome {
    app.console.say(&accepted.text);
    let name = before.name.as_str();
    if !no_wait && accepted.changed {
        let ended = until_there(app, client, before).await;
        ended.map_err(|problem| pointed(problem, name))?;
    }
    if !app.console.style.is_text() {
        let placement = client.placement(name).await?;
        let reference = format!("placement/{name}");
        app.console
            .answer(&placement, &[reference], |_| String::new())?;
        return Ok(Exit::Ok);
    }
    let filter = InstanceFilter {
        placement: Some(name.to_owned()),
        ..InstanceFilter::default()
    };
    let instances = client.instances(&filter).await?;
    let table = get::instance_table(&instances);
    let reference = |instance: &Instance| instance.reference.clone();
    app.console
        .list(&instances, reference, &table, "it has no instances")?;
    Ok(Exit::Ok)
}

async fn until_there(
    app: &mut App<'_>,
    client: &Client,
    before: &Placement,
) -> Result<(), Problem> {
    let name = before.name.as_str();
    let what = format!("reconfigure {name}");
    let wanted = before.generation + 1;
    let timeout = app.wait_timeout();
    let started = Instant::now();
    let mut told = None;
    loop {
        let now = match client.placement(name).await {
            Err(problem) if problem.is_retryable() && started.elapsed() < timeout => None,
            answer => Some(answer?),
        };
        if let Some(now) = now {
            if let Some(problem) = lost(&what, &now, wanted) {
                return Err(problem);
            }
            match &now.rollout {
                None => return Ok(()),
                Some(rollout) => {
                    if let Some(reason) = &rollout.reason {
                        let why = reason.text.clone();
                        return Err(Problem::new(code::UPDATE_HALTED, what, why));
                    }
                    if told != Some(rollout.told) {
                        told = Some(rollout.told);
                        let (count, of) = (rollout.told, rollout.of);
                        app.console
                            .say(&format!("{name}: {count} of {of} instances are told"));
                    }
                }
            }
        }
        if started.elapsed() >= timeout {
            let why = format!(
                "after {} s it has not reached all instances",
                timeout.as_secs()
            );
            return Err(
                Problem::new(code::TIMEOUT, what, why).to_do(format!("mainstay why {name}"))
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Another wish stands by now: this one was no good, or somebody wanted something else.
fn lost(what: &str, now: &Placement, wanted: u64) -> Option<Problem> {
    if now.generation <= wanted {
        return None;
    }
    Some(match &now.rolled_back {
        Some(reason) => Problem::new(code::ROLLED_BACK, what, reason.text.clone()),
        None => {
            let why = format!(
                "the placement is at generation {} by now, by {}",
                now.generation, now.made_by
            );
            Problem::new(code::GENERATION_PAST, what, why)
        }
    })
}

pub async fn placement(app: &mut App<'_>, arguments: PlacementArguments) -> Outcome {
    match arguments.command {
        PlacementCommand::History(one) => history(app, one.placement.as_str()).await,
        PlacementCommand::Rollback(arguments) => rollback(app, arguments).await,
    }
}

async fn history(app: &mut App<'_>, name: &str) -> Outcome {
    let versions = app.client().await?.placement_history(name).await?;
    let mut table = Table::new(&[
        "GENERATION",
        "MADE BY",
        "AGE",
        "CONFIG",
        "CHANGED",
        "DROPPED",
    ]);
    // Newest first: each is compared with the one before it, which is the next in the list.
    let before = versions.iter().skip(1).map(Some).chain([None]);
    for (version, before) in versions.iter().zip(before) {
        let generation = match version.current {
            true => format!("{} (now)", version.generation),
            false => version.generation.to_string(),
        };
        table.row(vec![
            Cell::new(generation),
            Cell::new(&version.made_by),
            Cell::new(age_of(version.made_at)),
            Cell::new(config_of(version)),
            Cell::new(
                before
                    .map(|before| also_changed(before, version))
                    .unwrap_or_default(),
            ),
            Cell::new(decisions::told(version.dropped.as_ref())),
        ]);
    }
    let reference = |_: &PlacementVersion| format!("placement/{name}");
    app.console
        .list(&versions, reference, &table, "it has no wishes")?;
    Ok(Exit::Ok)
}

fn config_of(version: &PlacementVersion) -> String {
    let mut text = version.config.to_string();
    for (node, config) in &version.config_on {
        text.push_str(&format!(", on {node} {config}"));
    }
    text
}

/// Beside the configuration, which has a column of its own.
fn also_changed(before: &PlacementVersion, version: &PlacementVersion) -> String {
    let wish = |version: &PlacementVersion| {
        json!({
            "target": version.target,
            "policy": version.policy,
            "depends_on": version.depends_on,
            "update": version.update,
            "restart_group": version.restart_group,
            "singleton": version.singleton,
            "needs": version.needs,
            "minimum": version.minimum,
        })
    };
    let changes = difference(&wish(before), &wish(version));
    let lines: Vec<String> = changes.iter().map(from_to).collect();
    lines.join("; ")
}

async fn rollback(app: &mut App<'_>, arguments: RollbackArguments) -> Outcome {
    let name = arguments.placement.to_string();
    let client = app.client().await?;
    let before = client.placement(&name).await?;
    let request = RollbackRequest {
        to: arguments.to,
        generation: Some(before.generation),
    };
    let accepted = client
        .rollback(&name, &request)
        .await
        .map_err(|problem| unanswered(problem, &format!("roll {name} back"), &name))?;
    follow(app, &client, &before, accepted, arguments.no_wait).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_merged_field_by_field() {
        let mut config = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut config, json!({"a": {"c": 3}, "d": [2], "e": {"f": 1}}));
        assert_eq!(
            config,
            json!({"a": {"b": 1, "c": 3}, "d": [2], "e": {"f": 1}})
        );
    }
}
