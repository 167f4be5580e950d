//! Only who leads can change anything, or ask an agent. What another station is asked of that kind it passes on, over the
//! connection that stations have for it, and passes the answer back as it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Builder;
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mainstay_api::routes::Asker;
use mainstay_api::time::span;
use mainstay_api::types::StationStops;
use mainstay_api::{Problem, routes};
use mainstay_protocol::{StationId, code};

use super::Api;
use super::asker::{PASSED_ON_BY, mark};
use super::reply::Failure;
use crate::shared::Shared;

/// How often it is looked whether the leader still is one.
const LOOK: Duration = Duration::from_millis(200);
/// How long another station may take to say how it is.
const ASK_DEADLINE: Duration = Duration::from_secs(3);

pub async fn to_leader(State(api): State<Api>, request: Request, next: Next) -> Response {
    let shared = &api.shared;
    if shared.leads() || !is_leaders(&request) {
        return next.run(request).await;
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    let passed_on = request.headers().contains_key(PASSED_ON_BY);
    let Some(leader) = shared.leading().filter(|_| !passed_on) else {
        // What a handler says without a leader is better put than anything that could be said of all of them.
        return next.run(request).await;
    };
    match pass_on(&api, leader, &what, request).await {
        Ok(response) => response,
        Err(problem) => Failure::from(problem).into_response(),
    }
}

/// Whether a station that does not lead cannot answer it.
fn is_leaders(request: &Request) -> bool {
    let asks_agent = |uri: &Uri| {
        let usage = uri.query().is_some_and(|query| query.contains("usage="));
        usage || uri.path().ends_with("/logs")
    };
    // Agents show what they have to who leads.
    let shown = request.uri().path() == routes::CERTIFICATES.path;
    *request.method() != Method::GET || shown || asks_agent(request.uri())
}

async fn pass_on(
    api: &Api,
    leader: StationId,
    what: &str,
    mut request: Request,
) -> Result<Response, Problem> {
    let shared = &api.shared;
    mark(&mut request, &shared.about.station.to_string());
    // To look changes nothing, whether or not it was heard.
    let looks = *request.method() == Method::GET;
    let sent = AtomicBool::new(false);
    let answered = tokio::select! {
        answered = ask(shared, leader, request, &sent) => answered,
        () = until_other(shared, leader) => {
            let why = "it leads no more".to_owned();
            Err(if sent.load(Ordering::Relaxed) { Lost::Sent(why) } else { Lost::Unsent(why) })
        }
    };
    answered.map_err(|lost| match lost {
        // It is safe to be asked again.
        Lost::Sent(why) if looks => {
            let why = format!("{leader}, which was asked, leads no more: {why}");
            Problem::new(code::NO_QUORUM, what, why)
        }
        Lost::Unsent(why) => {
            let here = shared.about.station;
            let why = format!("{leader} leads and cannot be reached from {here}: {why}");
            Problem::new(code::NO_QUORUM, what, why)
        }
        Lost::Sent(why) => {
            let why = format!(
                "the connection to {leader}, which leads, broke before its answer: {why}; whether it took effect is shown by its subject"
            );
            Problem::new(code::ANSWER_LOST, what, why).to_do("mainstay status")
        }
    })
}

/// A leader that stands still keeps its connections open: nobody is to wait on one for longer than it leads.
async fn until_other(shared: &Shared, leader: StationId) {
    while shared.leading() == Some(leader) {
        // tidy: waits because silence is no event
        tokio::time::sleep(LOOK).await;
    }
}

/// Why there is no answer of another station.
enum Lost {
    /// It never heard the question.
    Unsent(String),
    /// It may have.
    Sent(String),
}

async fn ask(
    shared: &Shared,
    station: StationId,
    request: Request,
    sent: &AtomicBool,
) -> Result<Response, Lost> {
    let address = shared.store.status().addresses.get(&station).cloned();
    let address = address.ok_or_else(|| Lost::Unsent("its address is not known".to_owned()))?;
    let stream = shared.ways.to_api(station, &address).await;
    let stream = stream.map_err(|error| Lost::Unsent(error.to_string()))?;
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(|error| Lost::Unsent(error.to_string()))?;
    // Ends with the sender and the body of the answer, whichever lives longer.
    drop(tokio::spawn(connection));
    sent.store(true, Ordering::Relaxed);
    let answered = sender.send_request(request).await;
    answered
        .map(|response| response.map(Body::new))
        .map_err(|error| Lost::Sent(error.to_string()))
}

/// Asks another station, for whoever asks here, what only that one can say; or why it says nothing.
pub async fn at_station(
    shared: &Shared,
    asker: &Asker,
    station: StationId,
    request: Builder,
) -> Result<Response, String> {
    let request = request
        .header(HOST, "station")
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from("null"));
    let mut request = request.expect("its parts are plain text");
    request.extensions_mut().insert(asker.clone());
    mark(&mut request, &shared.about.station.to_string());
    let sent = AtomicBool::new(false);
    let asking = ask(shared, station, request, &sent);
    match tokio::time::timeout(ASK_DEADLINE, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Lost::Unsent(why) | Lost::Sent(why))) => Err(why),
        Err(_elapsed) => Err(format!("nothing within {}", span(ASK_DEADLINE))),
    }
}

/// Says to whoever leads that this life of this station ends in order. Where nobody takes it, the station is missed instead.
pub async fn say_farewell(shared: &Shared) {
    let Some(leader) = shared.leading() else {
        return;
    };
    let name = shared.about.station.to_string();
    let last = StationStops {
        run: shared.about.life.run,
    };
    let body = serde_json::to_vec(&last).expect("an id is plain data");
    let request = Request::post(routes::STATION_STOPS.fill(&[&name]))
        .header(HOST, "station")
        .header(CONTENT_TYPE, "application/json")
        .header(PASSED_ON_BY, &name)
        .body(Body::from(body))
        .expect("its parts are plain text");
    match ask(shared, leader, request, &AtomicBool::new(false)).await {
        Ok(answer) => tracing::debug!(%leader, status = %answer.status(), "last words"),
        Err(Lost::Unsent(why) | Lost::Sent(why)) => {
            tracing::warn!(%leader, why, "nobody took this station's last words");
        }
    }
}
