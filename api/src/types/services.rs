//! Services that are registered, and what was ordered of them.

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shapes::ReasonShape;
use super::work::{Exact, Run, Step};
use crate::time::Time;

/// What can be ordered, or is hosted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// What it is called by.
    pub id: String,
    /// What people call it; it can be ordered by it while no other has it.
    pub name: String,
    /// In words; null where it says nothing.
    pub description: Option<String>,
    /// What its controller says it is.
    pub model: String,
    /// It can be ordered; else it is placed.
    pub orderable: bool,
    /// What an order of it says.
    pub parameters: Vec<ServiceParameter>,
    /// Number of this description.
    pub generation: u64,
    /// Who registered it.
    pub by: String,
    /// Since when it is this one.
    pub since: Time,
    /// The description as it was written; null in lists.
    pub definition: Option<Exact>,
}

/// What an order says, or may say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceParameter {
    /// What it is called by.
    pub name: String,
    /// string, int, float, bool, artifact, queue.
    #[serde(rename = "type")]
    pub of: String,
    /// In words; null where it says nothing.
    pub description: Option<String>,
    /// Of what a number is so many; null where it says nothing.
    pub unit: Option<String>,
    /// What it is where an order says nothing; null where there is none.
    pub default: Option<Exact>,
    /// An order can leave it out although it has no default.
    pub optional: bool,
    /// It is always its default.
    pub constant: bool,
    /// The values that it can have; empty where it can have any.
    pub options: Vec<Exact>,
}

/// What may become of an order.
pub const ORDER_STATUSES: [&str; 7] = [
    "pending",
    "scheduled",
    "executing",
    "succeeded",
    "failed",
    "error",
    "cancelled",
];

/// What somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// What it is called by; its run is called so too.
    pub id: String,
    /// The id of its service.
    pub service: String,
    /// What that was called when it was ordered.
    pub service_name: String,
    /// In the words of who ordered it; null where nothing was said.
    pub name: Option<String>,
    /// pending, scheduled, executing, succeeded, failed (the work said so), error (whoever should do it could not), cancelled.
    pub status: String,
    /// Why it has this status; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// Who ordered it.
    pub by: String,
    /// When it was ordered.
    pub ordered: Time,
    /// When the first of it began; null before that.
    pub started: Option<Time>,
    /// When it came to its end; null before that.
    pub finished: Option<Time>,
}

/// An order with everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderDetail {
    /// The order, as lists show it.
    pub order: Order,
    /// Each parameter of the service as it is for this order.
    pub parameters: Exact,
    /// By each step that is complete, what it left behind.
    pub products: Exact,
    /// The run that does it.
    pub run: Run,
    /// Its steps, in the order of the workflow.
    pub steps: Vec<Step>,
}

/// Something is ordered. The same one again is the order that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// What it is to be called by; made up where nothing is said.
    #[serde(default)]
    pub id: Option<String>,
    /// The service's id, or its name if no other has it.
    pub service: String,
    /// In your words.
    #[serde(default)]
    pub name: Option<String>,
    /// What its service asks for.
    #[serde(default)]
    pub parameters: Vec<OrderParameter>,
}

/// A parameter of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderParameter {
    /// As the service calls it.
    pub name: String,
    /// Of the type that the service says, or as text.
    pub value: Exact,
}

/// What there is a JSON Schema of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WrittenSchema {
    /// What it is called by.
    pub name: String,
    /// Of what it is.
    pub about: String,
}
