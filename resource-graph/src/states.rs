//! What states mean: questions about them that several places ask, each answered once.

use mainstay_protocol::health::Health;
use mainstay_protocol::report::{LiveState, Presence};

use crate::vertex::{Desired, Instance, InstanceState};

impl InstanceState {
    /// Started and not ended: its Checks say how it is.
    pub fn is_up(&self) -> bool {
        match self {
            Self::Running | Self::Degraded | Self::Unresponsive { .. } => true,
            Self::Pending
            | Self::Blocked
            | Self::Starting
            | Self::Stopping { .. }
            | Self::Stopped { .. }
            | Self::Failed { .. }
            | Self::Backoff { .. }
            | Self::Quarantined
            | Self::Unknown { .. }
            | Self::Lost { .. } => false,
        }
    }

    /// Up, and it answers.
    pub fn is_serving(&self) -> bool {
        self.is_up() && !matches!(self, Self::Unresponsive { .. })
    }

    /// Something of this incarnation may exist on the node.
    pub fn may_be_live(&self) -> bool {
        match self {
            Self::Starting
            | Self::Running
            | Self::Degraded
            | Self::Unresponsive { .. }
            | Self::Stopping { .. }
            | Self::Unknown { .. }
            | Self::Lost { .. }
            | Self::Failed {
                presence: Presence::Living,
            } => true,
            Self::Pending
            | Self::Blocked
            | Self::Stopped { .. }
            | Self::Failed {
                presence: Presence::Gone,
            }
            | Self::Backoff { .. }
            | Self::Quarantined => false,
        }
    }

    /// Nobody has heard of it since its node went away: the last that was known of it.
    pub fn out_of_sight(&self) -> Option<LiveState> {
        match self {
            Self::Unknown { was } | Self::Lost { was } => Some(*was),
            Self::Pending
            | Self::Blocked
            | Self::Starting
            | Self::Running
            | Self::Degraded
            | Self::Unresponsive { .. }
            | Self::Stopping { .. }
            | Self::Stopped { .. }
            | Self::Failed { .. }
            | Self::Backoff { .. }
            | Self::Quarantined => None,
        }
    }

    /// Its start is decided, or what became of it is not known: a word of it that it runs is news.
    pub fn awaits_started(&self) -> bool {
        matches!(
            self,
            Self::Starting | Self::Unknown { .. } | Self::Lost { .. }
        )
    }

    /// At rest because of failures: they are forgotten when somebody clears them, or wants something else.
    pub fn rests_failed(&self) -> bool {
        match self {
            Self::Quarantined | Self::Backoff { .. } | Self::Failed { .. } => !self.may_be_live(),
            Self::Pending
            | Self::Blocked
            | Self::Starting
            | Self::Running
            | Self::Degraded
            | Self::Unresponsive { .. }
            | Self::Stopping { .. }
            | Self::Stopped { .. }
            | Self::Unknown { .. }
            | Self::Lost { .. } => false,
        }
    }

    /// At rest in a state that only a person's wish leaves.
    pub fn needs_waking(&self) -> bool {
        match self {
            Self::Stopped { .. } | Self::Quarantined | Self::Failed { .. } => !self.may_be_live(),
            Self::Pending
            | Self::Blocked
            | Self::Starting
            | Self::Running
            | Self::Degraded
            | Self::Unresponsive { .. }
            | Self::Stopping { .. }
            | Self::Backoff { .. }
            | Self::Unknown { .. }
            | Self::Lost { .. } => false,
        }
    }
}

impl Instance {
    /// It runs where that is wanted, and no Check says otherwise; or does not where that is wanted. A clean end by
    /// itself is no failure, and yet not what was wanted: somebody should know.
    pub fn is_as_wanted(&self) -> bool {
        match self.state {
            InstanceState::Running => {
                self.desired == Desired::Running
                    && matches!(self.health, Health::Ok | Health::Unknown)
            }
            InstanceState::Stopped { .. } => self.desired != Desired::Running,
            InstanceState::Pending
            | InstanceState::Blocked
            | InstanceState::Starting
            | InstanceState::Degraded
            | InstanceState::Unresponsive { .. }
            | InstanceState::Stopping { .. }
            | InstanceState::Failed { .. }
            | InstanceState::Backoff { .. }
            | InstanceState::Quarantined
            | InstanceState::Unknown { .. }
            | InstanceState::Lost { .. } => false,
        }
    }

    /// It runs, and a Check said ok.
    pub fn is_healthy(&self) -> bool {
        self.state == InstanceState::Running && self.health == Health::Ok
    }
}
