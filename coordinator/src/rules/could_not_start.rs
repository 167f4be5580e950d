//! `could_not_start`: a refused configuration waits for a changed wish, and so does what cannot run on its node; trying
//! again would change nothing.

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
                RefusedStart::Config | RefusedStart::NoSuchType | RefusedStart::NotHere => true,
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
    const ABOUT: &'static str = "Leaves alone what cannot start until its wish changes.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(is_final)
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject).filter(is_final) else {
            return Verdict::Nothing;
        };
        verb::free_name(txn, &subject);
        let cause = instance.failure.map(|failure| failure.cause);
        if cause == Some(FailureCause::CouldNotStart(RefusedStart::NoSuchType)) {
            let text = "not tried again: the agent does not have the type; restart one that has it";
            return Verdict::declined(code::TYPE_NOT_PROVIDED, text);
        }
        if cause == Some(FailureCause::CouldNotStart(RefusedStart::NotHere)) {
            let text = "not tried again on this node: mend what is missing there, then restart it";
            return Verdict::declined(code::CANNOT_RUN_HERE, text);
        }
        Verdict::declined(
            code::CONFIG_REFUSED,
            "not tried again: the configuration was refused; change it",
        )
    }
}
