//! Settings of a cluster: one table of defaults, kept in the graph, changeable while running.

use std::time::Duration;

use mainstay_protocol::command::CheckSchedule;
use serde::{Deserialize, Serialize};

/// Everything rules measure against. Milliseconds throughout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub restart_attempts: u32,
    pub restart_window_ms: u64,
    pub backoff_first_ms: u64,
    pub backoff_max_ms: u64,
    /// So long Running and ok, and earlier failures are forgotten.
    pub healthy_after_ms: u64,
    /// So many failed starts with a changed configuration, and it is taken back.
    pub reconfigure_failures_max: u32,
    /// Beside the start deadline: so long until a changed instance must be healthy.
    pub update_patience_ms: u64,
    /// Added to what the node was given, before the coordinator judges an answer overdue.
    pub answer_margin_ms: u64,
    pub check_interval_ms: u64,
    pub check_deadline_ms: u64,
    pub check_misses_max: u32,
    pub resend_ms: u64,
    pub resend_max_ms: u64,
    /// No heartbeat for so long: the agent is silent.
    pub silence_ms: u64,
    /// After leadership start, nodes have so long to be heard.
    pub grace_ms: u64,
    /// A node whose machine answers is given up after so long: its agent may be back.
    pub lost_closed_ms: u64,
    /// One that neither the station nor anybody who guards it sees is given up after so long.
    pub lost_unseen_ms: u64,
    /// One of which nobody could be asked is given up after so long.
    pub lost_silent_ms: u64,
    /// So long none is given up when too many are away at once.
    pub brake_ms: u64,
    /// Words of the command that restarts the machine of the agent that runs it; none if it is empty.
    pub host_restart: Vec<String>,
    /// The same of one that switches another machine off, or off and on again.
    pub host_fence: Vec<String>,
    /// Either may take so long,
    pub host_within_ms: u64,
    /// and the machine, to be back.
    pub host_back_ms: u64,
}

impl Settings {
    /// For clusters that carry load.
    pub const LAN: Self = Self {
        restart_attempts: 5,
        restart_window_ms: 10 * 60 * 1000,
        backoff_first_ms: 1000,
        backoff_max_ms: 60_000,
        healthy_after_ms: 60_000,
        reconfigure_failures_max: 3,
        update_patience_ms: 60_000,
        answer_margin_ms: 2000,
        check_interval_ms: 5000,
        check_deadline_ms: 2000,
        check_misses_max: 3,
        resend_ms: 2000,
        resend_max_ms: 30_000,
        silence_ms: 3000,
        grace_ms: 10_000,
        lost_closed_ms: 30_000,
        lost_unseen_ms: 3_000,
        lost_silent_ms: 9_000,
        brake_ms: 60_000,
        host_restart: Vec::new(),
        host_fence: Vec::new(),
        host_within_ms: 60_000,
        host_back_ms: 300_000,
    };

    /// For `mainstay dev`: detection is faster, back-off is the same.
    pub const DEV: Self = {
        let mut settings = Self::LAN;
        settings.check_interval_ms = 1000;
        settings.check_deadline_ms = 500;
        settings.update_patience_ms = 10_000;
        settings.silence_ms = 2500;
        settings.grace_ms = 3000;
        settings.lost_closed_ms = 10_000;
        settings.lost_unseen_ms = 2_500;
        settings.lost_silent_ms = 3_000;
        settings.brake_ms = 20_000;
        settings.host_back_ms = 60_000;
        settings
    };

    /// For nodes that are far away, over lines that are not everybody's own.
    pub const WAN: Self = {
        let mut settings = Self::LAN;
        settings.answer_margin_ms = 10_000;
        settings.resend_ms = 5000;
        settings.resend_max_ms = 60_000;
        settings.silence_ms = 10_000;
        settings.grace_ms = 30_000;
        settings.lost_closed_ms = 120_000;
        settings.lost_unseen_ms = 20_000;
        settings.lost_silent_ms = 50_000;
        settings.brake_ms = 300_000;
        settings
    };

    pub fn checks(&self) -> CheckSchedule {
        CheckSchedule {
            first_ms: 1000.min(self.check_interval_ms),
            interval_ms: self.check_interval_ms,
            deadline_ms: self.check_deadline_ms,
            misses_max: self.check_misses_max,
        }
    }

    pub fn healthy_after(&self) -> Duration {
        Duration::from_millis(self.healthy_after_ms)
    }

    pub fn answer_margin(&self) -> Duration {
        Duration::from_millis(self.answer_margin_ms)
    }
}
