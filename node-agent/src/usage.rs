//! What instances use, measured when somebody asks: processes by one look at `/proc`, actors by what their task has done.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use mainstay_hold::processes::{self, Seen};
use mainstay_protocol::InstanceKey;
use mainstay_protocol::health::ProcessIdentity;
use mainstay_protocol::request::{OutsideUsage, Usage};
use mainstay_service::hosting::{Hosted, WorkDone};

/// Reads `/proc`: not for a thread that others wait for.
pub(crate) fn measure(hosted: &[Hosted]) -> BTreeMap<InstanceKey, Usage> {
    let roots: Vec<ProcessIdentity> = hosted.iter().filter_map(Hosted::root).collect();
    // Once for all of them, and not at all for actors alone.
    let (used, uptime) = match roots.is_empty() {
        true => (BTreeMap::new(), None),
        false => (below(&roots, &processes::all(), &Unit::here()), uptime()),
    };
    hosted
        .iter()
        .map(|one| {
            let identity = one.identity();
            let WorkDone { age, busy, served } = one.work_done();
            let process = one.processes().and_then(|all| all.first().cloned());
            let age = process
                .and_then(|process| age_of(process, uptime?))
                .unwrap_or(age);
            let outside = one.root().and_then(|root| used.get(&root.pid).copied());
            let usage = Usage {
                incarnation: identity.incarnation,
                age_ms: milliseconds(age),
                outside,
                busy_ms: milliseconds(busy),
                served,
            };
            (identity.instance.clone(), usage)
        })
        .collect()
}

/// In what the kernel counts.
struct Unit {
    ticks_per_second: u64,
    page_bytes: u64,
}

impl Unit {
    fn here() -> Self {
        Self {
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
        }
    }
}

/// What descends from each root, without the root itself: that is ours. What has ended is in its parent's account, so
/// in the end in the root's.
fn below(roots: &[ProcessIdentity], all: &[Seen], unit: &Unit) -> BTreeMap<u32, OutsideUsage> {
    let parents: BTreeMap<u32, u32> = all.iter().map(|seen| (seen.id.pid, seen.parent)).collect();
    let is_root = |seen: &Seen| {
        let found = roots.iter().find(|root| root.pid == seen.id.pid);
        found.is_some_and(|root| root.started == seen.id.started)
    };
    let roots: BTreeMap<u32, &Seen> = all
        .iter()
        .filter(|seen| is_root(seen))
        .map(|seen| (seen.id.pid, seen))
        .collect();
    let mut ticks: BTreeMap<u32, u64> = BTreeMap::new();
    let mut used: BTreeMap<u32, OutsideUsage> = BTreeMap::new();
    for (pid, root) in &roots {
        ticks.insert(*pid, root.reaped_cpu_ticks);
        used.insert(*pid, OutsideUsage::default());
    }
    for seen in all {
        let Some(root) = root_of(seen, &parents, &roots) else {
            continue;
        };
        *ticks.entry(root).or_default() += seen.cpu_ticks + seen.reaped_cpu_ticks;
        let of_root = used.entry(root).or_default();
        of_root.memory_bytes += seen.rss_pages * unit.page_bytes;
        of_root.processes += 1;
    }
    for (root, ticks) in ticks {
        if let Some(used) = used.get_mut(&root) {
            used.cpu_ms = ticks * 1000 / unit.ticks_per_second;
        }
    }
    used
}

/// The nearest one above it. The way up is no longer than there are processes: what was read while processes came and
/// went may have a circle in it.
fn root_of(seen: &Seen, parents: &BTreeMap<u32, u32>, roots: &BTreeMap<u32, &Seen>) -> Option<u32> {
    let mut above = seen.parent;
    for _ in 0..parents.len() {
        if roots.contains_key(&above) {
            return Some(above);
        }
        above = *parents.get(&above)?;
    }
    None
}

/// Since the machine was started.
fn uptime() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn age_of(process: ProcessIdentity, uptime: Duration) -> Option<Duration> {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let started = Duration::from_millis(process.started.checked_mul(1000)? / per_second);
    Some(uptime.saturating_sub(started))
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use mainstay_hold::ProcessId;

    use super::*;

    const UNIT: Unit = Unit {
        ticks_per_second: 100,
        page_bytes: 4096,
    };

    fn seen(pid: u32, parent: u32, ticks: u64, reaped: u64, pages: u64) -> Seen {
        Seen {
            id: ProcessId {
                pid,
                started: u64::from(pid) * 10,
            },
            state: 'S',
            parent,
            group: pid,
            session: pid,
            cpu_ticks: ticks,
            reaped_cpu_ticks: reaped,
            rss_pages: pages,
        }
    }

    fn root(pid: u32) -> ProcessIdentity {
        ProcessIdentity {
            pid,
            started: u64::from(pid) * 10,
        }
    }

    #[test]
    fn children_and_what_has_ended_count_and_the_hold_itself_does_not() {
        // proves: S7
        let all = [
            seen(1, 0, 1000, 1000, 1000),
            // Two holds, with what was left to them.
            seen(10, 1, 7, 3, 500),
            seen(20, 1, 9, 0, 500),
            seen(11, 10, 20, 5, 2),
            seen(12, 11, 1, 0, 3),
            seen(21, 20, 100, 0, 1),
            seen(30, 1, 1000, 0, 9),
        ];
        let used = below(&[root(10), root(20)], &all, &UNIT);
        assert_eq!(
            used[&10],
            OutsideUsage {
                cpu_ms: 290,
                memory_bytes: 5 * 4096,
                processes: 2
            }
        );
        assert_eq!((used[&20].cpu_ms, used[&20].processes), (1000, 1));
    }

    #[test]
    fn another_process_with_a_roots_number_is_not_measured_for_it() {
        let all = [seen(10, 1, 7, 3, 500), seen(11, 10, 20, 5, 2)];
        let earlier = ProcessIdentity {
            pid: 10,
            started: 99,
        };
        assert_eq!(below(&[earlier], &all, &UNIT), BTreeMap::new());
    }

    #[test]
    fn a_circle_of_parents_comes_to_an_end() {
        let all = [
            seen(10, 1, 0, 0, 0),
            seen(11, 12, 1, 0, 1),
            seen(12, 11, 1, 0, 1),
        ];
        let used = below(&[root(10)], &all, &UNIT);
        assert_eq!(used[&10].processes, 0);
    }
}
