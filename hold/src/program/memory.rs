//! The control group that bounds a process's memory, where the agent was given one to divide. Both versions of the
//! kernel's interface: the older one is still found on machines whose containers want it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use mainstay_hold::MemoryGroup;

pub struct Group {
    path: PathBuf,
    version: Version,
    /// By an older incarnation, if the group is still its.
    kills_before: u64,
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

impl Group {
    pub fn make(wanted: &MemoryGroup) -> io::Result<Self> {
        let path = PathBuf::from(&wanted.path);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let bytes_max = wanted.bytes_max.to_string();
        let version = if path.join("memory.max").exists() {
            fs::write(path.join("memory.max"), bytes_max)?;
            // Where they are known: no swap instead of an end, and all of it ends together.
            let _ = fs::write(path.join("memory.swap.max"), "0");
            let _ = fs::write(path.join("memory.oom.group"), "1");
            Version::Two
        } else if path.join("memory.limit_in_bytes").exists() {
            fs::write(path.join("memory.limit_in_bytes"), bytes_max)?;
            Version::One
        } else {
            let text = format!("{} has no memory controller", path.display());
            return Err(io::Error::new(ErrorKind::Unsupported, text));
        };
        let mut group = Self {
            path,
            version,
            kills_before: 0,
        };
        group.kills_before = group.count();
        Ok(group)
    }

    /// The kernel has killed something in it for its memory.
    pub fn ran_out(&self) -> bool {
        self.count() > self.kills_before
    }

    fn count(&self) -> u64 {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.unwrap_or(0)
    }

    /// All of it at once, where the kernel can; elsewhere the subreaper finds them.
    pub fn kill(&self) {
        match self.version {
            Version::One => {}
            Version::Two => drop(fs::write(self.path.join("cgroup.kill"), "1")),
        }
    }

    /// The kernel may take a moment to let go of the last process: then the next incarnation finds the group.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }
}

/// From the process that is to be in it.
pub fn enter(group: &MemoryGroup) -> io::Result<()> {
    fs::write(Path::new(&group.path).join("cgroup.procs"), "0")
}
