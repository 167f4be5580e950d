//! What happens to a pair in a round, and how that is to end.

/// What is under way when somebody is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    Start,
    Stop,
    Restart,
    /// The actor takes it while it runs, the process by a restart.
    Reconfigure,
    /// Begins with the death of the agent.
    Adoption,
    /// The process exits while there is no agent.
    ExitInTheGap,
}

impl Course {
    /// Whether the pair runs before it begins.
    pub fn begins_running(self) -> bool {
        self != Self::Start
    }

    /// Whether its first happening is the end of the agent.
    pub fn begins_without_agent(self) -> bool {
        matches!(self, Self::Adoption | Self::ExitInTheGap)
    }

    /// The state in which it leaves the pair.
    pub fn ends_in(self) -> &'static str {
        match self {
            Self::Stop => "Stopped",
            Self::Start
            | Self::Restart
            | Self::Reconfigure
            | Self::Adoption
            | Self::ExitInTheGap => "Running",
        }
    }
}
