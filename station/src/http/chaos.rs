//! `chaos`: breaking things on purpose, where the station was started for that.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use mainstay_api::Problem;
use mainstay_api::present::find;
use mainstay_api::types::{self, ChaosRequest, Done};
use mainstay_protocol::request::{Answer, Ask, ChaosAct, ChaosTarget};
use mainstay_protocol::{NodeName, code, limits};
use mainstay_resource_graph::Key;

use super::Api;
use super::asks::{not_an_answer, put};
use super::reply::{Failure, Reply, body, json};
use crate::faults::{Fault, lasting};

pub async fn chaos(api: Api, bytes: Bytes) -> Reply {
    let request: ChaosRequest = body("chaos", &bytes)?;
    let what = format!("chaos {} {}", request.act.as_str(), request.reference);
    permitted(&api, &what)?;
    let target = chaos_target(&api, &what, (request.act, request.reference.clone())).await?;
    let act = match request.act {
        types::ChaosAct::Kill => ChaosAct::Kill,
        types::ChaosAct::Panic => ChaosAct::Panic,
        types::ChaosAct::Hang => ChaosAct::Hang,
        types::ChaosAct::Stop => ChaosAct::Stop,
        types::ChaosAct::Partition
        | types::ChaosAct::Delay
        | types::ChaosAct::SlowDisk
        | types::ChaosAct::Skew
        | types::ChaosAct::Heal => return breaks(&api, &what, &request, &target),
    };
    let started = Instant::now();
    let (node, target) = match target {
        Struck::OnNode(node, target) => (node, target),
        Struck::ThisStation => return strike_station(&what, request.reference, request.act),
        Struck::Everything => return Err(impossible(&what, "all of a cluster can be healed only")),
    };
    let strikes_agent = target == ChaosTarget::Agent && api.shared.sessions.has(&node);
    let text = match put(&api, &node, Ask::Chaos { target, act }).await {
        Answer::Done { text } => format!("{}: {text}", request.reference),
        // An agent that is killed or stopped has no more to say.
        Answer::Refused(refusal)
            if strikes_agent && [code::AGENT_DOWN, code::TIMEOUT].contains(&refusal.code) =>
        {
            format!("{}: its agent says nothing any more", request.reference)
        }
        other => return Err(not_an_answer(what, other, started)),
    };
    json(&Done {
        reference: request.reference,
        text,
    })
}

/// What this station does wrong by itself from now on.
fn breaks(api: &Api, what: &str, request: &ChaosRequest, struck: &Struck) -> Reply {
    let faults = &api.shared.faults;
    let reference = &request.reference;
    let text = match (request.act, struck) {
        (types::ChaosAct::Partition, Struck::OnNode(node, ChaosTarget::Agent)) => {
            let fault = match request.from_station {
                true => Fault::CutOff,
                false => Fault::Gone,
            };
            faults.set(node.clone(), fault);
            format!("{reference} {fault}, until it is healed")
        }
        (types::ChaosAct::Delay, Struck::OnNode(node, ChaosTarget::Agent)) => {
            let fault = Fault::Slow(slower(what, request)?);
            faults.set(node.clone(), fault);
            format!("{reference} {fault}, until it is healed")
        }
        (types::ChaosAct::SlowDisk, Struck::ThisStation) => {
            let by = slower(what, request)?;
            faults.slow_disk(by);
            format!(
                "each sync of {reference} takes {} longer, until it is healed",
                lasting(by)
            )
        }
        (types::ChaosAct::Skew, Struck::ThisStation) => {
            let Some(by_ms) = request.by_ms else {
                return Err(impossible(
                    what,
                    "say by how much it is wrong, as in --by 1h",
                ));
            };
            faults.skew(by_ms);
            format!("the clock of {reference} is wrong by {by_ms} ms")
        }
        (types::ChaosAct::Heal, Struck::OnNode(node, ChaosTarget::Agent)) => {
            match faults.heal(node) {
                true => format!("the way of {reference} is as it was"),
                false => format!("nothing was wrong with the way of {reference}"),
            }
        }
        (types::ChaosAct::Heal, Struck::ThisStation) => {
            faults.heal_own();
            format!("the disk and the clock of {reference} are as they were")
        }
        (types::ChaosAct::Heal, Struck::Everything) => {
            faults.heal_all();
            "all ways, the disk and the clock of this station are as they were".to_owned()
        }
        _ => {
            let why = "a node can be partitioned or delayed, a station can have a slow disk or a wrong clock";
            return Err(impossible(what, why));
        }
    };
    if !api.shared.leads() {
        // Whoever leads now could not heal it.
        faults.heal_all();
        return Err(Problem::new(code::ANOTHER_LEADS, what, "another station leads by now").into());
    }
    json(&Done {
        reference: reference.clone(),
        text,
    })
}

/// By how much something is to be slower.
fn slower(what: &str, request: &ChaosRequest) -> Result<Duration, Failure> {
    let ms = request.by_ms.and_then(|ms| u64::try_from(ms).ok());
    let Some(ms) = ms.filter(|ms| *ms > 0) else {
        let why = "say by how much it is slower, as in --by 500ms";
        return Err(impossible(what, why));
    };
    let by = Duration::from_millis(ms);
    if by > limits::SLOWER_MAX {
        let (by, most) = (lasting(by), lasting(limits::SLOWER_MAX));
        let why = format!("{by} is more than {most}: that is as good as cut off");
        return Err(impossible(what, &why));
    }
    Ok(by)
}

fn impossible(what: &str, why: &str) -> Failure {
    Problem::new(code::BAD_REQUEST, what, why).into()
}

fn permitted(api: &Api, what: &str) -> Result<(), Failure> {
    if api.shared.about.chaos {
        return Ok(());
    }
    let why = "this station was not started to be broken on purpose; only `mainstay dev` and `station run --chaos` do so";
    Err(Problem::new(code::REFUSED_BY_SAFETY, what, why)
        .to_do("mainstay dev")
        .into())
}

/// What chaos strikes.
enum Struck {
    OnNode(NodeName, ChaosTarget),
    ThisStation,
    Everything,
}

/// Time for the answer to leave before this process is struck.
const STRIKE_AFTER: Duration = Duration::from_millis(20);

fn strike_station(what: &str, reference: String, act: types::ChaosAct) -> Reply {
    let signal = match act {
        types::ChaosAct::Kill => rustix::process::Signal::KILL,
        types::ChaosAct::Stop => rustix::process::Signal::TERM,
        _ => {
            let why = "a station can be killed or stopped";
            return Err(Problem::new(code::BAD_REQUEST, what, why)
                .to_do(format!("mainstay chaos kill {reference}"))
                .into());
        }
    };
    tokio::spawn(async move {
        tokio::time::sleep(STRIKE_AFTER).await;
        if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), signal) {
            tracing::error!(%error, "this process cannot signal itself");
        }
    });
    json(&Done {
        text: format!("{reference}: struck"),
        reference,
    })
}

async fn chaos_target(
    api: &Api,
    what: &str,
    (act, reference): (types::ChaosAct, String),
) -> Result<Struck, Failure> {
    let reference = match reference.split_once('/') {
        Some(("agent" | "agents", node)) => format!("node/{node}"),
        _ => reference,
    };
    // What is healed need not be there any more.
    let key = match act {
        types::ChaosAct::Heal => find::parse(&reference)?,
        _ => api.read(move |present| present.find(&reference)).await?,
    };
    match key {
        Key::Instance(instance) => {
            let node = instance.node.clone();
            Ok(Struck::OnNode(node, ChaosTarget::Instance(instance)))
        }
        Key::Supervisor(node) => Ok(Struck::OnNode(node, ChaosTarget::Supervisor)),
        Key::Node(node) => Ok(Struck::OnNode(node, ChaosTarget::Agent)),
        Key::Cluster => Ok(Struck::Everything),
        Key::Station(station) if station == api.shared.about.station => Ok(Struck::ThisStation),
        Key::Station(station) => {
            let why =
                format!("{station} does not lead, and only the station that leads can be broken");
            Err(Problem::new(code::BAD_REQUEST, what, why).into())
        }
        other => {
            let why = format!("{other} is no instance, supervisor, node or station");
            Err(Problem::new(code::BAD_REQUEST, what, why).into())
        }
    }
}
