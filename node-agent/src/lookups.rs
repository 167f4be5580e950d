//! What this node follows of the graph: what its instances and programs look up, kept up to date by the station that
//! leads, and served while none is heard, with its age.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::NodeName;
use mainstay_protocol::code;
use mainstay_protocol::limits;
use mainstay_protocol::lookup::{Follows, Found, Sought};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::AgentMessage;
use mainstay_service::Watch;
use mainstay_service::hosting::{Answered, Heard};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};

const KEPT: Duration = Duration::from_millis(limits::LOOKUP_KEPT_MS);

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookups(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    followed: Mutex<BTreeMap<Sought, Followed>>,
    /// What is followed may be something else than the station was told.
    changed: Notify,
}

#[derive(Debug)]
struct Followed {
    known: watch::Sender<Option<Answered>>,
    asked: Instant,
}

impl Followed {
    fn is_watched(&self) -> bool {
        self.known.receiver_count() > 0
    }
}

impl Lookups {
    pub(crate) fn follow(&self, sought: Sought) -> Result<Watch, Refusal> {
        let mut followed = self.followed();
        if !followed.contains_key(&sought) {
            make_room(&mut followed)?;
            self.0.changed.notify_one();
        }
        let one = followed.entry(sought.clone()).or_insert_with(|| Followed {
            known: watch::Sender::new(None),
            asked: Instant::now(),
        });
        one.asked = Instant::now();
        Ok(Watch::new(sought, one.known.subscribe()))
    }

    /// Where the agent of a node can be called, as it was told last.
    pub(crate) fn address_of(&self, node: &NodeName) -> Option<String> {
        let followed = self.followed();
        let known = followed.values().find_map(|one| {
            let answered = one.known.borrow();
            let there = answered.iter().flat_map(|it| &it.found.instances);
            let mut there = there.filter(|found| found.instance.node == *node);
            there.next().map(|found| found.address.clone())
        });
        known.filter(|address| !address.is_empty())
    }

    /// From the station that was heard then. What is as it was wakes nobody.
    pub(crate) fn told(&self, found: Found, heard: &Heard) {
        if let Some(one) = self.followed().get(&found.sought) {
            one.known.send_if_modified(|known| {
                let same = known.as_ref().is_some_and(|known| known.found == found);
                *known = Some(Answered {
                    found,
                    heard: heard.clone(),
                });
                !same
            });
        }
    }

    /// Tells the station of one session what is followed, now and whenever that changes; for as long as the session lives.
    pub(crate) async fn keep_told(&self, session: mpsc::Sender<AgentMessage>) {
        let mut told = BTreeSet::new();
        loop {
            let sought = self.wanted(Instant::now());
            if sought != told {
                let follows = Follows {
                    sought: sought.clone(),
                };
                // Without the session there is nobody to be told, and whoever waits for this ends it.
                let _ = session.send(AgentMessage::Follows(follows)).await;
                told = sought;
            }
            tokio::select! {
                () = self.0.changed.notified() => {}
                () = sleep(KEPT) => {}
            }
        }
    }

    /// Those that somebody watches, or asked for lately; the others are forgotten.
    fn wanted(&self, now: Instant) -> BTreeSet<Sought> {
        let mut followed = self.followed();
        followed.retain(|_, one| one.is_watched() || now.duration_since(one.asked) < KEPT);
        followed.keys().cloned().collect()
    }

    fn followed(&self) -> MutexGuard<'_, BTreeMap<Sought, Followed>> {
        // Every write under the lock is one insertion or removal.
        self.0
            .followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of those that nobody watches, the one that was asked for longest ago gives way.
fn make_room(followed: &mut BTreeMap<Sought, Followed>) -> Result<(), Refusal> {
    if followed.len() < limits::LOOKUPS_FOLLOWED_MAX {
        return Ok(());
    }
    let unwatched = followed.iter().filter(|(_, one)| !one.is_watched());
    let oldest = unwatched.min_by_key(|(_, one)| one.asked);
    let Some(oldest) = oldest.map(|(sought, _)| sought.clone()) else {
        let most = limits::LOOKUPS_FOLLOWED_MAX;
        let text = format!("{most} things are watched on this node, and no more can be");
        return Err(Refusal::new(code::OVERLOADED, text));
    };
    followed.remove(&oldest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn sought(number: usize) -> Sought {
        format!("web-{number}").parse().unwrap()
    }

    fn found(number: usize, left_out: u64) -> Found {
        Found {
            sought: sought(number),
            instances: Vec::new(),
            left_out,
        }
    }

    async fn next(session: &mut mpsc::Receiver<AgentMessage>) -> BTreeSet<Sought> {
        match session.recv().await {
            Some(AgentMessage::Follows(follows)) => follows.sought,
            other => panic!("{other:?}"),
        }
    }

    // proves: S14
    #[tokio::test]
    async fn what_was_told_once_is_served_without_a_station_and_asked_for_anew_of_the_next() {
        let lookups = Lookups::default();
        let mut watch = lookups.follow(sought(1)).unwrap();
        let unknown = watch.now(Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(unknown.code, code::NO_SERVER);
        for life in 1..=2 {
            let (session, mut said) = mpsc::channel(1);
            let telling = lookups.clone();
            let telling = tokio::spawn(async move { telling.keep_told(session).await });
            assert_eq!(next(&mut said).await, [sought(1)].into());
            lookups.told(found(1, life), &Heard::default());
            assert_eq!(watch.changed().await.unwrap().left_out, life);
            telling.abort();
        }
        let mut again = lookups.follow(sought(1)).unwrap();
        assert_eq!(again.now(SOON).await.unwrap().left_out, 2);
    }

    // proves: S14
    #[tokio::test]
    async fn what_is_watched_keeps_its_place_and_what_was_looked_up_gives_way() {
        let lookups = Lookups::default();
        let most = limits::LOOKUPS_FOLLOWED_MAX;
        let mut watched: Vec<Watch> = (0..most - 1)
            .map(|number| lookups.follow(sought(number)).unwrap())
            .collect();
        drop(lookups.follow(sought(most)).unwrap());
        watched.push(lookups.follow(sought(most + 1)).unwrap());
        let wanted = lookups.wanted(Instant::now());
        assert_eq!(wanted.len(), most);
        assert!(!wanted.contains(&sought(most)));
        let refused = lookups.follow(sought(most + 2)).unwrap_err();
        assert_eq!(refused.code, code::OVERLOADED);
        // Another one of the same takes no place.
        lookups.follow(sought(0)).unwrap();
    }

    // proves: S14
    #[test]
    fn what_nobody_asked_for_in_a_while_is_followed_no_more() {
        let lookups = Lookups::default();
        let watched = lookups.follow(sought(1)).unwrap();
        drop(lookups.follow(sought(2)).unwrap());
        let now = Instant::now();
        assert_eq!(lookups.wanted(now), [sought(1), sought(2)].into());
        let later = now + KEPT;
        assert_eq!(lookups.wanted(later), [sought(1)].into());
        drop(watched);
        assert_eq!(lookups.wanted(later), BTreeSet::new());
    }
}
