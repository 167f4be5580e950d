//! What differs between two wishes: both as one JSON each, compared field by field.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::PlacementWish;
use mainstay_protocol::room::{Needs, Room};
use mainstay_protocol::{NodeName, PlacementName};
use mainstay_resource_graph::{
    ConfigHash, Count, DependsUntil, Key, Placement, RestartPolicy, Singleton, Strategy, Target,
    Update, View, ViewExt,
};
use serde_json::{Map, Value, json};

use crate::shapes::{Path, duration_text};
use crate::types::{ConstraintsSpec, FieldChange, NeedsSpec};

/// The fields that differ, in the order of their paths. Lists are compared as a whole.
pub fn difference(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare(old, new, &Path::default(), &mut changes);
    changes
}

fn compare(old: &Value, new: &Value, path: &Path, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let of =
                    |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                compare(&of(old), &of(new), &path.field(name), changes);
            }
        }
        (old, new) if old == new => {}
        // What comes or goes as a whole is told by its fields, so that each is a line of its own.
        (Value::Null, Value::Object(fields)) if !fields.is_empty() => {
            compare(&Value::Object(Map::new()), new, path, changes);
        }
        (Value::Object(fields), Value::Null) if !fields.is_empty() => {
            compare(old, &Value::Object(Map::new()), path, changes);
        }
        (old, new) => changes.push(FieldChange {
            path: path.to_string(),
            old: old.clone(),
            new: new.clone(),
        }),
    }
}

/// A placement as it is.
pub fn of_placement(view: &dyn View, placement: &Placement) -> Value {
    let config = |hash: &ConfigHash| {
        let text = view.configuration(&Key::Configuration(hash.clone()));
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or(Value::Null)
    };
    let wish = &placement.wish;
    let on_nodes: BTreeMap<&NodeName, Value> = wish
        .on_nodes
        .iter()
        .map(|(node, hash)| (node, config(hash)))
        .collect();
    let mut value = fields(&wish.target, &wish.policy, &wish.depends_on, &wish.update);
    value["restart_group"] = json!(wish.restart_group);
    value["singleton"] = singleton(wish.singleton);
    value["needs"] = needs(&wish.needs);
    value["minimum"] = json!(wish.minimum);
    value["type"] = json!(placement.service_type);
    value["holds"] = json!(placement.holds);
    value["config"] = config(&wish.config);
    value["config_on"] = json!(on_nodes);
    value
}

/// A placement as it is wished for. Whole wishes say nothing about single nodes: what was tried there is over.
pub fn of_wish(wish: &PlacementWish) -> Value {
    let mut value = fields(&wish.target, &wish.policy, &wish.depends_on, &wish.update);
    value["restart_group"] = json!(wish.restart_group);
    value["singleton"] = singleton(wish.singleton);
    value["needs"] = needs(&wish.needs);
    value["minimum"] = json!(wish.minimum);
    value["type"] = json!(wish.service_type);
    value["holds"] = json!(wish.holds);
    value["config"] = serde_json::from_str(&wish.config).unwrap_or_else(|_| json!({}));
    value["config_on"] = json!({});
    value
}

/// The fields of a new placement that are not as they would be if nothing were said.
pub fn said(wish: &Value) -> Vec<FieldChange> {
    let mut unsaid = fields(
        &Target::Nodes(BTreeSet::new()),
        &RestartPolicy::default(),
        &BTreeMap::new(),
        &Update::default(),
    );
    unsaid["restart_group"] = Value::Null;
    unsaid["singleton"] = Value::Null;
    unsaid["needs"] = needs(&Needs::default());
    unsaid["minimum"] = json!(0);
    unsaid["config"] = json!({});
    unsaid["config_on"] = json!({});
    unsaid["target"] = Value::Null;
    difference(&unsaid, wish)
        .into_iter()
        .map(|change| FieldChange {
            old: Value::Null,
            ..change
        })
        .collect()
}

fn singleton(wish: Option<Singleton>) -> Value {
    wish.map_or(
        Value::Null,
        |one| json!({"lease": duration_text(one.lease_ms), "fenced": one.fenced}),
    )
}

fn needs(wish: &Needs) -> Value {
    json!(NeedsSpec::of(wish))
}

/// What is not said of them is left out: most say none of it.
fn so_many(wanted: &Count) -> Value {
    let mut value = json!({"count": wanted.count, "all": wanted.on, "spread": wanted.spread});
    if wanted.least != Room::NONE {
        value["constraints"] = json!(ConstraintsSpec::of(wanted.least));
    }
    let others = [
        ("affinity", &wanted.affinity),
        ("anti_affinity", &wanted.anti_affinity),
    ];
    for (field, others) in others.into_iter().filter(|(_, others)| !others.is_empty()) {
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        value[field] = json!(others);
    }
    value
}

fn fields(
    target: &Target,
    policy: &RestartPolicy,
    depends_on: &BTreeMap<PlacementName, DependsUntil>,
    update: &Update,
) -> Value {
    let (strategy, at_once) = match update.strategy {
        Strategy::All => ("all", None),
        Strategy::Rolling { at_once } => ("rolling", Some(at_once)),
        Strategy::Canary => ("canary", None),
    };
    json!({
        "target": match target {
            Target::Nodes(nodes) => json!({"nodes": nodes}),
            Target::All(labels) => json!({"all": labels}),
            Target::Count(count) => so_many(count),
        },
        "policy": {
            "restart": policy.restart,
            "attempts": policy.attempts,
            "window": policy.window_ms.map(duration_text),
            "backoff": {"max": policy.backoff_max_ms.map(duration_text)},
            "escalate": policy.escalate.as_str(),
            "on_isolation": {"replace": policy.replace_isolated_ms.map(duration_text)},
            "watched_from": policy.watched_from,
        },
        "depends_on": depends_on
            .iter()
            .map(|(name, until)| (name.to_string(), json!(until.as_str())))
            .collect::<Map<_, _>>(),
        "update": {
            "strategy": strategy,
            "at_once": at_once,
            "rollback": update.rollback,
            "wait": duration_text(update.wait_ms),
        },
    })
}
