//! The cluster and the station at a glance: status, version, health, metrics.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use mainstay_api::present::Standing;
use mainstay_api::types::{BadFrame, BadPeer, Ready, Version};
use mainstay_api::{Problem, Time, openapi, written};
use mainstay_identity::hex;
use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::code;
use mainstay_protocol::revision;
use mainstay_protocol::words::nearest;
use mainstay_resource_graph::{Key, Kind, View, ViewExt};

use super::Api;
use super::reply::{Failure, Reply, json};
use crate::clock::wall_ms;
use crate::metrics::Gauges;
use crate::own_word;

pub async fn status(api: Api) -> Reply {
    let leadership = api.shared.standing().leadership;
    // Another may lead, and be heard.
    let term = match leadership {
        Some(leadership) => Some(leadership.term.0),
        None => api
            .shared
            .leading()
            .map(|_| api.shared.store.status().term.0),
    };
    let standing = Standing {
        quorum: term.is_some(),
        term,
        data_age_ms: api.shared.data_age_ms(),
    };
    let mut status = api
        .read(move |present| Ok(present.status(standing)))
        .await?;
    own_word::tell(&api.shared, &mut status);
    json(&status)
}

pub async fn version(api: Api) -> Reply {
    let cluster = api.read(|present| Ok(present.view.cluster())).await?;
    json(&Version {
        build: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
        cluster: cluster.as_ref().map(|cluster| cluster.name.to_string()),
        cluster_id: cluster.as_ref().map(|cluster| cluster.id.to_string()),
        station: Some(api.shared.about.station.to_string()),
        revision: revision::current().revision,
        rules: api
            .shared
            .about
            .rules
            .entries()
            .iter()
            .map(|rule| rule.name.to_owned())
            .collect(),
        now: Some(Time::from_wall_ms(wall_ms())),
    })
}

/// The same for everybody and for as long as the process lives: made once.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi::text()));

pub async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}

pub async fn schemas() -> Reply {
    json(&written::list())
}

pub async fn schema(Path(name): Path<String>) -> Result<impl IntoResponse, Failure> {
    let text = written::schema(&name).ok_or_else(|| {
        let what = format!("show the schema of {name}");
        let why = format!("there are schemas of {}", written::NAMES.join(", "));
        let near = nearest(&name, written::NAMES);
        Problem::new(code::NOT_FOUND, what, why).near(near)
    })?;
    Ok(([(CONTENT_TYPE, "application/json")], text))
}

/// The process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// It leads or hears who does, and the cluster's first entry is there: changes are taken.
pub async fn readyz(api: Api) -> Reply {
    let founded = api
        .read(|present| Ok(present.view.cluster().is_some()))
        .await?;
    match api.shared.leading().is_some() && founded {
        true => json(&Ready { ready: true }),
        false => {
            let why = api.shared.no_leader();
            Err(Problem::new(code::NO_QUORUM, "see whether the station is ready", why).into())
        }
    }
}

pub async fn metrics(api: Api) -> Result<impl IntoResponse, Failure> {
    let inbox = &api.shared.inbox;
    let inbox_depth = inbox.max_capacity() - inbox.capacity();
    let queue = api.shared.queue.as_ref().filter(|_| api.shared.leads());
    let queue_away = queue.map(|queue| queue.away().is_some());
    let gauges = api
        .read(move |present| {
            Ok(Gauges {
                inbox_depth,
                queue_away,
                ..states(present.view)
            })
        })
        .await?;
    let text = api.shared.metrics.text(&gauges);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

pub async fn bad_frames(api: Api) -> Reply {
    let peers: Vec<BadPeer> = api
        .shared
        .sessions
        .bad_frames()
        .iter()
        .map(bad_peer)
        .collect();
    json(&peers)
}

fn bad_peer(bad: &BadFrames) -> BadPeer {
    BadPeer {
        peer: bad.peer().to_owned(),
        total: bad.total(),
        last: bad
            .kept()
            .map(|frame| BadFrame {
                kind: frame.kind,
                why: frame.why.clone(),
                bytes: frame.bytes as u64,
                head: hex(&frame.head),
            })
            .collect(),
    }
}

fn states(view: &dyn View) -> Gauges {
    let instances = view.keys(Kind::Instance).into_iter().filter_map(|key| {
        let Key::Instance(key) = key else { return None };
        Some(view.instance(&key)?.state.as_str())
    });
    let nodes = view.keys(Kind::Node).into_iter().filter_map(|key| {
        let Key::Node(name) = key else { return None };
        Some(view.node(&name)?.state.as_str())
    });
    Gauges {
        inbox_depth: 0,
        queue_away: None,
        instance_states: tally(instances),
        node_states: tally(nodes),
    }
}

fn tally(states: impl Iterator<Item = &'static str>) -> BTreeMap<String, u64> {
    let mut tally = BTreeMap::new();
    for state in states {
        *tally.entry(state.to_owned()).or_default() += 1;
    }
    tally
}
