//! Services registered and ordered. The coordinator judges it all.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::http::header::{HeaderValue, LOCATION};
use axum::routing::{MethodRouter, delete, get, post, put};
use mainstay_api::Problem;
use mainstay_api::routes::{self, Route};
use mainstay_api::types::OrderRequest;
use mainstay_coordinator::{BasedOn, Orchestrate, PlaceOrder};
use mainstay_protocol::{RunId, ServiceId, code};
use mainstay_resource_graph::Key;
use uuid::Uuid;

use super::Api;
use super::looks::{LIST_WORDS, wanted};
use super::reply::{Failure, Reply, body, json, paged, query};
use super::work::{created, definition, known, one, orchestrate, run_id, with_etag};

pub fn handlers() -> Vec<(Route, MethodRouter<Api>)> {
    vec![
        (routes::SERVICE, get(service)),
        (routes::SERVICE_CREATE, post(create)),
        (routes::SERVICE_PUT, put(replace)),
        (routes::SERVICE_DELETE, delete(remove)),
        (routes::ORDERS, get(orders)),
        (routes::ORDER, get(order)),
        (routes::ORDER_PLACE, post(place)),
    ]
}

async fn service(api: Api, Path(id): Path<String>) -> Reply {
    let id = service_id("show a service", &id)?;
    let key = Key::Service(id.clone());
    let shown = one(&api, key, move |present| present.service(&id)).await?;
    with_etag(&shown, shown.generation)
}

async fn create(api: Api, bytes: Bytes) -> Reply {
    let what = "register a service";
    let wanted = Orchestrate::PutService {
        description: definition(what, &bytes)?,
        based_on: BasedOn::Nothing,
    };
    created(orchestrate(&api, what.to_owned(), wanted).await)
}

async fn replace(api: Api, Path(id): Path<String>, headers: HeaderMap, bytes: Bytes) -> Reply {
    let what = format!("register service/{id}");
    let description = definition(&what, &bytes)?;
    let said = description.member("id").and_then(|said| said.as_text());
    if let Some(said) = said.filter(|said| *said != id) {
        let why = format!("the path names {id}, and the description is of {said}");
        return Err(Problem::new(code::BAD_REQUEST, what, why).into());
    }
    let based_on = known(&what, &headers)?;
    let wanted = Orchestrate::PutService {
        description,
        based_on,
    };
    json(&orchestrate(&api, what, wanted).await?)
}

async fn remove(api: Api, Path(id): Path<String>) -> Reply {
    let what = format!("delete service/{id}");
    let id = service_id(&what, &id)?;
    json(&orchestrate(&api, what, Orchestrate::DeleteService { id }).await?)
}

async fn orders(api: Api, pairs: Query<BTreeMap<String, String>>) -> Reply {
    let pairs = query("list", pairs, &LIST_WORDS)?;
    let wanted = wanted(&pairs)?;
    let page = api.read(move |present| present.orders(&wanted)).await?;
    paged(&page.rows, page.next)
}

async fn order(api: Api, Path(id): Path<String>) -> Reply {
    let id = run_id("show an order", &id)?;
    let read = api.read(move |present| {
        let missing = || {
            let what = format!("show order {id}");
            Problem::new(code::NOT_FOUND, what, "there is no such order")
                .to_do("mainstay order list")
        };
        present.order(&id).ok_or_else(missing)
    });
    json(&read.await?)
}

async fn place(api: Api, bytes: Bytes) -> Reply {
    let request: OrderRequest = body("order", &bytes)?;
    let what = format!("order {}", request.service);
    let id = match &request.id {
        Some(id) => run_id(&what, id)?,
        None => made_up(&what)?,
    };
    let parameters = request.parameters.into_iter();
    let wanted = Orchestrate::Order(PlaceOrder {
        id: id.clone(),
        service: request.service,
        name: request.name,
        parameters: parameters.map(|one| (one.name, one.value.0)).collect(),
    });
    let mut response = created(orchestrate(&api, what, wanted).await)?;
    if let Ok(at) = HeaderValue::from_str(&routes::ORDER.fill(&[id.as_str()])) {
        response.headers_mut().insert(LOCATION, at);
    }
    Ok(response)
}

fn made_up(what: &str) -> Result<RunId, Failure> {
    run_id(what, &format!("order-{}", Uuid::new_v4().simple()))
}

fn service_id(what: &str, id: &str) -> Result<ServiceId, Failure> {
    ServiceId::new(id).map_err(|bad| Problem::new(code::BAD_REQUEST, what, bad.to_string()).into())
}
