//! Whom to kill.

use mainstay_tests::{Cluster, until};

use super::script::Script;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The only one.
    Station,
    /// Of three stations.
    Leader,
    /// The first time that of n1, the second that of n2.
    Agent,
    /// All that stand or go.
    Script,
}

/// Of every cluster.
pub const NODES: [&str; 2] = ["n1", "n2"];

impl Victim {
    pub fn stations(self) -> u16 {
        match self {
            Self::Leader => 3,
            Self::Station | Self::Agent | Self::Script => 1,
        }
    }

    /// Who does the work is not hurt: no call is made again.
    pub fn spares_work(self) -> bool {
        match self {
            Self::Station | Self::Leader => true,
            Self::Agent | Self::Script => false,
        }
    }

    /// Its pids at this moment.
    pub fn find(self, cluster: &Cluster, script: &Script, time: usize) -> Vec<u32> {
        match self {
            Self::Station => vec![cluster.station_pid()],
            Self::Leader => vec![leader(cluster)],
            Self::Agent => vec![cluster.agent_pid(NODES[time % NODES.len()])],
            Self::Script => script.pids(),
        }
    }
}

fn leader(cluster: &Cluster) -> u32 {
    let found = until(
        "a station leads",
        || {
            let status = cluster.sh("status -o json");
            let leader = (status.code == Some(0)).then(|| status.json()["leader"].clone())?;
            cluster.station_pids().get(leader.as_str()?).copied()
        },
        Option::is_some,
    );
    found.unwrap_or_default()
}
