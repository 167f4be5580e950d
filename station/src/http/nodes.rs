//! What people say of nodes; the coordinator judges it.

use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::{MethodRouter, delete, post, put};
use mainstay_api::Problem;
use mainstay_api::routes::{self, Route};
use mainstay_api::types::{CordonRequest, DrainRequest, LabelsRequest, MaintenanceRequest};
use mainstay_coordinator::{Maintain, NodeAct, Operation, WorkedOn};
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
        (routes::PLACEMENT_MAINTENANCE, post(maintain_placement)),
        (routes::PLACEMENT_MAINTENANCE_OVER, delete(end_placements)),
        (routes::MAINTENANCE, post(maintain_all)),
        (routes::MAINTENANCE_OVER, delete(end_all)),
        (routes::NODE_LABELS, put(label)),
        (routes::NODE_CONFIRM_DEAD, post(confirm_dead)),
        (routes::NODE_RESTART, post(restart)),
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
    let node = worked_on(&what, &name, WorkedOn::Node)?;
    begin_maintenance(api, what, node, &bytes).await
}

async fn end_maintenance(api: Api, Path(name): Name) -> Reply {
    let what = format!("end the maintenance of {name}");
    let node = worked_on(&what, &name, WorkedOn::Node)?;
    work(api, what, node, None).await
}

async fn maintain_placement(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("take {name} into maintenance");
    let placement = worked_on(&what, &name, WorkedOn::Placement)?;
    begin_maintenance(api, what, placement, &bytes).await
}

async fn end_placements(api: Api, Path(name): Name) -> Reply {
    let what = format!("end the maintenance of {name}");
    let placement = worked_on(&what, &name, WorkedOn::Placement)?;
    work(api, what, placement, None).await
}

async fn maintain_all(api: Api, bytes: Bytes) -> Reply {
    let what = "take all nodes into maintenance".to_owned();
    begin_maintenance(api, what, WorkedOn::EveryNode, &bytes).await
}

async fn end_all(api: Api) -> Reply {
    let what = "end the maintenance of all nodes".to_owned();
    work(api, what, WorkedOn::EveryNode, None).await
}

fn worked_on<N>(what: &str, name: &str, of: fn(N) -> WorkedOn) -> Result<WorkedOn, Failure>
where
    N: FromStr<Err = BadName>,
{
    let bad = |error: BadName| Problem::new(code::BAD_REQUEST, what, error.to_string());
    Ok(of(name.parse().map_err(bad)?))
}

async fn begin_maintenance(api: Api, what: String, of: WorkedOn, bytes: &Bytes) -> Reply {
    let request: MaintenanceRequest = body(&what, bytes)?;
    let why = request.reason;
    let within = request.for_ms.map(Duration::from_millis);
    work(api, what, of, Some(Maintain { why, within })).await
}

async fn work(api: Api, what: String, of: WorkedOn, on: Option<Maintain>) -> Reply {
    let by = api.asker.to_string();
    operate(&api, what, Operation::Maintenance { of, on, by }).await
}

async fn label(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("label {name}");
    let request: LabelsRequest = body(&what, &bytes)?;
    act(
        api,
        what,
        &name,
        NodeAct::Label {
            labels: request.labels,
            force: request.force,
        },
    )
    .await
}

async fn confirm_dead(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("say that {name} is dead");
    let request: CordonRequest = body(&what, &bytes)?;
    let why = request.reason;
    act(api, what, &name, NodeAct::ConfirmDead { why }).await
}

async fn restart(api: Api, Path(name): Name, bytes: Bytes) -> Reply {
    let what = format!("restart the machine of {name}");
    let request: DrainRequest = body(&what, &bytes)?;
    let (why, force) = (request.reason, request.force);
    act(api, what, &name, NodeAct::Restart { why, force }).await
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
