//! The order of changes: settings, then what others stand on before them; deletions last, the other way round.

use std::collections::BTreeSet;

use mainstay_resource_graph::{Key, View, traverse};

use super::change::reference;
use crate::types::{Act, PlanChange};

pub fn ordered(view: &dyn View, changes: Vec<PlanChange>) -> Vec<PlanChange> {
    let names: BTreeSet<String> = changes
        .iter()
        .map(|change| change.reference.clone())
        .collect();
    let mut open: Vec<PlanChange> = changes
        .into_iter()
        .map(|mut change| {
            if change.act == Act::Delete {
                change.after = standing_on(view, &change.reference);
            }
            change.after.retain(|other| names.contains(other));
            change
        })
        .collect();
    // Those that are not waited for come first, each time the first in the order they were given: so equal files give
    // equal plans. What waits in a circle was refused before; should it come here, it keeps its place.
    let (mut deletions, mut others): (Vec<PlanChange>, Vec<PlanChange>) =
        open.drain(..).partition(|change| change.act == Act::Delete);
    let mut done = Vec::new();
    sorted(&mut others, &mut done);
    sorted(&mut deletions, &mut done);
    done
}

fn sorted(open: &mut Vec<PlanChange>, done: &mut Vec<PlanChange>) {
    while !open.is_empty() {
        let waits = |change: &PlanChange| {
            change
                .after
                .iter()
                .any(|other| open.iter().any(|left| left.reference == *other))
        };
        let next = open.iter().position(|change| !waits(change)).unwrap_or(0);
        done.push(open.remove(next));
    }
}

fn standing_on(view: &dyn View, of: &str) -> Vec<String> {
    let Ok(Key::Placement(name)) = of.parse::<Key>() else {
        return Vec::new();
    };
    traverse::standing_on(view, &name)
        .into_iter()
        .map(|name| reference(&name))
        .collect()
}
