//! Changes: put in line, and answered once they are committed. The coordinator judges them; here they are only
//! read, and refusals get their place in the table of codes.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::Path;
use mainstay_api::types::{Accepted, MoveRequest, On, StartRequest};
use mainstay_api::{Problem, own_parts};
use mainstay_coordinator::{Operation, StartOn, StartPlacement};
use mainstay_protocol::{BadName, InstanceKey, NodeName, PlacementName, code, limits};
use mainstay_resource_graph::{Count, Key, ParkedId, ViewExt};
use serde_json::Value;

use super::Api;
use super::reply::{Failure, Reply, body, json};

pub async fn start(api: Api, bytes: Bytes) -> Reply {
    let request: StartRequest = body("start", &bytes)?;
    let what = format!("start {}", request.service_type);
    if let Some(refused) = own_parts::refuse("start", &request.service_type) {
        return Err(refused.into());
    }
    let wish = wish(&what, &request)?;
    let name = wish.name.clone();
    let accepted = operate(&api, what, Operation::Start(wish)).await;
    accepted.map_err(|failure| explain_start(failure, &name))
}

/// What to do next depends on what is in the way.
fn explain_start(failure: Failure, name: &PlacementName) -> Failure {
    let Failure(problem) = failure;
    match problem.code == code::PLACEMENT_DIFFERS {
        true => problem.to_do(format!("mainstay describe {name}")).into(),
        false => Failure(problem),
    }
}

fn wish(what: &str, request: &StartRequest) -> Result<StartPlacement, Failure> {
    let bad = |bad: BadName| Failure::from(Problem::new(code::BAD_REQUEST, what, bad.to_string()));
    let name = request.name.as_ref().unwrap_or(&request.service_type);
    let on = match &request.on {
        On::All => StartOn::All,
        On::Count { count, spread } => StartOn::Count(Count {
            count: *count,
            spread: spread.clone(),
            ..Count::default()
        }),
        On::Nodes(nodes) if nodes.is_empty() => {
            return Err(Problem::new(
                code::BAD_REQUEST,
                what,
                "no node is named; say --on NODE or --all",
            )
            .into());
        }
        On::Nodes(nodes) => {
            let nodes: Result<BTreeSet<NodeName>, _> =
                nodes.iter().map(|node| node.parse()).collect();
            StartOn::Nodes(nodes.map_err(bad)?)
        }
    };
    Ok(StartPlacement {
        service_type: request.service_type.parse().map_err(bad)?,
        name: name.parse().map_err(bad)?,
        holds: request
            .holds
            .as_ref()
            .map(|slot| slot.parse())
            .transpose()
            .map_err(bad)?,
        on,
        config: config(what, &request.config)?,
    })
}

pub fn config(what: &str, config: &Value) -> Result<String, Failure> {
    let text = match config {
        Value::Null => String::new(),
        Value::Object(_) => config.to_string(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(
                Problem::new(code::BAD_CONFIG, what, "a configuration is a JSON object").into(),
            );
        }
    };
    if text.len() > limits::JSON_BYTES_MAX {
        let why = format!(
            "a configuration of {} bytes exceeds the limit of {}",
            text.len(),
            limits::JSON_BYTES_MAX
        );
        return Err(Problem::new(code::BAD_CONFIG, what, why).into());
    }
    Ok(text)
}

type At = Path<(String, String)>;

pub async fn stop(api: Api, Path((node, placement)): At) -> Reply {
    if let Some(accepted) = never_was(&api, &node, &placement).await? {
        return json(&accepted);
    }
    let at = Path((node, placement));
    on_instance(&api, "stop", at, |instance| Operation::Stop { instance }).await
}

/// A placement that has nothing on that node: what is asked for is so already.
async fn never_was(api: &Api, node: &str, placement: &str) -> Result<Option<Accepted>, Failure> {
    let (Ok(node), Ok(placement)) = (node.parse::<NodeName>(), placement.parse::<PlacementName>())
    else {
        return Ok(None);
    };
    api.read(move |present| {
        let instance = InstanceKey::new(node, placement);
        let node = present.view.node(&instance.node);
        let stray = node.as_ref().and_then(|node| node.strays.get(&instance.placement));
        if let Some(stray) = stray {
            let why = format!(
                "incarnation {} of {instance} runs there and nothing asks for it, so that nobody ends it; it is taken in first",
                stray.incarnation
            );
            let problem = Problem::new(code::STRAY, format!("stop {instance}"), why);
            return Err(problem.to_do("mainstay explain MS-STRAY"));
        }
        let known = node.is_some()
            && present.view.placement(&instance.placement).is_some();
        let never = known && present.view.instance(&instance).is_none();
        Ok(never.then(|| Accepted {
            revision: present.view.revision().0,
            instances: Vec::new(),
            text: format!("{instance} is not running"),
            changed: false,
        }))
    })
    .await
}

pub async fn restart(api: Api, at: At) -> Reply {
    on_instance(&api, "restart", at, |instance| Operation::Restart {
        instance,
    })
    .await
}

pub async fn move_to(api: Api, at: At, bytes: Bytes) -> Reply {
    let request: MoveRequest = body("move an instance", &bytes)?;
    let what = format!("move an instance to {}", request.to);
    let bad = |bad: BadName| Failure::from(Problem::new(code::BAD_REQUEST, &what, bad.to_string()));
    let to: NodeName = request.to.parse().map_err(bad)?;
    let by = api.asker.to_string();
    on_instance(&api, "move", at, |instance| Operation::Move {
        instance,
        to,
        by,
    })
    .await
}

pub async fn safe_start(api: Api, at: At) -> Reply {
    on_instance(&api, "start", at, |instance| Operation::SafeStart {
        instance,
    })
    .await
}

pub async fn clear(api: Api, at: At) -> Reply {
    on_instance(&api, "clear", at, |instance| Operation::Clear { instance }).await
}

async fn on_instance(
    api: &Api,
    verb: &str,
    at: At,
    operation: impl FnOnce(InstanceKey) -> Operation,
) -> Reply {
    let instance = existing(api, verb, at).await?;
    operate(api, format!("{verb} {instance}"), operation(instance)).await
}

/// The instance a path names, if there is one.
pub async fn existing(
    api: &Api,
    verb: &str,
    Path((node, placement)): At,
) -> Result<InstanceKey, Failure> {
    let asks = ["check", "ask-status", "call"].contains(&verb);
    if !asks && let Some(refused) = own_parts::refuse(verb, &format!("{placement}@{node}")) {
        return Err(refused.into());
    }
    let reference = format!("instance/{placement}@{node}");
    let found = api.read(move |present| present.find(&reference)).await;
    match found {
        Ok(Key::Instance(instance)) => Ok(instance),
        Ok(_) => Err(Problem::new(code::BAD_REQUEST, verb, "this is no instance").into()),
        Err(Failure(mut problem)) => {
            problem.what = format!("{verb} {placement}@{node}");
            Err(Failure(problem))
        }
    }
}

pub async fn requeue(api: Api, Path(id): Path<String>) -> Reply {
    let parked = parked(&api, "requeue", &id).await?;
    operate(
        &api,
        format!("requeue parked/{id}"),
        Operation::Requeue { parked },
    )
    .await
}

pub async fn drop_parked(api: Api, Path(id): Path<String>) -> Reply {
    let parked = parked(&api, "drop", &id).await?;
    operate(
        &api,
        format!("drop parked/{id}"),
        Operation::Drop { parked },
    )
    .await
}

/// The body is the answer, any JSON.
pub async fn answer(api: Api, Path(id): Path<String>, bytes: Bytes) -> Reply {
    let reference = format!("asked/{id}");
    let what = format!("answer {reference}");
    let answer: Value = body(&what, &bytes)?;
    let asked = match api.read(move |present| present.find(&reference)).await? {
        Key::Asked(asked) => asked,
        _ => return Err(Problem::new(code::BAD_REQUEST, what, "this is no question").into()),
    };
    let answer = answer.to_string();
    operate(&api, what, Operation::Answer { asked, answer }).await
}

async fn parked(api: &Api, verb: &str, id: &str) -> Result<ParkedId, Failure> {
    let reference = format!("parked/{id}");
    match api.read(move |present| present.find(&reference)).await? {
        Key::Parked(parked) => Ok(parked),
        _ => Err(Problem::new(code::BAD_REQUEST, verb, "this is nothing parked").into()),
    }
}

pub async fn operate(api: &Api, what: String, operation: Operation) -> Reply {
    json(&accepted(api, what, operation).await?)
}

pub async fn accepted(api: &Api, what: String, operation: Operation) -> Result<Accepted, Failure> {
    let answer = api.shared.operate(operation, api.asker.to_string()).await;
    let accepted = answer.map_err(|refusal| Problem::refused(what, refusal))?;
    Ok(Accepted {
        revision: accepted.revision.0,
        instances: accepted.instances.iter().map(ToString::to_string).collect(),
        text: accepted.text,
        changed: accepted.changed,
    })
}
