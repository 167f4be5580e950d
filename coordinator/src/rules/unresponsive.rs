//! `unresponsive`: so many Checks missed in a row that the instance is stopped, and then restarted.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::StopWhy;
use mainstay_protocol::health::Evidence;
use mainstay_resource_graph::{Desired, FailureCause, InstanceState, Key, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Unresponsive;

impl Rule for Unresponsive {
    const NAME: &'static str = "unresponsive";
    const ABOUT: &'static str = "Stops what goes on missing its Checks, so that it is restarted.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| matches!(instance.state, InstanceState::Unresponsive { .. }))
    }

    /// Its maintenance may be over.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Node(node) => view.instances_on(node),
            Key::Placement(name) => view.instances_of(name),
            _ => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let InstanceState::Unresponsive { missed, limit } = instance.state else {
            return Verdict::Nothing;
        };
        if instance.desired != Desired::Running {
            return Verdict::Nothing;
        }
        if let Some(kept) = verb::in_maintenance(txn, &subject) {
            return Verdict::declined(kept.code, kept.text);
        }
        if missed < limit {
            return Verdict::declined(
                code::WITHIN_BUDGET,
                format!("fewer than {limit} Checks missed in a row"),
            );
        }
        let mut text = format!("{missed} Checks missed in a row");
        if !instance.health_detail.is_empty() {
            text = format!("{text}: {}", instance.health_detail);
        }
        verb::change(txn, &subject, |instance| {
            verb::note_failure(
                instance,
                FailureCause::Unresponsive,
                Evidence::text(text.clone()),
                env,
            );
        });
        let reason = Reason::new(
            code::UNRESPONSIVE,
            format!("stopped, to be restarted: {text}"),
        );
        verb::begin_stop(txn, &subject, StopWhy::Unresponsive, reason, env);
        Verdict::did(code::UNRESPONSIVE, text)
    }
}
