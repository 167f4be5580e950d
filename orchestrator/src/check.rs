//! What is wrong with a definition beside its form: names that nobody has, circles, values that cannot be there.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::WorkName;
use mainstay_protocol::json::{Json, Shape};
use mainstay_protocol::{limits, words};

use crate::activity_type::{ActivityType, Known};
use crate::dag::{Before, Dag};
use crate::definition::{Activity, DISPOSE, Definition, OnFatal, Sections};
use crate::fault::{Found, Pointer};
use crate::mapping::{self, Mapped, Mapping, Source};
use crate::schema::{Member, Schema};

/// Reads and judges a definition: there is one if nothing is wrong with it. `value` is what somebody wrote.
pub fn definition(value: &Json, known: &Known, found: &mut Found) -> Option<Definition> {
    let mut read = Definition::read(value, found)?;
    dispose(&read, found);
    output(&read, found);
    for (name, at, activities) in read.activities.each() {
        let section = Section {
            undone: read.activities.undone_by(name),
            name,
            at,
            activities,
            definition: &read,
            known,
            value,
        };
        section.check(found);
    }
    if !found.faults.is_empty() {
        return None;
    }
    name_sources(&mut read, known);
    Some(read)
}

/// What an activity of a definition without faults is called with. Where no `inputs` are written it is all of the run's
/// input, and this is None.
pub fn mapped(
    definition: &Definition,
    section: Option<&str>,
    activity: &Activity,
    known: &Known,
) -> Option<Vec<Mapped>> {
    let mappings = activity.inputs.as_ref()?;
    let takes = known.get(&activity.of).map(|of| &of.input);
    let own = definition.activities.section(section).unwrap_or_default();
    let undone = definition.activities.undone_by(section);
    let mapped = mappings.iter().map(|mapping| Mapped {
        source: source(own.iter().chain(undone.iter().copied()), mapping),
        target: mapping.target.clone(),
        optional: takes.is_some_and(|takes| is_optional(takes, &mapping.target)),
    });
    Some(mapped.collect())
}

/// What a definition without faults maps out of a run that is complete; what has no value is left out.
pub fn response(
    definition: &Definition,
    activities: &[Activity],
    input: &Json,
    outputs: &BTreeMap<WorkName, Json>,
) -> Json {
    let mapped = definition.output.iter().map(|mapping| Mapped {
        source: source(activities.iter(), mapping),
        target: mapping.target.clone(),
        optional: true,
    });
    let mapped: Vec<Mapped> = mapped.collect();
    mapping::inputs(&definition.name, &mapped, input, outputs)
        .expect("whatever is optional may be missing")
}

fn source<'a>(activities: impl Iterator<Item = &'a Activity> + Clone, mapping: &Mapping) -> Source {
    let is_activity = |text: &str| activities.clone().any(|one| one.id.as_str() == text);
    Source::of(&mapping.source, is_activity)
}

fn is_optional(takes: &Schema, target: &str) -> bool {
    matches!(takes.member(target), Member::Declared(_)) && !takes.needs(target)
}

fn dispose(read: &Definition, found: &mut Found) {
    let undoes = read.activities.section(Some(DISPOSE));
    if read.on_fatal == OnFatal::Compensate && undoes.is_none() {
        let at = Pointer::root().key("onFatal");
        let text = format!("there is no section {DISPOSE}: a run that fails is left as it is");
        found.warn(&at, text);
    }
}

/// Of an activity of any section, or of the input.
fn output(read: &Definition, found: &mut Found) {
    let is_activity = |text: &str| read.activities.all().any(|one| one.id.as_str() == text);
    let at = Pointer::root().key("output");
    let (many, most) = (read.output.len(), limits::RUN_OUTPUTS_MAX);
    if many > most {
        found.fault(&at, format!("{many} are more than {most}"));
    }
    let mut targets = BTreeSet::new();
    for (place, mapping) in read.output.iter().enumerate() {
        let at = at.index(place);
        if !targets.insert(&mapping.target) {
            let text = format!("{} is the target of another as well", mapping.target);
            found.fault(&at, text);
        }
        let given = Schema::of(&read.schema);
        if let Source::Input(name) = Source::of(&mapping.source, is_activity)
            && given.member(&name) == Member::Absent
            && read.input.member(&name).is_none()
        {
            let text = format!("{name} is neither an input nor of an activity");
            found.fault(&at, text);
        }
    }
}

struct Section<'a> {
    name: Option<&'a str>,
    at: Pointer,
    activities: &'a [Activity],
    /// What the run did that is undone by it: outputs of these are there before it begins.
    undone: Vec<&'a Activity>,
    definition: &'a Definition,
    known: &'a Known,
    value: &'a Json,
}

impl Section<'_> {
    fn check(&self, found: &mut Found) {
        self.ids(found);
        self.discriminators(found);
        self.dependencies(found);
        self.types(found);
        let dag = Dag::of(self.activities);
        match dag.circle() {
            Some(circle) => self.circle(&circle, found),
            None => {
                let before = dag.before();
                let places: BTreeMap<&WorkName, usize> = self
                    .activities
                    .iter()
                    .enumerate()
                    .map(|(place, activity)| (&activity.id, place))
                    .collect();
                for place in 0..self.activities.len() {
                    self.inputs(place, (&before, &places), found);
                }
            }
        }
    }

    fn at(&self, place: usize) -> Pointer {
        self.at.index(place)
    }

    fn ids(&self, found: &mut Found) {
        let mut first = BTreeMap::new();
        for (place, activity) in self.activities.iter().enumerate() {
            if let Some(other) = first.get(&activity.id) {
                let text = format!("{} is the id of {} as well", activity.id, self.at(*other));
                found.fault(&self.at(place).key("id"), text);
            } else {
                first.insert(&activity.id, place);
            }
        }
    }

    /// In a section it is the section's.
    fn discriminators(&self, found: &mut Found) {
        for (place, activity) in self.activities.iter().enumerate() {
            if let (Some(said), Some(own)) = (&activity.discriminator, self.name)
                && said != own
            {
                let at = self.at(place).key("discriminator");
                found.fault(
                    &at,
                    format!("{said:?} is not its section, {own:?}; leave it out"),
                );
            }
        }
    }

    fn dependencies(&self, found: &mut Found) {
        let ids: Vec<&str> = self.activities.iter().map(|one| one.id.as_str()).collect();
        for (place, activity) in self.activities.iter().enumerate() {
            for on in &activity.depends_on {
                if ids.contains(&on.as_str()) {
                    continue;
                }
                let near = words::nearest(on.as_str(), ids.iter().copied());
                let text = format!("there is no activity {on}{}", meant(&near));
                found.fault(&self.dependency(place, on), text);
            }
        }
    }

    /// Where a dependency is written: alone, or among others.
    fn dependency(&self, place: usize, on: &WorkName) -> Pointer {
        let at = self.at(place).key("dependsOn");
        let steps = at.as_str().split('/').skip(1);
        let steps: Vec<String> = steps
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect();
        let written = self.value.at(steps.iter().map(String::as_str));
        let items = written.filter(|written| written.shape() == Shape::Array);
        let items = items.map(|written| written.items()).unwrap_or_default();
        let is_it = |item: &Json| item.as_text().as_deref() == Some(on.as_str());
        match items.iter().position(is_it) {
            Some(entry) => at.index(entry),
            None => at,
        }
    }

    fn types(&self, found: &mut Found) {
        let known: Vec<&str> = self.known.keys().map(WorkName::as_str).collect();
        for (place, activity) in self.activities.iter().enumerate() {
            if activity.of.is_readable() && !self.known.contains_key(&activity.of) {
                let near = words::nearest(activity.of.as_str(), known.iter().copied());
                let text = format!("there is no activity type {}{}", activity.of, meant(&near));
                found.fault(&self.at(place).key("type"), text);
            }
        }
    }

    fn circle(&self, circle: &[usize], found: &mut Found) {
        let ids = circle
            .iter()
            .map(|place| self.activities[*place].id.as_str());
        let path = ids.collect::<Vec<_>>().join(" -> ");
        let (first, next) = (circle[0], &self.activities[circle[1]].id);
        let text = format!("they wait for each other: {path}");
        found.fault(&self.dependency(first, next), text);
    }

    fn inputs(
        &self,
        place: usize,
        (before, places): (&Before, &BTreeMap<&WorkName, usize>),
        found: &mut Found,
    ) {
        let activity = &self.activities[place];
        let Some(mappings) = &activity.inputs else {
            return;
        };
        let at = self.at(place).key("inputs");
        let takes = self.known.get(&activity.of).map(|of| &of.input);
        let mut targets = BTreeSet::new();
        for (entry, mapping) in mappings.iter().enumerate() {
            let at = at.index(entry);
            if !targets.insert(mapping.target.as_str()) {
                let text = format!("{} is the target of another as well", mapping.target);
                found.fault(&at, text);
            }
            let undone = self.undone.iter().copied();
            match source(self.activities.iter().chain(undone), mapping) {
                Source::Output { of, path } => {
                    let is_undone = self.undone.iter().any(|one| one.id == of);
                    if is_undone
                        && places
                            .get(&of)
                            .is_some_and(|at| before.is_before(*at, place))
                    {
                        let text =
                            format!("it is read from what {of} did, not from what undid that");
                        found.warn(&at, text);
                    }
                    if is_undone || before.is_before(places[&of], place) {
                        let one = (&at, mapping, takes);
                        self.given_by(&of, &path, one, found);
                    } else {
                        let why = "is not an ancestor, so it may not be complete then";
                        let text = format!("{of} {why}: add it to dependsOn");
                        found.fault(&at, text);
                    }
                }
                Source::Input(name) => {
                    let ancestors: Vec<&Activity> = self
                        .activities
                        .iter()
                        .enumerate()
                        .filter(|(other, _)| before.is_before(*other, place))
                        // What undoes stands in a line: only what was done is there for sure.
                        .filter(|_| self.undone.is_empty())
                        .map(|(_, activity)| activity)
                        .collect();
                    self.given(&name, &ancestors, (&at, mapping, takes), found);
                }
            }
        }
        self.needed(activity, &targets, &at, found);
    }

    /// From what an activity puts out.
    fn given_by(
        &self,
        of: &WorkName,
        path: &[String],
        (at, mapping, takes): (&Pointer, &Mapping, Option<&Schema>),
        found: &mut Found,
    ) {
        if let Member::Declared(_) = Schema::of(&self.definition.schema).member(&mapping.source) {
            let text = format!(
                "it is read as {} of {of}, not as the input {}",
                path.join("."),
                mapping.source
            );
            found.warn(at, text);
        }
        let undone = self.undone.iter().copied();
        let giver = undone.chain(self.activities).find(|one| one.id == *of);
        let Some(gives) = giver.and_then(|one| self.known.get(&one.of)) else {
            return;
        };
        let what = format!("{} of {of}", path.join("."));
        match gives.output.at(path) {
            Member::Declared(schema) => fits(&what, &schema, (at, mapping, takes), found),
            Member::MayBe => {}
            Member::Absent => absent(&what, (at, mapping, takes), found),
        }
    }

    /// From the run's input; else from the one activity before it that puts out something of this name.
    fn given(
        &self,
        name: &str,
        ancestors: &[&Activity],
        one: (&Pointer, &Mapping, Option<&Schema>),
        found: &mut Found,
    ) {
        let schema = Schema::of(&self.definition.schema);
        match schema.member(name) {
            Member::Declared(schema) => {
                let what = format!("the input {name}");
                return fits(&what, &schema, one, found);
            }
            Member::MayBe | Member::Absent if self.definition.input.member(name).is_some() => {
                return;
            }
            Member::MayBe | Member::Absent => {}
        }
        let givers = givers(name, ancestors, self.known);
        match givers.as_slice() {
            [] if schema.member(name) == Member::Absent => {
                absent(&format!("the input {name}"), one, found);
            }
            [] => {}
            [(of, gives)] => fits(&format!("{name} of {of}"), gives, one, found),
            several => {
                let all = several.iter().map(|(of, _)| format!("{of}.{name}"));
                let all = all.collect::<Vec<_>>().join(" or ");
                let text = format!("{name} is ambiguous: write {all}");
                found.fault(one.0, text);
            }
        }
    }

    /// What its type needs, and nothing is mapped to.
    fn needed(
        &self,
        activity: &Activity,
        targets: &BTreeSet<&str>,
        at: &Pointer,
        found: &mut Found,
    ) {
        let Some(of) = self.known.get(&activity.of) else {
            return;
        };
        for name in of.input.required() {
            if !targets.contains(name.as_str()) {
                let text = format!("{} needs {name}, and nothing is mapped to it", activity.of);
                found.fault(at, text);
            }
        }
    }
}

/// Activities whose type declares that it puts out something of this name.
fn givers<'a>(
    name: &str,
    activities: &[&'a Activity],
    known: &Known,
) -> Vec<(&'a WorkName, Schema)> {
    let gives = |of: &ActivityType| match of.output.member(name) {
        Member::Declared(schema) => Some(schema),
        Member::MayBe | Member::Absent => None,
    };
    let all = activities.iter();
    all.filter_map(|one| Some((&one.id, gives(known.get(&one.of)?)?)))
        .collect()
}

/// What is read by its bare name from one activity says so from now on: other types may come.
fn name_sources(read: &mut Definition, known: &Known) {
    let (schema, input) = (Schema::of(&read.schema), read.input.clone());
    let sections: Vec<&mut Vec<Activity>> = match &mut read.activities {
        Sections::One(activities) => vec![activities],
        Sections::Named(sections) => {
            let sections = sections.iter_mut().filter(|(name, _)| *name != DISPOSE);
            sections.map(|(_, activities)| activities).collect()
        }
    };
    for activities in sections {
        let dag = Dag::of(activities);
        let before = dag.before();
        let all = activities.clone();
        for (place, activity) in activities.iter_mut().enumerate() {
            let ancestors = all.iter().enumerate();
            let ancestors = ancestors.filter(|(other, _)| before.is_before(*other, place));
            let ancestors: Vec<&Activity> = ancestors.map(|(_, one)| one).collect();
            for mapping in activity.inputs.iter_mut().flatten() {
                let Source::Input(name) = source(all.iter(), mapping) else {
                    continue;
                };
                let declared = matches!(schema.member(&name), Member::Declared(_));
                if declared || input.member(&name).is_some() {
                    continue;
                }
                if let [(of, _)] = givers(&name, &ancestors, known).as_slice() {
                    mapping.source = format!("{of}.{name}");
                }
            }
        }
    }
}

fn fits(
    what: &str,
    gives: &Schema,
    (at, mapping, takes): (&Pointer, &Mapping, Option<&Schema>),
    found: &mut Found,
) {
    if let Some(Member::Declared(wanted)) = takes.map(|takes| takes.member(&mapping.target))
        && !wanted.may_take(gives)
    {
        let (is, wants) = (gives.type_name(), wanted.type_name());
        let text = format!("{what} is {is}, and {} is to be {wants}", mapping.target);
        found.fault(at, text);
    }
}

/// Its schema does not have it: wrong, unless the activity can do without.
fn absent(
    what: &str,
    (at, mapping, takes): (&Pointer, &Mapping, Option<&Schema>),
    found: &mut Found,
) {
    let text = format!("there is no {what}");
    match takes.is_some_and(|takes| is_optional(takes, &mapping.target)) {
        true => found.warn(at, text),
        false => found.fault(at, text),
    }
}

fn meant(near: &[String]) -> String {
    match near.first() {
        Some(near) => format!("; {near}?"),
        None => String::new(),
    }
}
