//! `retire`: an instance that no placement asks for is removed once nothing of it is left.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code;
use mainstay_resource_graph::{Desired, Instance, InstanceState, Key, Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Retire;

impl Rule for Retire {
    const NAME: &'static str = "retire";
    const ABOUT: &'static str = "Removes an instance that no placement asks for any more.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(is_over)
    }

    /// With its orders: the node's floor, raised by the Stop or by the end, keeps a late Start from taking effect.
    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject).filter(is_over) else {
            return Verdict::Nothing;
        };
        verb::forget_orders(txn, &subject);
        txn.remove(&Key::Instance(subject));
        Verdict::did(
            code::NOT_WANTED,
            format!(
                "removed: incarnation {} has ended and no placement asks for another",
                instance.incarnation
            ),
        )
    }
}

fn is_over(instance: &Instance) -> bool {
    instance.desired == Desired::Absent && matches!(instance.state, InstanceState::Stopped { .. })
}
