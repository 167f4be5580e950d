//! The cluster's settings, changed as a whole: which of them a person named was worked out before.

use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::several;
use mainstay_protocol::{PlacementName, code, limits};
use mainstay_resource_graph::{Cluster, Key, Kind, Settings, Txn, Vertex, View, ViewExt};

use crate::event::SettingsChange;
use crate::lease;

/// In one text.
const PLACEMENTS_SAID: usize = 8;

/// As they are, also as this very entry has changed them.
pub fn now(txn: &Txn<'_>) -> Settings {
    txn.cluster()
        .map_or(Settings::LAN, |cluster| cluster.settings)
}

/// What was done, in words.
pub fn set(txn: &mut Txn<'_>, change: &SettingsChange) -> Result<String, Refusal> {
    let (Some(cluster), Some(record)) = (txn.cluster(), txn.record(&Key::Cluster)) else {
        return Err(Refusal::new(code::NOT_FOUND, "there is no cluster yet"));
    };
    // Asked for once more, it is as was asked.
    if cluster.settings == change.settings {
        return Ok("the settings are so already".to_owned());
    }
    if record.rev != change.based_on {
        return Err(Refusal::new(
            code::GENERATION_PAST,
            format!(
                "the settings were changed at revision {}, and this change is based on {}",
                record.rev, change.based_on
            ),
        ));
    }
    for (name, words) in [
        ("host.restart", &change.settings.host_restart),
        ("host.fence", &change.settings.host_fence),
    ] {
        runnable(name, words)?;
    }
    if change.settings.host_fence.is_empty() {
        let kept = fenced(txn);
        if !kept.is_empty() {
            let names = several(kept.iter().map(PlacementName::as_str), PLACEMENTS_SAID);
            let text = format!(
                "host.fence cannot be taken away: {names} would start nowhere else when a node is lost; take singleton.fenced from it first"
            );
            return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
        }
    }
    let cluster = Cluster {
        settings: change.settings.clone(),
        ..cluster
    };
    txn.put(Key::Cluster, Vertex::Cluster(cluster))
        .expect("a cluster has no transitions");
    Ok("the settings are changed".to_owned())
}

/// Singletons whose machines are to be switched off.
fn fenced(txn: &Txn<'_>) -> Vec<PlacementName> {
    let placements = txn.keys(Kind::Placement).into_iter();
    let fenced = placements.filter_map(|key| match key {
        Key::Placement(name) if lease::of(txn, &name)?.fenced => Some(name),
        _ => None,
    });
    fenced.collect()
}

/// A program by its whole path: agents look for none.
fn runnable(name: &str, words: &[String]) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    let bytes: usize = words.iter().map(String::len).sum();
    let (most, most_bytes) = (
        limits::HOST_COMMAND_WORDS_MAX,
        limits::HOST_COMMAND_BYTES_MAX,
    );
    if words.len() > most || bytes > most_bytes {
        return refused(format!(
            "{name} has {} words of {bytes} bytes together; at most {most} words and {most_bytes} bytes are kept: write a script, and its path here",
            words.len()
        ));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return refused(format!(
            "{name} has a zero byte in it, and no program takes one"
        ));
    }
    match words.first() {
        Some(program) if !program.starts_with('/') => refused(format!(
            "{name}: \"{program}\" is no whole path, and agents look for programs nowhere; write /usr/sbin/... or the like"
        )),
        Some(_) | None => Ok(()),
    }
}
