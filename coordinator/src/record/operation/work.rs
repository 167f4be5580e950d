//! Orchestrations, activities and runs: what people ask for of them.

use mainstay_orchestrator::{
    ActivityType, DISPOSE, Definition, Fault, Found, Known, No, Pointer, definition as check,
};
use mainstay_protocol::code;
use mainstay_protocol::json::Shape;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::work::{Outside, Serves, Skill, Skills};
use mainstay_protocol::{Generation, Json, RunId, StepKey, TypeName, WorkName, limits};
use mainstay_resource_graph::{
    Activity, ConfigHash, Key, Kind, Orchestration, Run, RunState, TextHash, Txn, Vertex, View,
    ViewExt,
};

use super::super::unknown;
use super::{Recorded, Result_, recorded};
use crate::env::Env;
use crate::event::BasedOn;
use crate::orchestrate::{Orchestrate, RunAct, StartRun};
use crate::runs;

pub(super) fn orchestrate(txn: &mut Txn<'_>, what: &Orchestrate, by: &str, env: &Env) -> Result_ {
    match what {
        Orchestrate::PutActivity {
            definition,
            based_on,
        } => put_activity(txn, definition, *based_on, by),
        Orchestrate::DeleteActivity { name } => delete_activity(txn, name),
        Orchestrate::PutOrchestration {
            definition,
            based_on,
        } => put_orchestration(txn, definition, *based_on, by),
        Orchestrate::DeleteOrchestration { name } => {
            let key = Key::Orchestration(name.clone());
            match txn.remove(&key) {
                true => Ok(recorded(
                    Vec::new(),
                    format!("{key} is deleted; runs of it go on"),
                )),
                false => Err(no_orchestration(txn, name)),
            }
        }
        Orchestrate::Start(asked) => start(txn, asked, by, env),
        Orchestrate::Act { run, act } => self::act(txn, run, act, env),
        Orchestrate::Forget { run } => forget(txn, run),
    }
}

fn put_activity(txn: &mut Txn<'_>, definition: &Json, based_on: BasedOn, by: &str) -> Result_ {
    fits_in("the definition", definition, limits::DEFINITION_BYTES_MAX)?;
    let mut found = Found::default();
    let Some(read) = ActivityType::read(definition, &mut found) else {
        return Err(faults("the type of activity", &found.faults));
    };
    let key = Key::Activity(read.name.clone());
    takes_one_more(txn, &key)?;
    let before = activity_of(txn, &key).map(|before| (before.definition, before.generation));
    let generation = next(&key, before.as_ref().map(|(_, known)| *known), based_on)?;
    let vertex = Activity {
        definition: read.text,
        generation,
        by: by.to_owned(),
    };
    let before = before.map(|(definition, _)| definition);
    let now = vertex.definition.clone();
    Ok(set(
        txn,
        key,
        (before, &now),
        Vertex::Activity(vertex),
        &found,
    ))
}

/// Of two changes that know the same one, the second is refused.
fn next(key: &Key, there: Option<Generation>, based_on: BasedOn) -> Result<Generation, Refusal> {
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

/// What an orchestration uses stays: its next run could not begin.
fn delete_activity(txn: &mut Txn<'_>, name: &WorkName) -> Result_ {
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

fn put_orchestration(txn: &mut Txn<'_>, definition: &Json, based_on: BasedOn, by: &str) -> Result_ {
    fits_in("the definition", definition, limits::DEFINITION_BYTES_MAX)?;
    let mut found = Found::default();
    let known = runs::known(txn);
    let Some(read) = check(definition, &known, &mut found) else {
        return Err(faults("the definition", &found.faults));
    };
    if let Some(text) = unserved(txn, &read, &known) {
        let at = Pointer::root().key("activities");
        found.warn(&at, format!("{text}: runs are refused until one does"));
    }
    let key = Key::Orchestration(read.name.clone());
    takes_one_more(txn, &key)?;
    let before = orchestration_of(txn, &key);
    let generation = before.as_ref().map(|before| before.generation);
    let vertex = Orchestration {
        definition: read.write(),
        generation: next(&key, generation, based_on)?,
        by: by.to_owned(),
    };
    let before = before.map(|before| before.definition);
    let now = vertex.definition.clone();
    Ok(set(
        txn,
        key,
        (before, &now),
        Vertex::Orchestration(vertex),
        &found,
    ))
}

/// A definition in the place of what was there before. The same again changes nothing, nor its generation.
fn set(
    txn: &mut Txn<'_>,
    key: Key,
    (before, now): (Option<Json>, &Json),
    vertex: Vertex,
    found: &Found,
) -> Recorded {
    let text = match before {
        Some(before) if before == *now => {
            return recorded(Vec::new(), format!("{key} is so already"));
        }
        Some(_) => format!("{key} is changed for runs that begin from now on"),
        None => format!("{key} is there"),
    };
    runs::put(txn, key, vertex);
    recorded(Vec::new(), with_warnings(text, &found.warnings))
}

fn start(txn: &mut Txn<'_>, asked: &StartRun, by: &str, env: &Env) -> Result_ {
    let name = &asked.orchestration;
    let key = Key::Run(asked.id.clone());
    if let Some(there) = txn.run(&asked.id) {
        return again(&key, &there, asked);
    }
    if let Some(undone) = asked.id.undone() {
        return dispose(txn, &undone, asked, by, env);
    }
    let Some(orchestration) = orchestration_of(txn, &Key::Orchestration(name.clone())) else {
        return Err(no_orchestration(txn, name));
    };
    let known = runs::known(txn);
    let mut found = Found::default();
    // Types may have changed since it was taken.
    let Some(definition) = check(&orchestration.definition, &known, &mut found) else {
        return Err(faults(&format!("orchestration/{name}"), &found.faults));
    };
    let input = asked.input.over(&definition.input);
    kept("the input", &input)?;
    if let Some(correlation) = &asked.correlation
        && correlation.len() > limits::CORRELATION_BYTES_MAX
    {
        let most = limits::CORRELATION_BYTES_MAX;
        let text = format!("a correlation id has at most {most} bytes");
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let wrong = runs::unlike(&definition.schema, &input);
    if !wrong.is_empty() {
        let text = format!(
            "the input is not what orchestration/{name} takes:\n{}",
            wrong.join("\n")
        );
        return Err(Refusal::new(code::BAD_INPUT, text));
    }
    let section = section(&definition, asked)?;
    if section.as_deref() == Some(DISPOSE) {
        let text = format!(
            "{DISPOSE} undoes a run: begin one that is called RUN~{DISPOSE}, after the run to be undone"
        );
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let plan = runs::plan_text(&definition, &known);
    let run = Run {
        orchestration: name.clone(),
        section,
        correlation: asked.correlation.clone(),
        plan: runs::hash_of(&plan),
        input: runs::hash_of(&input),
        asked: content(asked),
        line: None,
        state: RunState::Running,
        context: Json::empty_object(),
        errors: [].into(),
        done: 0,
        left: 0,
        began: env.now,
        ended: None,
        response: None,
        by: by.to_owned(),
    };
    if !definition.active {
        let text = format!("orchestration/{name} is not active: it begins no runs");
        return Err(Refusal::new(code::INACTIVE, text));
    }
    if txn.base().count(Kind::Run) >= limits::RUNS_MAX {
        let most = limits::RUNS_MAX;
        let text =
            format!("there are {most} runs, and no more fit; forget some of those that are over");
        return Err(Refusal::new(code::OVERLOADED, text));
    }
    served(txn, &definition, &known)?;
    runs::begin(txn, &asked.id, run, (&plan, &input), env);
    Ok(recorded(Vec::new(), format!("{key} of {name} begins")))
}

/// A run that is called after another undoes that one: with what it left behind, by what it went by.
fn dispose(txn: &mut Txn<'_>, of: &RunId, asked: &StartRun, by: &str, env: &Env) -> Result_ {
    let key = Key::Run(of.clone());
    let run = known_run(txn, of)?;
    if run.orchestration != asked.orchestration {
        let text = format!(
            "{key} is of {}, not of {}",
            run.orchestration, asked.orchestration
        );
        return Err(Refusal::new(code::RUN_DIFFERS, text));
    }
    let program = runs::program(txn, &run);
    let Some(program) = program.filter(|program| runs::can_be_undone(program, &run)) else {
        let text = format!("{key} is of no definition with a section {DISPOSE}: nothing undoes it");
        return Err(Refusal::new(code::NOT_FOUND, text));
    };
    let said_more = asked.input != Json::empty_object();
    if said_more
        || asked
            .section
            .as_deref()
            .is_some_and(|section| section != DISPOSE)
    {
        let text = format!(
            "what undoes {key} goes by what that run was given; leave input and section out"
        );
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    served(txn, &program.definition, &program.known)?;
    let order = runs::change(txn, of, env, |machine| Ok(machine.done()));
    let Ok(Some(order)) = order else {
        let text = format!("{key} has something out that is not over; wait for it");
        return Err(Refusal::new(code::NOT_NOW, text));
    };
    let undoing = Run {
        asked: content(asked),
        correlation: asked.correlation.clone(),
        by: by.to_owned(),
        ..run.clone()
    };
    match runs::undo(txn, of, undoing, order, env) {
        Ok(()) => Ok(recorded(
            Vec::new(),
            format!("{} begins: it undoes {key}", Key::Run(asked.id.clone())),
        )),
        Err(_) => {
            let text = format!("{key} is {}: {}", run.state.as_str(), possible(run.state));
            Err(Refusal::new(code::NOT_NOW, text))
        }
    }
}

/// The same content is the same run, whatever became of the orchestration since.
fn again(key: &Key, there: &Run, asked: &StartRun) -> Result_ {
    // What undoes another is begun by that one's name alone.
    let undoes = asked.id.undone().is_some() && there.orchestration == asked.orchestration;
    if undoes || there.asked == content(asked) {
        let state = there.state.as_str();
        return Ok(recorded(
            Vec::new(),
            format!("{key} is there already: {state}"),
        ));
    }
    let what = match there.orchestration == asked.orchestration {
        true => "input, section or correlation id",
        false => "orchestration",
    };
    let text = format!("{key} exists with another {what}");
    Err(Refusal::new(code::RUN_DIFFERS, text))
}

/// What was asked for, by a hash: what is made of it may change.
fn content(asked: &StartRun) -> TextHash {
    let text =
        |text: Option<&String>| text.map_or_else(Json::empty_object, |text| Json::text(text));
    runs::hash_of(&Json::array(&[
        Json::text(asked.orchestration.as_str()),
        text(asked.section.as_ref()),
        text(asked.correlation.as_ref()),
        asked.input.clone(),
    ]))
}

const DEPLOY: &str = "deploy";

fn section(definition: &Definition, asked: &StartRun) -> Result<Option<String>, Refusal> {
    let names = definition.activities.names();
    let wanted = match (&asked.section, names.is_empty()) {
        (None, true) => return Ok(None),
        (None, false) => DEPLOY,
        (Some(section), _) => section.as_str(),
    };
    if names.contains(&wanted) {
        return Ok(Some(wanted.to_owned()));
    }
    let there = match names.is_empty() {
        true => "it has no sections".to_owned(),
        false => format!("there are: {}", names.join(", ")),
    };
    let text = format!(
        "orchestration/{} has no section {wanted}; {there}",
        definition.name
    );
    Err(Refusal::new(code::NOT_FOUND, text))
}

/// Whatever nobody can do would wait for ever: every activity has a type of service that does it, here or elsewhere.
fn served(txn: &Txn<'_>, definition: &Definition, known: &Known) -> Result<(), Refusal> {
    match unserved(txn, definition, known) {
        None => Ok(()),
        Some(text) => Err(Refusal::new(
            code::UNSERVED,
            format!("{text}; see mainstay get types"),
        )),
    }
}

fn unserved(txn: &Txn<'_>, definition: &Definition, known: &Known) -> Option<String> {
    let skills = skills(txn);
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
fn skills(txn: &Txn<'_>) -> Vec<Skills> {
    let types = txn.keys(Kind::Type).into_iter().filter_map(|key| {
        let Key::Type(name) = key else { return None };
        Some((txn.service_type(&name)?.declaration.serves, name))
    });
    let types: Vec<(Serves, TypeName)> = types.collect();
    let placements = txn.keys(Kind::Placement).into_iter().filter_map(|key| {
        let Key::Placement(name) = key else {
            return None;
        };
        let placement = txn.placement(&name)?;
        let (serves, _) = types
            .iter()
            .find(|(_, name)| *name == placement.service_type)?;
        let text = configuration(txn, &placement.wish.config).filter(|_| serves.by_config)?;
        Some(serves.configured(&text).1)
    });
    let configured: Vec<Skills> = placements.collect();
    let does = types.into_iter().filter(|(serves, _)| serves.hands > 0);
    does.map(|(serves, _)| serves.skills)
        .chain(configured)
        .collect()
}

fn configuration(txn: &Txn<'_>, hash: &ConfigHash) -> Option<String> {
    match &txn.record(&Key::Configuration(hash.clone()))?.vertex {
        Vertex::Configuration(configuration) => Some(configuration.json.clone()),
        _ => None,
    }
}

fn act(txn: &mut Txn<'_>, id: &RunId, act: &RunAct, env: &Env) -> Result_ {
    let key = Key::Run(id.clone());
    let run = known_run(txn, id)?;
    if let RunAct::Tell {
        activity,
        said: Outside::Complete { output },
        ..
    } = act
    {
        kept("the output", output)?;
        if output.shape() != Shape::Object {
            let text = format!(
                "the output is an object; it is {}",
                output.shape().with_article()
            );
            return Err(Refusal::new(code::BAD_REQUEST, text));
        }
        let step = StepKey::new(id.clone(), activity.clone());
        let wrong = runs::unlike_output(txn, &step, output);
        if !wrong.is_empty() {
            let all = wrong.join("\n");
            let text = format!("the output is not what {activity} leaves behind:\n{all}");
            return Err(Refusal::new(code::BAD_INPUT, text));
        }
    }
    let done = runs::change(txn, id, env, |machine| match act {
        RunAct::Pause => machine.pause(),
        RunAct::Resume => machine.resume(),
        RunAct::Cancel => machine.cancel(),
        RunAct::Retry => machine.retry(),
        RunAct::Tell {
            activity,
            token,
            said,
        } => machine.from_outside(activity, *token, said.clone()),
    });
    // What undoes another and is tried again undoes it again.
    if let (Ok(()), RunAct::Retry, Some(undone)) = (&done, act, id.undone()) {
        let _ = runs::change(txn, &undone, env, |machine| machine.undoes_again());
    }
    let now = txn.run(id).map_or(run.state, |run| run.state);
    match (done, act) {
        (Ok(()), RunAct::Tell { activity, .. }) => Ok(recorded(
            Vec::new(),
            format!(
                "{activity} of {key} is told of; the run is {}",
                now.as_str()
            ),
        )),
        (Ok(()), _) => Ok(recorded(Vec::new(), format!("{key} is {}", now.as_str()))),
        (Err(No::Unknown), RunAct::Tell { activity, .. }) => {
            let text = format!("{key} has no activity {activity}");
            Err(Refusal::new(code::NOT_FOUND, text))
        }
        (
            Err(No::Stale),
            RunAct::Tell {
                activity, token, ..
            },
        ) => {
            let text = format!(
                "{activity} of {key} is not out with the token {token} any more; nothing was changed"
            );
            Err(Refusal::new(code::STALE_TOKEN, text))
        }
        (Err(_), _) => {
            let text = format!("{key} is {}: {}", run.state.as_str(), possible(run.state));
            Err(Refusal::new(code::NOT_NOW, text))
        }
    }
}

/// It goes with the run that it undid.
fn forget(txn: &mut Txn<'_>, id: &RunId) -> Result_ {
    let key = Key::Run(id.clone());
    let run = known_run(txn, id)?;
    if let Some(undone) = id.undone().filter(|undone| txn.run(undone).is_some()) {
        let text = format!("{key} goes with run/{undone}: forget that one");
        return Err(Refusal::new(code::NOT_NOW, text));
    }
    match runs::forget(txn, id, &run) {
        true => Ok(recorded(Vec::new(), format!("{key} is forgotten"))),
        false => {
            let state = run.state.as_str();
            let text = format!("{key} is {state}, and something of it is still out");
            Err(Refusal::new(code::NOT_NOW, text))
        }
    }
}

/// What may be done with one in this state.
fn possible(state: RunState) -> &'static str {
    match state {
        RunState::Running => "it can be paused and cancelled",
        RunState::Paused => "it can be resumed and cancelled",
        RunState::Errored => "it can be retried",
        RunState::Compensating => "it is being undone",
        RunState::CompensationFailed => "what undoes it can be retried",
        RunState::Completed | RunState::Compensated | RunState::Cancelled => "it is over",
    }
}

fn activity_of(txn: &Txn<'_>, key: &Key) -> Option<Activity> {
    match &txn.record(key)?.vertex {
        Vertex::Activity(activity) => Some(activity.clone()),
        _ => None,
    }
}

fn orchestration_of(txn: &Txn<'_>, key: &Key) -> Option<Orchestration> {
    match &txn.record(key)?.vertex {
        Vertex::Orchestration(orchestration) => Some(orchestration.clone()),
        _ => None,
    }
}

fn known_run(txn: &Txn<'_>, id: &RunId) -> Result<Run, Refusal> {
    let unknown = || unknown(code::NOT_FOUND, "the run", id.as_str(), txn, Kind::Run);
    txn.run(id).ok_or_else(unknown)
}

fn no_orchestration(txn: &Txn<'_>, name: &WorkName) -> Refusal {
    let what = "the orchestration";
    unknown(
        code::NOT_FOUND,
        what,
        name.as_str(),
        txn,
        Kind::Orchestration,
    )
}

fn takes_one_more(txn: &Txn<'_>, key: &Key) -> Result<(), Refusal> {
    let most = limits::DEFINITIONS_MAX;
    if txn.record(key).is_some() || txn.keys(key.kind()).len() < most {
        return Ok(());
    }
    let text = format!("there are {most} of its kind, and no more fit; delete some");
    Err(Refusal::new(code::OVERLOADED, text))
}

fn fits_in(what: &str, value: &Json, most: usize) -> Result<(), Refusal> {
    let bytes = value.as_str().len();
    if bytes <= most {
        return Ok(());
    }
    let text = format!("{what} has {bytes} bytes, and at most {most} are taken");
    Err(Refusal::new(code::BAD_REQUEST, text))
}

fn kept(what: &str, value: &Json) -> Result<(), Refusal> {
    match runs::unkept(value) {
        Some(why) => Err(Refusal::new(code::BAD_REQUEST, format!("{what} {why}"))),
        None => Ok(()),
    }
}

/// All of them at once, each with where it is.
fn faults(what: &str, faults: &[Fault]) -> Refusal {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let text = format!("{what} is not right:\n{}", lines.join("\n"));
    Refusal::new(code::BAD_DEFINITION, text)
}

fn with_warnings(text: String, warnings: &[Fault]) -> String {
    let lines = warnings
        .iter()
        .map(|warning| format!("\nwarning: {warning}"));
    lines.fold(text, |text, line| text + &line)
}
