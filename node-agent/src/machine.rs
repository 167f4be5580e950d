//! What an agent says about its machine and itself.

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_protocol::health::ProcessIdentity;
use mainstay_protocol::report::{SysInfo, TypeDeclaration};
use mainstay_protocol::room::Room;
use mainstay_protocol::{AgentRunId, BootId};
use mainstay_supervisor::Identity;
use rustix::fs::statvfs;
use uuid::Uuid;

use crate::options::AgentOptions;

pub(crate) fn identity(
    options: &AgentOptions,
    provides: Vec<TypeDeclaration>,
) -> io::Result<Identity> {
    Ok(Identity {
        node: options.node.clone(),
        agent_run: AgentRunId(random_id()?),
        boot_id: boot_id()?,
        build: build(),
        // Where it can be called depends on the way to its station.
        address: String::new(),
        sysinfo: sysinfo(options),
        provides,
    })
}

/// Changes with every boot.
pub(crate) fn boot_id() -> io::Result<BootId> {
    Ok(BootId(line("/proc/sys/kernel/random/boot_id")?))
}

/// This build, for people.
pub(crate) fn build() -> String {
    format!("mainstay {}", env!("CARGO_PKG_VERSION"))
}

/// This process, by what the kernel never gives twice in one boot.
pub(crate) fn process() -> io::Result<ProcessIdentity> {
    let stat = line("/proc/self/stat")?;
    // The name in parentheses may hold anything; the start time is the 20th field behind it.
    let behind_name = stat.rsplit_once(") ").map(|(_, rest)| rest);
    let started = behind_name
        .and_then(|fields| fields.split(' ').nth(19)?.parse().ok())
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "/proc/self/stat has another format"))?;
    Ok(ProcessIdentity {
        pid: std::process::id(),
        started,
    })
}

fn random_id() -> io::Result<Uuid> {
    let text = line("/proc/sys/kernel/random/uuid")?;
    Uuid::parse_str(&text).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

/// What cannot be learned is left empty: no service depends on it.
fn sysinfo(options: &AgentOptions) -> SysInfo {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory_bytes = memory_bytes().unwrap_or_default();
    let all = Room {
        millicores: cores as u64 * 1000,
        memory_bytes,
        disk_bytes: disk_bytes(&options.dir).unwrap_or_default(),
    };
    SysInfo {
        hostname: line("/proc/sys/kernel/hostname").unwrap_or_default(),
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
        memory_bytes,
        labels: options.labels.clone(),
        booted_ms: booted_ms().unwrap_or_default(),
        offers: options.offer.of(all),
    }
}

/// Of the file system that its directory is on, or is to be made on: all of it, whatever is on it by now.
fn disk_bytes(dir: &Path) -> Option<u64> {
    let found = dir.ancestors().find_map(|dir| statvfs(dir).ok())?;
    found.f_blocks.checked_mul(found.f_frsize)
}

/// By the kernel's count of seconds since then, which goes on while the machine sleeps.
fn booted_ms() -> Option<u64> {
    let up = line("/proc/uptime").ok()?;
    let up = Duration::try_from_secs_f64(up.split(' ').next()?.parse().ok()?).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(now.checked_sub(up)?.as_millis()).ok()
}

/// What there is for this process: of the machine, or of the control groups it is in.
fn memory_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let bounds = groups.lines().filter_map(|line| line.strip_prefix("0::"));
    let bounds = bounds.flat_map(|group| bounds_of(Path::new(CONTROL_GROUPS), group));
    machine_bytes().into_iter().chain(bounds).min()
}

const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Every group on the way up bounds it.
fn bounds_of(root: &Path, group: &str) -> Vec<u64> {
    let group = root.join(group.trim_start_matches('/'));
    let inside = group.ancestors().take_while(|at| at.starts_with(root));
    let bound = |at: &Path| {
        line(&at.join("memory.max").to_string_lossy())
            .ok()?
            .parse()
            .ok()
    };
    inside.filter_map(bound).collect()
}

fn machine_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn line(path: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_pid_and_start() {
        let process = process().unwrap();
        assert_eq!(process.pid, std::process::id());
        assert!(process.started > 0);
        assert_ne!(random_id().unwrap(), random_id().unwrap());
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        // This process started after its machine did, and not in the future.
        let started = booted_ms().unwrap() + process.started_after_boot_ms();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ago = now.as_millis().abs_diff(started.into());
        assert!(ago < 600_000, "{ago} ms");
    }

    // proves: B8
    #[test]
    fn every_control_group_on_the_way_up_bounds_the_memory() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("system/agent");
        fs::create_dir_all(&inner).unwrap();
        for (group, max) in [
            ("system/agent", "max"),
            ("system", "2147483648"),
            ("", "no"),
        ] {
            fs::write(root.path().join(group).join("memory.max"), max).unwrap();
        }
        assert_eq!(bounds_of(root.path(), "/system/agent"), [2_147_483_648]);
        assert_eq!(bounds_of(root.path(), "/elsewhere"), [] as [u64; 0]);
    }
}
