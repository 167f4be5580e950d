//! `release`: what an instance used is free when it is gone.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code;
use mainstay_protocol::report::Presence;
use mainstay_resource_graph::{Instance, InstanceState, Key, Relation, Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};

pub struct Release;

impl Rule for Release {
    const NAME: &'static str = "release";
    const ABOUT: &'static str = "Frees the resources of an instance that is gone.";
    const SAFETY: Option<&'static str> =
        Some("what an instance that is gone used would stay taken");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(is_gone)
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let uses = txn.uses(&subject);
        if uses.is_empty() || !txn.instance(&subject).is_some_and(|found| is_gone(&found)) {
            return Verdict::Nothing;
        }
        txn.unlink_all(&Key::Instance(subject), Relation::Uses);
        let names: Vec<String> = uses.iter().map(ToString::to_string).collect();
        Verdict::did(
            code::RESOURCES_FREED,
            format!("it is gone; free again: {}", names.join(", ")),
        )
    }
}

/// Nothing of an incarnation is left; a Starting one has acquired nothing yet.
fn is_gone(instance: &Instance) -> bool {
    match instance.state {
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Stopped { .. }
        | InstanceState::Failed {
            presence: Presence::Gone,
        }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => true,
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Failed {
            presence: Presence::Living,
        }
        | InstanceState::Unknown { .. } => false,
    }
}
