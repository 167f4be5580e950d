//! A station that joined and is no part of the group yet asks to be added, until it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mainstay_api::types::StationRequest;
use mainstay_api::{Problem, routes};
use mainstay_protocol::{StationId, limits};

use crate::shared::Shared;

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Returns once it is a part of the group. What is in the way is logged when it is another than before.
pub async fn ask_in(shared: Arc<Shared>, address: String, group: BTreeMap<StationId, String>) {
    let mut pause = PAUSE_MIN;
    let mut said = String::new();
    while !is_in(&shared) {
        for (station, at) in &group {
            let asked = ask(&shared, *station, at, &address).await;
            match asked {
                Ok(()) => {
                    tracing::info!(by = %station, "the station is a part of the group");
                    return;
                }
                Err(why) if why != said && !is_in(&shared) => {
                    tracing::warn!(asked = %station, why, "the station is not added yet; it asks again");
                    said = why;
                }
                Err(_) => {}
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn is_in(shared: &Shared) -> bool {
    shared.store.status().voters.contains(&shared.about.station)
}

async fn ask(shared: &Shared, station: StationId, at: &str, address: &str) -> Result<(), String> {
    let stream = shared.ways.to_api(station, at).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // Ends with the sender and the body of the answer, whichever lives longer.
    drop(tokio::spawn(connection));
    let wish = StationRequest {
        address: address.to_owned(),
    };
    let body = serde_json::to_vec(&wish).expect("an address is plain data");
    let request = Request::post(routes::STATION_ADD.fill(&[&shared.about.station.to_string()]))
        .header(HOST, "station")
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .expect("its parts are plain text");
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status().is_success() {
        return Ok(());
    }
    let status = answer.status();
    let read = Limited::new(answer.into_body(), limits::HTTP_BODY_BYTES_MAX).collect();
    let bytes = read.await.map_err(|error| error.to_string())?.to_bytes();
    let problem = serde_json::from_slice::<Problem>(&bytes);
    Err(problem.map_or_else(|_| status.to_string(), |problem| problem.why))
}
