//! The JSON of the API. Keys are never omitted: unknown is `null`, an empty list is `[]`.

mod access;
mod artifacts;
mod change;
mod graph;
mod history;
mod instance;
mod node;
mod parts;
mod placement;
mod plan;
mod room;
mod rule;
mod services;
pub(crate) mod shapes;
mod spec;
mod status;
mod why;
mod words;
mod work;

pub use access::{
    Certificate, Group, GroupRequest, Hidden, Identity, JoinRequest, Joined, RevokeRequest,
    Revoked, Secret, SecretRequest, Token, TokenMade, TokenRequest, Whoami,
};
pub use artifacts::Artifact;
pub use change::{
    Accepted, BadUntil, CallAnswer, ChaosAct, ChaosRequest, CheckAnswer, Done, LogPage, On,
    StartRequest, StationRequest, StationStops, StatusAnswer, Until, WaitAnswer, WaitRequest,
    states, states_of,
};
pub use graph::{Graph, GraphProblem, GraphRelation, GraphVertex, Impact, Loss};
pub use history::{BadFrame, BadPeer, Changed, Decision, Event, Parked, Saw};
pub use instance::{Instance, Process, Usage, WatchedBy};
pub use node::{
    CordonRequest, Counts, DrainRequest, HostRestart, LabelsRequest, MaintenanceRequest, Node,
};
pub use parts::{
    Cluster, Configuration, Described, MessageType, Name, Ready, ServiceType, Station, Supervisor,
    Version,
};
pub use placement::{
    Move, MoveRequest, Placement, PlacementVersion, ReconfigureRequest, RollbackRequest, Rollout,
};
pub use plan::{
    Act, FieldChange, InstanceAct, InstanceChange, PLAN_FORMAT, Plan, PlanChange, PlanMode,
    PlanRequest, Settings, SettingsRequest, WishBody, WishFlaw,
};
pub use room::{BesideSpec, Bytes, ConstraintsSpec, Cores, NeedsSpec, NodeRoom, RoomShape};
pub use rule::{Rule, RuleOff, RuleSwitch};
pub use services::{
    ORDER_STATUSES, Order, OrderDetail, OrderParameter, OrderRequest, Service, ServiceParameter,
    WrittenSchema,
};
pub use spec::{
    ApplyRequest, BackoffSpec, ChangeRequest, DependencySpec, IsolationSpec, PlacementSpec,
    PolicySpec, SingletonSpec, Span, TargetSpec, UpdateSpec,
};
pub use status::{OnPurpose, Status, StatusProblem, Verdict, Work};
pub use why::{SystemWill, Why, WhyNode};
pub use words::{Asked, Collected, Procedure, Resource, Stray};
pub use work::{
    Activity, Exact, Orchestration, Run, RunDetail, RunError, RunRequest, Step, StepDone,
};

pub use mainstay_protocol::code::{Code, Reason};
pub use mainstay_protocol::health::Health;
