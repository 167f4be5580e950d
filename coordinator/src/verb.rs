//! The verbs of rules: what a decision about an instance writes, in one place each.

use std::time::Duration;

use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::command::{Order, Start, Stop, StopManner, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{Presence, RestartWhen};
use mainstay_protocol::words::cut;
use mainstay_protocol::{InstanceKey, limits};
use mainstay_resource_graph::{
    CommandVertex, Desired, Failure, FailureCause, Instance, InstanceState, Key, NodeState,
    Relation, Txn, Vertex, ViewExt, slot_of,
};

use crate::env::Env;

/// Changes an instance that is known to exist and to be in a state from which the change is legal.
pub fn change(txn: &mut Txn<'_>, key: &InstanceKey, change: impl FnOnce(&mut Instance)) {
    txn.update_instance(key, change).expect(
        "a rule judged this instance in this transaction, and transitions allow what it writes",
    );
}

/// Whether the node's agent can take a Start now.
pub fn is_online(txn: &Txn<'_>, key: &InstanceKey) -> bool {
    txn.node(&key.node)
        .is_some_and(|node| node.state == NodeState::Online)
}

pub fn provides(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> bool {
    txn.node(&key.node)
        .is_some_and(|node| node.provides.contains_key(&instance.service_type))
}

/// When an ended instance of this type is started again.
pub fn restart_when(txn: &Txn<'_>, instance: &Instance) -> RestartWhen {
    txn.service_type(&instance.service_type)
        .map_or(RestartWhen::OnFailure, |found| found.declaration.restart)
}

/// Who else holds the instance's name.
pub fn held_by_another(
    txn: &Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
) -> Option<InstanceKey> {
    txn.holder(&slot_of(key, instance))
        .filter(|holder| holder != key)
}

/// Who stands before this instance in the line for its name.
pub fn waits_longer(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> Option<InstanceKey> {
    txn.waiters(&slot_of(key, instance))
        .into_iter()
        .next()
        .filter(|first| first != key)
}

/// Takes the name, makes the next incarnation, and commands the Start. The caller has checked node, type and name.
pub fn begin_start(txn: &mut Txn<'_>, key: &InstanceKey, env: &Env) {
    let instance = txn.instance(key).expect("the caller read it");
    let name = Key::Name(slot_of(key, &instance));
    let subject = Key::Instance(key.clone());
    txn.unlink(&subject, Relation::Waits, &name);
    txn.link(subject, Relation::Holds, name)
        .expect("the caller saw the name free, or held by this instance");
    let declaration = txn
        .service_type(&instance.service_type)
        .expect("a node provides it, so it is declared")
        .declaration;
    let config = wanted_config(txn, key);
    let incarnation = instance.incarnation.next();
    let start_deadline = Duration::from_millis(declaration.start_deadline_ms);
    change(txn, key, |instance| {
        instance.incarnation = incarnation;
        instance.version = None;
        instance.state = InstanceState::Starting;
        instance.reason = Some(Reason::new(
            code::STARTING,
            format!("incarnation {incarnation}; its answer is awaited"),
        ));
        instance.health = Health::Unknown;
        instance.health_detail = String::new();
        instance.healthy_since = None;
        instance.next_try = None;
        instance.deadline = Some(env.now + start_deadline + env.settings.answer_margin());
        instance.process = Vec::new();
        instance.restart_asked = false;
        instance.refusals.clear();
    });
    command(
        txn,
        key,
        Order::Start(Start {
            instance: key.clone(),
            incarnation,
            service_type: instance.service_type,
            name: instance.name,
            config,
            start_deadline_ms: declaration.start_deadline_ms,
            stop_deadline_ms: declaration.stop_deadline_ms,
            checks: env.settings.checks(),
        }),
        env,
    );
}

/// The configuration the placement wants, as canonical JSON.
fn wanted_config(txn: &Txn<'_>, key: &InstanceKey) -> String {
    txn.placement(&key.placement)
        .and_then(|placement| txn.configuration(&Key::Configuration(placement.config)))
        .unwrap_or_else(|| "{}".to_owned())
}

/// Why it is stopping, by what is wanted of it.
pub fn stopping(desired: Desired) -> Reason {
    match desired {
        Desired::Running => Reason::new(
            code::RESTART_ASKED,
            "stopping, to be started again on request",
        ),
        Desired::Stopped | Desired::Absent => {
            Reason::new(code::STOPPED_BY_OPERATOR, "stopping on request")
        }
    }
}

/// Commands the Stop of what may live, asking first.
pub fn begin_stop(txn: &mut Txn<'_>, key: &InstanceKey, why: StopWhy, reason: Reason, env: &Env) {
    let instance = txn.instance(key).expect("the caller read it");
    let deadline_ms = txn
        .service_type(&instance.service_type)
        .map_or(10_000, |found| found.declaration.stop_deadline_ms);
    change(txn, key, |instance| {
        instance.state = InstanceState::Stopping { why, stuck: false };
        instance.reason = Some(reason);
        instance.next_try = None;
        instance.deadline =
            Some(env.now + Duration::from_millis(deadline_ms) + env.settings.answer_margin());
        instance.refusals.clear();
    });
    order_stop(txn, key, why, StopManner::AskThenKill, deadline_ms, env);
}

pub fn order_stop(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    why: StopWhy,
    manner: StopManner,
    deadline_ms: u64,
    env: &Env,
) {
    let incarnation = txn.instance(key).expect("the caller read it").incarnation;
    let stop = Stop {
        instance: key.clone(),
        incarnation,
        deadline_ms,
        why,
        manner,
    };
    command(txn, key, Order::Stop(stop), env);
}

fn command(txn: &mut Txn<'_>, key: &InstanceKey, order: Order, env: &Env) {
    let vertex = CommandVertex {
        node: key.node.clone(),
        leadership: env.leadership,
        order,
        sends: 1,
        deadline: Some(env.now + Duration::from_millis(env.settings.resend_ms)),
    };
    txn.put(Key::Command(env.command_id()), Vertex::Command(vertex))
        .expect("a command's number is new, and commands have no transitions");
}

/// Gives the name up: the oldest waiter is next. Also leaves the queue for it.
pub fn free_name(txn: &mut Txn<'_>, key: &InstanceKey) {
    let Some(instance) = txn.instance(key) else {
        return;
    };
    let subject = Key::Instance(key.clone());
    let name = Key::Name(slot_of(key, &instance));
    txn.unlink(&subject, Relation::Holds, &name);
    txn.unlink(&subject, Relation::Waits, &name);
}

/// Not running, and right so; the name is free.
pub fn settle_stopped(txn: &mut Txn<'_>, key: &InstanceKey, reason: Reason) {
    change(txn, key, |instance| {
        instance.state = InstanceState::Stopped { by_itself: false };
        instance.reason = Some(reason);
        quiet(instance);
    });
    free_name(txn, key);
}

/// Clears what only a living or waiting instance has.
pub fn quiet(instance: &mut Instance) {
    instance.health = Health::Unknown;
    instance.health_detail = String::new();
    instance.healthy_since = None;
    instance.next_try = None;
    instance.deadline = None;
    instance.process = Vec::new();
    instance.refusals.clear();
}

/// Back to the beginning, with a clean sheet: Pending, or Stopped for a moment if it keeps its name.
pub fn renew(txn: &mut Txn<'_>, key: &InstanceKey, state: InstanceState, reason: Reason) {
    change(txn, key, |instance| {
        instance.state = state;
        instance.reason = Some(reason);
        instance.attempts.clear();
        instance.restart_asked = false;
        quiet(instance);
    });
}

/// Notes a failure; the state is the caller's.
pub fn note_failure(instance: &mut Instance, cause: FailureCause, evidence: Evidence, env: &Env) {
    let failure = Failure {
        at: env.now,
        incarnation: instance.incarnation,
        cause,
        evidence,
    };
    instance.reason = Some(reason_of(&failure));
    instance.failure = Some(failure);
}

/// It is gone, and failed.
pub fn fail(instance: &mut Instance, cause: FailureCause, evidence: Evidence, env: &Env) {
    forget_old_attempts(instance, env);
    note_failure(instance, cause, evidence, env);
    instance.state = InstanceState::Failed {
        presence: Presence::Gone,
    };
    quiet(instance);
}

/// It is not healthy any more. What it earned by sustained health is kept: earlier failures are forgotten.
pub fn end_health(instance: &mut Instance, env: &Env) {
    forget_old_attempts(instance, env);
    instance.healthy_since = None;
}

/// Sustained health wipes the sheet; so does the window's end.
pub fn forget_old_attempts(instance: &mut Instance, env: &Env) {
    if instance
        .healthy_since
        .is_some_and(|since| env.now.since(since) >= env.settings.healthy_after())
    {
        instance.attempts.clear();
    }
    let window = env.settings.restart_window();
    instance.attempts.retain(|at| env.now.since(*at) < window);
}

/// Keeps the beginning of every long text of an instance.
pub fn cut_words(instance: &mut Instance) {
    let short = limits::EVIDENCE_SHORT_BYTES;
    cut(&mut instance.health_detail, short);
    if let Some(reason) = &mut instance.reason {
        cut(&mut reason.text, short);
    }
    if let Some(failure) = &mut instance.failure {
        cut(&mut failure.evidence.text, short);
        failure.evidence.stderr_tail = String::new();
    }
}

/// Counts one restart.
pub fn count_attempt(instance: &mut Instance, env: &Env) {
    instance.attempts.push(env.now);
    if instance.attempts.len() > limits::ATTEMPTS_KEPT_MAX {
        instance.attempts.remove(0);
    }
}

/// A failure as a reason: its code, and its own words.
pub fn reason_of(failure: &Failure) -> Reason {
    let (code, what) = cause_code(failure.cause);
    let text = if failure.evidence.text.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", failure.evidence.text)
    };
    Reason::new(code, text)
}

fn cause_code(cause: FailureCause) -> (Code, &'static str) {
    match cause {
        FailureCause::Failed(kind) => match kind {
            FailureKind::Panic => (code::PANICKED, "panicked"),
            FailureKind::Reported => (code::REPORTED_FAILURE, "reported a failure"),
            FailureKind::Vanished => (code::VANISHED, "ended without a word"),
            FailureKind::AgentEnded => (code::AGENT_ENDED, "its agent ended"),
            FailureKind::Killed => (code::KILLED, "was killed"),
            FailureKind::Exit | FailureKind::Signal | FailureKind::OutOfMemory => {
                (code::EXITED, "its process ended")
            }
            FailureKind::AgentStopped => (code::AGENT_STOPPED, "its agent was ended in order"),
        },
        FailureCause::CouldNotStart(refused) => match refused {
            RefusedStart::Config => (code::CONFIG_REFUSED, "refused its configuration"),
            RefusedStart::NotNow => (code::START_REFUSED, "could not start"),
            RefusedStart::Deadline => (code::START_DEADLINE, "did not start in time"),
            RefusedStart::Panic => (code::PANICKED, "panicked while starting"),
            RefusedStart::NoSuchType => (code::TYPE_NOT_PROVIDED, "the agent has no such type"),
            RefusedStart::NotHere => (code::CANNOT_RUN_HERE, "cannot run on this node"),
        },
        FailureCause::NameTaken => (code::NAME_HELD_ON_NODE, "the node says its name is taken"),
        FailureCause::Unresponsive => (code::UNRESPONSIVE, "does not answer its Checks"),
        FailureCause::StartDeadline => (code::START_DEADLINE, "did not start in time"),
    }
}
