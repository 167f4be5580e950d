//! This station among the others of its group.
//!
//! ```text
//!   ways:   opens introduced connections to the others: one kind for the log's talk, one that carries the API
//!   watch:  while this station leads, tells the coordinator who is in the group and who is heard; tells agents where to go
//!   change: a station is added, removed, or is to lead
//! ```
//! Who votes is the log's own business (`store/src/raft/members.rs`); the graph only shows it.

mod change;
mod joining;
mod judge;
mod watch;
mod ways;

use std::time::Duration;

use mainstay_api::time::span;
use mainstay_protocol::session::Stations;
use mainstay_protocol::{StationId, limits};
use mainstay_store::LogStatus;

use crate::shared::Shared;

pub use change::{add, hand_over, lead, remove};
pub use joining::ask_in;
pub use watch::watch;
pub use ways::{LogWays, Ways, introduction};

/// A station that has not been heard for so long is away, and a leader that has not is none.
pub const SILENCE: Duration = Duration::from_millis(limits::STATION_SILENCE_MS);

impl Shared {
    /// Who leads, as far as this station knows: itself, or one it has heard lately.
    pub fn leading(&self) -> Option<StationId> {
        if self.leads() {
            return Some(self.about.station);
        }
        let status = self.store.status();
        let heard = status.leader_heard.is_some_and(|ago| ago < SILENCE);
        status
            .leader
            .filter(|leader| *leader != self.about.station && heard)
    }

    /// What agents are told; nothing where there is, and was, only this station.
    pub fn stations(&self) -> Option<Stations> {
        let addresses = self.store.status().addresses;
        let told = addresses.len() > 1 || self.sessions.know_stations();
        told.then(|| Stations {
            leader: self.leading(),
            addresses,
        })
    }

    /// Why there is no leader: how many are needed, and who could not be reached.
    pub fn no_leader(&self) -> String {
        let status = self.store.status();
        if status.voters.len() <= 1 {
            return "this station has no leader now".to_owned();
        }
        format!(
            "{} of the {} stations must hear each other, and they do not{}",
            majority(status.voters.len()),
            status.voters.len(),
            self.unreached(&status)
        )
    }

    fn unreached(&self, status: &LogStatus) -> String {
        let others = status.voters.iter().filter(|id| **id != self.about.station);
        let missing: Vec<String> = others
            .filter_map(|id| {
                let silent = status.heard.get(id).filter(|ago| **ago >= SILENCE);
                let silent = silent.map(|ago| format!("not heard for {}", span(*ago)));
                Some((id, self.ways.failed(*id).or(silent)?))
            })
            .map(|(id, why)| format!("{id} ({why})"))
            .collect();
        match missing.is_empty() {
            true => String::new(),
            false => format!(
                "; {} does not reach {}",
                self.about.station,
                missing.join(", ")
            ),
        }
    }
}

pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}
