//! Artifacts put and deleted. One comes in several entries: room is made for it, then its chunks come, and the entry that ends it
//! makes it seen. What never ends is removed by the rule `artifact_left`.

use std::time::Duration;

use mainstay_protocol::artifact::chunks;
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{ArtifactId, Blob, Sha256, limits, words};
use mainstay_resource_graph::{
    Artifact, ArtifactState, Chunk, ChunkKey, Key, Kind, Txn, Vertex, View, ViewExt,
};

use super::super::unknown;
use super::{Result_, recorded};
use crate::env::Env;
use crate::orchestrate::{Keep, NewArtifact};
use crate::{artifacts, runs};

pub(super) fn keep(txn: &mut Txn<'_>, keep: &Keep, by: &str, env: &Env) -> Result_ {
    match keep {
        Keep::Begin(new) => begin(txn, new, by, env),
        Keep::Chunk {
            artifact,
            digest,
            number,
            bytes,
        } => chunk(txn, (artifact, digest), (*number, bytes), env),
        Keep::Finish { artifact, digest } => finish(txn, artifact, digest),
        Keep::Delete { artifact } => delete(txn, artifact, env),
    }
}

fn known(txn: &Txn<'_>, id: &ArtifactId) -> Option<Artifact> {
    match &txn.record(&Key::Artifact(id.clone()))?.vertex {
        Vertex::Artifact(artifact) => Some(artifact.clone()),
        _ => None,
    }
}

fn begin(txn: &mut Txn<'_>, new: &NewArtifact, by: &str, env: &Env) -> Result_ {
    let key = Key::Artifact(new.id.clone());
    for (what, said) in [("the name", &new.name), ("the media type", &new.media_type)] {
        let said = said.as_deref().unwrap_or_default();
        let most = limits::ARTIFACT_NAME_BYTES_MAX;
        if said.len() > most || said.chars().any(char::is_control) {
            let text =
                format!("{what} of {key} has at most {most} bytes, and no control characters");
            return Err(Refusal::new(code::BAD_REQUEST, text));
        }
    }
    if let Some(wrong) = new
        .media_type
        .as_deref()
        .filter(|said| !is_media_type(said))
    {
        let text = format!("{wrong:?} is no media type: write TYPE/SUBTYPE, such as text/html");
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let there = known(txn, &new.id);
    if let Some(there) = there.as_ref().filter(|there| there.is_there()) {
        return again(txn, &key, there, new, by);
    }
    fits(txn, &key, new)?;
    if let Some(there) = there {
        // The same content goes on where it is.
        if there.digest != new.digest {
            remove(txn, &new.id);
        }
    }
    let text = format!("{key} is arriving");
    let artifact = Artifact {
        name: new.name.clone().unwrap_or_default(),
        media_type: new.media_type.clone().unwrap_or_else(unsaid),
        size: new.size,
        digest: new.digest.clone(),
        state: ArtifactState::Arriving {
            until: env.now + Duration::from_millis(limits::ARTIFACT_ARRIVES_MS),
        },
        listing: new.listing.clone(),
        by: by.to_owned(),
    };
    runs::put(txn, key, Vertex::Artifact(artifact));
    Ok(recorded(Vec::new(), text))
}

/// `TYPE/SUBTYPE`, with parameters behind it or without.
fn is_media_type(said: &str) -> bool {
    let is_token = |part: &str| {
        let may = |one: char| one.is_ascii_alphanumeric() || "!#$&-^_.+".contains(one);
        !part.is_empty() && part.chars().all(may)
    };
    let (of, _parameters) = said.split_once(';').unwrap_or((said, ""));
    let of = of.trim_end().split_once('/');
    of.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

fn unsaid() -> String {
    "application/octet-stream".to_owned()
}

/// The content stays; what it is called may be said anew.
fn again(txn: &mut Txn<'_>, key: &Key, there: &Artifact, new: &NewArtifact, by: &str) -> Result_ {
    if there.digest != new.digest {
        let text = format!(
            "{key} exists with other content: sha256 {} and {} bytes, not sha256 {} and {}",
            there.digest, there.size, new.digest, new.size
        );
        return Err(Refusal::new(code::ARTIFACT_DIFFERS, text));
    }
    let called = Artifact {
        name: new.name.clone().unwrap_or_else(|| there.name.clone()),
        media_type: new
            .media_type
            .clone()
            .unwrap_or_else(|| there.media_type.clone()),
        ..there.clone()
    };
    if called == *there {
        return Ok(recorded(Vec::new(), format!("{key} is so already")));
    }
    let text = format!("{key} is called otherwise; its content is there already");
    let by = by.to_owned();
    runs::put(
        txn,
        key.clone(),
        Vertex::Artifact(Artifact { by, ..called }),
    );
    Ok(recorded(Vec::new(), text))
}

/// Within the bounds, with all that is there or arriving.
fn fits(txn: &Txn<'_>, key: &Key, new: &NewArtifact) -> Result<(), Refusal> {
    let most = limits::ARTIFACT_BYTES_MAX;
    if new.size > most {
        let text = format!(
            "{key} has {} bytes, and an artifact at most {most}",
            new.size
        );
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let full = |text: String| Err(Refusal::new(code::ARTIFACTS_FULL, text));
    let others = txn
        .keys(Kind::Artifact)
        .into_iter()
        .filter(|other| other != key);
    let others: Vec<u64> = others
        .filter_map(|other| match &txn.record(&other)?.vertex {
            Vertex::Artifact(artifact) => Some(artifact.size),
            _ => None,
        })
        .collect();
    if others.len() >= limits::ARTIFACTS_MAX {
        let most = limits::ARTIFACTS_MAX;
        return full(format!(
            "there are {most} artifacts, and no more fit: mainstay artifact delete some"
        ));
    }
    let (taken, most) = (others.iter().sum::<u64>(), limits::ARTIFACTS_BYTES_MAX);
    if taken + new.size > most {
        return full(format!(
            "{key} has {} bytes, and of {most} for all artifacts {taken} are taken: mainstay artifact delete some",
            new.size
        ));
    }
    Ok(())
}

/// The one that is arriving with this content.
fn arriving(txn: &Txn<'_>, id: &ArtifactId, digest: &Sha256) -> Result<Artifact, Refusal> {
    let of_these = known(txn, id).filter(|one| one.digest == *digest);
    of_these.ok_or_else(|| {
        let text = format!(
            "artifact/{id} with sha256 {digest} is not arriving: its time was over, or another content came; put it again"
        );
        Refusal::new(code::ARTIFACT_DIFFERS, text)
    })
}

fn chunk(
    txn: &mut Txn<'_>,
    (id, digest): (&ArtifactId, &Sha256),
    (number, bytes): (u32, &Blob),
    env: &Env,
) -> Result_ {
    let artifact = arriving(txn, id, digest)?;
    let wanted = chunk_bytes(&artifact, number);
    if wanted != Some(bytes.bytes().len() as u64) {
        let text = format!("piece {number} of artifact/{id} is not as long as it should be");
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let key = Key::Chunk(ChunkKey {
        artifact: id.clone(),
        number,
    });
    let text = format!("{key} is there");
    // With the digest of the whole the same, so is each piece.
    if !artifact.is_there() && txn.record(&key).is_none() {
        let bytes = bytes.clone();
        runs::put(txn, key, Vertex::Chunk(Chunk { bytes }));
        prolong(txn, id, artifact, env);
    }
    Ok(recorded(Vec::new(), text))
}

/// As long as pieces come it is not broken off, however slow the log is. Not with each: its listing is written too.
fn prolong(txn: &mut Txn<'_>, id: &ArtifactId, artifact: Artifact, env: &Env) {
    let whole = Duration::from_millis(limits::ARTIFACT_ARRIVES_MS);
    let ArtifactState::Arriving { until } = artifact.state else {
        return;
    };
    if until.since(env.now) < whole / 2 {
        let state = ArtifactState::Arriving {
            until: env.now + whole,
        };
        let key = Key::Artifact(id.clone());
        runs::put(txn, key, Vertex::Artifact(Artifact { state, ..artifact }));
    }
}

/// None: there is no such piece of it.
fn chunk_bytes(artifact: &Artifact, number: u32) -> Option<u64> {
    let chunk = limits::ARTIFACT_CHUNK_BYTES as u64;
    let before = u64::from(number) * chunk;
    let left = artifact.size.checked_sub(before).filter(|left| *left > 0)?;
    Some(left.min(chunk))
}

fn finish(txn: &mut Txn<'_>, id: &ArtifactId, digest: &Sha256) -> Result_ {
    let key = Key::Artifact(id.clone());
    let artifact = arriving(txn, id, digest)?;
    if artifact.is_there() {
        return Ok(recorded(Vec::new(), format!("{key} is so already")));
    }
    let missing = (0..chunks(artifact.size)).find(|number| {
        let bytes = txn
            .chunk(id, *number)
            .map(|piece| piece.bytes().len() as u64);
        bytes != chunk_bytes(&artifact, *number)
    });
    if let Some(number) = missing {
        let text = format!("piece {number} of {key} has not come; put it again");
        return Err(Refusal::new(code::ARTIFACT_DIFFERS, text));
    }
    let text = format!("{key} is there");
    let state = ArtifactState::There;
    runs::put(txn, key, Vertex::Artifact(Artifact { state, ..artifact }));
    Ok(recorded(Vec::new(), text))
}

fn delete(txn: &mut Txn<'_>, id: &ArtifactId, env: &Env) -> Result_ {
    let key = Key::Artifact(id.clone());
    if txn.artifact(id).is_none() {
        let wrong = id.as_str();
        return Err(unknown(
            code::NOT_FOUND,
            "the artifact",
            wrong,
            txn,
            Kind::Artifact,
        ));
    }
    let users = artifacts::users(txn, &env.models, id);
    if !users.is_empty() {
        let mut named = users.join(", ");
        words::cut(&mut named, limits::SAID_BYTES_MAX);
        let text = format!("{key} is used by {named}");
        return Err(Refusal::new(code::IN_USE, text));
    }
    remove(txn, id);
    Ok(recorded(Vec::new(), format!("{key} is deleted")))
}

/// With its chunks. False: it was not there.
pub(crate) fn remove(txn: &mut Txn<'_>, id: &ArtifactId) -> bool {
    let Some(artifact) = known(txn, id) else {
        return false;
    };
    for number in 0..chunks(artifact.size) {
        let artifact = id.clone();
        txn.remove(&Key::Chunk(ChunkKey { artifact, number }));
    }
    txn.remove(&Key::Artifact(id.clone()))
}
