//! `stop`: what is not wanted running ends; so does what failed but lives, and what an operator wants restarted.

use std::collections::BTreeSet;

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::StopWhy;
use mainstay_protocol::report::Presence;
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Txn, Vertex, View, ViewExt, traverse,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Stop;

impl Rule for Stop {
    const NAME: &'static str = "stop";
    const ABOUT: &'static str =
        "Ends what is not wanted running, what failed and lives, and what is to be restarted.";
    const SAFETY: Option<&'static str> = Some("nothing that is not wanted would ever end");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.desired != Desired::Running
                || instance.restart_asked
                || instance.state
                    == InstanceState::Failed {
                        presence: Presence::Living,
                    }
        })
    }

    /// What ends, or depends on other things from now on, may have been waited for by what it depends on.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        let (name, changed_itself) = match changed {
            Key::Instance(key) => (&key.placement, false),
            Key::Placement(name) => (name, true),
            _ => return Vec::new(),
        };
        let record = view.record(&Key::Placement(name.clone()));
        let Some(Vertex::Placement(placement)) = record.as_ref().map(|record| &record.vertex)
        else {
            return Vec::new();
        };
        let before = placement.history.last().filter(|_| changed_itself);
        let before = before
            .into_iter()
            .flat_map(|past| past.wish.depends_on.keys());
        let names: BTreeSet<_> = placement.wish.depends_on.keys().chain(before).collect();
        let instances = names.into_iter().flat_map(|on| view.instances_of(on));
        instances.collect()
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let wanted = instance.desired == Desired::Running;
        match instance.state {
            InstanceState::Starting
            | InstanceState::Running
            | InstanceState::Degraded
            | InstanceState::Unresponsive { .. } => living(&subject, &instance, txn, env),
            InstanceState::Failed {
                presence: Presence::Living,
            } => {
                let why = if wanted {
                    StopWhy::Failed
                } else {
                    StopWhy::NotWanted
                };
                let text = instance
                    .reason
                    .map_or_else(String::new, |reason| reason.text);
                let reason = Reason::new(code::REPORTED_FAILURE, text.clone());
                verb::begin_stop(txn, &subject, why, reason, env);
                Verdict::did(
                    code::REPORTED_FAILURE,
                    format!("stopped before its next start: {text}"),
                )
            }
            // The answer is awaited; `stop_escalate` has the deadline. A cut-off node is asked when it is back.
            InstanceState::Stopping { .. }
            | InstanceState::Unknown { .. }
            | InstanceState::Lost { .. } => Verdict::Nothing,
            InstanceState::Stopped { .. } if !wanted => {
                let holds = verb::holds_name(txn, &subject, &instance);
                if !holds {
                    return Verdict::Nothing;
                }
                verb::free_name(txn, &subject);
                Verdict::did(code::NAME_FREED, "it is stopped; its name is free")
            }
            InstanceState::Pending
            | InstanceState::Blocked
            | InstanceState::Stopped { .. }
            | InstanceState::Failed {
                presence: Presence::Gone,
            }
            | InstanceState::Backoff { .. }
            | InstanceState::Quarantined => {
                if wanted {
                    return fresh(&subject, txn);
                }
                let reason = Reason::new(
                    code::STOPPED_BY_OPERATOR,
                    "stopped on request; it was not running",
                );
                verb::settle_stopped(txn, &subject, reason);
                Verdict::did(
                    code::STOPPED_BY_OPERATOR,
                    "it was not running; nothing to end",
                )
            }
        }
    }
}

fn living(subject: &InstanceKey, instance: &Instance, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    let why = match instance.desired {
        Desired::Stopped | Desired::Absent => StopWhy::NotWanted,
        Desired::Running if instance.restart_asked => StopWhy::Restart,
        Desired::Running => return Verdict::Nothing,
    };
    if why == StopWhy::NotWanted
        && let Some(reason) = ending_before(subject, txn)
    {
        let text = reason.text.clone();
        verb::change(txn, subject, |instance| instance.reason = Some(reason));
        return Verdict::declined(code::WAITS_FOR_DEPENDENTS, text);
    }
    // Why it restarts with others is more than that it was asked.
    let together = instance
        .reason
        .clone()
        .filter(|reason| why == StopWhy::Restart && reason.code == code::RESTART_TOGETHER);
    let reason = together.unwrap_or_else(|| verb::stopping(instance.desired));
    verb::change(txn, subject, |instance| instance.restart_asked = false);
    verb::begin_stop(txn, subject, why, reason.clone(), env);
    Verdict::did(reason.code, reason.text)
}

/// The reverse of the order in which they start: what depends on it and is to end as well ends first. What is stuck
/// or out of sight is not waited for.
fn ending_before(subject: &InstanceKey, txn: &Txn<'_>) -> Option<Reason> {
    let is_ending = |key: &InstanceKey| {
        txn.instance(key).is_some_and(|instance| {
            instance.desired != Desired::Running
                && match instance.state {
                    InstanceState::Starting
                    | InstanceState::Running
                    | InstanceState::Degraded
                    | InstanceState::Unresponsive { .. }
                    | InstanceState::Stopping { stuck: false, .. }
                    | InstanceState::Failed {
                        presence: Presence::Living,
                    } => true,
                    InstanceState::Pending
                    | InstanceState::Blocked
                    | InstanceState::Stopping { stuck: true, .. }
                    | InstanceState::Stopped { .. }
                    | InstanceState::Failed {
                        presence: Presence::Gone,
                    }
                    | InstanceState::Backoff { .. }
                    | InstanceState::Quarantined
                    | InstanceState::Unknown { .. }
                    | InstanceState::Lost { .. } => false,
                }
        })
    };
    let first = traverse::standing_on(txn, &subject.placement)
        .iter()
        .flat_map(|name| txn.instances_of(name))
        .find(is_ending)?;
    let text = format!("it stops when {first} has ended, which depends on it");
    Some(Reason::new(code::WAITS_FOR_DEPENDENTS, text).about(&first))
}

/// A restart of what does not run is a start with a clean sheet.
fn fresh(subject: &InstanceKey, txn: &mut Txn<'_>) -> Verdict {
    verb::free_name(txn, subject);
    let reason = Reason::new(code::RESTART_ASKED, "a restart was asked for");
    verb::renew(txn, subject, InstanceState::Pending, reason);
    Verdict::did(
        code::RESTART_ASKED,
        "it was not running; it starts with a clean sheet",
    )
}
