//! Control groups for what runs on the machine itself: of both versions of the kernel's interface, wherever this agent
//! may make some.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_hold::processes;
use rustix::fs::{Access, access};
use rustix::process::Signal;
use tokio::time::sleep;

const ROOT: &str = "/sys/fs/cgroup";
/// The kernel's own.
const PERIOD_US: u64 = 100_000;
/// It takes no less.
const QUOTA_US_MIN: u64 = 1_000;
/// The kernel may take a moment to let go of the last process.
const REMOVE_TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Memory,
    Cpu,
}

/// Where groups may be made, the likeliest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    memory: Vec<PathBuf>,
    cpu: Vec<PathBuf>,
}

/// Those that were made for one attempt.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<PathBuf>,
    memory: Option<PathBuf>,
    kills_before: u64,
}

impl Controller {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }
}

impl Places {
    /// Below the one that the agent was given to divide, if it was, and below its own.
    pub(super) fn of_agent(given: Option<&Path>) -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let places = |controller| {
            let given = given.into_iter().map(Path::to_owned);
            given
                .chain(own(&groups, Path::new(ROOT), controller))
                .collect()
        };
        Self {
            memory: places(Controller::Memory),
            cpu: places(Controller::Cpu),
        }
    }

    /// What an agent that was killed has left.
    pub(super) fn sweep(&self, prefix: &str) {
        for place in self.memory.iter().chain(&self.cpu) {
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(prefix) {
                    kill(&entry.path());
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }

    fn of(&self, controller: Controller) -> &[PathBuf] {
        match controller {
            Controller::Memory => &self.memory,
            Controller::Cpu => &self.cpu,
        }
    }
}

/// The agent's own group, as `/proc/self/cgroup` names it.
fn own(groups: &str, root: &Path, controller: Controller) -> Option<PathBuf> {
    let mut lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    let has = |controllers: &str| controllers.split(',').any(|one| one == controller.name());
    let (controllers, path) = lines
        .clone()
        .find(|(controllers, _)| has(controllers))
        .or_else(|| lines.find(|(controllers, _)| controllers.is_empty()))?;
    let mount = root.join(controllers);
    let own = mount.join(path.trim_start_matches('/'));
    // Seen from within a container, its path may lead nowhere.
    Some(if own.is_dir() { own } else { mount })
}

impl Groups {
    /// How it is bounded; none: no group can be made that does.
    pub(super) fn bound_memory(
        &mut self,
        places: &Places,
        name: &str,
        bytes: u64,
    ) -> Option<String> {
        let bytes = bytes.to_string();
        let (path, file) = self.bound(places, name, Controller::Memory, |path| {
            let (v1, v2) = ("memory.limit_in_bytes", "memory.max");
            let file = if path.join(v2).exists() { v2 } else { v1 };
            fs::write(path.join(file), &bytes).ok()?;
            // Where they are known: no swap instead of an end, and all of it ends together.
            let _ = fs::write(path.join("memory.memsw.limit_in_bytes"), &bytes);
            let _ = fs::write(path.join("memory.swap.max"), "0");
            let _ = fs::write(path.join("memory.oom.group"), "1");
            Some(file)
        })?;
        self.kills_before = kills(&path);
        self.memory = Some(path);
        Some(format!("cgroup {file} {bytes}"))
    }

    pub(super) fn bound_cpu(
        &mut self,
        places: &Places,
        name: &str,
        thousandths: u64,
    ) -> Option<String> {
        let quota = thousandths.saturating_mul(PERIOD_US) / 1_000;
        let quota = quota.max(QUOTA_US_MIN);
        let (_, file) = self.bound(places, name, Controller::Cpu, |path| {
            if fs::write(path.join("cpu.max"), format!("{quota} {PERIOD_US}")).is_ok() {
                return Some("cpu.max");
            }
            fs::write(path.join("cpu.cfs_period_us"), PERIOD_US.to_string()).ok()?;
            fs::write(path.join("cpu.cfs_quota_us"), quota.to_string()).ok()?;
            Some("cpu.cfs_quota_us")
        })?;
        Some(format!("cgroup {file} {quota} of {PERIOD_US}"))
    }

    /// The first place where a group can be made that this bounds.
    fn bound(
        &mut self,
        places: &Places,
        name: &str,
        controller: Controller,
        write: impl Fn(&Path) -> Option<&'static str>,
    ) -> Option<(PathBuf, &'static str)> {
        for place in places.of(controller) {
            let path = place.join(name);
            let is_new = match fs::create_dir(&path) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
                Err(_) => continue,
            };
            let wanted = format!("+{}", controller.name());
            let written = write(&path).or_else(|| {
                // Of the newer version a group has only what the one above it gives out.
                fs::write(place.join("cgroup.subtree_control"), &wanted).ok()?;
                write(&path)
            });
            if let Some(file) = written {
                if !self.all.contains(&path) {
                    self.all.push(path.clone());
                }
                return Some((path, file));
            }
            if is_new {
                let _ = fs::remove_dir(&path);
            }
        }
        None
    }

    /// Where nothing is bounded: what wipes its environment and leaves its session is found in a group all the same. None is
    /// made that might not be entered.
    pub(super) fn keep_together(&mut self, places: &Places, name: &str) {
        let can_write = |group: &Path| access(group.join("cgroup.procs"), Access::WRITE_OK).is_ok();
        for place in places.memory.iter().chain(&places.cpu) {
            let path = place.join(name);
            if !self.all.is_empty() || fs::create_dir(&path).is_err() {
                continue;
            }
            // The newer version asks for the one above as well.
            if can_write(&path) && can_write(place) {
                self.all.push(path);
            } else {
                let _ = fs::remove_dir(&path);
            }
        }
    }

    pub(super) fn all(&self) -> &[PathBuf] {
        &self.all
    }

    /// The kernel has killed something in it for its memory.
    pub(super) fn ran_out(&self) -> bool {
        let memory = self.memory.as_deref();
        memory.is_some_and(|path| kills(path) > self.kills_before)
    }

    /// With whatever is still in them.
    pub(super) async fn remove(&self) {
        for path in &self.all {
            let mut tries = 0;
            while path.exists() && fs::remove_dir(path).is_err() && tries < REMOVE_TRIES {
                kill(path);
                tries += 1;
                sleep(PAUSE).await;
            }
        }
    }
}

fn kills(group: &Path) -> u64 {
    let files = ["memory.events", "memory.oom_control"];
    let texts = files
        .iter()
        .filter_map(|file| fs::read_to_string(group.join(file)).ok());
    let counts = texts.filter_map(|text| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
    });
    counts.sum()
}

fn kill(group: &Path) {
    let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let found = pids
        .lines()
        .filter_map(|pid| processes::look(pid.parse().ok()?));
    for process in found {
        processes::signal(process.id, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_by_its_controller_and_else_in_the_one_tree() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| fs::create_dir_all(root.path().join(path)).unwrap();
        make("memory/a/b");
        make("cpu,cpuacct");
        make("system.slice/x");
        let first = "9:cpu,cpuacct:/lost\n4:memory:/a/b\n0::/system.slice/x\n";
        let own = |text: &str, controller| {
            let found = own(text, root.path(), controller)?;
            Some(found.strip_prefix(root.path()).unwrap().to_owned())
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(own(first, Controller::Memory), path("memory/a/b"));
        assert_eq!(own(first, Controller::Cpu), path("cpu,cpuacct"));
        let second = "0::/system.slice/x\n";
        assert_eq!(own(second, Controller::Cpu), path("system.slice/x"));
        assert_eq!(own("", Controller::Cpu), None);
    }

    #[test]
    fn where_no_group_can_be_made_nothing_is_bounded() {
        let root = tempfile::tempdir().unwrap();
        let places = Places {
            memory: vec![root.path().join("missing")],
            cpu: Vec::new(),
        };
        let mut groups = Groups::default();
        assert_eq!(groups.bound_memory(&places, "x", 1), None);
        assert_eq!(groups.bound_cpu(&places, "x", 1), None);
        groups.keep_together(&places, "x");
        assert!(groups.all().is_empty() && !groups.ran_out());
        // A directory is no group.
        let places = Places {
            memory: vec![root.path().to_owned()],
            cpu: Vec::new(),
        };
        groups.keep_together(&places, "x");
        assert!(groups.all().is_empty() && !root.path().join("x").exists());
    }
}
