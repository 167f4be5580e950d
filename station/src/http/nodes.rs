//! What people say of nodes; the coordinator judges it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::{MethodRouter, delete, post, put};
use mainstay_api::Problem;
use mainstay_api::routes::{self, Route};
use mainstay_api::types::{CordonRequest, DrainRequest, LabelsRequest, MaintenanceRequest};
use mainstay_coordinator::{NodeAct, Operation};
use mainstay_protocol::{BadName, NodeName, code};

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
        (routes::NODE_CONFIRM_DEAD, post(confirm_dead)),
        (routes::NODE_REMOVE, delete(remove)),
    ]
}

type Name = Path<String>;

async fn cordon(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("cordon {name}");
    let request: CordonRequest = body(&what, &bytes)?;
    let why = request.reason;
    act(api, what, &name, NodeAct::Cordon { why }).await
}

async fn drain(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("drain {name}");
    let request: DrainRequest = body(&what, &bytes)?;
    let (why, force) = (request.reason, request.force);
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
    let why = request.reason;
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
    act(api, what, &name, NodeAct::Label(request.labels)).await
}

async fn confirm_dead(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("say that {name} is dead");
    let request: CordonRequest = body(&what, &bytes)?;
    let why = request.reason;
    act(api, what, &name, NodeAct::ConfirmDead { why }).await
}

async fn remove(api: Api, Path(name): Name) -> Reply {
    let removed = act(api, format!("remove {name}"), &name, NodeAct::Remove).await;
    removed.map_err(|failure| look_first(failure, &name))
}

async fn act(api: Api, what: String, name: &str, act: NodeAct) -> Reply {
    let node: NodeName = name
        .parse()
        .map_err(|error: BadName| Problem::new(code::BAD_REQUEST, &what, error.to_string()))?;
    let by = api.asker.to_string();
    operate(&api, what, Operation::Node { node, act, by }).await
}
