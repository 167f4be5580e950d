//! Placements put and deleted: whole wishes, each based on a generation, several as one.

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{InstanceKey, PlacementName, SlotName, TypeName, limits};
use mainstay_resource_graph::{
    ConfigHash, Configuration, Desired, InstanceState, Key, Kind, Made, Past, Placement, Relation,
    Standing, Target, Txn, Vertex, View, ViewExt, Wish, traverse,
};

use super::operation::{Recorded, Result_, known_nodes, recorded, take_new};
use super::{room, settings, unknown};
use crate::config;
use crate::env::Env;
use crate::event::{Apply, BasedOn, Change, PlacementWish};
use crate::lease;
use crate::schema;
use crate::unfit;
use crate::verb;
use crate::{artifacts, secrets};

/// All of it, or nothing: everything that is wrong is said at once.
pub fn apply(txn: &mut Txn<'_>, apply: &Apply, env: &Env) -> Result_ {
    bounded(apply)?;
    let mut refusals = Vec::new();
    let mut done = Done::default();
    if let Some(change) = &apply.settings {
        match settings::set(txn, change) {
            Ok(text) => done.said.push(text),
            Err(refusal) => refusals.push(("settings", refusal)),
        }
    }
    for change in &apply.changes {
        let outcome = match change {
            Change::Put { wish, based_on } => put(txn, wish, *based_on, env),
            Change::Delete {
                placement,
                based_on,
            } => delete(txn, placement, *based_on),
        };
        match outcome {
            Ok(part) => done.add(part),
            Err(refusal) => refusals.push((change.placement().as_str(), refusal)),
        }
    }
    // What a change names may come with another one.
    for change in &apply.changes {
        let outcome = match change {
            Change::Put { wish, .. } => depends(txn, &wish.name)
                .and_then(|()| room::keeps_company(txn, &wish.name, &wish.target)),
            Change::Delete { placement, .. } => nobody_stands_on(txn, placement),
        };
        if let Err(refusal) = outcome {
            refusals.push((change.placement().as_str(), refusal));
        }
    }
    let gone = apply.changes.iter().filter_map(|change| match change {
        Change::Delete { placement, .. } => Some(placement),
        Change::Put { .. } => None,
    });
    let near = room::nobody_is_near(txn, &gone.collect());
    refusals.extend(
        near.iter()
            .map(|(name, refusal)| (name.as_str(), refusal.clone())),
    );
    match one_of(refusals) {
        Some(refusal) => Err(refusal),
        None => Ok(recorded(done.instances, done.said.join("; "))),
    }
}

fn bounded(apply: &Apply) -> Result<(), Refusal> {
    let wrong = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    if apply.changes.len() > limits::APPLY_CHANGES_MAX {
        return wrong(format!(
            "{} placements at once are more than {}; apply them in parts",
            apply.changes.len(),
            limits::APPLY_CHANGES_MAX
        ));
    }
    let mut seen = BTreeSet::new();
    for change in &apply.changes {
        if !seen.insert(change.placement()) {
            return wrong(format!("{} is there twice", change.placement()));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Done {
    instances: Vec<InstanceKey>,
    said: Vec<String>,
}

impl Done {
    fn add(&mut self, part: Recorded) {
        self.instances.extend(part.instances);
        self.said.push(part.text);
    }
}

/// One refusal for all: the first one's code, and everybody's words. A generation that is past outweighs the rest:
/// who is told of it looks again before changing anything.
fn one_of(refusals: Vec<(&str, Refusal)>) -> Option<Refusal> {
    if refusals.len() < 2 {
        return refusals.into_iter().next().map(|(_, refusal)| refusal);
    }
    let stale = refusals
        .iter()
        .position(|(_, refusal)| refusal.code == code::GENERATION_PAST)
        .unwrap_or(0);
    let texts: Vec<String> = refusals
        .iter()
        .map(|(name, refusal)| format!("{name}: {}", refusal.text))
        .collect();
    let (_, chosen) = &refusals[stale];
    Some(Refusal {
        text: texts.join("; "),
        ..chosen.clone()
    })
}

fn put(txn: &mut Txn<'_>, asked: &PlacementWish, based_on: BasedOn, env: &Env) -> Result_ {
    let declaration = txn
        .service_type(&asked.service_type)
        .ok_or_else(|| {
            let name = asked.service_type.as_str();
            unknown(code::UNKNOWN_TYPE, "the type", name, txn, Kind::Type)
        })?
        .declaration;
    let fixed = declaration.holds.as_ref();
    fits_type(&asked.service_type, asked.holds.as_ref(), fixed)?;
    match &asked.target {
        Target::Nodes(nodes) => {
            known_nodes(txn, nodes)?;
            take_new(txn, &asked.name, nodes)?;
        }
        Target::Count(_) | Target::All(_) => {}
    }
    if let Some(first) = unfit::all(asked).into_iter().next() {
        return Err(first.into());
    }
    if let Some(singleton) = &asked.singleton {
        lease::sensible(singleton, &asked.target, &declaration, &settings::now(txn))?;
    }
    let (hash, json) = valid_config(txn, &asked.service_type, &asked.config)?;
    let wish = asked.with(hash.clone());
    let name = &asked.name;
    let existing = txn.placement(name);
    if let Some(placement) = &existing {
        refuse_leaving(name, placement)?;
        same_kind(asked, placement)?;
        // Asked for once more, it is as was asked: also with the generation before.
        if placement.wish == wish {
            let text = format!("{name} is so already (generation {})", placement.generation);
            return Ok(recorded(Vec::new(), text));
        }
    }
    is_current(txn, name, existing.as_ref(), based_on)?;
    txn.put(
        Key::Configuration(hash),
        Vertex::Configuration(Configuration { json }),
    )
    .expect("a configuration has no transitions");
    let made = made(txn);
    let Some(placement) = existing else {
        let mut placement = Placement::new(asked.service_type.clone(), wish, made, env.revision);
        placement.holds = asked.holds.clone();
        write(txn, name, placement);
        return Ok(recorded(Vec::new(), format!("{name} is created")));
    };
    let text = format!(
        "{name} is changed (generation {})",
        placement.generation.next()
    );
    replace(txn, name, placement, wish, None);
    Ok(recorded(txn.instances_of(name), text))
}

/// A configuration in its one form, if it fits its type's schema: all that is wrong with it is said.
pub fn valid_config(
    txn: &Txn<'_>,
    service_type: &TypeName,
    config: &str,
) -> Result<(ConfigHash, String), Refusal> {
    let (hash, json) =
        config::canonical(config).map_err(|bad| Refusal::new(code::BAD_CONFIG, bad.to_string()))?;
    let schema = txn
        .service_type(service_type)
        .map(|found| found.declaration.schema)
        .unwrap_or_default();
    let mut wrong = schema::check(&schema, &json);
    let fits_schema = wrong.is_empty();
    let no_secret = secrets::wrong_references(txn, &json);
    let lacks_secret = !no_secret.is_empty();
    wrong.extend(no_secret);
    wrong.extend(artifacts::wrong_references(txn, service_type, &json));
    if wrong.is_empty() {
        return Ok((hash, json));
    }
    let texts: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    Err(Refusal {
        nearest: wrong.into_iter().flat_map(|one| one.nearest).collect(),
        ..Refusal::new(
            match (fits_schema, lacks_secret) {
                (true, true) => code::NO_SECRET,
                (true, false) => code::NO_ARTIFACT,
                (false, _) => code::BAD_CONFIG,
            },
            format!("configuration: {}", texts.join("; ")),
        )
    })
}

/// The next generation of a placement. `rolling_update` brings it to the instances.
pub fn replace(
    txn: &mut Txn<'_>,
    name: &PlacementName,
    mut placement: Placement,
    wish: Wish,
    dropped: Option<Reason>,
) {
    let made = made(txn);
    let ran = verb::some_ran_with(txn, name, |node| placement.wish.config_on(node));
    let forgotten = placement.change(wish, made, dropped, ran);
    write(txn, name, placement);
    forget(txn, forgotten);
}

/// The next generation with another target, which moves that are under way do not end with.
pub fn retarget(
    txn: &mut Txn<'_>,
    name: &PlacementName,
    placement: Placement,
    wish: Wish,
    dropped: Option<Reason>,
) -> Placement {
    let moves = placement.moves.clone();
    replace(txn, name, placement, wish, dropped);
    let mut placement = txn.placement(name).expect("it was just written");
    placement.moves = moves;
    write(txn, name, placement.clone());
    placement
}

/// A configuration wanted of an instance. What rests because of the old one begins with a clean sheet.
pub fn reach(txn: &mut Txn<'_>, key: &InstanceKey, config: &ConfigHash) {
    let before = txn.instance(key).expect("the index named it");
    verb::want_config(txn, key, config);
    let aims_at = before.wanted.or(before.ran_with);
    if aims_at.as_ref() == Some(config) || before.desired != Desired::Running {
        return;
    }
    if before.state.rests_failed() {
        verb::free_name(txn, key);
        let reason = Reason::new(code::WANTED, "its configuration changed");
        verb::renew(txn, key, InstanceState::Pending, reason);
    }
}

/// Writes a placement and the relations that its wish names; what does not exist is for `depends` to say.
pub fn write(txn: &mut Txn<'_>, name: &PlacementName, placement: Placement) {
    let key = Key::Placement(name.clone());
    let wanted: BTreeSet<Key> = placement
        .wish
        .depends_on
        .keys()
        .cloned()
        .map(Key::Placement)
        .collect();
    txn.put(key.clone(), Vertex::Placement(placement))
        .expect("a placement has no transitions");
    lease::follow_wish(txn, name);
    for edge in txn.edges_from(&key, Relation::DependsOn) {
        if !wanted.contains(&edge.to) {
            txn.unlink(&key, Relation::DependsOn, &edge.to);
        }
    }
    for on in wanted {
        if txn.record(&on).is_some() {
            txn.link(key.clone(), Relation::DependsOn, on)
                .expect("both ends exist");
        }
    }
}

/// Configurations of a wish that fell out of the history go with it.
pub fn forget(txn: &mut Txn<'_>, forgotten: Option<Past>) {
    if let Some(past) = forgotten {
        let configs = past.wish.configs().cloned().collect();
        verb::forget_configs(txn, configs);
    }
}

pub fn made(txn: &Txn<'_>) -> Made {
    Made::new(txn.now(), txn.cause().text())
}

/// `--holds` is for types whose name is not fixed.
pub fn fits_type(
    service_type: &TypeName,
    holds: Option<&SlotName>,
    fixed: Option<&SlotName>,
) -> Result<(), Refusal> {
    let (Some(asked), Some(fixed)) = (holds, fixed) else {
        return Ok(());
    };
    Err(Refusal::new(
        code::NAME_IS_FIXED,
        format!(
            "the type {service_type} has the one name {fixed}; --holds {asked} is for generic types only"
        ),
    ))
}

pub fn refuse_leaving(name: &PlacementName, placement: &Placement) -> Result<(), Refusal> {
    match placement.standing {
        Standing::Wanted => Ok(()),
        Standing::Leaving => Err(Refusal::new(
            code::LEAVING,
            format!("the placement {name} is being deleted; it can be made anew when it is gone"),
        )),
    }
}

/// Type and name are what a placement is; other ones would be another placement.
fn same_kind(asked: &PlacementWish, have: &Placement) -> Result<(), Refusal> {
    let differs = |text: String| {
        Err(Refusal::new(
            code::PLACEMENT_DIFFERS,
            format!(
                "the placement {} exists and differs: {text}; delete it first",
                asked.name
            ),
        ))
    };
    if asked.service_type != have.service_type {
        return differs(format!(
            "its type is {}, not {}",
            have.service_type, asked.service_type
        ));
    }
    // What runs already has no lease, or has one that nobody would wait for.
    if asked.singleton.is_some() != have.wish.singleton.is_some() {
        return differs(match asked.singleton {
            Some(_) => "it is no singleton".to_owned(),
            None => "it is a singleton".to_owned(),
        });
    }
    if asked.holds != have.holds {
        let held = |holds: &Option<SlotName>| match holds {
            Some(slot) => slot.to_string(),
            None => "its own name".to_owned(),
        };
        return differs(format!(
            "it holds {}, not {}",
            held(&have.holds),
            held(&asked.holds)
        ));
    }
    Ok(())
}

/// Whoever changes a placement names what the change is based on.
pub fn is_current(
    txn: &Txn<'_>,
    name: &PlacementName,
    existing: Option<&Placement>,
    based_on: BasedOn,
) -> Result<(), Refusal> {
    let past = |text: String| Err(Refusal::new(code::GENERATION_PAST, text));
    match (based_on, existing) {
        (BasedOn::Anything, _) | (BasedOn::Nothing, None) => Ok(()),
        (BasedOn::Generation(known), Some(now)) if known == now.generation => Ok(()),
        (BasedOn::Nothing, Some(now)) => past(format!(
            "the placement {name} exists already: generation {}, by {}",
            now.generation, now.made.by
        )),
        (BasedOn::Generation(known), None) => past(format!(
            "the placement {name} does not exist any more; this change is based on generation {known}"
        )),
        (BasedOn::Generation(known), Some(now)) => {
            let since = now
                .history
                .iter()
                .find(|past| past.generation == known)
                .map(|then| format!("; since then: {}", difference(txn, &then.wish, &now.wish)))
                .unwrap_or_default();
            past(format!(
                "the placement {name} is at generation {}, by {}, and this change is based on generation {known}{since}",
                now.generation, now.made.by
            ))
        }
    }
}

/// What differs between two wishes of one placement, in words.
pub fn difference(view: &dyn View, then: &Wish, now: &Wish) -> String {
    let json = |hash: &ConfigHash| {
        view.configuration(&Key::Configuration(hash.clone()))
            .unwrap_or_default()
    };
    let mut parts = Vec::new();
    if then.target != now.target {
        parts.push(format!("target: {} against {}", then.target, now.target));
    }
    if then.config != now.config {
        let differs = config::difference(&json(&then.config), &json(&now.config));
        parts.push(format!("configuration: {differs}"));
    }
    let others = [
        ("configuration of some nodes", then.on_nodes != now.on_nodes),
        ("policy", then.policy != now.policy),
        ("depends_on", then.depends_on != now.depends_on),
        ("update", then.update != now.update),
        ("needs", then.needs != now.needs),
        ("minimum", then.minimum != now.minimum),
    ];
    parts.extend(
        others
            .into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(what, _)| format!("{what} changed")),
    );
    match parts.is_empty() {
        true => "it is as it was".to_owned(),
        false => parts.join(", "),
    }
}

/// What it depends on is there, stays, and does not depend on it.
pub fn depends(txn: &mut Txn<'_>, name: &PlacementName) -> Result<(), Refusal> {
    let Some(placement) = txn.placement(name) else {
        return Ok(());
    };
    for on in placement.wish.depends_on.keys() {
        let Some(found) = txn.placement(on) else {
            let mut refusal = unknown(
                code::NOT_FOUND,
                "the placement",
                on.as_str(),
                txn,
                Kind::Placement,
            );
            refusal.text = format!("depends_on: {}", refusal.text);
            return Err(refusal);
        };
        if found.standing == Standing::Leaving {
            let text = format!("depends_on: {on} is being deleted");
            return Err(Refusal::new(code::LEAVING, text));
        }
    }
    // With all of a batch there, also those that come later in it.
    write(txn, name, placement);
    match traverse::dependency_cycle(txn, name) {
        None => Ok(()),
        Some(path) => {
            let path: Vec<&str> = path.iter().map(PlacementName::as_str).collect();
            Err(Refusal::new(
                code::DEPENDENCY_CYCLE,
                format!("depends_on: {}", path.join(" -> ")),
            ))
        }
    }
}

fn delete(txn: &mut Txn<'_>, name: &PlacementName, based_on: BasedOn) -> Result_ {
    let Some(mut placement) = txn.placement(name) else {
        let mut names: Vec<String> = Vec::new();
        names.extend(txn.keys(Kind::Placement).iter().map(ToString::to_string));
        let mut refusal = Refusal::new(
            code::NOT_FOUND,
            format!("the placement \"{name}\" is not known"),
        );
        refusal.nearest = nearest(name.as_str(), names.iter().map(String::as_str));
        return Err(refusal);
    };
    if placement.standing == Standing::Leaving {
        let text = format!("{name} is being deleted already");
        return Ok(recorded(txn.instances_of(name), text));
    }
    is_current(txn, name, Some(&placement), based_on)?;
    placement.standing = Standing::Leaving;
    txn.put(Key::Placement(name.clone()), Vertex::Placement(placement))
        .expect("a placement has no transitions");
    let instances = txn.instances_of(name);
    let text = match instances.len() {
        0 => format!("{name} is deleted"),
        1 => format!("{name} is deleted when its instance has ended"),
        count => format!("{name} is deleted when its {count} instances have ended"),
    };
    Ok(recorded(instances, text))
}

fn nobody_stands_on(txn: &Txn<'_>, name: &PlacementName) -> Result<(), Refusal> {
    let staying: Vec<String> = traverse::standing_on(txn, name)
        .into_iter()
        .filter(|other| {
            txn.placement(other)
                .is_some_and(|placement| placement.standing == Standing::Wanted)
        })
        .map(|other| other.to_string())
        .collect();
    if staying.is_empty() {
        return Ok(());
    }
    let who = staying.join(", ");
    let verb = if staying.len() == 1 {
        "depends"
    } else {
        "depend"
    };
    Err(Refusal::new(
        code::DEPENDED_ON,
        format!("{who} {verb} on {name}; delete {who} too, or take the dependency away first"),
    ))
}
