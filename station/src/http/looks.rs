//! Reads: lists in pages, one resource, what is behind it.

use std::collections::BTreeMap;

use axum::extract::{Path, Query};
use axum::routing::{MethodRouter, get};
use mainstay_api::Problem;
use mainstay_api::present::{ListQuery, find};
use mainstay_api::routes::{self, Route};
use mainstay_api::types::Described;
use mainstay_protocol::{code, limits};
use mainstay_resource_graph::Kind;

use super::Api;
use super::reply::{Failure, Pairs as Asked, Reply, json, paged, query};
use super::{overview, usage};
use crate::own_word;

type Pairs = Query<BTreeMap<String, String>>;

/// A list and a single one for every kind.
pub fn lists() -> Vec<(Route, MethodRouter<Api>)> {
    vec![
        (routes::NODES, list(Kind::Node)),
        (routes::NODE, one("node")),
        (routes::STATIONS, list(Kind::Station)),
        (routes::STATION, one("station")),
        (routes::TYPES, list(Kind::Type)),
        (routes::TYPE, one("type")),
        (routes::PLACEMENTS, list(Kind::Placement)),
        (routes::INSTANCES, list(Kind::Instance)),
        (routes::INSTANCE, get(instance)),
        (routes::NAMES, list(Kind::Name)),
        (routes::NAME, get(name)),
        (routes::SUPERVISORS, list(Kind::Supervisor)),
        (routes::SUPERVISOR, one("supervisor")),
        (routes::CONFIGURATIONS, list(Kind::Configuration)),
        (routes::CONFIGURATION, one("config")),
        (routes::PARKED, list(Kind::Parked)),
        (routes::RESOURCES, list(Kind::Resource)),
        (routes::RESOURCE_OF_KIND, get(resource_of_kind)),
        (routes::ASKED, list(Kind::Asked)),
        (routes::ASKED_ONE, one("asked")),
        (routes::PROCEDURES, list(Kind::Procedure)),
        (routes::PROCEDURE, one("procedure")),
        (routes::COLLECTED, list(Kind::Collected)),
        (routes::TOKENS, list(Kind::Token)),
        (routes::TOKEN, one("token")),
        (routes::IDENTITIES, list(Kind::Identity)),
        (routes::SECRETS, list(Kind::Secret)),
        (routes::SECRET, one("secret")),
        (routes::COLLECTED_ONE, one("collected")),
        (routes::ACTIVITIES, list(Kind::Activity)),
        (routes::ORCHESTRATIONS, list(Kind::Orchestration)),
        (routes::RUNS, list(Kind::Run)),
        (routes::SERVICES, list(Kind::Service)),
        (routes::ARTIFACTS, list(Kind::Artifact)),
        (routes::SCHEMAS, get(overview::schemas)),
        (routes::SCHEMA, get(overview::schema)),
    ]
}

fn list(kind: Kind) -> MethodRouter<Api> {
    get(move |api: Api, pairs: Pairs| async move {
        let pairs = query("list", pairs, &LIST_WORDS)?;
        let wanted = wanted(&pairs)?;
        let mut page = api.read(move |present| present.list(kind, &wanted)).await?;
        if kind == Kind::Instance && pairs.is_set(usage::WORD) {
            usage::put_in(&api, &mut page.rows).await;
        }
        paged(&page.rows, page.next)
    })
}

/// What can be said of every list.
pub const LIST_WORDS: [&str; 8] = [
    "node",
    "placement",
    "type",
    "state",
    "correlation",
    "cursor",
    "limit",
    usage::WORD,
];

pub fn wanted(pairs: &Asked) -> Result<ListQuery, Failure> {
    Ok(ListQuery {
        node: pairs.text("node"),
        placement: pairs.text("placement"),
        service_type: pairs.text("type"),
        state: pairs.text("state"),
        correlation: pairs.text("correlation"),
        cursor: pairs.text("cursor"),
        rows_max: pairs.limit(limits::PAGE_ROWS_MAX)?,
    })
}

fn one(kind: &'static str) -> MethodRouter<Api> {
    get(move |api: Api, Path(name): Path<String>| async move {
        show(&api, format!("{kind}/{name}")).await
    })
}

async fn instance(
    api: Api,
    Path((node, placement)): Path<(String, String)>,
    pairs: Pairs,
) -> Reply {
    let pairs = query("show an instance", pairs, &[usage::WORD])?;
    let reference = format!("instance/{placement}@{node}");
    json(&described(&api, reference, &pairs).await?.value)
}

async fn name(api: Api, Path((node, name)): Path<(String, String)>) -> Reply {
    show(&api, format!("name/{node}/{name}")).await
}

async fn resource_of_kind(api: Api, Path((kind, name)): Path<(String, String)>) -> Reply {
    show(&api, format!("resource/{kind}/{name}")).await
}

pub async fn parked(api: Api, Path(id): Path<String>) -> Reply {
    show(&api, format!("parked/{id}")).await
}

async fn show(api: &Api, reference: String) -> Reply {
    let described = api
        .read(move |present| present.describe(&reference))
        .await?;
    json(&described.value)
}

async fn described(api: &Api, reference: String, asked: &Asked) -> Result<Described, Failure> {
    let mut described = api
        .read(move |present| present.describe(&reference))
        .await?;
    if described.kind == Kind::Instance.as_str() && asked.is_set(usage::WORD) {
        usage::put_in(api, std::slice::from_mut(&mut described.value)).await;
    }
    Ok(described)
}

pub async fn resource(api: Api, pairs: Pairs) -> Reply {
    let pairs = query("show a resource", pairs, &["ref", usage::WORD])?;
    let reference = pairs
        .text("ref")
        .ok_or_else(|| Problem::new(code::BAD_REQUEST, "show a resource", "ref= is missing"))?;
    json(&described(&api, reference, &pairs).await?)
}

/// So far around, unless told otherwise: its neighbours and theirs.
const DEPTH_DEFAULT: usize = 2;

pub async fn graph(api: Api, pairs: Pairs) -> Reply {
    let pairs = query("show the graph", pairs, &["ref", "depth"])?;
    let reference = pairs.text("ref");
    reference.as_deref().map(find::parse).transpose()?;
    let depth = pairs.number("depth")?.map_or(DEPTH_DEFAULT, |depth| {
        depth.try_into().unwrap_or(usize::MAX)
    });
    if depth > limits::GRAPH_DEPTH_MAX {
        let why = format!("depth={depth} is more than {}", limits::GRAPH_DEPTH_MAX);
        return Err(Problem::new(code::BAD_REQUEST, "show the graph", why).into());
    }
    let graph = api
        .read(move |present| present.graph(reference.as_deref(), depth))
        .await?;
    json(&graph)
}

pub async fn graph_check(api: Api) -> Reply {
    json(&api.read(|present| Ok(present.graph_problems())).await?)
}

pub async fn impact(api: Api, pairs: Pairs) -> Reply {
    let pairs = query("foresee an impact", pairs, &["ref"])?;
    let reference = pairs
        .text("ref")
        .ok_or_else(|| Problem::new(code::BAD_REQUEST, "foresee an impact", "ref= is missing"))?;
    find::parse(&reference)?;
    json(&api.read(move |present| present.impact(&reference)).await?)
}

pub async fn why(api: Api, pairs: Pairs) -> Reply {
    let pairs = query("ask why", pairs, &["ref"])?;
    match pairs.text("ref") {
        Some(reference) => {
            // A wrong reference is wrong before anything is read.
            find::parse(&reference)?;
            let mut why = api.read(move |present| present.why(&reference)).await?;
            own_word::explain(&api.shared, &mut why);
            json(&why)
        }
        None => {
            let mut all = own_word::explain_all(&api.shared);
            all.extend(api.read(|present| Ok(present.why_all())).await?);
            json(&all)
        }
    }
}
