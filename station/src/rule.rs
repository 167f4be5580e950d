//! What a rule of a user's own is written with, in one place: `Station::new().rule::<MyRule>()` links it in. The
//! example `examples/own-rule` is one with its test.

pub use mainstay_coordinator::testing;
pub use mainstay_coordinator::verb::change;
pub use mainstay_coordinator::{Env, Rule, Verdict, Watch};
pub use mainstay_protocol::code::{self, Code, Reason};
pub use mainstay_protocol::health::Health;
pub use mainstay_protocol::{CommandId, InstanceKey, NodeName, PlacementName, Timestamp};
pub use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, NameKey, Node, NodeState, Placement, Txn, View, ViewExt,
};
