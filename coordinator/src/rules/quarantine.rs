//! `quarantine`: too many failures within the window; only an operator or a changed wish ends it.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::report::Presence;
use mainstay_resource_graph::{Desired, InstanceState, Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::rules::{could_not_start, restart};
use crate::verb;

pub struct Quarantine;

impl Rule for Quarantine {
    const NAME: &'static str = "quarantine";
    const ABOUT: &'static str = "Ends a crash loop whose restarts are used up.";
    const SAFETY: Option<&'static str> = Some("a crash loop would never end");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            matches!(
                instance.state,
                InstanceState::Failed {
                    presence: Presence::Gone
                }
            )
        })
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let failed = matches!(
            instance.state,
            InstanceState::Failed {
                presence: Presence::Gone
            }
        );
        let exempt = could_not_start::is_final(&instance)
            || restart::is_not_its_fault(&subject, &instance, txn, env);
        if !failed || exempt || instance.desired != Desired::Running {
            return Verdict::Nothing;
        }
        let budget = verb::budget(txn, &subject, &instance, env);
        if instance.attempts.len() < budget.attempts as usize {
            return Verdict::Nothing;
        }
        let last = instance
            .reason
            .map_or_else(String::new, |reason| format!("; the last: {}", reason.text));
        let text = format!(
            "{} restarts within {} s used up{last}",
            budget.attempts,
            budget.window_ms / 1000
        );
        verb::change(txn, &subject, |instance| {
            instance.state = InstanceState::Quarantined;
            instance.reason = Some(Reason::new(code::RESTART_BUDGET_USED, text.clone()));
            verb::quiet(instance);
        });
        verb::free_name(txn, &subject);
        Verdict::did(code::RESTART_BUDGET_USED, text)
    }
}
