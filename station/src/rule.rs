//! What a rule of a user's own is written with, in one place: `Station::new().rule::<MyRule>()` links it in. The
//! example `examples/own-rule` has a rule, a procedure of three steps, and rules over what instances ask and collectors
//! bring, with their tests.

pub use mainstay_coordinator::testing;
pub use mainstay_coordinator::verb::{change, clear, failed as fail};
pub use mainstay_coordinator::word::{answer, take};
pub use mainstay_coordinator::{Env, Next, Procedure, Rule, Turn, Verdict, Watch};
pub use mainstay_protocol::code::{self, Code, Reason};
pub use mainstay_protocol::health::Health;
pub use mainstay_protocol::report::{Presence, TypedFailure};
pub use mainstay_protocol::{CommandId, InstanceKey, NodeName, PlacementName, Timestamp};
pub use mainstay_resource_graph::{
    Asked, AskedId, Collected, CollectedId, Desired, Instance, InstanceState, Key, NameKey, Node,
    NodeState, Placement, Txn, View, ViewExt,
};
