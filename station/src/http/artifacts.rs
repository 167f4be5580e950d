//! Artifacts put and got. A content is taken whole before anything of it is proposed, then goes into the log piece by piece; what is
//! broken off on the way is removed by the rule `artifact_left`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, put};
use futures::stream;
use mainstay_api::Problem;
use mainstay_api::routes::{self, Route};
use mainstay_api::types::Accepted;
use mainstay_coordinator::{Keep, NewArtifact, Orchestrate};
use mainstay_protocol::{ArtifactId, Blob, Sha256, code, limits};
use mainstay_resource_graph::{Key, Listing, ViewExt};
use sha2::Digest;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Api;
use super::reply::{Failure, Reply, internal, json, query};
use super::work::{created, one, orchestrate};

/// Of a put, before one of those that go first is done.
const PLACE_WITHIN: Duration = Duration::from_secs(20);
/// Of a content, from whoever puts it.
const ARRIVED_WITHIN: Duration = Duration::from_secs(300);
const SAID_OF_IT: [&str; 3] = ["sha256", "name", "media-type"];

pub fn handlers() -> Vec<(Route, MethodRouter<Api>)> {
    vec![
        (routes::ARTIFACT, get(artifact)),
        (routes::ARTIFACT_CONTENT, get(content)),
        (
            routes::ARTIFACT_PUT,
            super::as_large_as_an_artifact(put(take)),
        ),
        (routes::ARTIFACT_DELETE, delete(remove)),
    ]
}

fn artifact_id(what: &str, id: &str) -> Result<ArtifactId, Failure> {
    ArtifactId::new(id).map_err(|bad| Problem::new(code::BAD_REQUEST, what, bad.to_string()).into())
}

async fn artifact(api: Api, Path(id): Path<String>) -> Reply {
    let id = artifact_id("show an artifact", &id)?;
    let key = Key::Artifact(id.clone());
    json(&one(&api, key, move |present| present.artifact(&id)).await?)
}

async fn content(api: Api, Path(id): Path<String>) -> Reply {
    let id = artifact_id("get an artifact", &id)?;
    let key = Key::Artifact(id.clone());
    let pieces = one(&api, key, move |present| present.content(&id)).await?;
    let length: usize = pieces.iter().map(|piece| piece.bytes().len()).sum();
    // However slowly it is read, it is there once: the graph's own pieces are sent.
    let pieces = pieces
        .into_iter()
        .map(Bytes::from_owner)
        .map(Ok::<_, Infallible>);
    // What whoever put it said that it is, is for people: no browser is to believe it here.
    let said = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
    ];
    Ok((said, Body::from_stream(stream::iter(pieces))).into_response())
}

async fn remove(api: Api, Path(id): Path<String>) -> Reply {
    let what = format!("delete artifact/{id}");
    let id = artifact_id(&what, &id)?;
    let keep = Keep::Delete { artifact: id };
    json(&kept(&api, &what, keep).await?)
}

async fn kept(api: &Api, what: &str, keep: Keep) -> Result<Accepted, Failure> {
    orchestrate(api, what.to_owned(), Orchestrate::Artifact(Box::new(keep))).await
}

async fn take(
    api: Api,
    Path(id): Path<String>,
    pairs: Query<BTreeMap<String, String>>,
    request: Request,
) -> Reply {
    let what = format!("put artifact/{id}");
    let id = artifact_id(&what, &id)?;
    let said = query(&what, pairs, &SAID_OF_IT)?;
    // Before anything of the content is read: so many are in memory at once.
    let _place = place_in_time(&api, &what).await?;
    let bytes = timeout(ARRIVED_WITHIN, Bytes::from_request(request, &())).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(rejected)) => return Ok(rejected.into_response()),
        Err(_late) => {
            let why = format!(
                "its content did not come within {} s",
                ARRIVED_WITHIN.as_secs()
            );
            return Err(Problem::new(code::TIMEOUT, what, why).into());
        }
    };
    let (digest, listing, bytes) = looked_at(bytes).await?;
    if let Some(wanted) = said.text("sha256") {
        is_whole(&what, &wanted, &digest)?;
    }
    let begin = Keep::Begin(NewArtifact {
        id: id.clone(),
        name: said.text("name"),
        media_type: said.text("media-type"),
        size: bytes.len() as u64,
        digest: digest.clone(),
        listing,
    });
    let begun = kept(&api, &what, begin).await?;
    let of = id.clone();
    let is_there = api
        .read(move |present| Ok(present.view.artifact(&of).is_some()))
        .await?;
    if is_there {
        return answered(begun);
    }
    for (number, piece) in (0..).zip(bytes.chunks(limits::ARTIFACT_CHUNK_BYTES)) {
        let chunk = Keep::Chunk {
            artifact: id.clone(),
            digest: digest.clone(),
            number,
            bytes: Blob::new(piece),
        };
        kept(&api, &what, chunk).await?;
    }
    let finish = Keep::Finish {
        artifact: id,
        digest,
    };
    created(kept(&api, &what, finish).await)
}

/// Whoever has one is done soon: so many wait for it as come, with nothing read of what they bring.
async fn place_in_time(api: &Api, what: &str) -> Result<OwnedSemaphorePermit, Failure> {
    let places = Arc::clone(&api.artifacts);
    let place = timeout(PLACE_WITHIN, places.acquire_owned()).await;
    let place = place.ok().and_then(Result::ok);
    place.ok_or_else(|| {
        let why = "other artifacts are being put already";
        Problem::new(code::OVERLOADED, what, why).into()
    })
}

fn answered(accepted: Accepted) -> Reply {
    let response: Response = json(&accepted)?;
    Ok(response)
}

/// Where nobody else has to wait for it.
async fn looked_at(bytes: Bytes) -> Result<(Sha256, Listing, Bytes), Failure> {
    let looked = spawn_blocking(move || {
        let hash = sha2::Sha256::digest(&bytes);
        let listing = match mainstay_archive::files(&bytes) {
            Ok(files) => Listing::Files(files),
            Err(bad) => Listing::Not(bad.to_string()),
        };
        (Sha256::of_sha256(hash.into()), listing, bytes)
    });
    looked.await.map_err(|_| internal("look at an artifact"))
}

fn is_whole(what: &str, wanted: &str, digest: &Sha256) -> Result<(), Failure> {
    let bad = |why: String| Failure::from(Problem::new(code::BAD_REQUEST, what, why));
    let wanted = Sha256::new(wanted).map_err(|error| bad(error.to_string()))?;
    match wanted == *digest {
        true => Ok(()),
        false => Err(bad(format!(
            "what came has the sha256 {digest}, and was to have {wanted}: put it again"
        ))),
    }
}
