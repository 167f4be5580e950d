//! The cluster and the station at a glance: status, version, health, metrics.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use mainstay_api::Problem;
use mainstay_api::present::Standing;
use mainstay_api::types::{BadFrame, BadPeer, Version};
use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::{code, revision};
use mainstay_resource_graph::{Key, Kind, View, ViewExt};

use super::Api;
use super::reply::{Failure, Reply, json};
use crate::metrics::Gauges;

pub async fn status(State(api): State<Api>) -> Reply {
    let leadership = api.shared.standing().leadership;
    let standing = Standing {
        quorum: leadership.is_some(),
        term: leadership.map(|leadership| leadership.term.0),
        data_age_ms: api.shared.data_age_ms(),
    };
    json(
        &api.read(move |present| Ok(present.status(standing)))
            .await?,
    )
}

pub async fn version(State(api): State<Api>) -> Reply {
    let cluster = api.read(|present| Ok(present.view.cluster())).await?;
    json(&Version {
        build: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
        cluster: cluster.as_ref().map(|cluster| cluster.name.to_string()),
        cluster_id: cluster.as_ref().map(|cluster| cluster.id.to_string()),
        station: Some(api.shared.station.to_string()),
        revision: revision::current().revision,
        rules: api.shared.rules.clone(),
    })
}

/// The process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// It leads, and the cluster's first entry is there: changes are taken.
pub async fn readyz(State(api): State<Api>) -> Reply {
    let founded = api
        .read(|present| Ok(present.view.cluster().is_some()))
        .await?;
    match api.shared.leads() && founded {
        true => json(&serde_json::json!({ "ready": true })),
        false => {
            let why = "this station has no leader yet";
            Err(Problem::new(code::NO_QUORUM, "see whether the station is ready", why).into())
        }
    }
}

pub async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Failure> {
    let inbox = &api.shared.inbox;
    let inbox_depth = inbox.max_capacity() - inbox.capacity();
    let gauges = api
        .read(move |present| {
            Ok(Gauges {
                inbox_depth,
                ..states(present.view)
            })
        })
        .await?;
    let text = api.shared.metrics.text(&gauges);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

pub async fn bad_frames(State(api): State<Api>) -> Reply {
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
                head: frame
                    .head
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            })
            .collect(),
    }
}

fn states(view: &dyn View) -> Gauges {
    let mut instance_states = BTreeMap::<String, u64>::new();
    for key in view.keys(Kind::Instance) {
        if let Key::Instance(key) = key
            && let Some(instance) = view.instance(&key)
        {
            *instance_states
                .entry(instance.state.as_str().to_owned())
                .or_default() += 1;
        }
    }
    let mut node_states = BTreeMap::<String, u64>::new();
    for key in view.keys(Kind::Node) {
        if let Key::Node(name) = key
            && let Some(node) = view.node(&name)
        {
            *node_states
                .entry(node.state.as_str().to_owned())
                .or_default() += 1;
        }
    }
    Gauges {
        inbox_depth: 0,
        instance_states,
        node_states,
    }
}
