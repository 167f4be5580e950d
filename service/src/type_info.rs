//! What a service type declares about itself, as a constant.

use std::time::Duration;

use mainstay_protocol::report::RestartWhen;

/// How a type comes by the exclusive name its instances hold on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The type's own name: one instance of it on a node.
    TypeName,
    /// Another fixed name; types that exclude each other share one.
    Fixed(&'static str),
    /// Its placement's name, or what `--holds` says: as many on a node as there are names.
    Placement,
}

/// Name, version and habits of a service type.
///
/// ```
/// use mainstay_service::{RestartWhen, TypeInfo};
/// const TYPE: TypeInfo = TypeInfo::new("greeter", "1.2.0").may_use(&["database"]).restart(RestartWhen::Always);
/// assert_eq!(TYPE.name, "greeter");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeInfo {
    pub name: &'static str,
    pub version: &'static str,
    pub holds: Holds,
    pub may_use: &'static [&'static str],
    pub blocking: bool,
    pub outside: bool,
    pub in_place: bool,
    pub keeps_lease: bool,
    pub keeps_log: bool,
    pub restart: RestartWhen,
    pub start_deadline: Duration,
    pub stop_deadline: Duration,
}

impl TypeInfo {
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            holds: Holds::TypeName,
            may_use: &[],
            blocking: false,
            outside: false,
            in_place: false,
            keeps_lease: true,
            keeps_log: false,
            restart: RestartWhen::OnFailure,
            start_deadline: Duration::from_secs(30),
            stop_deadline: Duration::from_secs(10),
        }
    }

    /// Takes its name from its placement, so that several can run on one node.
    #[must_use]
    pub const fn generic(mut self) -> Self {
        self.holds = Holds::Placement;
        self
    }

    /// Holds this name instead of its type's.
    #[must_use]
    pub const fn holds(mut self, name: &'static str) -> Self {
        self.holds = Holds::Fixed(name);
        self
    }

    /// Kinds of resources it may depend on.
    #[must_use]
    pub const fn may_use(mut self, kinds: &'static [&'static str]) -> Self {
        self.may_use = kinds;
        self
    }

    /// Its code blocks its thread (files, foreign libraries, long computing): it gets one of its own.
    #[must_use]
    pub const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }

    /// It stands for processes that outlive the agent. They have the lock of its name themselves, and the next life of
    /// the agent takes them over.
    #[must_use]
    pub const fn outside(mut self) -> Self {
        self.outside = true;
        self.keeps_lease = false;
        self
    }

    /// Each of its processes has a hold of ours beside it, which ends it when its lease runs out, also without the agent.
    #[must_use]
    pub const fn ended_by_its_hold(mut self) -> Self {
        self.keeps_lease = true;
        self
    }

    /// It can take another configuration while it runs: [`Service::reconfigure`](crate::Service::reconfigure) is asked
    /// before it is started again with it.
    #[must_use]
    pub const fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// What it stands for outlives the agent, and nobody beside it could end it when its lease runs out: it cannot be the
    /// only one in the cluster.
    #[must_use]
    pub const fn without_lease(mut self) -> Self {
        self.keeps_lease = false;
        self
    }

    /// What it stands for writes the log in its slot: its agent must not.
    #[must_use]
    pub const fn keeps_log(mut self) -> Self {
        self.keeps_log = true;
        self
    }

    /// When it is started again; on failure, unless said.
    #[must_use]
    pub const fn restart(mut self, when: RestartWhen) -> Self {
        self.restart = when;
        self
    }

    /// 30 s, unless said.
    #[must_use]
    pub const fn start_deadline(mut self, deadline: Duration) -> Self {
        self.start_deadline = deadline;
        self
    }

    /// 10 s, unless said.
    #[must_use]
    pub const fn stop_deadline(mut self, deadline: Duration) -> Self {
        self.stop_deadline = deadline;
        self
    }
}
