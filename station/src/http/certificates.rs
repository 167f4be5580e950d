//! What everybody shows over the network, and until when; and a daemon's renewed now. Who leads knows agents, because they
//! have their sessions with it, and asks the other stations for theirs: those issue for themselves.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use axum::body::to_bytes;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{MethodRouter, get, post};
use mainstay_api::Problem;
use mainstay_api::present::certificate;
use mainstay_api::routes::{self, Route};
use mainstay_api::types::{Certificate, Revoked};
use mainstay_protocol::request::{Answer, Ask};
use mainstay_protocol::{Bearer, NodeName, NotABearer, StationId, code, limits};
use mainstay_resource_graph::{Key, Kind};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::Api;
use super::access::access;
use super::asker::PASSED_ON_BY;
use super::asks::{not_an_answer, put};
use super::forward;
use super::reply::{Failure, Reply, json};
use crate::access::Access;

pub fn handlers() -> Vec<(Route, MethodRouter<Api>)> {
    vec![
        (routes::CERTIFICATES, get(list)),
        (routes::CERTIFICATE_ROTATE, post(rotate)),
    ]
}

async fn list(api: Api, headers: HeaderMap) -> Reply {
    let mut known = certificates(&api).await?;
    let own = Bearer::Station(api.shared.about.station).to_string();
    if !api.shared.leads() {
        // Another station asks this one for its own.
        if headers.contains_key(PASSED_ON_BY) {
            known.retain(|one| one.name == own);
        }
        return json(&known);
    }
    let mut known: BTreeMap<String, Certificate> = known
        .into_iter()
        .map(|one| (one.name.clone(), one))
        .collect();
    let mut asking = JoinSet::new();
    for station in api.shared.store.status().addresses.into_keys() {
        let name = Bearer::Station(station).to_string();
        if name != own && known.contains_key(&name) {
            let api = api.clone();
            asking.spawn(async move { (name, of_itself(&api, station).await) });
        }
    }
    while let Some(answered) = asking.join_next().await {
        // One that cannot be asked is shown as it was seen last.
        if let Ok((name, Ok(one))) = answered {
            known.insert(name, one);
        }
    }
    json(&known.into_values().collect::<Vec<_>>())
}

/// As far as this station was shown them; nothing on a cluster of one machine.
async fn certificates(api: &Api) -> Result<Vec<Certificate>, Failure> {
    let Some(seen) = api.shared.access.as_deref().map(Access::seen) else {
        return Ok(Vec::new());
    };
    let admitted = api
        .read(|present| {
            let keys = present.view.keys(Kind::Identity).into_iter();
            let bearers = keys.filter_map(|key| match key {
                Key::Identity(bearer) => Some(bearer),
                _ => None,
            });
            let named = |bearer: Bearer| {
                let revoked = present.identity(&bearer)?.revoked;
                Some((bearer, revoked))
            };
            Ok(bearers.filter_map(named).collect())
        })
        .await?;
    Ok(joined(admitted, &seen, SystemTime::now()))
}

/// Who was let in, and who was seen without the graph knowing of it.
fn joined(
    mut admitted: BTreeMap<Bearer, Option<Revoked>>,
    seen: &BTreeMap<Bearer, SystemTime>,
    now: SystemTime,
) -> Vec<Certificate> {
    for bearer in seen.keys() {
        admitted.entry(bearer.clone()).or_default();
    }
    let shown = |(bearer, revoked): (&Bearer, &Option<Revoked>)| {
        certificate(bearer, seen.get(bearer).copied(), revoked.as_ref(), now)
    };
    admitted.iter().map(shown).collect()
}

async fn rotate(api: Api, Path((kind, name)): Path<(String, String)>) -> Reply {
    let what = format!("rotate the certificate of {kind}/{name}");
    let access = access(&api, &what)?;
    let bearer: Result<Bearer, NotABearer> = format!("{kind}/{name}").parse();
    let bad = |why: String| Failure::from(Problem::new(code::BAD_REQUEST, &what, why));
    let one = match bearer.map_err(|error| bad(error.to_string()))? {
        Bearer::Agent(node) => of_agent(&api, access, node, what).await?,
        Bearer::Station(station) if station == api.shared.about.station => {
            access.renew_own_now(&api.shared.store.view())?;
            tracing::info!(asker = %api.asker, "the station's certificate is renewed, as it was asked");
            one_of(&api, &Bearer::Station(station), &what).await?
        }
        Bearer::Station(station) => {
            let path = routes::CERTIFICATE_ROTATE.fill(&["station", &station.to_string()]);
            let request = Request::post(path);
            let one: Certificate = at_station(&api, station, request, &what).await?;
            if let Some(ends) = one.ends {
                access.saw(&Bearer::Station(station), ends.system());
            }
            one
        }
        Bearer::Person { .. } => {
            let why = "nobody renews a person's certificate: the person joins with another token";
            return Err(Problem::new(code::BAD_REQUEST, what, why)
                .to_do("mainstay token create --help")
                .into());
        }
    };
    json(&one)
}

/// It asks for a new one on a connection of its own, which comes to this station too.
async fn of_agent(
    api: &Api,
    access: &Access,
    node: NodeName,
    what: String,
) -> Result<Certificate, Failure> {
    let bearer = Bearer::Agent(node.clone());
    let known = Key::Identity(bearer.clone());
    let is_known = api
        .read(move |present| Ok(present.view.record(&known).is_some()))
        .await?;
    if !is_known && !access.seen().contains_key(&bearer) {
        let why = format!("{bearer} was never let in");
        return Err(Problem::new(code::NOT_FOUND, what, why)
            .to_do("mainstay cert list")
            .into());
    }
    let started = Instant::now();
    match put(api, &node, Ask::RenewCertificate).await {
        Answer::Done { .. } => one_of(api, &bearer, &what).await,
        other => Err(not_an_answer(what, other, started)),
    }
}

async fn one_of(api: &Api, bearer: &Bearer, what: &str) -> Result<Certificate, Failure> {
    let name = bearer.to_string();
    let all = certificates(api).await?;
    let one = all.into_iter().find(|one| one.name == name);
    one.ok_or_else(|| {
        let why = format!("nothing is known of {name}");
        Problem::new(code::NOT_FOUND, what, why).into()
    })
}

/// What another station shows itself.
async fn of_itself(api: &Api, station: StationId) -> Result<Certificate, Failure> {
    let what = "see what a station shows";
    let request = Request::get(routes::CERTIFICATES.path);
    let all: Vec<Certificate> = at_station(api, station, request, what).await?;
    let name = Bearer::Station(station).to_string();
    let one = all.into_iter().find(|one| one.name == name);
    one.ok_or_else(|| Problem::new(code::NOT_FOUND, what, "it shows none").into())
}

/// Asks another station for the one who asked this one.
async fn at_station<T: DeserializeOwned>(
    api: &Api,
    station: StationId,
    request: axum::http::request::Builder,
    what: &str,
) -> Result<T, Failure> {
    let failed = |why: String| {
        let why = format!("{station} gives no answer: {why}");
        Failure::from(Problem::new(code::NO_SERVER, what, why).to_do("mainstay station list"))
    };
    let asking = async {
        let answer = forward::at_station(&api.shared, &api.asker, station, request).await?;
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), limits::HTTP_BODY_BYTES_MAX).await;
        Ok((status, bytes.map_err(|error| error.to_string())?))
    };
    let answered: Result<_, String> = asking.await;
    let (status, bytes) = answered.map_err(failed)?;
    let unreadable = |error: serde_json::Error| failed(error.to_string());
    if status == StatusCode::OK {
        return serde_json::from_slice(&bytes).map_err(unreadable);
    }
    let problem: Problem = serde_json::from_slice(&bytes).map_err(unreadable)?;
    Err(problem.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_was_let_in_or_seen_is_there_once_with_its_end_if_it_was_seen() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let agent = |name: &str| Bearer::Agent(name.parse().unwrap());
        let sold = Revoked {
            by: "ada".to_owned(),
            why: "sold".to_owned(),
        };
        let admitted = BTreeMap::from([(agent("n1"), None), (agent("n2"), Some(sold))]);
        let far = now + Duration::from_secs(72 * 3600);
        let seen = BTreeMap::from([(agent("n2"), far), (agent("n3"), far)]);
        let all = joined(admitted, &seen, now);
        let short: Vec<_> = all
            .iter()
            .map(|one| (one.name.as_str(), one.state.as_str(), one.ends.is_some()))
            .collect();
        assert_eq!(
            short,
            [
                ("agent/n1", "unknown", false),
                ("agent/n2", "revoked", true),
                ("agent/n3", "good", true)
            ]
        );
    }
}
