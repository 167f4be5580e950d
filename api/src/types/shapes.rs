//! What values look like whose types are not of this crate, or that no type has: for the schemas, and so for `explain`
//! and for the API's document.
#![allow(dead_code)] // they are described, never made

use schemars::JsonSchema;

use super::access::{Identity, Secret, Token};
use super::artifacts::Artifact;
use super::history::Parked;
use super::instance::Instance;
use super::node::Node;
use super::parts::{Cluster, Configuration, Name, ServiceType, Station, Supervisor};
use super::placement::Placement;
use super::services::Service;
use super::why::Why;
use super::words::{Asked, Collected, Procedure, Resource};
use super::work::{Activity, Orchestration, Run, Step};

/// Why something is as it is: a stable code, and words.
#[derive(JsonSchema)]
#[schemars(rename = "Reason")]
pub struct ReasonShape {
    /// A code such as MS-NAME-HELD; `mainstay explain CODE` says what it means.
    code: String,
    /// In words.
    text: String,
    /// What it is about.
    refs: Vec<String>,
}

/// What Checks say.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Health")]
pub enum HealthShape {
    Ok,
    Degraded,
    Failed,
    Unresponsive,
    Unknown,
}

/// What the list of its kind shows of something.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Any")]
pub enum AnyShape {
    Cluster(Cluster),
    Station(Station),
    Node(Box<Node>),
    ServiceType(ServiceType),
    Placement(Box<Placement>),
    Instance(Box<Instance>),
    Name(Name),
    Supervisor(Supervisor),
    Configuration(Configuration),
    Parked(Parked),
    Resource(Resource),
    Asked(Asked),
    Procedure(Procedure),
    Collected(Collected),
    Token(Token),
    Identity(Identity),
    Secret(Secret),
    Orchestration(Orchestration),
    Activity(Activity),
    Run(Box<Run>),
    Step(Box<Step>),
    Service(Box<Service>),
    Artifact(Box<Artifact>),
}

/// One tree, or one for each root problem.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "WhyOrAll")]
pub enum WhyShape {
    One(Box<Why>),
    All(Vec<Why>),
}

/// Bytes, whatever they are.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct BytesShape {}

/// It was heard; there is nothing to say.
#[derive(JsonSchema)]
#[schemars(rename = "Nothing")]
pub struct NothingShape {}
