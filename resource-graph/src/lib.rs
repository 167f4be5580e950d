//! The resource graph: everything Mainstay knows and wants, with typed transactions over it. Pure.
//!
//! ```text
//!   Graph --begin--> Txn --put, link, unlink, remove--> Txn --finish--> Delta
//!     ^               |  savepoint / rollback per (rule, subject)         |
//!     |               v                                                   v
//!     |             View <-- rules, `why`, API and checks read          the log
//!     +------------------------- apply <---------------------------------+
//! ```
//!
//! - A vertex has a typed key, a payload, the log time of its last change of state, the revision that last
//!   changed it, and what caused that. An edge has a relation; relations that a key already says (an instance's
//!   node, its placement, a command's node) are ordered indices instead.
//! - [`Graph::apply`] is the only mutator. A delta made for another revision, or one that does not fit as a whole,
//!   changes nothing at all, on every replica alike.
//! - A [`Txn`] reads its own writes. It checks cardinality and the transition table at the write, not later:
//!   a second holder of a name is an error that names the first.
//! - Iteration is ordered everywhere. Two graphs are equal when their [`snapshot`]s are, byte for byte.
//!
//! What is not here: a clock (log time comes with [`Graph::begin`]), randomness, files, decisions.

mod access;
mod artifact;
pub mod check;
pub mod delta;
mod edge;
pub mod event;
pub mod graph;
mod host;
pub mod impact;
pub mod key;
mod kinds;
mod lease;
mod load;
mod marks;
mod net;
mod node;
pub mod policy;
mod queue;
pub mod relations;
pub mod snapshot;
mod states;
mod station;
pub mod stored;
mod supervisor;
pub mod transition;
pub mod traverse;
pub mod txn;
pub mod vertex;
pub mod view;
pub mod wish;
mod words;
mod work;

pub use access::Digest;
pub use artifact::{Artifact, ArtifactState, Chunk, ChunkKey, Listing};
pub use check::{Problem, check};
pub use delta::{Change, Delta, Unfit};
pub use event::Event;
pub use graph::{Applied, Graph};
pub use host::{HostAct, HostEnded, HostEnding, HostOutcome, HostRestart, HostRun};
pub use key::{
    AskedId, BadReference, CollectedId, ConfigHash, Key, Kind, NameKey, ParkedId, ProcedureId,
    TextHash, TokenId,
};
pub use load::{Load, NodeLoad, Waits};
pub use marks::Marks;
pub use policy::Settings;
pub use transition::IllegalTransition;
pub use txn::{Savepoint, Txn, WriteError};
pub use vertex::{
    Activity, Asked, Away, Brake, Care, Cause, Cluster, Collected, CommandVertex, Configuration,
    Cordon, Desired, Edge, Failure, FailureCause, Finding, Identity, InPlace, Instance,
    InstanceState, Leased, Maintenance, Name, Node, NodeState, Orchestration, Ordered, Outbox,
    Parked, ParkedWhat, People, Procedure, Record, Relation, Resource, Revoked, RuleOff, Run,
    RunState, RunTexts, Said, SealedAuthority, Secret, Seen, SeenFrom, Service, ServiceType,
    Sightings, Station, StationBegan, StationState, Step, StepState, Stray, Supervisor,
    SupervisorState, Text, Token, TokenState, Vertex, slot_of,
};
pub use view::{View, ViewExt};
pub use wish::{
    Back, Beside, Count, DependsUntil, Escalate, Made, Move, NodeRefusal, Past, Placement,
    RestartBudget, RestartPolicy, Rollout, Singleton, Standing, Strategy, Target, Update, Wish,
};
