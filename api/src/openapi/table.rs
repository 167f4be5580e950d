//! What each route takes and answers. It stands beside the table of routes rather than in it: whoever only asks does not
//! depend on schemas. That each route is here, once, is tested.

use serde_json::{Map, Value};

use super::query::{self, Word};
use super::schemas::{Of, of};
use crate::routes::{self, Route};
use crate::types::shapes::{BytesShape, NothingShape, WhyShape};
use crate::types::{
    Accepted, Activity, ApplyRequest, Artifact, Asked, BadPeer, CallAnswer, Certificate, Changed,
    ChaosRequest, CheckAnswer, Collected, Configuration, CordonRequest, Decision, Described, Done,
    DrainRequest, Event, Exact, Graph, GraphProblem, Group, GroupRequest, Identity, Impact,
    Instance, JoinRequest, Joined, LabelsRequest, LogPage, MaintenanceRequest, MoveRequest, Name,
    Node, Orchestration, Order, OrderDetail, OrderRequest, Parked, Placement, PlacementSpec,
    PlacementVersion, Plan, PlanRequest, Procedure, Ready, ReconfigureRequest, Resource,
    RevokeRequest, RollbackRequest, Rule, RuleSwitch, Run, RunDetail, RunRequest, Secret,
    SecretRequest, Service, ServiceType, Settings, SettingsRequest, StartRequest, Station,
    StationRequest, StationStops, Status, StatusAnswer, StepDone, Supervisor, Token, TokenMade,
    TokenRequest, Version, WaitAnswer, WaitRequest, Whoami, WrittenSchema,
};

/// A route, with what goes over it.
pub struct Spoken {
    pub route: Route,
    /// Behind the `?`.
    pub query: &'static [Word],
    /// What is sent, where anything is.
    pub body: Option<Of>,
    pub form: Form,
    /// What one of it looks like.
    pub answer: Of,
}

/// How an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    One,
    /// All there are.
    List,
    /// A part of a list, and where it goes on.
    Page,
    /// Server-sent events, for as long as somebody listens.
    Stream,
    /// Whichever is asked for with `accept`.
    PageOrStream,
    /// For people, and for what reads metrics.
    Text,
    /// Bytes that are read back by `mainstay restore` alone.
    Backup,
    /// Bytes of somebody's own.
    Bytes,
}

macro_rules! spoken {
    // Nothing is said of a query where there is none.
    (@query) => { query::NONE };
    (@query $query:ident) => { query::$query };
    (@body) => { None };
    (@body $body:ty) => { Some(of::<$body>) };
    ($($route:ident $(by $query:ident)? $(($body:ty))? => $form:ident $answer:ty;)*) => {
        /// By the table of routes.
        pub const TABLE: &[Spoken] = &[$(Spoken {
            route: routes::$route,
            query: spoken!(@query $($query)?),
            body: spoken!(@body $($body)?),
            form: Form::$form,
            answer: of::<$answer>,
        }),*];
    };
}

spoken! {
    STATUS => One Status;
    VERSION => One Version;
    NODES by LIST => Page Node;
    NODE => One Node;
    STATIONS by LIST => Page Station;
    STATION => One Station;
    STATION_ADD (StationRequest) => One Accepted;
    STATION_REMOVE => One Accepted;
    STATION_STOPS (StationStops) => One NothingShape;
    STATION_LEAD => One Accepted;
    STATION_CHECK => One CheckAnswer;
    STATION_STATUS => One StatusAnswer;
    TYPES by LIST => Page ServiceType;
    TYPE => One ServiceType;
    PLACEMENTS by LIST => Page Placement;
    PLACEMENT => One Placement;
    PLACEMENT_PUT (PlacementSpec) => One Accepted;
    PLACEMENT_DELETE => One Accepted;
    PLACEMENT_HISTORY => List PlacementVersion;
    PLACEMENT_RECONFIGURE (ReconfigureRequest) => One Accepted;
    PLACEMENT_ROLLBACK (RollbackRequest) => One Accepted;
    APPLY (ApplyRequest) => One Accepted;
    PLAN (PlanRequest) => One Plan;
    SETTINGS => One Settings;
    SETTINGS_PUT (SettingsRequest) => One Accepted;
    INSTANCES by LIST => Page Instance;
    INSTANCE by USAGE => One Instance;
    NAMES by LIST => Page Name;
    NAME => One Name;
    SUPERVISORS by LIST => Page Supervisor;
    SUPERVISOR => One Supervisor;
    CONFIGURATIONS by LIST => Page Configuration;
    CONFIGURATION => One Configuration;
    RESOURCES by LIST => Page Resource;
    RESOURCE_OF_KIND => One Resource;
    ASKED by LIST => Page Asked;
    ASKED_ONE => One Asked;
    ASKED_ANSWER (Value) => One Accepted;
    PROCEDURES by LIST => Page Procedure;
    PROCEDURE => One Procedure;
    COLLECTED by LIST => Page Collected;
    COLLECTED_ONE => One Collected;
    CHANGES => Stream Changed;
    RESOURCE by OF_ONE_AND_USAGE => One Described;
    WHY by OF => One WhyShape;
    GRAPH by AROUND => One Graph;
    GRAPH_CHECK => List GraphProblem;
    IMPACT by OF_ONE => One Impact;
    EVENTS by EVENTS => PageOrStream Event;
    DECISIONS by DECISIONS => Page Decision;
    START (StartRequest) => One Accepted;
    INSTANCE_STOP => One Accepted;
    INSTANCE_RESTART => One Accepted;
    INSTANCE_MOVE (MoveRequest) => One Accepted;
    INSTANCE_SAFE_START => One Accepted;
    INSTANCE_CLEAR => One Accepted;
    INSTANCE_CHECK => One CheckAnswer;
    INSTANCE_STATUS => One StatusAnswer;
    INSTANCE_LOGS by LOGS => One LogPage;
    INSTANCE_MESSAGE (Value) => One CallAnswer;
    SUPERVISOR_CHECK => One CheckAnswer;
    SUPERVISOR_STATUS => One StatusAnswer;
    CHAOS (ChaosRequest) => One Done;
    WAIT (WaitRequest) => One WaitAnswer;
    RULES => List Rule;
    RULE => One Rule;
    NODE_CORDON (CordonRequest) => One Accepted;
    NODE_DRAIN (DrainRequest) => One Accepted;
    NODE_UNCORDON => One Accepted;
    NODE_MAINTENANCE (MaintenanceRequest) => One Accepted;
    NODE_MAINTENANCE_OVER => One Accepted;
    MAINTENANCE (MaintenanceRequest) => One Accepted;
    MAINTENANCE_OVER => One Accepted;
    PLACEMENT_MAINTENANCE (MaintenanceRequest) => One Accepted;
    PLACEMENT_MAINTENANCE_OVER => One Accepted;
    NODE_LABELS (LabelsRequest) => One Accepted;
    NODE_CONFIRM_DEAD (CordonRequest) => One Accepted;
    NODE_RESTART (DrainRequest) => One Accepted;
    NODE_REMOVE => One Accepted;
    RULE_DISABLE (RuleSwitch) => One Accepted;
    RULE_ENABLE => One Accepted;
    PARKED by LIST => Page Parked;
    PARKED_ONE => One Parked;
    PARKED_REQUEUE => One Accepted;
    PARKED_DROP => One Accepted;
    ACTIVITIES by LIST => Page Activity;
    ACTIVITY => One Activity;
    ACTIVITY_CREATE (Exact) => One Accepted;
    ACTIVITY_PUT (Exact) => One Accepted;
    ACTIVITY_DELETE => One Accepted;
    ORCHESTRATIONS by LIST => Page Orchestration;
    ORCHESTRATION => One Orchestration;
    ORCHESTRATION_CREATE (Exact) => One Accepted;
    ORCHESTRATION_PUT (Exact) => One Accepted;
    ORCHESTRATION_DELETE => One Accepted;
    SERVICES by LIST => Page Service;
    SERVICE => One Service;
    SERVICE_CREATE (Exact) => One Accepted;
    SERVICE_PUT (Exact) => One Accepted;
    SERVICE_DELETE => One Accepted;
    ARTIFACTS by LIST => Page Artifact;
    ARTIFACT => One Artifact;
    ARTIFACT_CONTENT => Bytes ();
    ARTIFACT_PUT by ARTIFACT (BytesShape) => One Accepted;
    ARTIFACT_DELETE => One Accepted;
    ORDERS by LIST => Page Order;
    ORDER => One OrderDetail;
    ORDER_PLACE (OrderRequest) => One Accepted;
    SCHEMAS => List WrittenSchema;
    SCHEMA => One Value;
    RUNS by LIST => Page Run;
    RUN => One RunDetail;
    RUN_START (RunRequest) => One Accepted;
    RUN_FORGET => One Accepted;
    RUN_PAUSE => One Accepted;
    RUN_RESUME => One Accepted;
    RUN_CANCEL => One Accepted;
    RUN_RETRY => One Accepted;
    RUN_DISPOSE => One Accepted;
    STEP_DONE (StepDone) => One Accepted;
    BAD_FRAMES => List BadPeer;
    BACKUP => Backup ();
    OPENAPI => One Map<String, Value>;
    HEALTHZ => Text String;
    READYZ => One Ready;
    METRICS => Text String;
    TOKENS by LIST => Page Token;
    TOKEN => One Token;
    TOKEN_CREATE (TokenRequest) => One TokenMade;
    TOKEN_REVOKE => One Accepted;
    JOIN (JoinRequest) => One Joined;
    IDENTITIES by LIST => Page Identity;
    IDENTITY => One Identity;
    IDENTITY_OF_PERSON => One Identity;
    IDENTITY_REVOKE (RevokeRequest) => One Accepted;
    PERSON_REVOKE (RevokeRequest) => One Accepted;
    CERTIFICATES => List Certificate;
    CERTIFICATE_ROTATE => One Certificate;
    SECRETS by LIST => Page Secret;
    SECRET => One Secret;
    SECRET_PUT (SecretRequest) => One Accepted;
    GROUPS => List Group;
    GROUP_PUT (GroupRequest) => One Accepted;
    GROUP_DELETE => One Accepted;
    WHOAMI => One Whoami;
}
