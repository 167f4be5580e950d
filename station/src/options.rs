//! How a station is started.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mainstay_protocol::{Address, ClusterId, ClusterName, NodeName, StationId, limits};
use mainstay_queue_nats::NatsOptions;
use mainstay_resource_graph::Settings;

/// Which table of timers a new cluster begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Detection is fast; back-off is the same.
    Dev,
    Lan,
    /// Nodes are far away.
    Wan,
}

impl Profile {
    /// What one call of the leader core may take.
    pub fn core_call(self) -> Duration {
        Duration::from_millis(match self {
            Self::Dev => limits::DEV_CORE_CALL_MS_MAX,
            Self::Lan | Self::Wan => limits::CORE_CALL_MS_MAX,
        })
    }

    pub fn settings(self) -> Settings {
        match self {
            Self::Dev => Settings::DEV,
            Self::Lan => Settings::LAN,
            Self::Wan => Settings::WAN,
        }
    }
}

#[derive(Debug, Clone)]
pub struct StationOptions {
    /// The data directory; made if it is not there.
    pub dir: PathBuf,
    /// Where agents come.
    pub sessions_socket: PathBuf,
    /// Where the API is.
    pub api_socket: PathBuf,
    /// Used when the directory is new.
    pub cluster_name: ClusterName,
    pub profile: Profile,
    pub station: StationId,
    /// Where it is found over the network, by whoever has a certificate of the cluster; it listens there. It must have been
    /// initialised or joined.
    pub listen: Option<Address>,
    /// Those that are asked to add it, if it is no part of the group.
    pub group: BTreeMap<StationId, String>,
    /// The cluster it is to be added to; else an empty directory founds one of its own.
    pub joins: Option<ClusterId>,
    /// The node it runs on, if its machine is one.
    pub node: Option<NodeName>,
    /// Let it, and through it agents and their instances, be broken on purpose (`mainstay chaos`).
    pub chaos: bool,
    /// The log is cut, and history beyond its bounds let go of, after so many entries.
    pub snapshot_entries: u64,
    /// Bytes of decisions and events kept.
    pub history_bytes: u64,
    /// A queue outside that says whose turn it is of what is due; else the station's own.
    pub nats: Option<NatsOptions>,
    /// End when the process that started this one ends.
    pub die_with_parent: bool,
}

impl StationOptions {
    /// Both sockets beside the data.
    pub fn new(dir: impl Into<PathBuf>, cluster_name: ClusterName) -> Self {
        let dir = dir.into();
        Self {
            sessions_socket: dir.join("sessions.sock"),
            api_socket: dir.join("api.sock"),
            dir,
            cluster_name,
            profile: Profile::Lan,
            station: StationId(1),
            listen: None,
            group: BTreeMap::new(),
            joins: None,
            node: None,
            chaos: false,
            snapshot_entries: limits::LOG_SNAPSHOT_ENTRIES,
            history_bytes: limits::HISTORY_BYTES_MAX,
            nats: None,
            die_with_parent: false,
        }
    }
}
