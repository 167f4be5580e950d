//! Processes as `/proc` shows them: who is whose child, who carries a slot's mark, who is still the same.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::SLOT_VARIABLE;
use crate::fields::BadFields;

/// A process, by what the kernel never gives twice in one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    pub pid: u32,
    /// Clock ticks since boot.
    pub started: u64,
}

/// One process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub id: ProcessId,
    /// `R`, `S`, `D`, `T` (stopped), `Z` ..
    pub state: char,
    pub parent: u32,
    pub group: u32,
    pub session: u32,
    /// Its own and that of its reaped children, user and system.
    pub cpu_ticks: u64,
    pub reaped_cpu_ticks: u64,
    pub rss_pages: u64,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid, self.started)
    }
}

impl FromStr for ProcessId {
    type Err = BadFields;
    fn from_str(text: &str) -> Result<Self, BadFields> {
        let bad = || BadFields(format!("\"{text}\" is no process: pid:start is one"));
        let (pid, started) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self {
            pid: pid.parse().map_err(|_| bad())?,
            started: started.parse().map_err(|_| bad())?,
        })
    }
}

/// The kernel's name for this boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// What is there under this pid now.
pub fn look(pid: u32) -> Option<Seen> {
    // In one read: a file of /proc read in two may be of two moments.
    let mut bytes = [0; 1024];
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let count = file.read(&mut bytes).ok()?;
    parse(pid, &String::from_utf8_lossy(&bytes[..count]))
}

/// The name in parentheses may hold anything; what follows the last of them are numbers.
fn parse(pid: u32, stat: &str) -> Option<Seen> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let small = |at: usize| u32::try_from(number(at)?).ok();
    Some(Seen {
        id: ProcessId {
            pid,
            started: number(19)?,
        },
        state: fields.first()?.chars().next()?,
        parent: small(1)?,
        group: small(2)?,
        session: small(3)?,
        cpu_ticks: number(11)? + number(12)?,
        reaped_cpu_ticks: number(13)? + number(14)?,
        rss_pages: number(21)?,
    })
}

/// Every process that can be seen; some may be gone by now.
pub fn all() -> Vec<Seen> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(look)
        .collect()
}

/// Those that descend from a process, without it.
pub fn descendants(of: u32) -> Vec<Seen> {
    let mut rest = all();
    let mut parents = vec![of];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        rest.retain(|seen| {
            let child = seen.parent == parent;
            if child {
                parents.push(seen.id.pid);
                found.push(*seen);
            }
            !child
        });
    }
    found
}

/// Whether it is there, the same, and not a mere zombie.
pub fn lives(id: ProcessId) -> bool {
    look(id.pid).is_some_and(|seen| seen.id == id && seen.state != 'Z')
}

/// A descriptor of this process and of no other that has its pid by now; readable once it has ended. None: it is gone, or there
/// is no descriptor for it.
pub fn handle(id: ProcessId) -> Option<OwnedFd> {
    let pid = i32::try_from(id.pid).ok().and_then(Pid::from_raw)?;
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // The descriptor is of whoever has the pid; if that is the one we mean, it cannot change any more.
    let same = look(id.pid).is_some_and(|seen| seen.id == id);
    same.then_some(handle)
}

/// False: it is gone.
pub fn signal(id: ProcessId, signal: Signal) -> bool {
    handle(id).is_some_and(|process| pidfd_send_signal(process, signal).is_ok())
}

/// What still belongs to a slot whose hold is gone: marked by its environment, or in the hold's session.
pub fn left_behind(slot: &Path, hold: Option<ProcessId>) -> Vec<ProcessId> {
    let mark = mark(SLOT_VARIABLE, slot);
    let session = hold.filter(|hold| {
        // Another process that has the hold's pid by now leads a session of its own.
        look(hold.pid).is_none_or(|now| now.id == *hold)
    });
    all()
        .into_iter()
        .filter(|seen| seen.state != 'Z')
        .filter(|seen| {
            let in_session = session
                .is_some_and(|hold| seen.session == hold.pid && seen.id.started >= hold.started);
            in_session || is_marked(seen.id.pid, mark.as_bytes())
        })
        .map(|seen| seen.id)
        .collect()
}

/// What has this variable with this path in its environment.
pub fn marked(variable: &str, path: &Path) -> Vec<ProcessId> {
    let mark = mark(variable, path);
    all()
        .into_iter()
        .filter(|seen| seen.state != 'Z' && is_marked(seen.id.pid, mark.as_bytes()))
        .map(|seen| seen.id)
        .collect()
}

fn mark(variable: &str, path: &Path) -> String {
    format!("{variable}={}", path.display())
}

/// Kills it all and waits until nothing is left of it. What is still there when the time is over is returned.
pub fn clear(slot: &Path, hold: Option<ProcessId>, within: Duration) -> Vec<ProcessId> {
    let began = Instant::now();
    loop {
        let left = left_behind(slot, hold);
        if left.is_empty() || began.elapsed() > within {
            return left;
        }
        for id in left {
            signal(id, Signal::KILL);
        }
        sleep(Duration::from_millis(5));
    }
}

/// Whether its environment has this variable with this value.
pub fn is_marked(pid: u32, mark: &[u8]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_whose_name_looks_like_numbers_is_read_right() {
        let rest = "S 3 4 5 0 -1 6 0 0 0 0 10 20 30 40 20 0 1 0 777 4096 12 18446744073709551615 1";
        let seen = parse(9, &format!("9 (a) S 1 2) {rest}\n")).unwrap();
        assert_eq!(
            seen.id,
            ProcessId {
                pid: 9,
                started: 777
            }
        );
        assert_eq!((seen.parent, seen.group, seen.session), (3, 4, 5));
        assert_eq!((seen.cpu_ticks, seen.reaped_cpu_ticks), (30, 70));
        assert_eq!((seen.state, seen.rss_pages), ('S', 12));
    }

    #[test]
    fn what_carries_a_slots_mark_is_found_and_cleared_and_nothing_else() {
        let start = |mark: &str| {
            let mut command = Command::new("sleep");
            command.arg("1000").env(SLOT_VARIABLE, mark);
            command.spawn().unwrap()
        };
        let slot = format!("/slots/test-{}", std::process::id());
        let (mut ours, mut other) = (start(&slot), start(&format!("{slot}0")));
        let slot = Path::new(&slot);
        // A process has its environment a moment after its program is there.
        let found = loop {
            let found = left_behind(slot, None);
            if !found.is_empty() {
                break found;
            }
            std::thread::yield_now();
        };
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid, ours.id());
        assert_eq!(clear(slot, None, Duration::from_secs(10)), []);
        ours.wait().unwrap();
        assert!(lives(look(other.id()).unwrap().id));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_signal_reaches_only_the_process_that_was_meant() {
        let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
        let id = look(sleeper.id()).unwrap().id;
        let namesake = ProcessId {
            started: id.started + 1,
            ..id
        };
        assert!(!signal(namesake, Signal::KILL) && !lives(namesake));
        assert!(lives(id) && signal(id, Signal::KILL));
        sleeper.wait().unwrap();
        assert!(!lives(id));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
