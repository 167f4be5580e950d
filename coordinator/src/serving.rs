//! Who does what of runs, whether or not it is there now: what types of services say, and configurations of placements.

use mainstay_orchestrator::{Definition, Known};
use mainstay_protocol::TypeName;
use mainstay_protocol::work::{Serves, Skill, Skills};
use mainstay_resource_graph::{Key, Kind, View, ViewExt};

/// Activities that nobody would do, in words.
pub fn unserved(view: &dyn View, definition: &Definition, known: &Known) -> Option<String> {
    let skills = skills(view);
    let unserved = definition.activities.all().filter_map(|activity| {
        let of = known.get(&activity.of)?;
        let skill = Skill {
            provider: of.provider.clone(),
            activity: of.name.clone(),
        };
        let is_served = skills.iter().any(|skills| skills.has(&skill));
        (!is_served).then(|| format!("{} ({skill})", activity.id))
    });
    let unserved: Vec<String> = unserved.collect();
    (!unserved.is_empty()).then(|| {
        format!(
            "no type of service does {}, and no placement says that it does",
            unserved.join(", ")
        )
    })
}

/// What types of services do, and what placements of those that go by their configuration say there.
fn skills(view: &dyn View) -> Vec<Skills> {
    let types = view.keys(Kind::Type).into_iter().filter_map(|key| {
        let Key::Type(name) = key else { return None };
        Some((view.service_type(&name)?.declaration.serves, name))
    });
    let types: Vec<(Serves, TypeName)> = types.collect();
    let placements = view.keys(Kind::Placement).into_iter().filter_map(|key| {
        let Key::Placement(name) = key else {
            return None;
        };
        let placement = view.placement(&name)?;
        let (serves, _) = types
            .iter()
            .find(|(_, name)| *name == placement.service_type)?;
        let config = Key::Configuration(placement.wish.config.clone());
        let text = serves.by_config.then(|| view.configuration(&config))??;
        Some(serves.configured(&text).1)
    });
    let configured: Vec<Skills> = placements.collect();
    let does = types.into_iter().filter(|(serves, _)| serves.hands > 0);
    does.map(|(serves, _)| serves.skills)
        .chain(configured)
        .collect()
}
