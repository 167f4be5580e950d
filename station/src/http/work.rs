//! Durable work: orchestrations and types of activities set, runs begun and acted on. The coordinator judges it all.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{ETAG, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use mainstay_api::Problem;
use mainstay_api::present::Present;
use mainstay_api::routes::{self, Route};
use mainstay_api::types::{Accepted, Exact, RunRequest, StepDone};
use mainstay_coordinator::{BasedOn, Operation, Orchestrate, RunAct, StartRun};
use mainstay_protocol::work::Outside;
use mainstay_protocol::{CommandId, Json, RunId, WorkName, code};
use mainstay_resource_graph::{Key, ViewExt};
use serde::Serialize;

use super::Api;
use super::changes::accepted;
use super::placements::{based_on, is_conditional};
use super::reply::{Failure, Reply, body, json};

pub fn handlers() -> Vec<(Route, MethodRouter<Api>)> {
    vec![
        (routes::ACTIVITY, get(activity)),
        (
            routes::ACTIVITY_CREATE,
            create("create an activity", an_activity),
        ),
        (routes::ACTIVITY_PUT, replace("activity", an_activity)),
        (routes::ACTIVITY_DELETE, delete(delete_activity)),
        (routes::ORCHESTRATION, get(orchestration)),
        (
            routes::ORCHESTRATION_CREATE,
            create("create an orchestration", an_orchestration),
        ),
        (
            routes::ORCHESTRATION_PUT,
            replace("orchestration", an_orchestration),
        ),
        (routes::ORCHESTRATION_DELETE, delete(delete_orchestration)),
        (routes::RUN, get(run)),
        (routes::RUN_START, post(start)),
        (routes::RUN_FORGET, delete(forget)),
        (routes::RUN_PAUSE, act("pause", RunAct::Pause)),
        (routes::RUN_RESUME, act("resume", RunAct::Resume)),
        (routes::RUN_CANCEL, act("cancel", RunAct::Cancel)),
        (routes::RUN_RETRY, act("retry", RunAct::Retry)),
        (routes::RUN_DISPOSE, post(dispose)),
        (routes::STEP_DONE, post(step_done)),
    ]
}

async fn activity(api: Api, Path(name): Path<String>) -> Reply {
    let name = work_name("show an activity", &name)?;
    let key = Key::Activity(name.clone());
    let shown = one(&api, key, move |present| present.activity(&name)).await?;
    with_etag(&shown, shown.generation)
}

async fn orchestration(api: Api, Path(name): Path<String>) -> Reply {
    let name = work_name("show an orchestration", &name)?;
    let key = Key::Orchestration(name.clone());
    let shown = one(&api, key, move |present| present.orchestration(&name)).await?;
    with_etag(&shown, shown.generation)
}

async fn run(api: Api, Path(id): Path<String>) -> Reply {
    let id = run_id("show a run", &id)?;
    let key = Key::Run(id.clone());
    json(&one(&api, key, move |present| present.run_detail(&id)).await?)
}

/// One by its name, not by way of the list's rows: numbers stay as they were written.
pub(super) async fn one<T: Send + 'static>(
    api: &Api,
    key: Key,
    read: impl FnOnce(&Present<'_>) -> Option<T> + Send + 'static,
) -> Result<T, Failure> {
    api.read(move |present| read(present).ok_or_else(|| present.missing(&key)))
        .await
}

pub(super) fn with_etag(shown: &impl Serialize, generation: u64) -> Reply {
    let mut response = json(shown)?;
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{generation}\"")) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// What a definition is of.
type Put = fn(Json, BasedOn) -> Orchestrate;

fn an_activity(definition: Json, based_on: BasedOn) -> Orchestrate {
    Orchestrate::PutActivity {
        definition,
        based_on,
    }
}

fn an_orchestration(definition: Json, based_on: BasedOn) -> Orchestrate {
    Orchestrate::PutOrchestration {
        definition,
        based_on,
    }
}

fn create(what: &'static str, wanted: Put) -> MethodRouter<Api> {
    post(move |api: Api, bytes: Bytes| async move {
        let definition = definition(what, &bytes)?;
        let wanted = wanted(definition, BasedOn::Nothing);
        created(orchestrate(&api, what.to_owned(), wanted).await)
    })
}

fn replace(kind: &'static str, wanted: Put) -> MethodRouter<Api> {
    put(
        move |api: Api, Path(name): Path<String>, headers: HeaderMap, bytes: Bytes| async move {
            let what = format!("apply {kind}/{name}");
            let definition = definition_of(&what, &name, &bytes)?;
            let wanted = wanted(definition, known(&what, &headers)?);
            answered(orchestrate(&api, what, wanted).await)
        },
    )
}

/// Whatever there is by now, unless somebody says what they know.
pub(super) fn known(what: &str, headers: &HeaderMap) -> Result<BasedOn, Failure> {
    match is_conditional(headers) {
        true => based_on(what, headers),
        false => Ok(BasedOn::Anything),
    }
}

pub(super) fn definition(what: &str, bytes: &Bytes) -> Result<Json, Failure> {
    let Exact(definition) = body(what, bytes)?;
    Ok(definition)
}

fn definition_of(what: &str, name: &str, bytes: &Bytes) -> Result<Json, Failure> {
    let definition = definition(what, bytes)?;
    match definition.member("type").and_then(|name| name.as_text()) {
        Some(of) if of != name => {
            let why = format!("the path names {name}, and the definition is of {of}");
            Err(Problem::new(code::BAD_REQUEST, what, why).into())
        }
        _ => Ok(definition),
    }
}

async fn delete_activity(api: Api, Path(name): Path<String>) -> Reply {
    let what = format!("delete activity/{name}");
    let name = work_name(&what, &name)?;
    answered(orchestrate(&api, what, Orchestrate::DeleteActivity { name }).await)
}

async fn delete_orchestration(api: Api, Path(name): Path<String>) -> Reply {
    let what = format!("delete orchestration/{name}");
    let name = work_name(&what, &name)?;
    answered(orchestrate(&api, what, Orchestrate::DeleteOrchestration { name }).await)
}

async fn start(api: Api, bytes: Bytes) -> Reply {
    let what = "start a run";
    let request: RunRequest = body(what, &bytes)?;
    let what = format!("start run/{}", request.id);
    let RunRequest {
        id,
        orchestration,
        correlation_id,
        section,
        payload: Exact(input),
    } = request;
    let asked = StartRun {
        id: run_id(&what, &id)?,
        orchestration: work_name(&what, &orchestration)?,
        section,
        correlation: correlation_id,
        input,
    };
    created(orchestrate(&api, what, Orchestrate::Start(asked)).await)
}

/// A run called after the other, of the same orchestration.
async fn dispose(api: Api, Path(id): Path<String>) -> Reply {
    let what = format!("dispose of run/{id}");
    let run = run_id(&what, &id)?;
    let key = Key::Run(run.clone());
    let of = run.clone();
    let undone = one(&api, key, move |present| present.view.run(&of)).await?;
    let asked = StartRun {
        id: run.undoing(),
        orchestration: undone.orchestration,
        section: None,
        correlation: None,
        input: Json::empty_object(),
    };
    created(orchestrate(&api, what, Orchestrate::Start(asked)).await)
}

async fn forget(api: Api, Path(id): Path<String>) -> Reply {
    let what = format!("forget run/{id}");
    let run = run_id(&what, &id)?;
    answered(orchestrate(&api, what, Orchestrate::Forget { run }).await)
}

fn act(verb: &'static str, act: RunAct) -> MethodRouter<Api> {
    post(move |api: Api, Path(id): Path<String>| async move {
        let what = format!("{verb} run/{id}");
        let run = run_id(&what, &id)?;
        answered(orchestrate(&api, what, Orchestrate::Act { run, act }).await)
    })
}

async fn step_done(api: Api, Path((run, activity)): Path<(String, String)>, bytes: Bytes) -> Reply {
    let what = format!("complete {activity} of run/{run}");
    let done: StepDone = body(&what, &bytes)?;
    let said = match (done.outputs, done.error) {
        (outputs, None) => Outside::Complete {
            output: outputs.unwrap_or_default().0,
        },
        (None, Some(error)) => Outside::Fail { error },
        (Some(_), Some(_)) => {
            let why = "it says outputs and an error; a step is done, or it failed";
            return Err(Problem::new(code::BAD_REQUEST, what, why).into());
        }
    };
    let wanted = Orchestrate::Act {
        run: run_id(&what, &run)?,
        act: RunAct::Tell {
            activity: work_name(&what, &activity)?,
            token: token(&what, &done.token)?,
            said,
        },
    };
    answered(orchestrate(&api, what, wanted).await)
}

pub(super) async fn orchestrate(
    api: &Api,
    what: String,
    wanted: Orchestrate,
) -> Result<Accepted, Failure> {
    let by = api.asker.to_string();
    accepted(api, what, Operation::Orchestrate { what: wanted, by }).await
}

fn answered(accepted: Result<Accepted, Failure>) -> Reply {
    json(&accepted?)
}

/// 201 where there was none before.
pub(super) fn created(accepted: Result<Accepted, Failure>) -> Reply {
    let accepted = accepted?;
    let response: Response = json(&accepted)?;
    Ok(match accepted.changed {
        true => (StatusCode::CREATED, response).into_response(),
        false => response,
    })
}

fn token(what: &str, text: &str) -> Result<CommandId, Failure> {
    text.parse().map(CommandId).map_err(|_| {
        let why = format!("\"{text}\" is no token; it is a number, as the step shows it");
        Problem::new(code::BAD_REQUEST, what, why).into()
    })
}

fn work_name(what: &str, name: &str) -> Result<WorkName, Failure> {
    WorkName::new(name).map_err(|bad| Problem::new(code::BAD_REQUEST, what, bad.to_string()).into())
}

pub(super) fn run_id(what: &str, id: &str) -> Result<RunId, Failure> {
    RunId::new(id).map_err(|bad| Problem::new(code::BAD_REQUEST, what, bad.to_string()).into())
}
