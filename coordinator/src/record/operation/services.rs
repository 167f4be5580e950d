//! Services registered and ordered. What a service is for its model says, by what its controller says it is.

use std::collections::BTreeMap;

use mainstay_orchestrator::{
    Definition, Description, Fault, Found, Known, MODEL, Misgiven, MisgivenWhat, NotOrdered,
    ParameterKind, Pointer, definition as check, types_of_models,
};
use mainstay_protocol::code::Code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{ArtifactId, Json, ServiceId, WorkName, code, limits, words};
use mainstay_resource_graph::{
    Key, Kind, Ordered, Run, RunTexts, Service, TextHash, Txn, Vertex, View, ViewExt,
};

use super::super::unknown;
use super::definitions::{fits_in, next, readable, takes_one_more, with_warnings};
use super::work::{bounded, faults, kept, served};
use super::{Result_, recorded};
use crate::env::Env;
use crate::event::BasedOn;
use crate::orchestrate::PlaceOrder;
use crate::{artifacts, runs};

const ORDER: &str = "order";

/// What runs of orders are of: no orchestration that somebody made.
fn order_name() -> WorkName {
    WorkName::new(ORDER).unwrap_or_else(|_| WorkName::unreadable())
}

pub(super) fn register(
    txn: &mut Txn<'_>,
    description: &Json,
    based_on: BasedOn,
    by: &str,
    env: &Env,
) -> Result_ {
    fits_in("the description", description, limits::DEFINITION_BYTES_MAX)?;
    readable(description)?;
    if based_on == BasedOn::Anything
        && let Some(key) = is_so_already(txn, description)
    {
        return Ok(recorded(Vec::new(), format!("{key} is so already")));
    }
    let mut found = Found::default();
    let read = env.models.read(description, &mut found);
    let mut lacks_artifact = false;
    if let (Some(read), true) = (&read, found.faults.is_empty()) {
        rehearse(txn, read, env, &mut found);
        let is_right = found.faults.is_empty();
        artifacts::missing(txn, &env.models, read, &mut found);
        lacks_artifact = is_right && !found.faults.is_empty();
    }
    let id = read.as_ref().map(|read| ServiceId::new(&read.id));
    if let Some(Err(bad)) = &id {
        found.fault(&Pointer::root().key("id"), bad.to_string());
    }
    let (Some(read), Some(Ok(id)), true) = (&read, id, found.faults.is_empty()) else {
        let mut refusal = not_registered(read.as_ref(), &found, env);
        if lacks_artifact {
            refusal.code = code::NO_ARTIFACT;
        }
        return Err(refusal);
    };
    let key = Key::Service(id.clone());
    takes_one_more(txn, &key)?;
    let there = txn.service(&id);
    let generation = next(&key, there.as_ref().map(|one| one.generation), based_on)?;
    let text = match there {
        Some(there) if there.description == *description => {
            return Ok(recorded(Vec::new(), format!("{key} is so already")));
        }
        Some(_) => format!("{key} is changed for orders that follow"),
        None => format!("{key} is registered"),
    };
    let service = Service {
        description: description.clone(),
        name: read.name.clone(),
        model: read.schema.clone(),
        is_ordered: env.models.is_ordered(read),
        generation,
        by: by.to_owned(),
    };
    runs::put(txn, key, Vertex::Service(service));
    Ok(recorded(Vec::new(), with_warnings(text, &found.warnings)))
}

/// What only shows in what an order of it becomes.
fn rehearse(txn: &Txn<'_>, description: &Description, env: &Env, found: &mut Found) {
    let at = Pointer::root().key("controller");
    match env.models.rehearsed(description) {
        None => {}
        Some(Err(not)) => found.fault(&at, not.to_string()),
        Some(Ok(plan)) => {
            for fault in becomes(txn, &plan).err().unwrap_or_default() {
                found.fault(&at, format!("as it would run, {fault}"));
            }
        }
    }
}

/// The definition that a plan is, with the types of its activities: those of the models, and the cluster's.
fn becomes(txn: &Txn<'_>, plan: &Json) -> Result<(Definition, Known), Vec<Fault>> {
    let mut found = Found::default();
    let mut known = runs::types_of(txn, plan);
    known.extend(types_of_models());
    match check(plan, &known, &mut found) {
        Some(definition) => Ok((definition, known)),
        None => Err(found.faults),
    }
}

/// To look at all of it again would find nothing else.
fn is_so_already(txn: &Txn<'_>, description: &Json) -> Option<Key> {
    let id = ServiceId::new(&description.member("id")?.as_text()?).ok()?;
    let is_so = txn.service(&id)?.description == *description;
    is_so.then_some(Key::Service(id))
}

/// A model that nobody knows has a code of its own: nothing in the description would mend that.
fn not_registered(read: Option<&Description>, found: &Found, env: &Env) -> Refusal {
    let mut refusal = faults("the description", &found.faults);
    let unknown = read.and_then(|read| env.models.unknown(read));
    if unknown.is_some() {
        refusal.code = code::CONTROLLER_UNKNOWN;
    }
    refusal
}

pub(super) fn delete(txn: &mut Txn<'_>, id: &ServiceId) -> Result_ {
    let key = Key::Service(id.clone());
    match txn.remove(&key) {
        true => {
            let text = format!("{key} is deleted; what was ordered of it goes on");
            Ok(recorded(Vec::new(), text))
        }
        false => Err(unknown(
            code::SERVICE_UNKNOWN,
            "the service",
            id.as_str(),
            txn,
            Kind::Service,
        )),
    }
}

pub(super) fn order(txn: &mut Txn<'_>, asked: &PlaceOrder, by: &str, env: &Env) -> Result_ {
    let key = Key::Run(asked.id.clone());
    if let Some(there) = txn.run(&asked.id) {
        return again(&key, &there, asked);
    }
    if asked.id.undone().is_some() {
        let text = "an order's id does not end with ~dispose: what undoes another is called so";
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    bounded(txn, asked.name.as_ref())?;
    let id = found(txn, &asked.service)?;
    let description = description_of(txn, &id, env)?;
    let planned = env.models.order(&description, &asked.parameters);
    let (plan, values) = planned.map_err(|not| refused(&id, &not))?;
    given(txn, &id, &description, &values)?;
    let (definition, known) = becomes(txn, &plan).map_err(|all| {
        let what = format!("what service/{id} becomes");
        faults(&what, &all)
    })?;
    let parameters = Json::object(&values);
    kept("what the order says", &parameters)?;
    handed_out(&definition)?;
    fits_in("the order", &definition.input, limits::DEFINITION_BYTES_MAX)?;
    served(txn, &definition, &known).map_err(|refusal| who_would(refusal, &definition, &known))?;
    let (input, plan) = (
        definition.input.clone(),
        runs::plan_text(&definition, &known),
    );
    let texts = RunTexts {
        plan: runs::hash_of(&plan),
        input: runs::hash_of(&input),
        asked: content(asked),
    };
    let ordered = Ordered {
        service: id,
        called: description.name.clone(),
        name: asked.name.clone(),
        parameters,
    };
    let run = Run {
        ordered: Some(ordered),
        ..Run::new(order_name(), texts, by, env.now)
    };
    runs::begin(txn, &asked.id, run, (&plan, &input), env);
    let text = format!("{key} of {} is ordered", description.name);
    Ok(recorded(Vec::new(), text))
}

/// The artifacts among them are there.
fn given(
    txn: &Txn<'_>,
    id: &ServiceId,
    of: &Description,
    values: &BTreeMap<String, Json>,
) -> Result<(), Refusal> {
    let artifacts = of.parameters.iter();
    let artifacts = artifacts.filter(|one| one.kind == ParameterKind::Artifact);
    let missing = artifacts.filter_map(|one| {
        let value = values.get(&one.name)?.as_text()?;
        let id = ArtifactId::new(&value).ok()?;
        txn.artifact(&id).is_none().then(|| Misgiven {
            what: MisgivenWhat::Invalid,
            name: one.name.clone(),
            value: None,
            reason: artifacts::not_there(&id),
        })
    });
    match missing.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        all => Err(misgiven(id, &all)),
    }
}

/// Of what comes along, where somebody is found who does it.
fn who_would(mut refusal: Refusal, definition: &Definition, known: &Known) -> Refusal {
    let mut all = definition.activities.all();
    let is_of_model = |of: &WorkName| known.get(of).is_some_and(|of| of.provider == MODEL);
    if all.any(|activity| is_of_model(&activity.of)) {
        refusal.text = format!(
            "{}; an activity-agent does, once its configuration has activities: {{\"{MODEL}\": {{\"*\": {{\"workload\": {{}}}}}}}}",
            refusal.text
        );
    }
    refusal
}

/// Each activity is given what it is to run, and no more than one may be given.
fn handed_out(definition: &Definition) -> Result<(), Refusal> {
    definition
        .input
        .members()
        .iter()
        .try_for_each(|(name, task)| kept(name, task))
}

fn again(key: &Key, there: &Run, asked: &PlaceOrder) -> Result_ {
    let is_of = |of: &Ordered| [of.service.as_str(), &of.called].contains(&asked.service.as_str());
    if there.ordered.as_ref().is_some_and(is_of) && there.asked == content(asked) {
        let text = format!("{key} is there already: {}", there.state.as_str());
        return Ok(recorded(Vec::new(), text));
    }
    let text = format!("{key} exists with other content");
    Err(Refusal::new(code::RUN_DIFFERS, text))
}

/// Whatever the order in which its parameters were said.
fn content(asked: &PlaceOrder) -> TextHash {
    let mut parameters: Vec<&(String, Json)> = asked.parameters.iter().collect();
    parameters.sort_by_key(|(name, _)| name);
    let parameters = parameters.into_iter();
    let parameters =
        parameters.map(|(name, value)| Json::array(&[Json::text(name), value.clone()]));
    runs::hash_of(&Json::array(&[
        Json::text(ORDER),
        Json::text(asked.name.as_deref().unwrap_or_default()),
        Json::array(&parameters.collect::<Vec<_>>()),
    ]))
}

/// As it stands by now, whatever was right when it was registered.
fn description_of(txn: &Txn<'_>, id: &ServiceId, env: &Env) -> Result<Description, Refusal> {
    let service = txn.service(id).ok_or_else(|| {
        let wrong = id.as_str();
        unknown(
            code::SERVICE_UNKNOWN,
            "the service",
            wrong,
            txn,
            Kind::Service,
        )
    })?;
    let mut found = Found::default();
    match env.models.read(&service.description, &mut found) {
        // Of a model that is not here any more the order says so.
        Some(read) if found.faults.is_empty() || env.models.unknown(&read).is_some() => Ok(read),
        _ => Err(faults(&format!("service/{id}"), &found.faults)),
    }
}

/// By its id, else by its name where one alone has it.
fn found(txn: &Txn<'_>, wanted: &str) -> Result<ServiceId, Refusal> {
    let by_id = ServiceId::new(wanted).ok();
    if let Some(id) = by_id.filter(|id| txn.record(&Key::Service(id.clone())).is_some()) {
        return Ok(id);
    }
    let all = txn.keys(Kind::Service).into_iter();
    let all = all.filter_map(|key| match key {
        Key::Service(id) => Some((txn.service(&id)?.name, id)),
        _ => None,
    });
    let (of_name, others): (Vec<_>, Vec<_>) = all.partition(|(name, _)| name == wanted);
    match of_name.as_slice() {
        [(_, id)] => Ok(id.clone()),
        [] => {
            let text = format!("no service is registered with the id or the name \"{wanted}\"");
            let names = others
                .iter()
                .flat_map(|(name, id)| [name.as_str(), id.as_str()]);
            let mut refusal = Refusal::new(code::SERVICE_UNKNOWN, text);
            refusal.nearest = words::nearest(wanted, names);
            Err(refusal)
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|(_, id)| id.as_str()).collect();
            let text = format!(
                "several services are called {wanted}: order one by its id, of {}",
                ids.join(", ")
            );
            Err(Refusal::new(code::BAD_REQUEST, text))
        }
    }
}

/// Three different things, each with its own code.
fn refused(id: &ServiceId, not: &NotOrdered) -> Refusal {
    let code: Code = match not {
        NotOrdered::ControllerUnknown { .. } => code::CONTROLLER_UNKNOWN,
        NotOrdered::NotOrderable { .. } => code::CONTROLLER_NOT_ORDERABLE,
        NotOrdered::Parameters(all) => return misgiven(id, all),
        NotOrdered::TooLarge => code::BAD_REQUEST,
    };
    Refusal::new(code, format!("service/{id}: {not}"))
}

/// Bytes of what was given that an error repeats.
const GIVEN_SHOWN: usize = 200;

fn shown(text: &str) -> String {
    let mut shown = text.to_owned();
    words::cut(&mut shown, GIVEN_SHOWN);
    if shown.len() < text.len() {
        shown.push_str("..");
    }
    shown
}

fn misgiven(id: &ServiceId, all: &[Misgiven]) -> Refusal {
    let at = |name: &str| Pointer::root().key("parameters").key(name);
    let lines = all.iter().map(|one| {
        let given = one.value.as_ref();
        let given = given.map_or_else(String::new, |value| format!(" (it is {})", shown(value)));
        let text = format!("{}: {}{given}", one.what.code(), one.reason);
        format!("{}: {text}", at(&shown(&one.name))).replace('\n', " ")
    });
    let lines: Vec<String> = lines.collect();
    let text = format!(
        "the parameters are not what service/{id} takes:\n{}",
        lines.join("\n")
    );
    Refusal::new(code::BAD_PARAMETERS, text)
}
