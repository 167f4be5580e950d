//! What the agent of one session follows in the graph, and what it was told of that: it is told at once, and again when
//! what it would be told is something else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_coordinator::Entry;
use mainstay_coordinator::lookup;
use mainstay_protocol::lookup::{Follows, Sought};
use mainstay_protocol::session::StationMessage;
use mainstay_protocol::{NodeName, PlacementName, codec, limits, revision};
use mainstay_resource_graph::{Change, Key, Placement, View, ViewExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Link;
use crate::shared::Shared;

const EVERY: Duration = Duration::from_millis(limits::FOUND_EVERY_MS);

#[derive(Debug, Default)]
pub struct Following {
    sought: Mutex<BTreeMap<Sought, Told>>,
    due: Notify,
}

#[derive(Debug, Default)]
struct Told {
    /// A hash of it; none before the first word.
    last: Option<u64>,
    /// Nothing it depends on has changed since it was looked at.
    settled: bool,
}

impl Following {
    fn sought(&self) -> MutexGuard<'_, BTreeMap<Sought, Told>> {
        self.sought.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is followed already is not told again. An error ends the session.
    pub fn follow(&self, follows: Follows) -> Result<(), String> {
        if follows.sought.len() > limits::LOOKUPS_FOLLOWED_MAX {
            return Err("it follows more than an agent may".to_owned());
        }
        let mut known = self.sought();
        known.retain(|sought, _| follows.sought.contains(sought));
        for sought in follows.sought {
            known.entry(sought).or_default();
        }
        drop(known);
        self.due.notify_one();
        Ok(())
    }

    /// Returns when there is something to be looked at, and not too soon after the last time.
    pub async fn due(&self, last: Instant) {
        while self.sought().values().all(|told| told.settled) {
            self.due.notified().await;
        }
        sleep_until(last + EVERY).await;
    }

    /// Tells what has changed. What finds no room in the queue is looked at again.
    pub fn tell(&self, shared: &Shared, link: &Link) {
        // Before the view is taken: what is committed behind it is marked behind this, and looked at again.
        let due = self.take_due();
        let view = shared.store.view();
        for sought in due {
            // Not under the lock: it reads the store, and whoever commits asks who follows.
            let found = lookup::found(&view, &link.node, &sought);
            let hash = revision::hash(revision::SEED, &codec::encode(&found));
            let mut known = self.sought();
            let Some(told) = known.get_mut(&sought) else {
                continue;
            };
            if told.last == Some(hash) {
                continue;
            }
            match link.send_if_room(StationMessage::Found(found)) {
                true => told.last = Some(hash),
                false => told.settled = false,
            }
        }
    }

    fn take_due(&self) -> Vec<Sought> {
        let mut known = self.sought();
        let due = known.iter_mut().filter(|(_, told)| !told.settled);
        let due = due.map(|(sought, told)| {
            told.settled = true;
            sought.clone()
        });
        due.collect()
    }

    pub fn is_empty(&self) -> bool {
        self.sought().is_empty()
    }

    fn changed(&self, placements: &BTreeMap<PlacementName, Option<Placement>>) {
        let mut any = false;
        for (sought, told) in self.sought().iter_mut() {
            let concerns = |(name, now): (&PlacementName, &Option<Placement>)| {
                lookup::concerns(sought, name, now.as_ref())
            };
            if placements.iter().any(concerns) {
                told.settled = false;
                any = true;
            }
        }
        if any {
            self.due.notify_one();
        }
    }
}

/// An entry was committed: who follows what it changed is to be told.
pub fn applied(entry: &Entry, view: &dyn View, followers: &[Arc<Link>]) {
    let placements = touched(entry, view);
    if placements.is_empty() {
        return;
    }
    for link in followers {
        link.following.changed(&placements);
    }
}

/// Placements of which something that is told may have changed, as they are now.
fn touched(entry: &Entry, view: &dyn View) -> BTreeMap<PlacementName, Option<Placement>> {
    let mut names = BTreeSet::new();
    let mut nodes: BTreeSet<&NodeName> = BTreeSet::new();
    for change in &entry.delta.changes {
        let key = match change {
            Change::Put(record) => &record.key,
            Change::Remove(key) => key,
            Change::Link(_) | Change::Unlink { .. } => continue,
        };
        match key {
            Key::Instance(instance) => drop(names.insert(instance.placement.clone())),
            Key::Placement(placement) => drop(names.insert(placement.clone())),
            // Its agent may be called somewhere else.
            Key::Node(node) => drop(nodes.insert(node)),
            _ => {}
        }
    }
    for node in nodes {
        let instances = view.instances_on(node).into_iter();
        names.extend(instances.map(|instance| instance.placement));
    }
    let now = |name: PlacementName| {
        let placement = view.placement(&name);
        (name, placement)
    };
    names.into_iter().map(now).collect()
}
