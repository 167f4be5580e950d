//! The verbs of rules: what a decision about an instance writes, in one place each.

mod configs;
mod nodes;

use std::time::Duration;

use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::command::{Lease, Order, Start, Stop, StopManner, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{Presence, RestartWhen};
use mainstay_protocol::words::cut;
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, NodeName, PlacementName, limits};
use mainstay_resource_graph::{
    CommandVertex, Desired, Failure, FailureCause, Instance, InstanceState, Key, Leased, Node,
    NodeState, Placement, Relation, RestartBudget, Txn, Vertex, View, ViewExt, slot_of,
};

use crate::env::Env;
use crate::lease;
use crate::lookup;
use crate::room;
use crate::watching;

use configs::wanted_config;

pub use configs::{ask_in_place, confirm_config, forget_configs, some_ran_with, want_config};
pub use nodes::{
    end_leases, end_maintenance, end_placement_maintenance, give_up, given_up_at, is_off,
    leaves_no_majority, may_run_alone,
};

/// Changes an instance that is known to exist and to be in a state from which the change is legal.
pub fn change(txn: &mut Txn<'_>, key: &InstanceKey, change: impl FnOnce(&mut Instance)) {
    txn.update_instance(key, change).expect(
        "a rule judged this instance in this transaction, and transitions allow what it writes",
    );
}

pub fn node_is_online(node: &Node) -> bool {
    node.state == NodeState::Online
}

/// How long the answer to an Adopt may take: it only has to be told.
pub fn answer_time(env: &Env) -> Duration {
    Duration::from_millis(env.settings.resend_max_ms) + env.settings.answer_margin()
}

/// Whether the node's agent can take a Start now.
pub fn is_online(txn: &Txn<'_>, key: &InstanceKey) -> bool {
    txn.look_at_node(&key.node, node_is_online).unwrap_or(false)
}

/// Whatever happens there is left as it is, as somebody said.
pub fn in_maintenance(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    view.look_at_node(&key.node, |node| maintains(&key.node, node))
        .flatten()
        .or_else(|| maintained(view, &key.placement))
}

fn maintained(view: &dyn View, name: &PlacementName) -> Option<Reason> {
    let said = |one: &Placement| one.maintenance.as_ref().map(|on| on.said.to_string());
    let said = view.look_at_placement(name, said)??;
    let text = format!("{name} is in maintenance, {said}");
    Some(Reason::new(code::IN_MAINTENANCE, text).about(Key::Placement(name.clone())))
}

pub fn maintains(key: &NodeName, node: &Node) -> Option<Reason> {
    let on = node.care.maintenance.as_ref()?;
    let text = format!("{key} is in maintenance, {}", on.said);
    Some(Reason::new(code::IN_MAINTENANCE, text).about(Key::Node(key.clone())))
}

/// Nothing is to run there, as somebody said.
pub fn drained(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    view.look_at_node(&key.node, |node| drains(&key.node, node))?
}

pub fn drains(key: &NodeName, node: &Node) -> Option<Reason> {
    let text = format!("{key} is drained, {}", node.care.drains()?);
    Some(Reason::new(code::NODE_DRAINED, text).about(Key::Node(key.clone())))
}

/// How many serve that are wanted, without those on this node; no more than `most` need to be known.
pub fn serving_elsewhere(
    view: &dyn View,
    placement: &PlacementName,
    node: &NodeName,
    most: usize,
) -> usize {
    let serving = |key: &&InstanceKey| {
        let serves = view
            .instance(key)
            .is_some_and(|one| watching::serves(&one) && one.desired == Desired::Running);
        let stays = view
            .node(&key.node)
            .is_some_and(|there| there.care.drains().is_none());
        key.node != *node && serves && stays
    };
    let all = view.instances_of(placement);
    all.iter().filter(serving).take(most).count()
}

/// Why nothing is to start there now, as somebody said.
pub fn kept_down(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    drained(view, key).or_else(|| in_maintenance(view, key))
}

pub fn provides(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> bool {
    txn.look_at_node(&key.node, |node| {
        node.provides.contains_key(&instance.service_type)
    })
    .unwrap_or(false)
}

/// What its restarts are measured against: what its placement says, over what its type and the settings say.
pub fn budget(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance, env: &Env) -> RestartBudget {
    let by_type = txn
        .service_type(&instance.service_type)
        .map_or(RestartWhen::OnFailure, |found| found.declaration.restart);
    let policy = txn
        .placement(&key.placement)
        .map(|placement| placement.wish.policy)
        .unwrap_or_default();
    policy.over(by_type, &env.settings)
}

/// It runs, and a Check said ok.
pub fn is_healthy(instance: &Instance) -> bool {
    instance.state == InstanceState::Running && instance.health == Health::Ok
}

/// Failures further apart are not added up.
pub fn window(txn: &Txn<'_>, key: &InstanceKey, env: &Env) -> Duration {
    let asked = txn
        .placement(&key.placement)
        .and_then(|placement| placement.wish.policy.window_ms);
    Duration::from_millis(asked.unwrap_or(env.settings.restart_window_ms))
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

pub fn holds_name(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> bool {
    txn.holder(&slot_of(key, instance)).as_ref() == Some(key)
}

/// Who stands before this instance in the line for its name, of those that could begin: the others keep their place, and are
/// in nobody's way.
pub fn waits_longer(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> Option<InstanceKey> {
    let line = txn.waiters(&slot_of(key, instance)).into_iter();
    let mut before = line.take_while(|first| first != key);
    before.find(|first| !is_held_back(txn, first))
}

pub fn waits_for_lease(one: &Instance) -> bool {
    let code = one.reason.as_ref().map(|reason| &reason.code);
    one.state == InstanceState::Pending && code == Some(&code::LEASE_HELD)
}

/// It could not begin if its name were free: it is kept down, or waits for a lease.
fn is_held_back(view: &dyn View, key: &InstanceKey) -> bool {
    view.look_at_instance(key, waits_for_lease) == Some(true) || kept_down(view, key).is_some()
}

/// Takes the name, makes the next incarnation, and commands the Start. The caller has checked node, type, name and room.
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
    let (hash, config) = wanted_config(txn, key, &instance);
    // In a new epoch the node may know incarnations that this graph never heard of: none of them is above this one.
    let incarnation = Incarnation {
        epoch: instance.incarnation.epoch.max(env.leadership.epoch),
        ..instance.incarnation.next()
    };
    let start_deadline = Duration::from_millis(declaration.start_deadline_ms);
    let lease = lease::granted(txn, key, &declaration);
    let (needs, addresses) = (
        room::needs_of(txn, key, &instance),
        lookup::addresses(txn, key),
    );
    change(txn, key, |instance| {
        begins(instance, incarnation);
        instance.lease = lease;
        instance.needs = needs.clone();
        instance.has_room = true;
        instance.deadline = Some(env.now + start_deadline + env.settings.answer_margin());
        instance.given = hash;
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
            needs,
            addresses,
            lease: lease.map(
                |Leased {
                     lease_ms, stop_ms, ..
                 }| Lease {
                    ms: lease_ms,
                    stop_ms,
                    epoch: env.leadership.epoch,
                    revision: env.revision,
                },
            ),
        }),
        env,
    );
}

/// Nothing is left of what is known of the incarnation before.
fn begins(instance: &mut Instance, incarnation: Incarnation) {
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
    instance.process = Vec::new();
    instance.ports.clear();
    instance.seen_from.clear();
    instance.restart_asked = false;
    instance.refusals.clear();
    instance.in_place = None;
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

pub(crate) fn command(txn: &mut Txn<'_>, key: &InstanceKey, order: Order, env: &Env) -> CommandId {
    let vertex = CommandVertex {
        node: key.node.clone(),
        leadership: env.leadership,
        order,
        sends: 1,
        deadline: Some(env.now + Duration::from_millis(env.settings.resend_ms)),
    };
    let id = env.command_id();
    txn.put(Key::Command(id), Vertex::Command(vertex))
        .expect("a command's number is new, and commands have no transitions");
    id
}

/// What was ordered about it and not answered is past; what it was given to do for runs is theirs.
pub fn forget_orders(txn: &mut Txn<'_>, key: &InstanceKey) {
    for command in txn.commands_for(&key.node) {
        let about_it = txn
            .command(&command)
            .map(|command| command.order)
            .is_some_and(|order| order.instance().0 == key && !matches!(order, Order::Work(_)));
        if about_it {
            txn.remove(&command);
        }
    }
}

/// It was not wanted, or not to run, and is to run again.
pub fn want_again(txn: &mut Txn<'_>, key: &InstanceKey) {
    want(txn, key, Desired::Running);
}

/// It ends, and is then removed.
pub fn want_absent(txn: &mut Txn<'_>, key: &InstanceKey) {
    want(txn, key, Desired::Absent);
}

fn want(txn: &mut Txn<'_>, key: &InstanceKey, desired: Desired) {
    change(txn, key, |instance| {
        instance.desired = desired;
        if let InstanceState::Stopping { stuck: false, .. } = instance.state {
            instance.reason = Some(stopping(desired));
        }
    });
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
    instance.in_place = None;
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

/// Forgets the failures of what rests because of them: it starts with a clean sheet.
pub fn clear(txn: &mut Txn<'_>, key: &InstanceKey, why: impl Into<String>) {
    free_name(txn, key);
    let reason = Reason::new(code::CLEARED, why);
    renew(txn, key, InstanceState::Pending, reason);
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
pub fn fail(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    cause: FailureCause,
    evidence: Evidence,
    presence: Presence,
    env: &Env,
) {
    let window = window(txn, key, env);
    change(txn, key, |instance| {
        forget_old_attempts(instance, window, env);
        note_failure(instance, cause, evidence, env);
        instance.state = InstanceState::Failed { presence };
        quiet(instance);
    });
}

/// It lives, and counts as failed from now on: it is stopped, and started again as its policy says.
pub fn failed(txn: &mut Txn<'_>, key: &InstanceKey, why: impl Into<String>, env: &Env) {
    let cause = FailureCause::Failed(FailureKind::Reported);
    fail(txn, key, cause, Evidence::text(why), Presence::Living, env);
}

/// It is not healthy any more. What it earned by sustained health is kept: earlier failures are forgotten.
pub fn end_health(instance: &mut Instance, env: &Env) {
    forget_if_well(instance, env);
    instance.healthy_since = None;
}

/// Sustained health wipes the sheet; so does the window's end.
pub fn forget_old_attempts(instance: &mut Instance, window: Duration, env: &Env) {
    forget_if_well(instance, env);
    instance.attempts.retain(|at| env.now.since(*at) < window);
}

fn forget_if_well(instance: &mut Instance, env: &Env) {
    if instance
        .healthy_since
        .is_some_and(|since| env.now.since(since) >= env.settings.healthy_after())
    {
        instance.attempts.clear();
    }
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
            FailureKind::LeaseRanOut => (code::LEASE_RAN_OUT, "its lease ran out"),
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
