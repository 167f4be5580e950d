//! Changes: each wish beside what there is.

use mainstay_protocol::PlacementName;
use mainstay_resource_graph::{Key, Kind, Standing, View, ViewExt};
use serde_json::Value;

use super::difference::{difference, of_placement, of_wish, said};
use super::effects::{self, Effects};
use super::read::{Placed, SettingsWish, Wishes};
use crate::shapes::settings::shown;
use crate::types::{Act, InstanceAct, PlanChange};

/// What settings are called among the changes.
pub const SETTINGS_REFERENCE: &str = "settings";

pub fn applied(view: &dyn View, wishes: &Wishes<'_>) -> Vec<PlanChange> {
    let settings = wishes.settings.iter().map(|wish| settings(view, wish));
    let placed = wishes.placements.iter().map(|placed| put(view, placed));
    settings.chain(placed).collect()
}

/// Every placement that the wishes do not name.
pub fn pruned(view: &dyn View, wishes: &Wishes<'_>) -> Vec<PlanChange> {
    view.keys(Kind::Placement)
        .into_iter()
        .filter_map(|key| match key {
            Key::Placement(name) if wishes.placed(&name).is_none() => Some(delete(view, &name)),
            _ => None,
        })
        .filter(|change| change.act != Act::Unchanged)
        .collect()
}

pub fn deleted(view: &dyn View, wishes: &Wishes<'_>) -> Vec<PlanChange> {
    let deleted = |placed: &Placed<'_>| PlanChange {
        wish: Some(placed.body.clone()),
        ..delete(view, &placed.wish.name)
    };
    wishes.placements.iter().map(deleted).collect()
}

/// With its kind: a placement may be called `settings`.
pub fn reference(name: &PlacementName) -> String {
    format!("placement/{name}")
}

fn settings(view: &dyn View, wish: &SettingsWish<'_>) -> PlanChange {
    let record = view.record(&Key::Cluster);
    let have = view
        .cluster()
        .map_or(Value::Null, |cluster| shown(&cluster.settings));
    let fields = difference(&have, &shown(&wish.settings));
    PlanChange {
        reference: SETTINGS_REFERENCE.to_owned(),
        act: match fields.is_empty() {
            true => Act::Unchanged,
            false => Act::Change,
        },
        based_on: record.map_or(0, |record| record.rev.0),
        fields,
        instances: Vec::new(),
        unplaced: None,
        after: Vec::new(),
        steps: None,
        wish: Some(wish.body.clone()),
    }
}

fn put(view: &dyn View, placed: &Placed<'_>) -> PlanChange {
    let wish = &placed.wish;
    let have = view.placement(&wish.name);
    let fields = match &have {
        Some(placement) => difference(&of_placement(view, placement), &of_wish(wish)),
        None => said(&of_wish(wish)),
    };
    let act = match (&have, fields.is_empty()) {
        (None, _) => Act::Create,
        (Some(_), false) => Act::Change,
        (Some(_), true) => Act::Unchanged,
    };
    let effects = match act {
        Act::Create | Act::Change => effects::of_put(view, wish, have.as_ref()),
        Act::Delete | Act::Unchanged => Effects::default(),
    };
    let reconfigured = effects
        .instances
        .iter()
        .any(|instance| instance.act == InstanceAct::Reconfigure);
    PlanChange {
        reference: reference(&wish.name),
        act,
        based_on: have.map_or(0, |placement| placement.generation.0),
        fields,
        instances: effects.instances,
        unplaced: effects.unplaced,
        after: wish.depends_on.keys().map(reference).collect(),
        steps: reconfigured.then(|| effects::steps(&wish.update)),
        wish: Some(placed.body.clone()),
    }
}

/// What is not there, or on its way out, needs no deletion.
fn delete(view: &dyn View, name: &PlacementName) -> PlanChange {
    let have = view.placement(name);
    let goes = have
        .as_ref()
        .is_some_and(|placement| placement.standing == Standing::Wanted);
    PlanChange {
        reference: reference(name),
        act: match goes {
            true => Act::Delete,
            false => Act::Unchanged,
        },
        based_on: have.map_or(0, |placement| placement.generation.0),
        fields: Vec::new(),
        instances: match goes {
            true => effects::of_delete(view, name),
            false => Vec::new(),
        },
        unplaced: None,
        after: Vec::new(),
        steps: None,
        wish: None,
    }
}
