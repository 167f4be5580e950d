//! What a wish alone can be wrong about, whatever the graph has: told of files before anything is asked for, and once more by
//! `record`.

use mainstay_protocol::code;
use mainstay_protocol::limits;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::room::Room;
use mainstay_resource_graph::{Count, Escalate, Strategy, Target};

use crate::event::PlacementWish;
use crate::guarding;

/// One thing that is wrong with a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The field, from the top: `policy.window`.
    pub path: &'static str,
    pub why: String,
}

impl Unfit {
    fn new(path: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { path, why }
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::new(code::BAD_REQUEST, format!("{}: {}", unfit.path, unfit.why))
    }
}

/// All that is wrong with it.
pub fn all(asked: &PlacementWish) -> Vec<Unfit> {
    let counted = asked.target.count().map_or(Ok(()), count);
    let mut found: Vec<Unfit> = counted.err().into_iter().collect();
    policy(asked, &mut found);
    needs(asked, &mut found);
    if asked.update.strategy == (Strategy::Rolling { at_once: 0 }) {
        found.push(Unfit::new("update.at_once", "write 1 or more"));
    }
    let (depends, most) = (asked.depends_on.len(), limits::DEPENDENCIES_MAX);
    if depends > most {
        let why = format!("{depends} are more than {most}");
        found.push(Unfit::new("depends_on", why));
    }
    found.extend(minimum(&asked.target, asked.minimum).err());
    found
}

pub fn count(count: &Count) -> Result<(), Unfit> {
    let (wanted, max) = (count.count, limits::PLACEMENT_COUNT_MAX);
    if wanted <= max {
        return Ok(());
    }
    let why = format!("{wanted} are wanted; at most {max} may be");
    Err(Unfit::new("target.count", why))
}

/// A minimum leaves one that may be down: else nobody could update it, nor empty a node.
pub fn minimum(target: &Target, minimum: u32) -> Result<(), Unfit> {
    let wanted = match target {
        Target::Nodes(nodes) => nodes.len(),
        Target::Count(count) => count.count as usize,
        Target::All(_) => usize::MAX,
    };
    if minimum == 0 || (minimum as usize) < wanted {
        return Ok(());
    }
    let why = format!(
        "{minimum} of {wanted} leaves none that may be down while it is updated, or its node emptied; write less, or want more"
    );
    Err(Unfit::new("minimum", why))
}

fn policy(asked: &PlacementWish, found: &mut Vec<Unfit>) {
    let policy = &asked.policy;
    let most = limits::ATTEMPTS_KEPT_MAX as u32;
    let is_counted = |attempts: u32| (1..=most).contains(&attempts);
    if policy
        .attempts
        .is_some_and(|attempts| !is_counted(attempts))
    {
        found.push(Unfit::new("policy.attempts", format!("write 1 to {most}")));
    }
    if policy.window_ms == Some(0) {
        let why = "a window of no time counts nothing";
        found.push(Unfit::new("policy.window", why));
    }
    if policy.backoff_max_ms == Some(0) {
        let why = "restarts without a wait would never end";
        found.push(Unfit::new("policy.backoff.max", why));
    }
    if policy.escalate == Escalate::Move && asked.target.count().is_none() {
        let why = "move is for placements of so many; write target: {count: 3}, or quarantine";
        found.push(Unfit::new("policy.escalate", why));
    }
    let (watchers, most) = (policy.watched_from as usize, guarding::GUARDS_EACH);
    if watchers > most {
        let why = format!(
            "{watchers} is more than {most}: an instance is watched by those that guard its node, and {most} do; write 0 to {most}"
        );
        found.push(Unfit::new("policy.watched_from", why));
    }
}

fn needs(asked: &PlacementWish, found: &mut Vec<Unfit>) {
    let needs = &asked.needs;
    let count = asked.target.count();
    let most = Room {
        millicores: limits::MILLICORES_MAX,
        memory_bytes: limits::ROOM_BYTES_MAX,
        disk_bytes: limits::ROOM_BYTES_MAX,
    };
    let least = count.map_or(Room::NONE, |count| count.least);
    for (path, room) in [("needs", needs.room), ("target.constraints", least)] {
        if !room.fits_into(most) {
            found.push(Unfit::new(path, format!("{room} is more than {most}")));
        }
    }
    if needs.ports.contains(&0) {
        let why = "0 is no port; write one from 1 to 65535";
        found.push(Unfit::new("needs.ports", why));
    }
    let (ports, most) = (needs.ports.len(), limits::PORTS_MAX);
    if ports > most {
        let why = format!("{ports} are more than {most}");
        found.push(Unfit::new("needs.ports", why));
    }
    let others = count.map_or(0, |count| count.affinity.len() + count.anti_affinity.len());
    let most = limits::AFFINITIES_MAX;
    if others > most {
        let why = format!("affinity and anti_affinity name {others} placements, more than {most}");
        found.push(Unfit::new("target", why));
    }
}
