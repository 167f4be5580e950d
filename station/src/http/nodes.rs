//! What people say of nodes; the coordinator judges it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::{MethodRouter, delete, post, put};
use mainstay_api::Problem;
use mainstay_api::routes::{self, Route};
use mainstay_api::types::{CordonRequest, DrainRequest, LabelsRequest, MaintenanceRequest};
use mainstay_coordinator::{NodeAct, Operation};
use mainstay_protocol::{BadName, NodeName, code, limits};

use super::Api;
use super::changes::operate;
use super::reply::{Failure, Reply, body};

pub fn handlers() -> Vec<(Route, MethodRouter<Api>)> {
    vec![
        (routes::NODE_CORDON, post(cordon)),
        (routes::NODE_DRAIN, post(drain)),
        (routes::NODE_UNCORDON, post(uncordon)),
        (routes::NODE_MAINTENANCE, post(maintain)),
        (routes::NODE_MAINTENANCE_OVER, delete(end_maintenance)),
        (routes::NODE_LABELS, put(label)),
        (routes::NODE_REMOVE, delete(remove)),
    ]
}

type Name = Path<String>;

async fn cordon(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("cordon {name}");
    let request: CordonRequest = body(&what, &bytes)?;
    let why = said(&what, request.reason)?;
    act(api, what, &name, NodeAct::Cordon { why }).await
}

async fn drain(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("drain {name}");
    let request: DrainRequest = body(&what, &bytes)?;
    let why = said(&what, request.reason)?;
    let force = request.force;
    let drained = act(api, what, &name, NodeAct::Drain { why, force }).await;
    drained.map_err(|failure| look_first(failure, &name))
}

/// Before something is taken away for good.
fn look_first(Failure(problem): Failure, name: &str) -> Failure {
    match problem.code == code::REFUSED_BY_SAFETY {
        true => problem.to_do(format!("mainstay impact node/{name}")).into(),
        false => Failure(problem),
    }
}

async fn uncordon(api: Api, Path(name): Name) -> Reply {
    act(api, format!("uncordon {name}"), &name, NodeAct::Uncordon).await
}

async fn maintain(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("take {name} into maintenance");
    let request: MaintenanceRequest = body(&what, &bytes)?;
    let why = said(&what, request.reason)?;
    if request.for_ms == Some(0) {
        let why = "it would be over at once; say how long it takes, as in 30m";
        return Err(Problem::new(code::BAD_REQUEST, what, why).into());
    }
    let within = request.for_ms.map(Duration::from_millis);
    act(api, what, &name, NodeAct::Maintain { why, within }).await
}

async fn end_maintenance(api: Api, Path(name): Name) -> Reply {
    let what = format!("end the maintenance of {name}");
    act(api, what, &name, NodeAct::EndMaintenance).await
}

async fn label(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("label {name}");
    let request: LabelsRequest = body(&what, &bytes)?;
    check(&request.labels).map_err(|why| Problem::new(code::BAD_REQUEST, &what, why))?;
    act(api, what, &name, NodeAct::Label(request.labels)).await
}

fn check(labels: &BTreeMap<String, Option<String>>) -> Result<(), String> {
    if labels.is_empty() {
        return Err("no label is said; write role=web, or role- to take one away".to_owned());
    }
    let max = limits::NODE_LABEL_BYTES_MAX;
    for (label, value) in labels {
        let value = value.as_deref().unwrap_or_default();
        if label.is_empty() || label.len() > max || value.len() > max {
            return Err(format!(
                "a label has a name, and name and value have at most {max} bytes each"
            ));
        }
    }
    Ok(())
}

async fn remove(api: Api, Path(name): Name) -> Reply {
    let removed = act(api, format!("remove {name}"), &name, NodeAct::Remove).await;
    removed.map_err(|failure| look_first(failure, &name))
}

fn said(what: &str, why: String) -> Result<String, Failure> {
    let max = limits::SAID_BYTES_MAX;
    if why.len() > max {
        let text = format!("a reason of {} bytes; at most {max} are kept", why.len());
        return Err(Problem::new(code::BAD_REQUEST, what, text).into());
    }
    Ok(why)
}

async fn act(api: Api, what: String, name: &str, act: NodeAct) -> Reply {
    let node: NodeName = name
        .parse()
        .map_err(|error: BadName| Problem::new(code::BAD_REQUEST, &what, error.to_string()))?;
    let by = api.asker.to_string();
    operate(&api, what, Operation::Node { node, act, by }).await
}
