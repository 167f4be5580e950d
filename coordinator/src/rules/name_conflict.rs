//! `name_conflict`: one holder per name per node; who comes later waits in line, and the oldest is next.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Relation, Txn, View, ViewExt, slot_of,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct NameConflict;

impl Rule for NameConflict {
    const NAME: &'static str = "name_conflict";
    const ABOUT: &'static str =
        "Puts those that want one name in line, and lets the oldest have it next.";
    const SAFETY: Option<&'static str> = Some("who waits for a name would never get it");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.desired == Desired::Running
                && (instance.state == InstanceState::Pending || waits(instance))
        })
    }

    /// Everybody in line hears when the holder changes, or one before them is held back; only the oldest that could begin
    /// moves. Who is kept down no longer, or on a node that is back, may not be in line yet.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Name(name) => view.waiters(name),
            Key::Node(node) => view.instances_on(node),
            Key::Placement(name) => {
                let instances = view.instances_of(name);
                let with_line = instances.into_iter().flat_map(|key| in_line(view, key));
                with_line.collect()
            }
            Key::Instance(key) => match view.look_at_instance(key, verb::waits_for_lease) {
                Some(true) => in_line(view, key.clone()),
                Some(false) | None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        // Who has no room, not the turn, a lease to wait for, or is kept down is in nobody's way: the line is for those that
        // could begin.
        let is_kept_down =
            || instance.state == InstanceState::Pending && verb::kept_down(txn, &subject).is_some();
        let stays_out =
            instance.waits().is_some() || verb::waits_for_lease(&instance) || is_kept_down();
        if instance.desired != Desired::Running || stays_out {
            return Verdict::Nothing;
        }
        match (
            instance.state,
            verb::held_by_another(txn, &subject, &instance),
        ) {
            (InstanceState::Pending, Some(holder)) => {
                let reason = held_by(&instance, &subject, &holder);
                queue(&subject, &instance, reason, txn)
            }
            // What is restarted on request has its name already.
            (InstanceState::Pending, None) if verb::holds_name(txn, &subject, &instance) => {
                Verdict::Nothing
            }
            (InstanceState::Pending, None) => match verb::waits_longer(txn, &subject, &instance) {
                Some(first) => {
                    let reason = goes_to(&instance, &subject, &first);
                    queue(&subject, &instance, reason, txn)
                }
                None => Verdict::Nothing,
            },
            (InstanceState::Blocked, Some(holder)) if waits(&instance) => {
                renew(&subject, &instance, &holder, txn)
            }
            (InstanceState::Blocked, None) if waits(&instance) => {
                next_in_line(&subject, &instance, txn)
            }
            (_, _) => Verdict::Nothing,
        }
    }
}

/// One that has not begun, and those that want its name.
fn in_line(view: &dyn View, key: InstanceKey) -> Vec<InstanceKey> {
    let name = |one: &Instance| {
        let waits = matches!(one.state, InstanceState::Pending | InstanceState::Blocked);
        waits.then(|| slot_of(&key, one))
    };
    let Some(Some(name)) = view.look_at_instance(&key, name) else {
        return Vec::new();
    };
    let mut line = view.waiters(&name);
    line.push(key);
    line
}

fn waits(instance: &Instance) -> bool {
    instance.state == InstanceState::Blocked
        && instance
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code::NAME_HELD)
}

fn held_by(instance: &Instance, subject: &InstanceKey, holder: &InstanceKey) -> Reason {
    Reason::new(
        code::NAME_HELD,
        format!(
            "the name {} on {} is held by {holder}",
            instance.name, subject.node
        ),
    )
    .about(holder)
}

fn goes_to(instance: &Instance, subject: &InstanceKey, first: &InstanceKey) -> Reason {
    Reason::new(
        code::NAME_HELD,
        format!(
            "the name {} on {} goes to {first}, which waited longer",
            instance.name, subject.node
        ),
    )
    .about(first)
}

fn queue(subject: &InstanceKey, instance: &Instance, reason: Reason, txn: &mut Txn<'_>) -> Verdict {
    let name = Key::Name(slot_of(subject, instance));
    txn.link(Key::Instance(subject.clone()), Relation::Waits, name)
        .expect("both ends exist, and waiting has no limit");
    let text = reason.text.clone();
    verb::change(txn, subject, |instance| {
        instance.state = InstanceState::Blocked;
        instance.next_try = None;
        instance.reason = Some(reason);
    });
    Verdict::did(code::NAME_HELD, text)
}

/// The holder changed while this one goes on waiting.
fn renew(
    subject: &InstanceKey,
    instance: &Instance,
    holder: &InstanceKey,
    txn: &mut Txn<'_>,
) -> Verdict {
    let reason = held_by(instance, subject, holder);
    if instance.reason.as_ref() == Some(&reason) {
        return Verdict::Nothing;
    }
    let text = reason.text.clone();
    verb::change(txn, subject, |instance| instance.reason = Some(reason));
    Verdict::did(code::NAME_HELD, text)
}

/// It keeps its place in line until its start takes the name, so that nobody slips in between.
fn next_in_line(subject: &InstanceKey, instance: &Instance, txn: &mut Txn<'_>) -> Verdict {
    if verb::waits_longer(txn, subject, instance).is_some() {
        return Verdict::Nothing;
    }
    let text = format!("the name {} on {} is free", instance.name, subject.node);
    verb::change(txn, subject, |instance| {
        instance.state = InstanceState::Pending;
        instance.reason = Some(Reason::new(code::NAME_FREED, text.clone()));
    });
    Verdict::did(code::NAME_FREED, text)
}
