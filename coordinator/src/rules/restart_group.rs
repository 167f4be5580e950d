//! `restart_group`: when a member of a group fails, those that ran beside it on its node restart with it.

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{GroupName, InstanceKey, Timestamp};
use mainstay_resource_graph::{Desired, FailureCause, Instance, Key, Txn, Vertex, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct RestartGroup;

impl Rule for RestartGroup {
    const NAME: &'static str = "restart_group";
    const ABOUT: &'static str =
        "Restarts what is in one restart group with a failed instance, on the same node.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(may_follow)
    }

    /// A failure concerns the other members on its node.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        let Key::Instance(at) = changed else {
            return Vec::new();
        };
        // Asked of every change: the vertex is looked at where it stands.
        let record = view.record(changed);
        let failed = match record.as_ref().map(|record| &record.vertex) {
            Some(Vertex::Instance(instance)) => failed_running(instance).is_some(),
            Some(_) | None => false,
        };
        match failed.then(|| group_of(view, at)).flatten() {
            Some(group) => members(view, at, &group),
            None => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        // Most are in none, and every change of what runs comes by here.
        let Some(group) = group_of(txn, &subject) else {
            return Verdict::Nothing;
        };
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let Some(since) = instance.started.filter(|_| may_follow(&instance)) else {
            return Verdict::Nothing;
        };
        let first = members(txn, &subject, &group).into_iter().find(|other| {
            txn.instance(other)
                .and_then(|failed| failed_running(&failed))
                // What happened before they were one group is past.
                .is_some_and(|at| {
                    at > since && at > wished(txn, &subject) && at > wished(txn, other)
                })
        });
        let Some(first) = first else {
            return Verdict::Nothing;
        };
        let text = format!("{first} failed; the group {group} restarts together");
        let reason = Reason::new(code::RESTART_TOGETHER, text.clone()).about(&first);
        verb::change(txn, &subject, |instance| {
            instance.restart_asked = true;
            instance.reason = Some(reason);
        });
        Verdict::did(code::RESTART_TOGETHER, text)
    }
}

/// It runs, and is not on its way to a new start already.
fn may_follow(instance: &Instance) -> bool {
    instance.desired == Desired::Running && instance.state.is_up() && !instance.restart_asked
}

/// When it failed after having run, if it is to run again. A start that comes to nothing ends nobody else.
fn failed_running(instance: &Instance) -> Option<Timestamp> {
    let failure = instance.failure.as_ref()?;
    let ran = match failure.cause {
        FailureCause::Failed(_) | FailureCause::Unresponsive => true,
        FailureCause::CouldNotStart(_) | FailureCause::NameTaken | FailureCause::StartDeadline => {
            false
        }
    };
    (ran && instance.desired == Desired::Running).then_some(failure.at)
}

fn group_of(view: &(impl View + ?Sized), key: &InstanceKey) -> Option<GroupName> {
    let record = view.record(&Key::Placement(key.placement.clone()))?;
    match &record.vertex {
        Vertex::Placement(placement) => placement.wish.restart_group.clone(),
        _ => None,
    }
}

fn wished(view: &(impl View + ?Sized), key: &InstanceKey) -> Timestamp {
    let placement = view.placement(&key.placement);
    placement.map_or(Timestamp::ZERO, |placement| placement.made.at)
}

/// The others of its group on its node.
fn members(view: &(impl View + ?Sized), key: &InstanceKey, group: &GroupName) -> Vec<InstanceKey> {
    let mut others = view.instances_on(&key.node);
    others.retain(|other| other != key && group_of(view, other).as_ref() == Some(group));
    others
}
