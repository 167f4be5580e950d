//! Changes of the group of stations, and questions to one of them.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, Request};
use mainstay_api::Problem;
use mainstay_api::routes::{self, Asker, Route};
use mainstay_api::types::{CheckAnswer, StationRequest, StationStops, StatusAnswer};
use mainstay_coordinator::Event;
use mainstay_protocol::{StationId, code};
use mainstay_resource_graph::Key;

use super::Api;
use super::forward;
use super::reply::{Failure, Reply, body, json};
use crate::group;
use crate::parts;
use crate::shared::Submitted;

pub async fn add(api: Api, Path(name): Path<String>, bytes: Bytes) -> Reply {
    let station = named("add a station", &name)?;
    itself(&api.asker, station, "add a station")?;
    let request: StationRequest = body("add a station", &bytes)?;
    json(&group::add(&api.shared, station, &request.address).await?)
}

pub async fn remove(api: Api, Path(name): Path<String>) -> Reply {
    let station = named("remove a station", &name)?;
    json(&group::remove(&api.shared, station).await?)
}

pub async fn lead(api: Api, Path(name): Path<String>) -> Reply {
    let station = named("let a station lead", &name)?;
    json(&group::lead(&api.shared, station).await?)
}

/// Of its own parts, by itself: who leads passes it on to that station.
pub async fn check(api: Api, Path(name): Path<String>) -> Reply {
    let station = named("check a station", &name)?;
    if station != api.shared.about.station {
        return theirs(&api, station, routes::STATION_CHECK).await;
    }
    let asked = Instant::now();
    let (health, detail) = parts::ask(&api.shared).await.health();
    api.shared.metrics.checked(health.as_str());
    json(&CheckAnswer {
        reference: Key::Station(station).to_string(),
        health,
        detail: Some(detail),
        took_ms: asked.elapsed().as_millis() as u64,
    })
}

pub async fn status(api: Api, Path(name): Path<String>) -> Reply {
    let station = named("ask a station for its status", &name)?;
    if station != api.shared.about.station {
        return theirs(&api, station, routes::STATION_STATUS).await;
    }
    let text = parts::ask(&api.shared).await.to_string();
    for line in text.lines() {
        tracing::info!("{line}");
    }
    json(&StatusAnswer {
        reference: Key::Station(station).to_string(),
        text,
    })
}

async fn theirs(api: &Api, station: StationId, route: Route) -> Reply {
    let what = format!("ask {station}");
    if !api.shared.store.status().addresses.contains_key(&station) {
        let why = format!("there is no station {station} in the group");
        let problem = Problem::new(code::NOT_FOUND, what, why);
        return Err(problem.to_do("mainstay get stations").into());
    }
    if !api.shared.leads() {
        return Err(Problem::new(code::NO_QUORUM, what, api.shared.no_leader()).into());
    }
    let path = route.fill(&[&station.to_string()]);
    let answer = forward::at_station(&api.shared, &api.asker, station, Request::post(path)).await;
    answer.map_err(|why| {
        let why = format!("{station} does not answer: {why}");
        Problem::new(code::UNRESPONSIVE, what, why)
            .to_do(format!("mainstay why station/{station}"))
            .into()
    })
}

/// Said by a station of itself.
pub async fn stops(api: Api, Path(name): Path<String>, bytes: Bytes) -> Reply {
    let station = named("take a station's last words", &name)?;
    itself(&api.asker, station, "take a station's last words")?;
    let StationStops { run } = body("take a station's last words", &bytes)?;
    let event = Event::StationStops { station, run };
    let submitted = Submitted {
        event,
        answer: None,
    };
    if !api.shared.leads() || api.shared.inbox.send(submitted).await.is_err() {
        let why = api.shared.no_leader();
        return Err(Problem::new(code::NO_QUORUM, "take a station's last words", why).into());
    }
    json(&serde_json::json!({}))
}

/// A station speaks of itself alone.
fn itself(asker: &Asker, station: StationId, what: &str) -> Result<(), Failure> {
    match asker {
        Asker::Station(other) if *other != station => {
            let why = format!("{other} speaks of itself alone, not of {station}");
            Err(Problem::new(code::NOT_ALLOWED, what, why).into())
        }
        _ => Ok(()),
    }
}

fn named(what: &str, name: &str) -> Result<StationId, Failure> {
    let parsed = name.parse::<StationId>();
    parsed.map_err(|error| Problem::new(code::BAD_REQUEST, what, error.to_string()).into())
}
