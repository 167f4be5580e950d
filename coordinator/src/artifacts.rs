//! Artifacts that descriptions and configurations name: whether they are there, and whom they are handed to.

use std::collections::BTreeSet;

use mainstay_orchestrator::{Description, Found, Models, NeededArtifact, Pointer};
use mainstay_protocol::artifact::{ArtifactPart, ArtifactWanted};
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{ArtifactId, Blob, InstanceKey, NodeName, TypeName, limits};
use mainstay_resource_graph::{Artifact, Key, Kind, Listing, View, ViewExt};

use crate::schema::Wrong;
use crate::{runs, secrets};

/// Who serves a site from an artifact.
const APP_SERVER: &str = "app-server";

/// What is not there of what a description names, each with its place and what to do.
pub(crate) fn missing(view: &dyn View, models: &Models, of: &Description, found: &mut Found) {
    for needed in models.artifacts(of) {
        let NeededArtifact {
            at,
            id,
            is_site,
            page,
        } = needed;
        match view.artifact(&id) {
            None => found.fault(&at, not_there(&id)),
            Some(_) if !is_site => {}
            Some(artifact) => {
                if let Err(why) = as_site(&artifact) {
                    found.fault(&at, why);
                } else if let Some((at, page)) = page
                    && let Err(why) = has(&artifact, &page)
                {
                    found.fault(&at, why);
                }
            }
        }
    }
}

/// The artifacts that a configuration names.
pub fn named_in(json: &str) -> BTreeSet<ArtifactId> {
    let texts = secrets::texts_that(json, |text| ArtifactId::of(text).is_some());
    let texts = texts.into_iter();
    let ids = texts.filter_map(|(_, text)| ArtifactId::of(&text)?.ok());
    ids.collect()
}

/// What a configuration names and is not there; and what an app-server could not serve.
pub fn wrong_references(view: &dyn View, of: &TypeName, json: &str) -> Vec<Wrong> {
    let is_site = |path: &str| of.as_str() == APP_SERVER && path == "artifact";
    let page = || {
        let texts = secrets::texts_that(json, |_| true).into_iter();
        let mut of_page = texts.filter(|(path, _)| path == "404");
        of_page.next().map(|(_, page)| page)
    };
    let mut wrong = Vec::new();
    let mut is_wrong = |path: &str, text: String, nearest: Vec<String>| {
        let pointer = path.split('.').filter(|name| !name.is_empty());
        wrong.push(Wrong {
            pointer: pointer.fold(Pointer::root(), |at, name| at.key(name)),
            path: path.to_owned(),
            text,
            nearest,
        });
    };
    for (path, text) in secrets::texts_that(json, |text| ArtifactId::of(text).is_some()) {
        let id = match ArtifactId::of(&text) {
            Some(Ok(id)) => id,
            Some(Err(bad)) => {
                is_wrong(&path, bad.to_string(), Vec::new());
                continue;
            }
            None => continue,
        };
        let Some(artifact) = view.artifact(&id) else {
            let known = view.names(Kind::Artifact);
            let near = nearest(id.as_str(), known.iter().map(String::as_str));
            is_wrong(&path, not_there(&id), near);
            continue;
        };
        if !is_site(&path) {
            continue;
        }
        if let Err(why) = as_site(&artifact) {
            is_wrong(&path, why, Vec::new());
        } else if let Some(Err(why)) = page().map(|page| has(&artifact, &page)) {
            is_wrong("404", why, Vec::new());
        }
    }
    wrong
}

pub(crate) fn not_there(id: &ArtifactId) -> String {
    format!("there is no artifact {id}: mainstay artifact put FILE --id {id}")
}

fn as_site(artifact: &Artifact) -> Result<&[String], String> {
    match &artifact.listing {
        Listing::Files(files) => Ok(files),
        Listing::Not(why) => Err(format!("no site can be served from this artifact: {why}")),
    }
}

/// Whether a page is a file of it; a folder shows its own.
fn has(artifact: &Artifact, page: &str) -> Result<(), String> {
    let files = as_site(artifact)?;
    if files
        .iter()
        .any(|file| file == page.trim_start_matches('/'))
    {
        return Ok(());
    }
    let near = nearest(page, files.iter().map(String::as_str));
    let near = match near.is_empty() {
        true => String::new(),
        false => format!("; {}?", near.join(", ")),
    };
    let of = files.len();
    Err(format!(
        "\"{page}\" is none of the artifact's {of} files{near}"
    ))
}

/// What would not find it any more: registered services, placements, instances that run with it, and runs that go on.
pub(crate) fn users(view: &dyn View, models: &Models, id: &ArtifactId) -> Vec<String> {
    let mut users = Vec::new();
    for key in view.keys(Kind::Service) {
        let Key::Service(service) = &key else {
            continue;
        };
        let described = view.service(service).map(|one| one.description);
        let read = described.and_then(|text| models.read(&text, &mut Found::default()));
        let needed = read.map(|read| models.artifacts(&read)).unwrap_or_default();
        if needed.iter().any(|needed| needed.id == *id) {
            users.push(key.to_string());
        }
    }
    for key in view.keys(Kind::Placement) {
        let Key::Placement(name) = &key else { continue };
        let Some(placement) = view.placement(name) else {
            continue;
        };
        let of_wish = placement.wish.configs().cloned().map(Key::Configuration);
        let instances = view.instances_of(name).into_iter();
        let of_instances = instances.flat_map(|instance| secrets::configured(view, &instance));
        let mut all = of_wish.chain(of_instances);
        if all.any(|configuration| names(view, &configuration, id)) {
            users.push(key.to_string());
        }
    }
    users.extend(runs_with(view, id));
    users
}

/// Runs that go on, and have it among what their activities may be given.
fn runs_with(view: &dyn View, id: &ArtifactId) -> Vec<String> {
    let is_user = |key: &Key| {
        let Key::Run(run_id) = key else { return false };
        let run = view
            .run(run_id)
            .filter(|run| !runs::is_over(view, run_id, run));
        run.is_some_and(|run| {
            let mut texts = runs::texts_of(view, run_id, &run).into_iter();
            texts.any(|text| ArtifactId::named_in(text.as_str()).contains(id))
        })
    };
    let runs = view.keys(Kind::Run).into_iter();
    runs.filter(is_user).map(|key| key.to_string()).collect()
}

fn names(view: &dyn View, configuration: &Key, id: &ArtifactId) -> bool {
    let json = view.configuration(configuration).unwrap_or_default();
    named_in(&json).contains(id)
}

/// By an activity that it is at work on.
fn is_given(view: &dyn View, worker: &InstanceKey, id: &ArtifactId) -> bool {
    let mut steps = view.steps_at(worker).into_iter();
    steps.any(|step| {
        let inputs = runs::inputs_at(view, &step);
        inputs.is_some_and(|inputs| ArtifactId::named_in(inputs.as_str()).contains(id))
    })
}

/// A node is given what an instance of its own needs, as with secrets: one that is to run there, with a configuration that names
/// it, or an activity that does, for as long as it is at work on that. As many bytes as one answer has.
pub fn handed_out(
    view: &dyn View,
    node: &NodeName,
    wanted: &ArtifactWanted,
) -> Result<ArtifactPart, Refusal> {
    let ArtifactWanted {
        instance,
        incarnation,
        artifact: id,
        from,
    } = wanted;
    secrets::is_to_run(view, node, instance, *incarnation)?;
    let mut configs = secrets::configured(view, instance).into_iter();
    let is_its = configs.any(|configuration| names(view, &configuration, id));
    if !is_its && !is_given(view, instance, id) {
        let why = format!(
            "neither the configuration of {instance} nor what it is given to do names {id}"
        );
        return Err(Refusal::new(code::NOT_ALLOWED, why));
    }
    let gone = || Refusal::new(code::NO_ARTIFACT, not_there(id));
    let artifact = view.artifact(id).ok_or_else(gone)?;
    let chunk = limits::ARTIFACT_CHUNK_BYTES as u64;
    let bytes = match *from < artifact.size {
        true => {
            let number = u32::try_from(from / chunk).unwrap_or(u32::MAX);
            let piece = view.chunk(id, number).ok_or_else(gone)?;
            let begin = usize::try_from(from % chunk).unwrap_or(usize::MAX);
            let rest = piece.bytes().get(begin..).unwrap_or_default();
            Blob::new(&rest[..rest.len().min(limits::ARTIFACT_PART_BYTES)])
        }
        false => Blob::new(&[]),
    };
    Ok(ArtifactPart {
        digest: artifact.digest,
        size: artifact.size,
        bytes,
    })
}
