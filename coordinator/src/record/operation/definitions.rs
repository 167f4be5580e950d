//! Definitions set and deleted: orchestrations, and the types of activities that they are made of.

use mainstay_orchestrator::{ActivityType, Definition, Fault, Found, Pointer, definition as check};
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{Generation, Json, WorkName, limits};
use mainstay_resource_graph::{Activity, Key, Kind, Orchestration, Txn, Vertex, View};

use super::super::unknown;
use super::work::{faults, orchestration_of};
use super::{Result_, recorded};
use crate::event::BasedOn;
use crate::{runs, schema, serving};

pub(super) fn put_activity(
    txn: &mut Txn<'_>,
    definition: &Json,
    based_on: BasedOn,
    by: &str,
) -> Result_ {
    fits_in("the definition", definition, limits::DEFINITION_BYTES_MAX)?;
    let mut found = Found::default();
    let Some(read) = ActivityType::read(definition, &mut found) else {
        return Err(faults("the type of activity", &found.faults));
    };
    readable(definition)?;
    for (name, schema) in [("inputSchema", &read.input), ("outputSchema", &read.output)] {
        not_held(&Pointer::root().key(name), schema.text(), &mut found);
    }
    let key = Key::Activity(read.name.clone());
    set(
        txn,
        key,
        based_on,
        (read.text, &found),
        |definition, generation| {
            Vertex::Activity(Activity {
                definition,
                generation,
                by: by.to_owned(),
            })
        },
    )
}

/// Of two changes that know the same one, the second is refused.
pub(super) fn next(
    key: &Key,
    there: Option<Generation>,
    based_on: BasedOn,
) -> Result<Generation, Refusal> {
    match (based_on, there) {
        (BasedOn::Anything | BasedOn::Nothing, None) => Ok(Generation(1)),
        (BasedOn::Anything, Some(there)) => Ok(Generation(there.0 + 1)),
        (BasedOn::Generation(known), Some(there)) if known == there => Ok(Generation(there.0 + 1)),
        (BasedOn::Nothing, Some(there)) => {
            let text =
                format!("{key} is there already, at generation {there}; nothing was changed");
            Err(Refusal::new(code::EXISTS, text))
        }
        (BasedOn::Generation(known), there) => {
            let there = there.map_or_else(
                || "is not there any more".to_owned(),
                |there| format!("is at generation {there}"),
            );
            let text = format!("{key} {there}, and this change is based on generation {known}");
            Err(Refusal::new(code::GENERATION_PAST, text))
        }
    }
}

/// Values go through as they were written, and a schema's numbers are compared: those have to be ones that can be.
pub(super) fn readable(definition: &Json) -> Result<(), Refusal> {
    let read = serde_json::from_str::<serde_json::Value>(definition.as_str());
    read.map(|_| ()).map_err(|error| {
        let mut found = Found::default();
        found.fault(&Pointer::root(), format!("it cannot be read: {error}"));
        faults("the definition", &found.faults)
    })
}

/// Nothing else looks at what these say: whoever wrote them should know.
fn not_held(at: &Pointer, schema: &Json, found: &mut Found) {
    for (keyword, place) in schema::not_held(schema.as_str()) {
        let text = format!("{keyword} is not looked at (it stands at {place} of the schema)");
        found.warn(at, text);
    }
}

/// What an orchestration uses stays: its next run could not begin.
pub(super) fn delete_activity(txn: &mut Txn<'_>, name: &WorkName) -> Result_ {
    let key = Key::Activity(name.clone());
    if txn.record(&key).is_none() {
        let (what, wrong) = ("the type of activity", name.as_str());
        return Err(unknown(code::NOT_FOUND, what, wrong, txn, Kind::Activity));
    }
    let uses = |of: &Key| {
        let definition = orchestration_of(txn, of)?.definition;
        let read = Definition::read(&definition, &mut Found::default())?;
        let mut all = read.activities.all();
        all.any(|one| one.of == *name).then(|| of.to_string())
    };
    let users: Vec<String> = txn
        .keys(Kind::Orchestration)
        .iter()
        .filter_map(uses)
        .collect();
    if !users.is_empty() {
        let text = format!("{key} is used by {}", users.join(", "));
        return Err(Refusal::new(code::IN_USE, text));
    }
    txn.remove(&key);
    Ok(recorded(Vec::new(), format!("{key} is deleted")))
}

pub(super) fn put_orchestration(
    txn: &mut Txn<'_>,
    definition: &Json,
    based_on: BasedOn,
    by: &str,
) -> Result_ {
    fits_in("the definition", definition, limits::DEFINITION_BYTES_MAX)?;
    let mut found = Found::default();
    readable(definition)?;
    let known = runs::types_of(txn, definition);
    let Some(read) = check(definition, &known, &mut found) else {
        return Err(faults("the definition", &found.faults));
    };
    let written = read.write();
    let what = "the definition, written out,";
    fits_in(what, &written, limits::DEFINITION_BYTES_MAX)?;
    let at = Pointer::root().key("schema");
    not_held(&at, &read.schema, &mut found);
    if let Some(text) = serving::unserved(txn, &read, &known) {
        let at = Pointer::root().key("activities");
        found.warn(&at, format!("{text}: runs are refused until one does"));
    }
    let key = Key::Orchestration(read.name.clone());
    set(
        txn,
        key,
        based_on,
        (written, &found),
        |definition, generation| {
            Vertex::Orchestration(Orchestration {
                definition,
                generation,
                by: by.to_owned(),
            })
        },
    )
}

/// A definition in the place of what was there before. The same again changes nothing, nor its generation.
fn set(
    txn: &mut Txn<'_>,
    key: Key,
    based_on: BasedOn,
    (definition, found): (Json, &Found),
    vertex: impl FnOnce(Json, Generation) -> Vertex,
) -> Result_ {
    takes_one_more(txn, &key)?;
    let (before, there) = definition_of(txn, &key).unzip();
    let generation = next(&key, there, based_on)?;
    let text = match before {
        Some(before) if before == definition => {
            return Ok(recorded(Vec::new(), format!("{key} is so already")));
        }
        Some(_) => format!("{key} is changed for runs that begin from now on"),
        None => format!("{key} is there"),
    };
    runs::put(txn, key, vertex(definition, generation));
    Ok(recorded(Vec::new(), with_warnings(text, &found.warnings)))
}

fn definition_of(txn: &Txn<'_>, key: &Key) -> Option<(Json, Generation)> {
    match &txn.record(key)?.vertex {
        Vertex::Activity(one) => Some((one.definition.clone(), one.generation)),
        Vertex::Orchestration(one) => Some((one.definition.clone(), one.generation)),
        _ => None,
    }
}

pub(super) fn takes_one_more(txn: &Txn<'_>, key: &Key) -> Result<(), Refusal> {
    let most = limits::DEFINITIONS_MAX;
    if txn.record(key).is_some() || txn.keys(key.kind()).len() < most {
        return Ok(());
    }
    let text = format!("there are {most} of its kind, and no more fit; delete some");
    Err(Refusal::new(code::OVERLOADED, text))
}

pub(super) fn fits_in(what: &str, value: &Json, most: usize) -> Result<(), Refusal> {
    let bytes = value.as_str().len();
    if bytes <= most {
        return Ok(());
    }
    let text = format!("{what} has {bytes} bytes, and at most {most} are taken");
    Err(Refusal::new(code::BAD_REQUEST, text))
}

pub(super) fn with_warnings(text: String, warnings: &[Fault]) -> String {
    let lines = warnings
        .iter()
        .map(|warning| format!("\nwarning: {warning}"));
    lines.fold(text, |text, line| text + &line)
}
