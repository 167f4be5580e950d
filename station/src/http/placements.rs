//! Placements as whole wishes: shown with their generation, put, deleted, several at once; reconfigured, taken back.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use mainstay_api::types::{
    ApplyRequest, ChangeRequest, PlacementSpec, ReconfigureRequest, RollbackRequest,
};
use mainstay_api::{Problem, own_parts, spec};
use mainstay_coordinator::{Apply, BasedOn, Change, Operation, PlacementWish, Reconfigure};
use mainstay_protocol::{BadName, Generation, NodeName, PlacementName, code};
use mainstay_resource_graph::Key;

use super::Api;
use super::changes::{config, operate};
use super::reply::{Failure, Reply, body, json};

pub async fn one(api: Api, Path(name): Path<String>) -> Reply {
    let reference = format!("placement/{name}");
    let described = api
        .read(move |present| present.describe(&reference))
        .await?;
    let generation = described.value["generation"].to_string();
    let mut response = json(&described.value)?;
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{generation}\"")) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

pub async fn put(api: Api, Path(name): Path<String>, headers: HeaderMap, bytes: Bytes) -> Reply {
    let what = format!("put {name}");
    let spec: PlacementSpec = body(&what, &bytes)?;
    if spec.name != name {
        let why = format!("the path names {name}, and the placement is {}", spec.name);
        return Err(Problem::new(code::BAD_REQUEST, what, why).into());
    }
    let based_on = based_on(&what, &headers)?;
    let wish = Box::new(wish(&what, &spec)?);
    let change = Change::Put { wish, based_on };
    apply_all(&api, what, vec![change]).await
}

pub async fn delete(api: Api, Path(name): Path<String>, headers: HeaderMap) -> Reply {
    let what = format!("delete {name}");
    // Its name is enough to say what is to go.
    let based_on = match headers.contains_key(IF_MATCH) {
        true => based_on(&what, &headers)?,
        false => BasedOn::Anything,
    };
    let placement = placement(&what, &name)?;
    let change = Change::Delete {
        placement,
        based_on,
    };
    apply_all(&api, what, vec![change]).await
}

pub async fn apply(api: Api, bytes: Bytes) -> Reply {
    let request: ApplyRequest = body("apply", &bytes)?;
    let mut changes = Vec::new();
    for change in &request.changes {
        changes.push(match change {
            ChangeRequest::Put {
                placement,
                generation,
            } => Change::Put {
                wish: Box::new(wish(&format!("apply {}", placement.name), placement)?),
                based_on: generation.map_or(BasedOn::Anything, known),
            },
            ChangeRequest::Delete {
                placement: name,
                generation,
            } => Change::Delete {
                placement: placement("apply", name)?,
                based_on: generation.map_or(BasedOn::Anything, known),
            },
        });
    }
    let settings = match request.settings {
        None => None,
        Some(settings) => Some(super::plans::change(&api, "apply", settings).await?),
    };
    let apply = Apply { changes, settings };
    operate(&api, "apply".to_owned(), Operation::Apply(apply)).await
}

pub async fn history(api: Api, Path(name): Path<String>) -> Reply {
    let reference = format!("placement/{name}");
    let versions = api
        .read(move |present| match present.find(&reference)? {
            Key::Placement(name) => Ok(present.placement_history(&name).unwrap_or_default()),
            _ => Ok(Vec::new()),
        })
        .await?;
    json(&versions)
}

pub async fn reconfigure(api: Api, Path(name): Path<String>, bytes: Bytes) -> Reply {
    let what = format!("reconfigure {name}");
    let request: ReconfigureRequest = body(&what, &bytes)?;
    let on = match &request.on {
        None => None,
        Some(nodes) => {
            let nodes: Result<BTreeSet<NodeName>, BadName> =
                nodes.iter().map(|node| node.parse()).collect();
            Some(nodes.map_err(|bad| Problem::new(code::BAD_REQUEST, &what, bad.to_string()))?)
        }
    };
    let asked = Reconfigure {
        placement: placement(&what, &name)?,
        config: config(&what, &request.config)?,
        on,
        based_on: request.generation.map_or(BasedOn::Anything, known),
    };
    operate(&api, what, Operation::Reconfigure(asked)).await
}

pub async fn rollback(api: Api, Path(name): Path<String>, bytes: Bytes) -> Reply {
    let what = format!("roll {name} back");
    let request: RollbackRequest = body(&what, &bytes)?;
    let operation = Operation::Rollback {
        placement: placement(&what, &name)?,
        to: request.to.map(Generation),
        based_on: request.generation.map_or(BasedOn::Anything, known),
    };
    operate(&api, what, operation).await
}

async fn apply_all(api: &Api, what: String, changes: Vec<Change>) -> Reply {
    let apply = Apply {
        changes,
        settings: None,
    };
    operate(api, what, Operation::Apply(apply)).await
}

fn placement(what: &str, name: &str) -> Result<PlacementName, Failure> {
    if let Some(refused) = own_parts::refuse("delete", name) {
        return Err(refused.into());
    }
    name.parse()
        .map_err(|bad: BadName| Problem::new(code::BAD_REQUEST, what, bad.to_string()).into())
}

/// The wish of a spec, or all that is wrong with it.
fn wish(what: &str, spec: &PlacementSpec) -> Result<PlacementWish, Failure> {
    if let Some(refused) = own_parts::refuse("put", &spec.service_type) {
        return Err(refused.into());
    }
    spec::wish(spec).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let near = problems
            .into_iter()
            .flat_map(|problem| problem.nearest)
            .collect();
        Problem::new(code::BAD_REQUEST, what, texts.join("; "))
            .near(near)
            .into()
    })
}

fn known(generation: u64) -> BasedOn {
    match generation {
        0 => BasedOn::Nothing,
        generation => BasedOn::Generation(Generation(generation)),
    }
}

/// Whether somebody says what a change is based on.
pub fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH)
}

/// `if-match: "3"`, `if-match: *`, `if-none-match: *`. Without either the change is taken for one of a placement that
/// is not there yet: whoever changes one that is says what the change is based on.
pub fn based_on(what: &str, headers: &HeaderMap) -> Result<BasedOn, Failure> {
    let wrong = |name: HeaderName, text: &str| {
        let why = format!("{name}: {text} is no generation; write {name}: \"3\"");
        Err(Problem::new(code::BAD_REQUEST, what, why).into())
    };
    let text = |name: &HeaderName| {
        headers.get(name).map(|value| {
            value
                .to_str()
                .unwrap_or("what is no text")
                .trim()
                .to_owned()
        })
    };
    match (text(&IF_MATCH), text(&IF_NONE_MATCH)) {
        (None, None) => Ok(BasedOn::Nothing),
        (None, Some(star)) if star == "*" => Ok(BasedOn::Nothing),
        (None, Some(other)) => wrong(IF_NONE_MATCH, &other),
        (Some(star), None) if star == "*" => Ok(BasedOn::Anything),
        (Some(tag), None) => {
            let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            match digits.and_then(|digits| digits.parse().ok()) {
                Some(generation) => Ok(known(generation)),
                None => wrong(IF_MATCH, &tag),
            }
        }
        (Some(tag), Some(_)) => wrong(IF_MATCH, &tag),
    }
}
