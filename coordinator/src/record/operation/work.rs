//! Orchestrations, activities and runs: what people ask for of them.

use mainstay_orchestrator::{DISPOSE, Definition, Fault, Found, Known, No, definition as check};
use mainstay_protocol::code;
use mainstay_protocol::json::Shape;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::work::Outside;
use mainstay_protocol::{CommandId, Json, RunId, StepKey, WorkName, limits};
use mainstay_resource_graph::{
    Key, Kind, Orchestration, Run, RunState, RunTexts, TextHash, Txn, Vertex, View, ViewExt,
};

use super::super::unknown;
use super::{Result_, artifacts, definitions, recorded, services};
use crate::env::Env;
use crate::orchestrate::{Orchestrate, RunAct, StartRun};
use crate::{runs, serving};

pub(super) fn orchestrate(txn: &mut Txn<'_>, what: &Orchestrate, by: &str, env: &Env) -> Result_ {
    match what {
        Orchestrate::PutActivity {
            definition,
            based_on,
        } => definitions::put_activity(txn, definition, *based_on, by),
        Orchestrate::DeleteActivity { name } => definitions::delete_activity(txn, name),
        Orchestrate::PutOrchestration {
            definition,
            based_on,
        } => definitions::put_orchestration(txn, definition, *based_on, by),
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
        Orchestrate::PutService {
            description,
            based_on,
        } => services::register(txn, description, *based_on, by, env),
        Orchestrate::DeleteService { id } => services::delete(txn, id),
        Orchestrate::Order(asked) => services::order(txn, asked, by, env),
        Orchestrate::Start(asked) => start(txn, asked, by, env),
        Orchestrate::Act { run, act } => self::act(txn, run, act, env),
        Orchestrate::Forget { run } => forget(txn, run),
        Orchestrate::Artifact(keep) => artifacts::keep(txn, keep, by, env),
    }
}

fn start(txn: &mut Txn<'_>, asked: &StartRun, by: &str, env: &Env) -> Result_ {
    let name = &asked.orchestration;
    let key = Key::Run(asked.id.clone());
    if let Some(there) = txn.run(&asked.id) {
        return again(&key, &there, asked);
    }
    if asked.input.shape() != Shape::Object {
        let is = asked.input.shape().with_article();
        let text = format!("what a run is given is an object; it is {is}");
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    bounded(txn, asked.correlation.as_ref())?;
    if let Some(undone) = asked.id.undone() {
        return dispose(txn, &undone, asked, by, env);
    }
    let Some(orchestration) = orchestration_of(txn, &Key::Orchestration(name.clone())) else {
        return Err(no_orchestration(txn, name));
    };
    let known = runs::types_of(txn, &orchestration.definition);
    let mut found = Found::default();
    // Types may have changed since it was taken.
    let Some(definition) = check(&orchestration.definition, &known, &mut found) else {
        return Err(faults(&format!("orchestration/{name}"), &found.faults));
    };
    let input = asked.input.over(&definition.input);
    kept("the input", &input)?;
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
    let texts = RunTexts {
        plan: runs::hash_of(&plan),
        input: runs::hash_of(&input),
        asked: content(asked),
    };
    let run = Run {
        section,
        correlation: asked.correlation.clone(),
        ..Run::new(name.clone(), texts, by, env.now)
    };
    if !definition.active {
        let text = format!("orchestration/{name} is not active: it begins no runs");
        return Err(Refusal::new(code::INACTIVE, text));
    }
    served(txn, &definition, &known)?;
    runs::begin(txn, &asked.id, run, (&plan, &input), env);
    Ok(recorded(Vec::new(), format!("{key} of {name} begins")))
}

/// What whoever begins it knows it by has a bound, and so has the number of runs.
pub(super) fn bounded(txn: &Txn<'_>, known_by: Option<&String>) -> Result<(), Refusal> {
    let most = limits::CORRELATION_BYTES_MAX;
    if known_by.is_some_and(|text| text.len() > most) {
        let text = format!("a correlation id, and an order's name, has at most {most} bytes");
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let most = limits::RUNS_MAX;
    if txn.base().count(Kind::Run) >= most {
        let text =
            format!("there are {most} runs, and no more fit; forget some of those that are over");
        return Err(Refusal::new(code::OVERLOADED, text));
    }
    Ok(())
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
pub(super) fn served(txn: &Txn<'_>, definition: &Definition, known: &Known) -> Result<(), Refusal> {
    match serving::unserved(txn, definition, known) {
        None => Ok(()),
        Some(text) => Err(Refusal::new(
            code::UNSERVED,
            format!("{text}; see mainstay get types"),
        )),
    }
}

fn act(txn: &mut Txn<'_>, id: &RunId, act: &RunAct, env: &Env) -> Result_ {
    let key = Key::Run(id.clone());
    let run = known_run(txn, id)?;
    if let RunAct::Tell {
        activity,
        token,
        said: Outside::Complete { output },
    } = act
    {
        let step = StepKey::new(id.clone(), activity.clone());
        as_it_may_be(txn, &step, *token, output)?;
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

/// What somebody outside says that an activity left behind.
fn as_it_may_be(
    txn: &Txn<'_>,
    step: &StepKey,
    token: CommandId,
    output: &Json,
) -> Result<(), Refusal> {
    kept("the output", output)?;
    if output.shape() != Shape::Object {
        let is = output.shape().with_article();
        let text = format!("the output is an object; it is {is}");
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    // What comes too late is told so, whatever it says.
    let is_meant = txn.step(step).and_then(|step| step.token()) == Some(token);
    let wrong = match is_meant {
        true => runs::unlike_output(txn, step, output),
        false => Vec::new(),
    };
    if wrong.is_empty() {
        return Ok(());
    }
    let (activity, all) = (&step.activity, wrong.join("\n"));
    let text = format!("the output is not what {activity} leaves behind:\n{all}");
    Err(Refusal::new(code::BAD_INPUT, text))
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

pub(super) fn orchestration_of(txn: &Txn<'_>, key: &Key) -> Option<Orchestration> {
    match &txn.record(key)?.vertex {
        Vertex::Orchestration(orchestration) => Some(orchestration.clone()),
        _ => None,
    }
}

fn known_run(txn: &Txn<'_>, id: &RunId) -> Result<Run, Refusal> {
    // There may be hundreds of thousands: none of them is offered as the nearest.
    let unknown = || Refusal::new(code::NOT_FOUND, format!("there is no run/{id}"));
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

pub(super) fn kept(what: &str, value: &Json) -> Result<(), Refusal> {
    match runs::unkept(value) {
        Some(why) => Err(Refusal::new(code::BAD_REQUEST, format!("{what} {why}"))),
        None => Ok(()),
    }
}

/// All of them at once, each with where it is.
pub(super) fn faults(what: &str, faults: &[Fault]) -> Refusal {
    // A line each: what stands in them breaks none.
    let lines = faults
        .iter()
        .map(|fault| fault.to_string().replace('\n', " "));
    let lines: Vec<String> = lines.collect();
    let text = format!("{what} is not right:\n{}", lines.join("\n"));
    Refusal::new(code::BAD_DEFINITION, text)
}
