//! `stop_escalate`: no answer to a Stop in time; it is killed, and if that is not answered, said to be stuck.

use std::time::Duration;

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::{Order, StopManner};
use mainstay_resource_graph::{Instance, InstanceState, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct StopEscalate;

impl Rule for StopEscalate {
    const NAME: &'static str = "stop_escalate";
    const ABOUT: &'static str = "Kills what does not answer its Stop.";
    const SAFETY: Option<&'static str> =
        Some("a stop that is never answered would keep its name for ever");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            matches!(instance.state, InstanceState::Stopping { stuck: false, .. })
        })
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let InstanceState::Stopping { why, stuck: false } = instance.state else {
            return Verdict::Nothing;
        };
        if instance.deadline.is_none_or(|at| at > env.now) {
            return Verdict::Nothing;
        }
        if kill_is_under_way(txn, &subject, &instance) {
            let text = format!(
                "{} answered neither a stop nor a kill; restart its agent",
                subject
            );
            verb::change(txn, &subject, |instance| {
                instance.state = InstanceState::Stopping { why, stuck: true };
                instance.deadline = None;
                instance.reason = Some(Reason::new(code::WILL_NOT_END, text.clone()));
            });
            return Verdict::did(code::WILL_NOT_END, text);
        }
        let wait = env.settings.answer_margin();
        verb::order_stop(
            txn,
            &subject,
            why,
            StopManner::Kill,
            wait.as_millis() as u64,
            env,
        );
        verb::change(txn, &subject, |instance| {
            instance.deadline =
                Some(env.now + wait + Duration::from_millis(env.settings.resend_ms));
        });
        Verdict::did(
            code::STOPPING,
            "no answer to the stop in time: it is to be killed",
        )
    }
}

/// The node was told to kill it at once.
pub fn kill_is_under_way(view: &dyn View, subject: &InstanceKey, instance: &Instance) -> bool {
    view.commands_for(&subject.node)
        .iter()
        .filter_map(|key| view.command(key))
        .any(|command| match &command.order {
            Order::Stop(stop) => {
                stop.instance == *subject
                    && stop.incarnation == instance.incarnation
                    && stop.manner == StopManner::Kill
            }
            Order::Start(_)
            | Order::Reconfigure(_)
            | Order::Answer(_)
            | Order::Adopt(_)
            | Order::Work(_)
            | Order::TakeBack(_) => false,
        })
}
