//! Several stations as one group, over connections in memory that can be cut: growing, losing the leader, catching up by a
//! snapshot, a minority that decides nothing.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::BoxFuture;
use mainstay_coordinator::log::{Log, LogEvent};
use mainstay_protocol::{Revision, StationId, Term};
use mainstay_resource_graph::{Graph, View};
use mainstay_store::{
    LogHandle, MemberChange, NotChanged, Opened, PeerStream, Reach, Store, StoreConfig,
};
use support::{cluster, wait_until, watermark_entry};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What there is in memory of one cable plan: who is up, and between whom nothing passes.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    up: BTreeMap<StationId, Arc<Store>>,
    cut: BTreeSet<StationId>,
    /// The connections there are now.
    open: Vec<(StationId, StationId)>,
}

struct From {
    station: StationId,
    wires: Wires,
    runtime: tokio::runtime::Handle,
}

impl Reach for From {
    fn connect(
        &self,
        station: StationId,
        _address: &str,
    ) -> BoxFuture<'static, io::Result<Box<dyn PeerStream>>> {
        let plan = self.wires.0.lock().unwrap();
        let isolated = plan.cut.contains(&self.station) || plan.cut.contains(&station);
        let there = plan.up.get(&station).cloned().filter(|_| !isolated);
        let (wires, from, runtime) = (self.wires.clone(), self.station, self.runtime.clone());
        Box::pin(async move {
            let there = there.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let serving = there.serve_peer(from, Box::new(theirs));
            drop(there);
            wires.0.lock().unwrap().open.push((from, station));
            runtime.spawn(async move {
                // A cut takes away what is open, too.
                tokio::select! {
                    _ = serving => {}
                    () = wires.until_cut(from, station) => {}
                }
                let mut plan = wires.0.lock().unwrap();
                let ended = plan.open.iter().position(|one| *one == (from, station));
                plan.open.remove(ended.unwrap());
            });
            Ok(Box::new(ours) as Box<dyn PeerStream>)
        })
    }
}

impl Wires {
    async fn until_cut(&self, one: StationId, other: StationId) {
        loop {
            {
                let plan = self.0.lock().unwrap();
                let gone = |id: &StationId| plan.cut.contains(id) || !plan.up.contains_key(id);
                if gone(&one) || gone(&other) {
                    return;
                }
            }
            // tidy: waits because the plan tells nobody
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// One station, with what follows its log.
struct Member {
    store: Arc<Store>,
    log: LogHandle,
    seen: Arc<Mutex<Seen>>,
    follower: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    graph: Graph,
    leading: Option<Term>,
    lost: u64,
    replaced: u64,
}

struct Group {
    dirs: BTreeMap<u64, TempDir>,
    wires: Wires,
    members: BTreeMap<u64, Member>,
    runtime: Runtime,
    snapshot_entries: u64,
}

impl Group {
    fn new(snapshot_entries: u64) -> Self {
        let mut group = Self {
            dirs: BTreeMap::new(),
            wires: Wires::default(),
            members: BTreeMap::new(),
            runtime: Runtime::new().unwrap(),
            snapshot_entries,
        };
        group.up(1);
        group.until_led();
        group
    }

    fn up(&mut self, number: u64) {
        let dir = self
            .dirs
            .entry(number)
            .or_insert_with(|| TempDir::new().unwrap());
        let station = StationId(number);
        let mut config = StoreConfig::new(dir.path(), cluster(1), station);
        config.address = format!("memory:{number}");
        config.founds = number == 1;
        config.snapshot_entries = self.snapshot_entries;
        let reach = From {
            station,
            wires: self.wires.clone(),
            runtime: self.runtime.handle().clone(),
        };
        let (store, opened) = Store::open_in_group(config, Arc::new(reach)).unwrap();
        let Opened {
            graph,
            log,
            mut events,
            ..
        } = opened;
        let seen = Arc::new(Mutex::new(Seen {
            graph,
            ..Seen::default()
        }));
        let following = Arc::clone(&seen);
        let follower = std::thread::spawn(move || {
            while let Some(event) = events.blocking_recv() {
                let mut seen = following.lock().unwrap();
                match event {
                    LogEvent::Leading(term) => seen.leading = Some(term),
                    LogEvent::Following => seen.leading = None,
                    LogEvent::Committed(entry) => drop(seen.graph.apply(&entry.delta)),
                    LogEvent::Lost(_) => seen.lost += 1,
                    LogEvent::Replaced { graph, .. } => {
                        seen.graph = *graph;
                        seen.replaced += 1;
                    }
                }
            }
        });
        let store = Arc::new(store);
        self.wires
            .0
            .lock()
            .unwrap()
            .up
            .insert(station, Arc::clone(&store));
        let member = Member {
            store,
            log,
            seen,
            follower: Some(follower),
        };
        self.members.insert(number, member);
    }

    fn down(&mut self, number: u64) {
        self.wires.0.lock().unwrap().up.remove(&StationId(number));
        let mut member = self.members.remove(&number).unwrap();
        member.store.shutdown();
        drop(member.log);
        drop(member.store);
        member.follower.take().unwrap().join().unwrap();
    }

    fn cut(&self, number: u64) {
        let station = StationId(number);
        self.wires.0.lock().unwrap().cut.insert(station);
        wait_until("nothing passes any more", || {
            let plan = self.wires.0.lock().unwrap();
            !plan
                .open
                .iter()
                .any(|(from, to)| *from == station || *to == station)
        });
    }

    fn heal(&self) {
        self.wires.0.lock().unwrap().cut.clear();
    }

    fn leader_among(&self, numbers: &[u64]) -> Option<u64> {
        let leads = |number: &&u64| {
            let member = self.members.get(number);
            member.is_some_and(|member| member.seen.lock().unwrap().leading.is_some())
        };
        numbers.iter().find(leads).copied()
    }

    fn until_led(&self) -> u64 {
        let all: Vec<u64> = self.members.keys().copied().collect();
        self.until_led_among(&all)
    }

    fn until_led_among(&self, numbers: &[u64]) -> u64 {
        wait_until("a leader", || self.leader_among(numbers).is_some());
        self.leader_among(numbers).unwrap()
    }

    fn change(&self, at: u64, change: MemberChange) -> Result<(), NotChanged> {
        let store = &self.members[&at].store;
        self.runtime.block_on(store.change_members(change))
    }

    fn add(&mut self, number: u64) {
        self.up(number);
        let leader = self.until_led();
        let learn = MemberChange::Learn {
            station: StationId(number),
            address: format!("memory:{number}"),
        };
        self.change(leader, learn).unwrap();
        self.change(leader, MemberChange::Promote(StationId(number)))
            .unwrap();
    }

    /// One change, made at this station and waited for there.
    fn write(&mut self, at: u64, watermark: u64) {
        let (entry, before) = self.proposal(at, watermark);
        let member = self.members.get_mut(&at).unwrap();
        member.log.propose(entry);
        let seen = Arc::clone(&member.seen);
        wait_until("the change", || {
            seen.lock().unwrap().graph.revision() > before
        });
    }

    fn proposal(&self, at: u64, watermark: u64) -> (mainstay_coordinator::entry::Entry, Revision) {
        let seen = self.members[&at].seen.lock().unwrap();
        let entry = watermark_entry(&seen.graph, seen.leading.unwrap_or_default(), 1, watermark);
        (entry, seen.graph.revision())
    }

    fn watermark(&self, at: u64) -> Option<u64> {
        let seen = self.members[&at].seen.lock().unwrap();
        support::watermark(&seen.graph, 1)
    }

    fn until_all_have(&self, watermark: u64) {
        for number in self.members.keys() {
            wait_until(&format!("{watermark} at {number}"), || {
                self.watermark(*number) == Some(watermark)
            });
        }
        let states: Vec<_> = self
            .members
            .values()
            .map(|member| member.store.view().graph().unwrap().snapshot())
            .collect();
        assert!(
            states.windows(2).all(|two| two[0] == two[1]),
            "the same everywhere"
        );
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for number in self.members.keys().copied().collect::<Vec<_>>() {
            self.down(number);
        }
    }
}

// proves: S17
#[test]
fn a_group_grows_from_one_to_three_and_loses_its_leader_without_losing_a_change() {
    let mut group = Group::new(1_000);
    group.write(1, 1);
    group.add(2);
    group.add(3);
    let leader = group.until_led();
    group.write(leader, 2);
    group.until_all_have(2);
    let status = group.members[&leader].store.status();
    assert_eq!(status.voters.len(), 3, "{status:?}");
    assert_eq!(status.addresses[&StationId(2)], "memory:2");
    let term = group.members[&leader].seen.lock().unwrap().leading.unwrap();

    group.down(leader);
    let next = group.until_led();
    let began = group.members[&next].seen.lock().unwrap().leading.unwrap();
    assert!(began > term, "{began:?} after {term:?}");
    assert_eq!(
        group.watermark(next),
        Some(2),
        "what was acknowledged is there"
    );
    group.write(next, 3);
    group.up(leader);
    group.until_all_have(3);
}

// proves: S17
#[test]
fn a_minority_decides_nothing_and_takes_over_what_the_others_decided() {
    let mut group = Group::new(1_000);
    group.add(2);
    group.add(3);
    let old = group.until_led();
    group.write(old, 1);
    group.until_all_have(1);
    let others: Vec<u64> = [1, 2, 3]
        .into_iter()
        .filter(|number| *number != old)
        .collect();
    group.cut(old);
    let (entry, _) = group.proposal(old, 666);
    group.members.get_mut(&old).unwrap().log.propose(entry);
    let new = group.until_led_among(&others);
    group.write(new, 2);
    assert_ne!(group.watermark(old), Some(666), "nobody else has it");
    let barrier = group.members[&old].store.barrier();
    let barrier = group
        .runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(3), barrier).await });
    assert!(!matches!(barrier, Ok(Ok(()))), "{barrier:?}");
    group.heal();
    group.until_all_have(2);
    wait_until("it is told that its proposal is lost", || {
        let seen = group.members[&old].seen.lock().unwrap();
        seen.lost > 0 && seen.leading.is_none()
    });
}

// proves: S17
#[test]
fn one_that_was_away_for_longer_than_the_log_is_given_a_snapshot() {
    let mut group = Group::new(32);
    group.add(2);
    group.add(3);
    let leader = group.until_led();
    let away = [1, 2, 3]
        .into_iter()
        .find(|number| *number != leader)
        .unwrap();
    group.write(leader, 1);
    group.until_all_have(1);
    group.down(away);
    for watermark in 2..200 {
        group.write(leader, watermark);
    }
    wait_until("the log is cut", || {
        let status = group.members[&leader].store.status();
        status.purged.is_some_and(|purged| purged > 64)
    });
    group.up(away);
    group.until_all_have(199);
    assert!(group.members[&away].seen.lock().unwrap().replaced > 0);
    group.write(leader, 200);
    group.until_all_have(200);
}

// proves: S17
#[test]
fn leadership_is_handed_over_and_a_station_leaves() {
    let mut group = Group::new(1_000);
    group.add(2);
    group.add(3);
    let leader = group.until_led();
    let heir = [1, 2, 3]
        .into_iter()
        .find(|number| *number != leader)
        .unwrap();
    group.write(leader, 1);
    group.until_all_have(1);
    group
        .change(leader, MemberChange::Lead(StationId(heir)))
        .unwrap();
    wait_until("the heir leads", || group.leader_among(&[heir]).is_some());
    let refused = group.change(leader, MemberChange::Remove(StationId(heir)));
    assert_eq!(
        refused,
        Err(NotChanged::NotLeading {
            leader: Some(StationId(heir))
        })
    );
    group
        .change(heir, MemberChange::Remove(StationId(leader)))
        .unwrap();
    group.down(leader);
    let status = group.members[&heir].store.status();
    assert_eq!(status.voters.len(), 2, "{status:?}");
    group.write(heir, 2);
    group.until_all_have(2);
}
