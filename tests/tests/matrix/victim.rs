//! Whom to kill, where its files are, and when it is back. By the process table alone.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_tests::{Cluster, outside, until};

use super::pair::Pair;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Agent,
    /// Of the round's process.
    Hold,
    Station,
}

/// Where the daemons of the cluster have their files.
#[derive(Debug)]
pub struct Places {
    node: PathBuf,
    station: Vec<PathBuf>,
}

impl Places {
    pub fn of(cluster: &Cluster) -> Self {
        let all = outside::files_below(cluster.home());
        let is = |path: &&PathBuf, name: &str| path.is_dir() && path.ends_with(name);
        let find = |name: &str| {
            let found = all.iter().find(|path| is(path, name)).cloned();
            found.expect("a cluster has a directory of each daemon")
        };
        let station = find("s1");
        let below = all.iter().filter(|path| path.is_dir());
        Self {
            node: find("n1"),
            station: below
                .filter(|path| path.starts_with(&station))
                .cloned()
                .collect(),
        }
    }

    fn slot(&self, name: &str) -> PathBuf {
        self.node.join("slots").join(name)
    }

    /// The directories that the victim writes in.
    pub fn written_by(&self, victim: Victim, pair: &Pair) -> Vec<PathBuf> {
        match victim {
            Victim::Agent => vec![
                self.node.clone(),
                self.slot(&pair.process),
                self.slot(&pair.actor),
            ],
            Victim::Hold => vec![self.slot(&pair.process)],
            Victim::Station => self.station.clone(),
        }
    }

    /// Everything that descends from the process in this slot, with its arguments.
    pub fn carriers(&self, name: &str) -> Vec<outside::Process> {
        let mark = format!("MAINSTAY_SLOT={}\0", shown(&self.slot(name)));
        living(|process| {
            let environment =
                fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&mark)
        })
    }

    pub fn holds(&self, name: &str) -> Vec<outside::Process> {
        let mark = format!("--slot\0{}\0", shown(&self.slot(name)));
        living(|process| process.arguments.contains(&mark))
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn living(is: impl Fn(&outside::Process) -> bool) -> Vec<outside::Process> {
    outside::processes()
        .into_iter()
        .filter(|process| process.state != 'Z' && is(process))
        .collect()
}

pub fn lives(pid: u32) -> bool {
    outside::process(pid).is_some_and(|process| process.state != 'Z')
}

impl Victim {
    pub const ALL: [Self; 3] = [Self::Agent, Self::Hold, Self::Station];

    /// Its pid, if there is one at this moment.
    pub fn find(self, cluster: &Cluster, places: &Places, pair: &Pair) -> Option<u32> {
        let pids = match self {
            Self::Agent => cluster.daemon("agent\0run"),
            Self::Station => cluster.daemon("station\0run"),
            Self::Hold => {
                let holds = places.holds(&pair.process);
                holds.iter().map(|hold| hold.pid).collect()
            }
        };
        pids.into_iter().find(|pid| lives(*pid))
    }

    /// Waits until the killed one is gone, and there is another where there always is one.
    pub fn until_back(self, cluster: &Cluster, killed: u32) {
        until(
            &format!("{self:?} {killed} is gone"),
            || lives(killed),
            |lives| !lives,
        );
        until(
            "the station answers and its node is online",
            || cluster.sh("get nodes n1 -o json"),
            |run| run.code == Some(0) && run.json()["state"] == "Online",
        );
    }
}
