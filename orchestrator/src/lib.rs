//! # The orchestrator: durable work made of activities
//!
//! Pure. The coordinator keeps what is true in the graph, agents do the work; what a definition means, and what follows from
//! what happened, is judged here.
//!
//! ```text
//!   text --Json--> Definition --check(types)--> every fault at once, each with its pointer
//!                      |                   \--> none: its canonical form
//!                      v
//!                    Dag: who waits for whom; tiers for display
//!                      |
//!   run's input -------+--> inputs of an activity: exactly what is mapped to it
//!   outputs so far ----+
//!
//!   description --Models: the controller's schema selects who checks and plans--> Definition of an order
//!
//!   Run + Steps --Machine: taken, answered, lost, due, from outside, cancelled ..--> Run + Steps
//! ```
//!
//! What must hold:
//! - Values go through as they were written: no number is ever parsed.
//! - A definition that is taken has no circle, and no source that is known not to be there.
//! - A canonical form read again is the same definition, and the same text.
//! - A step is complete once; who depends on it begins in the same entry; and a run that is open has something that brings it
//!   on: a step that is due, is out, or has a time.
//! - Keys that this version does not know are kept and told of, never refused.
#![forbid(unsafe_code)]

mod fault;
mod reader;

mod activity_type;
mod definition;
mod mapping;
mod retry;
mod schema;

mod check;
mod dag;

mod machine;
mod plan;
mod queue;

mod parameter;
mod substitute;

mod models;

pub use activity_type::{ActivityType, Known};
pub use check::{definition, mapped, response};
pub use dag::{Before, Dag};
pub use definition::{Activity, DISPOSE, Definition, OnFatal, Sections};
pub use fault::{Fault, Found, Pointer};
pub use machine::{Machine, No, Steps, is_own_error};
pub use mapping::{Mapped, Mapping, MissingInput, Source, inputs};
pub use models::{
    AppServer, ArgoWorkflow, Basic, DESCRIPTION, Description, MODEL, ModelProvider, Models,
    NeededArtifact, NotOrdered, Planner, Purpose, ServiceProxy, TwoForOne, types_of_models,
};
pub use parameter::{Misgiven, MisgivenWhat, Parameter, ParameterKind, declared, given};
pub use plan::{Plan, Planned};
pub use queue::{ActivityQueue, Doing, Due, QueueFault, Turn};
pub use retry::{Retry, RetryPolicy};
pub use schema::{Member, Schema};
