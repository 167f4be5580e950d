//! `release`: what an instance used is free when it is gone.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code;
use mainstay_resource_graph::{Key, Relation, Txn, ViewExt};

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
        Watch::instances(|instance| !instance.state.may_be_live())
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let uses = txn.uses(&subject);
        let is_gone = txn
            .instance(&subject)
            .is_some_and(|found| !found.state.may_be_live());
        if uses.is_empty() || !is_gone {
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
