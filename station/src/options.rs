//! How a station is started.

use std::path::PathBuf;

use mainstay_protocol::{ClusterName, NodeName, StationId};
use mainstay_resource_graph::Settings;

/// Which table of timers a new cluster begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Detection is fast; back-off is the same.
    Dev,
    Lan,
}

impl Profile {
    pub fn settings(self) -> Settings {
        match self {
            Self::Dev => Settings::DEV,
            Self::Lan => Settings::LAN,
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
    /// The node it runs on, if its machine is one.
    pub node: Option<NodeName>,
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
            node: None,
            die_with_parent: false,
        }
    }
}
