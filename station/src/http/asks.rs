//! Questions to agents: Check, Status, messages, chaos. Not logged, answered within a deadline.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::Path;
use mainstay_api::Problem;
use mainstay_api::present;
use mainstay_api::types::{CallAnswer, CheckAnswer, StatusAnswer};
use mainstay_protocol::request::{Answer, Ask, Refusal};
use mainstay_protocol::{InstanceKey, NodeName, code, limits};
use mainstay_resource_graph::{Key, ViewExt};
use serde_json::Value;

use super::Api;
use super::changes::existing;
use super::reply::{Failure, Reply, body, json};

/// A question to a node, and to whom there.
const ASK_DEADLINE: Duration = Duration::from_secs(5);

type At = Path<(String, String)>;

pub async fn check(api: Api, at: At) -> Reply {
    let instance = existing_to_ask(&api, "check", at).await?;
    let node = instance.node.clone();
    let reference = instance.to_string();
    check_of(&api, node, reference, Ask::Check { instance }).await
}

pub async fn supervisor_check(api: Api, Path(node): Path<String>) -> Reply {
    let (node, reference) = supervisor(&api, node).await?;
    check_of(&api, node, reference, Ask::SupervisorCheck).await
}

async fn check_of(api: &Api, node: NodeName, reference: String, ask: Ask) -> Reply {
    let started = Instant::now();
    let what = format!("check {reference}");
    match put(api, &node, ask).await {
        Answer::Health {
            health,
            detail,
            took_ms,
            ..
        } => {
            api.shared.metrics.checked(health.as_str());
            json(&CheckAnswer {
                reference,
                health,
                detail: present::known(&detail),
                took_ms,
            })
        }
        other => {
            api.shared.metrics.checked("unknown");
            Err(not_an_answer(what, other, started))
        }
    }
}

pub async fn status(api: Api, at: At) -> Reply {
    let instance = existing_to_ask(&api, "ask-status", at).await?;
    let node = instance.node.clone();
    let reference = instance.to_string();
    status_of(&api, node, reference, Ask::Status { instance }).await
}

pub async fn supervisor_status(api: Api, Path(node): Path<String>) -> Reply {
    let (node, reference) = supervisor(&api, node).await?;
    status_of(&api, node, reference, Ask::SupervisorStatus).await
}

async fn status_of(api: &Api, node: NodeName, reference: String, ask: Ask) -> Reply {
    let started = Instant::now();
    match put(api, &node, ask).await {
        Answer::Status { text } => json(&StatusAnswer { reference, text }),
        other => Err(not_an_answer(
            format!("ask-status {reference}"),
            other,
            started,
        )),
    }
}

pub async fn message(
    api: Api,
    Path((node, placement, message)): Path<(String, String, String)>,
    bytes: Bytes,
) -> Reply {
    let started = Instant::now();
    let what = format!("call {placement}@{node} {message}");
    let sent: Value = match bytes.is_empty() {
        true => Value::Null,
        false => body(&what, &bytes)?,
    };
    if bytes.len() > limits::JSON_BYTES_MAX {
        let why = format!(
            "a message of {} bytes exceeds the limit of {}",
            bytes.len(),
            limits::JSON_BYTES_MAX
        );
        return Err(Problem::new(code::BAD_REQUEST, what, why).into());
    }
    if message.len() > limits::NAME_BYTES_MAX {
        return Err(
            Problem::new(code::UNKNOWN_MESSAGE, what, "no message has so long a name").into(),
        );
    }
    let instance = existing_to_ask(&api, "call", Path((node, placement))).await?;
    let asked = Ask::Message {
        instance: instance.clone(),
        message: message.clone(),
        body: sent.to_string(),
    };
    match put(&api, &instance.node.clone(), asked).await {
        Answer::Reply { body } => json(&CallAnswer {
            reference: instance.to_string(),
            message,
            answer: serde_json::from_str(&body).unwrap_or(Value::String(body)),
        }),
        other => {
            let Failure(problem) = not_an_answer(what, other, started);
            match problem.code == code::UNKNOWN_MESSAGE {
                true => Err(problem.to_do("mainstay get types -o json").into()),
                false => Err(Failure(problem)),
            }
        }
    }
}

/// What runs nowhere cannot answer; that is said at once, with the state it is in.
async fn existing_to_ask(api: &Api, verb: &str, at: At) -> Result<InstanceKey, Failure> {
    let instance = existing(api, verb, at).await?;
    let what = format!("{verb} {instance}");
    let key = instance.clone();
    let found = api
        .read(move |present| Ok(present.view.instance(&key)))
        .await?;
    match found {
        Some(found) if !found.state.may_be_live() => {
            let why = match &found.reason {
                Some(reason) => format!("it is {}: {}", found.state.as_str(), reason.text),
                None => format!("it is {}", found.state.as_str()),
            };
            let problem = Problem::new(code::NOT_RUNNING, what, why);
            Err(problem.to_do(format!("mainstay why {instance}")).into())
        }
        Some(_) | None => Ok(instance),
    }
}

async fn supervisor(api: &Api, node: String) -> Result<(NodeName, String), Failure> {
    let reference = format!("supervisor/{node}");
    match api.read(move |present| present.find(&reference)).await? {
        Key::Supervisor(node) => Ok((node.clone(), Key::Supervisor(node).to_string())),
        other => Err(Problem::new(
            code::BAD_REQUEST,
            "ask a supervisor",
            format!("{other} is none"),
        )
        .into()),
    }
}

pub async fn put(api: &Api, node: &NodeName, ask: Ask) -> Answer {
    // Agents speak to who leads.
    if !api.shared.leads() {
        return Answer::Refused(api.shared.nobody_decides());
    }
    api.shared.sessions.ask(node, ask, ASK_DEADLINE).await
}

pub fn not_an_answer(what: String, answer: Answer, started: Instant) -> Failure {
    let refusal = match answer {
        Answer::Refused(refusal) => refusal,
        Answer::Health { .. }
        | Answer::Status { .. }
        | Answer::Reply { .. }
        | Answer::Log(_)
        | Answer::Usage(_)
        | Answer::Sight(_)
        | Answer::Done { .. } => Refusal::new(
            code::INTERNAL,
            format!(
                "the agent answered another question, after {} ms",
                started.elapsed().as_millis()
            ),
        ),
    };
    Problem::refused(what, refusal).into()
}
