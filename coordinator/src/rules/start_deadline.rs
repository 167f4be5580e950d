//! `start_deadline`: no answer to a Start in time; what may be there is stopped before the next try.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::StopWhy;
use mainstay_protocol::health::Evidence;
use mainstay_resource_graph::{FailureCause, InstanceState, Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct StartDeadline;

impl Rule for StartDeadline {
    const NAME: &'static str = "start_deadline";
    const ABOUT: &'static str = "Ends a start that is not answered in time.";
    const SAFETY: Option<&'static str> =
        Some("a start that is never answered would stay Starting for ever");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Starting)
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let overdue = instance.deadline.is_some_and(|at| at <= env.now);
        if instance.state != InstanceState::Starting || !overdue {
            return Verdict::Nothing;
        }
        let text = format!(
            "incarnation {} said nothing within its start deadline",
            instance.incarnation
        );
        verb::change(txn, &subject, |instance| {
            verb::note_failure(
                instance,
                FailureCause::StartDeadline,
                Evidence::text(text.clone()),
                env,
            );
        });
        let reason = Reason::new(code::START_DEADLINE, text.clone());
        verb::begin_stop(txn, &subject, StopWhy::StartDeadline, reason, env);
        Verdict::did(code::START_DEADLINE, text)
    }
}
