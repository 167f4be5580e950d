//! `start`: what is wanted and not begun begins, once its node is online, has the type, and the name is free.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Relation, Txn, View, ViewExt, Waits, slot_of,
};

use crate::env::Env;
use crate::lease;
use crate::room;
use crate::rule::{Rule, Verdict, Watch};
use crate::rules::stray;
use crate::verb;

pub struct Start;

impl Rule for Start {
    const NAME: &'static str = "start";
    const ABOUT: &'static str =
        "Begins what is wanted, once its node is online, has the type, and the name is free.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.desired == Desired::Running
                && matches!(
                    instance.state,
                    InstanceState::Pending
                        | InstanceState::Blocked
                        | InstanceState::Stopped { by_itself: false }
                )
        })
    }

    /// A node that went, or came back, perhaps with other types, concerns everything on it: what it waits for changed. So
    /// does another need what waits for room, and an instance that begins no more, or is over, whoever waits for that.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Node(node) => view.instances_on(node),
            Key::Instance(key) => room::next_on_its_node(view, key),
            Key::Placement(name) => {
                let mut waiting = view.instances_of(name);
                waiting.retain(|key| {
                    let one = view.instance(key);
                    one.is_some_and(|one| one.waits() == Some(Waits::Room) || was_kept_down(&one))
                });
                waiting
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        if instance.desired != Desired::Running || !may_begin(&instance) {
            return Verdict::Nothing;
        }
        if lease::in_the_way(txn, &subject, env.now).is_some() {
            // `singleton_lease` has what is Pending.
            if instance.state != InstanceState::Pending {
                to_pending(&subject, txn);
            }
            return Verdict::Nothing;
        }
        if !verb::is_online(txn, &subject) {
            let text = format!(
                "{} is not online; it starts when its agent is back",
                subject.node
            );
            let node = Key::Node(subject.node.clone());
            let reason = Reason::new(code::WAITING_FOR_NODE, text).about(node);
            return wait_for_node(&subject, &instance, reason, txn);
        }
        if let Some(reason) = verb::kept_down(txn, &subject) {
            return wait_for_node(&subject, &instance, reason, txn);
        }
        if let Some(reason) = stray::ends(txn, &subject) {
            return wait_for_node(&subject, &instance, reason, txn);
        }
        if !verb::provides(txn, &subject, &instance) {
            return block_for_type(&subject, &instance, txn);
        }
        if instance.state != InstanceState::Pending {
            to_pending(&subject, txn);
        }
        if instance.waits() == Some(Waits::Room) && instance.next_try.is_some_and(|at| at > env.now)
        {
            // Its node said so, and is not asked before then.
            return Verdict::Nothing;
        }
        let needs = room::needs_of(txn, &subject, &instance);
        let lacking = room::lacking(txn, &subject, &needs);
        let waits =
            room::no_room(&subject.node, &lacking).or_else(|| room::not_its_turn(txn, &subject));
        if let Some(reason) = waits {
            return wait_for_others(&subject, reason, txn);
        }
        // What is restarted on request has its name already, whoever waits for it.
        let holds = verb::holds_name(txn, &subject, &instance);
        let taken = verb::held_by_another(txn, &subject, &instance)
            .or_else(|| verb::waits_longer(txn, &subject, &instance));
        if taken.is_some() && !holds {
            // `name_conflict` has what is Pending, unless that waits for something else.
            if instance.waits().is_some() || was_kept_down(&instance) {
                to_pending(&subject, txn);
            }
            return Verdict::Nothing;
        }
        verb::begin_start(txn, &subject, env);
        Verdict::did(
            code::WANTED,
            format!(
                "incarnation {} on {}",
                instance.incarnation.next(),
                subject.node
            ),
        )
    }
}

fn to_pending(subject: &InstanceKey, txn: &mut Txn<'_>) {
    verb::change(txn, subject, |instance| {
        instance.state = InstanceState::Pending;
        instance.next_try = None;
        instance.reason = Some(Reason::new(code::WANTED, "it is wanted and can begin"));
    });
}

fn may_begin(instance: &Instance) -> bool {
    match instance.state {
        InstanceState::Pending | InstanceState::Stopped { by_itself: false } => true,
        InstanceState::Blocked => instance
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code::TYPE_NOT_PROVIDED),
        InstanceState::Stopped { by_itself: true }
        | InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => false,
    }
}

/// Others on its node have what it needs: room, or the turn to begin.
fn wait_for_others(subject: &InstanceKey, why: Reason, txn: &mut Txn<'_>) -> Verdict {
    let (code, text) = (why.code.clone(), why.text.clone());
    let instance = txn.instance(subject).expect("the judge read it");
    // What exactly is free changes with every neighbour; `why` says how it is now.
    let same = instance.reason.as_ref().map(|reason| &reason.code) == Some(&code);
    if !same || instance.next_try.is_some() {
        // Who only waits for its turn keeps its name, and its place in the line for it.
        let has_room = code != code::NO_ROOM;
        if !has_room {
            verb::free_name(txn, subject);
        }
        verb::change(txn, subject, |instance| {
            instance.next_try = None;
            instance.has_room = has_room;
            instance.reason = Some(why);
        });
    }
    Verdict::declined(code, text)
}

/// Its agent is away, or people want nothing to start there now.
fn wait_for_node(
    subject: &InstanceKey,
    instance: &Instance,
    why: Reason,
    txn: &mut Txn<'_>,
) -> Verdict {
    let (code, text) = (why.code.clone(), why.text.clone());
    if instance.state != InstanceState::Pending || instance.reason.as_ref() != Some(&why) {
        // Its place in line stays: who left it and came back would pass it on for ever.
        let name = Key::Name(slot_of(subject, instance));
        txn.unlink(&Key::Instance(subject.clone()), Relation::Holds, &name);
        verb::change(txn, subject, |instance| {
            instance.state = InstanceState::Pending;
            instance.next_try = None;
            instance.reason = Some(why);
        });
    }
    Verdict::declined(code, text)
}

/// It did not begin for want of somebody's word, which may have come.
fn was_kept_down(instance: &Instance) -> bool {
    let code = instance.reason.as_ref().map(|reason| &reason.code);
    instance.state == InstanceState::Pending
        && code.is_some_and(|code| [code::NODE_DRAINED, code::IN_MAINTENANCE].contains(code))
}

fn block_for_type(subject: &InstanceKey, instance: &Instance, txn: &mut Txn<'_>) -> Verdict {
    let text = format!(
        "the agent of {} does not have the type {}",
        subject.node, instance.service_type
    );
    if instance.state != InstanceState::Blocked {
        verb::free_name(txn, subject);
        verb::change(txn, subject, |instance| {
            instance.state = InstanceState::Blocked;
            instance.next_try = None;
            instance.reason = Some(
                Reason::new(code::TYPE_NOT_PROVIDED, text.clone())
                    .about(Key::Node(subject.node.clone())),
            );
        });
    }
    Verdict::declined(code::TYPE_NOT_PROVIDED, text)
}
