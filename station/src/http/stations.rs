//! Changes of the group of stations.

use axum::body::Bytes;
use axum::extract::Path;
use mainstay_api::Problem;
use mainstay_api::routes::Asker;
use mainstay_api::types::{StationRequest, StationStops};
use mainstay_coordinator::Event;
use mainstay_protocol::{StationId, code};

use super::Api;
use super::reply::{Failure, Reply, body, json};
use crate::group;
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
