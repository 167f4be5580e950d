//! `could_not_start`: a refused configuration waits for a changed wish; trying again would change nothing.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code;
use mainstay_protocol::health::RefusedStart;
use mainstay_protocol::report::Presence;
use mainstay_resource_graph::{FailureCause, Instance, InstanceState, Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct CouldNotStart;

/// Failed for a reason that no restart can mend.
pub fn is_final(instance: &Instance) -> bool {
    let gone = matches!(
        instance.state,
        InstanceState::Failed {
            presence: Presence::Gone
        }
    );
    let refused = instance
        .failure
        .as_ref()
        .is_some_and(|failure| match failure.cause {
            FailureCause::CouldNotStart(refused) => match refused {
                RefusedStart::Config | RefusedStart::NoSuchType => true,
                RefusedStart::NotNow | RefusedStart::Deadline | RefusedStart::Panic => false,
            },
            FailureCause::Failed(_)
            | FailureCause::NameTaken
            | FailureCause::Unresponsive
            | FailureCause::StartDeadline => false,
        });
    gone && refused
}

impl Rule for CouldNotStart {
    const NAME: &'static str = "could_not_start";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(is_final)
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        if !txn
            .instance(&subject)
            .is_some_and(|instance| is_final(&instance))
        {
            return Verdict::Nothing;
        }
        verb::free_name(txn, &subject);
        Verdict::declined(
            code::CONFIG_REFUSED,
            "not tried again: the start was refused for good; change the configuration",
        )
    }
}
