//! `run`: begun and awaited, listed, shown as what follows what, followed, acted on.

pub(super) mod draw;
mod follow;

use std::collections::BTreeMap;
use std::time::SystemTime;

use mainstay_api::client::{RunFilter, RunVerb};
use mainstay_api::types::{Accepted, Exact, Run, RunDetail, RunRequest, StepDone};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::json::Shape;
use mainstay_protocol::{Json, RunId, code};
use uuid::Uuid;

use super::wishes;
use crate::app::App;
use crate::arguments::{
    RunCommand, RunCompleteArguments, RunListArguments, RunStartArguments, RunWaitArguments,
};
use crate::files;
use crate::outcome::Outcome;
use crate::table::{Cell, Table};
use crate::text::{age_of, one_line};

use follow::Patience;

pub async fn run(app: &mut App<'_>, command: RunCommand) -> Outcome {
    match command {
        RunCommand::Start(arguments) => start(app, arguments).await,
        RunCommand::List(arguments) => list(app, arguments).await,
        RunCommand::Show(one) => {
            let client = app.client().await?;
            let detail = client.run(one.id.as_str()).await?;
            shown(app, &detail)?;
            Ok(Exit::Ok)
        }
        RunCommand::Follow(one) => {
            let client = app.client().await?;
            let patience = Patience::of(app.global.timeout);
            let detail = follow::to_its_end(app, &client, (&one.id, None), patience).await?;
            if !app.console.style.is_text() {
                shown(app, &detail)?;
            }
            came_to(&detail.run)
        }
        RunCommand::Pause(one) => act(app, &one.id, RunVerb::Pause).await,
        RunCommand::Resume(one) => act(app, &one.id, RunVerb::Resume).await,
        RunCommand::Cancel(one) => act(app, &one.id, RunVerb::Cancel).await,
        RunCommand::Retry(one) => act_and_wait(app, &one, RunVerb::Retry, &one.id).await,
        RunCommand::Dispose(one) => {
            act_and_wait(app, &one, RunVerb::Dispose, &one.id.undoing()).await
        }
        RunCommand::Complete(arguments) => complete(app, arguments).await,
        RunCommand::Forget(one) => {
            let client = app.client().await?;
            let accepted = client.forget_run(one.id.as_str()).await;
            done(app, &one.id, accepted)
        }
    }
}

pub(super) fn done(app: &mut App<'_>, id: &RunId, accepted: Result<Accepted, Problem>) -> Outcome {
    let accepted = accepted?;
    app.console
        .done(&accepted, &[format!("run/{id}")], &accepted.text)?;
    Ok(Exit::Ok)
}

async fn act(app: &mut App<'_>, id: &RunId, verb: RunVerb) -> Outcome {
    let client = app.client().await?;
    let accepted = client.run_act(id.as_str(), verb).await;
    done(app, id, accepted)
}

/// What is done to one run brings `awaited` on.
async fn act_and_wait(
    app: &mut App<'_>,
    arguments: &RunWaitArguments,
    verb: RunVerb,
    awaited: &RunId,
) -> Outcome {
    let client = app.client().await?;
    let accepted = client.run_act(arguments.id.as_str(), verb).await?;
    if arguments.no_wait {
        return done(app, awaited, Ok(accepted));
    }
    app.console.say(&accepted.text);
    await_end(app, &client, (awaited, Some(accepted.revision))).await
}

async fn start(app: &mut App<'_>, arguments: RunStartArguments) -> Outcome {
    let payload = payload(app, &arguments)?;
    let id = match arguments.id {
        Some(id) => id,
        None => made_up(),
    };
    let request = RunRequest {
        id: id.to_string(),
        orchestration: arguments.orchestration.to_string(),
        correlation_id: arguments.correlation,
        section: arguments.section,
        payload,
    };
    let client = app.client().await?;
    let accepted = client.start_run(&request).await?;
    if arguments.no_wait {
        return done(app, &id, Ok(accepted));
    }
    app.console.say(&accepted.text);
    await_end(app, &client, (&id, Some(accepted.revision))).await
}

/// When it was made, so that lists are in that order, and something that nobody else has made in the same second.
pub(super) fn made_up() -> RunId {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let when: String = now.chars().filter(char::is_ascii_digit).collect();
    let more = Uuid::new_v4().simple().to_string();
    RunId::new(&format!("{when}-{}", &more[..8])).expect("letters and digits are a name")
}

/// Followed until then, as long as is waited for changes.
pub(super) async fn at_its_end(
    app: &mut App<'_>,
    client: &Client,
    of: (&RunId, Option<u64>),
) -> Result<RunDetail, Problem> {
    let patience = Patience::of(Some(app.wait_timeout()));
    follow::to_its_end(app, client, of, patience).await
}

async fn await_end(app: &mut App<'_>, client: &Client, of: (&RunId, Option<u64>)) -> Outcome {
    let detail = at_its_end(app, client, of).await?;
    if app.console.style.is_text() {
        if let Some(outputs) = &detail.outputs {
            app.console.data(&format!("{}\n", outputs.0))?;
        }
    } else {
        shown(app, &detail)?;
    }
    came_to(&detail.run)
}

/// Whoever waited for it wants to know whether it did what it was for.
pub(super) fn came_to(run: &Run) -> Outcome {
    if run.state == "Completed" {
        return Ok(Exit::Ok);
    }
    let errors = run
        .errors
        .iter()
        .map(|one| format!("{}: {}", one.activity, one.error));
    let mut why = errors.collect::<Vec<_>>();
    if why.is_empty() {
        why.push(format!("it is {}", run.state));
    }
    if let Some(by) = run
        .undone_by
        .as_ref()
        .filter(|_| run.state == "Compensated")
    {
        why.push(format!("what it did was undone by run/{by}"));
    }
    let what = format!("run/{} of {}", run.id, run.orchestration);
    let problem = Problem::new(code::TARGET_FAILED, what, why.join("\n"));
    Err(problem.to_do(format!("mainstay run show {}", run.id)))
}

/// What a file says, and over it what the command line says.
fn payload(app: &mut App<'_>, arguments: &RunStartArguments) -> Result<Exact, Problem> {
    let under = match &arguments.payload {
        None => Json::empty_object(),
        Some(path) => {
            let read = files::sources(std::slice::from_ref(path), &mut std::io::stdin().lock())
                .map_err(|faults| (faults, 0))
                .and_then(|sources| files::payload(&sources));
            read.map_err(|(faults, more)| wishes::told(&mut app.console, &faults, more))?
        }
    };
    let pairs = arguments.pairs.iter();
    let payload = pairs.fold(under, |under, pair| put(&under, &pair.path, &pair.value));
    Ok(Exact(payload))
}

/// A value at its place, with all that stands beside it as it was.
fn put(under: &Json, path: &[String], value: &Json) -> Json {
    let Some((key, rest)) = path.split_first() else {
        return value.clone();
    };
    let mut members = match under.shape() {
        Shape::Object => under.members(),
        _ => BTreeMap::new(),
    };
    let below = members.get(key).cloned();
    let below = below.unwrap_or_else(Json::empty_object);
    members.insert(key.clone(), put(&below, rest, value));
    Json::object(&members)
}

async fn complete(app: &mut App<'_>, arguments: RunCompleteArguments) -> Outcome {
    let said = StepDone {
        token: arguments.token,
        outputs: arguments.result.map(Exact),
        error: arguments.error,
    };
    let client = app.client().await?;
    let (run, activity) = (arguments.id.as_str(), arguments.activity.as_str());
    let accepted = client.step_done(run, activity, &said).await;
    done(app, &arguments.id, accepted)
}

async fn list(app: &mut App<'_>, arguments: RunListArguments) -> Outcome {
    let filter = RunFilter {
        orchestration: arguments.of.map(|name| name.to_string()),
        state: arguments.state,
        correlation: arguments.correlation,
    };
    let runs = app.client().await?.runs(&filter).await?;
    let reference = |run: &Run| format!("run/{}", run.id);
    app.console
        .list(&runs, reference, &table(&runs), "there is no run")?;
    Ok(Exit::Ok)
}

fn table(runs: &[Run]) -> Table {
    let headings = [
        "RUN",
        "TYPE",
        "STATE",
        "DONE",
        "BEGAN",
        "SINCE",
        "CORRELATION",
        "BY",
        "REASON",
    ];
    let mut table = Table::new(&headings).wide_only(&["CORRELATION", "BY"]);
    for run in runs {
        let reason = run.reason.as_ref();
        let reason = reason.map(|reason| one_line(&reason.text));
        table.row(vec![
            Cell::new(&run.id),
            Cell::new(&run.orchestration),
            Cell::state(&run.state),
            Cell::new(format!("{}/{}", run.done, run.steps)),
            Cell::new(age_of(run.began)),
            Cell::new(age_of(run.since)),
            Cell::new(one_line(run.correlation_id.as_deref().unwrap_or_default())),
            Cell::new(&run.by),
            Cell::new(reason.unwrap_or_default()),
        ]);
    }
    table
}

fn shown(app: &mut App<'_>, detail: &RunDetail) -> Result<(), Problem> {
    let references = [format!("run/{}", detail.run.id)];
    app.console
        .answer(detail, &references, |look| draw::text(detail, look))
}
