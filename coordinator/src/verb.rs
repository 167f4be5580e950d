//! The verbs of rules: what a decision about an instance writes, in one place each.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::command::{Lease, Order, Reconfigure, Start, Stop, StopManner, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{Presence, RestartWhen};
use mainstay_protocol::words::cut;
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, PlacementName, Timestamp, limits};
use mainstay_resource_graph::{
    CommandVertex, ConfigHash, Desired, Failure, FailureCause, InPlace, Instance, InstanceState,
    Key, Kind, Leased, Node, NodeState, Relation, RestartBudget, Txn, Vertex, View, ViewExt,
    slot_of,
};

use crate::env::Env;
use crate::lease;

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
    txn.node(&key.node)
        .is_some_and(|node| node_is_online(&node))
}

/// Whatever happens there is left as it is, as somebody said.
pub fn in_maintenance(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    let on = view.node(&key.node)?.care.maintenance?;
    let text = format!("{} is in maintenance, {}", key.node, on.said);
    let node = Key::Node(key.node.clone());
    Some(Reason::new(code::IN_MAINTENANCE, text).about(node))
}

/// Nothing is to run there, as somebody said.
pub fn drained(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    let node = view.node(&key.node)?;
    let text = format!("{} is drained, {}", key.node, node.care.drains()?);
    let node = Key::Node(key.node.clone());
    Some(Reason::new(code::NODE_DRAINED, text).about(node))
}

/// Why nothing is to start there now, as somebody said.
pub fn kept_down(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    drained(view, key).or_else(|| in_maintenance(view, key))
}

/// What happened there meanwhile is judged now.
pub fn end_maintenance(txn: &mut Txn<'_>, node: &NodeName, env: &Env) {
    let wait = Duration::from_millis(env.settings.lost_closed_ms);
    txn.update_node(node, |node| {
        node.care.maintenance = None;
        // Whoever worked on it may not have started it again yet.
        let away = node.state == NodeState::AgentDown;
        node.lost_at = away.then(|| env.now + wait);
    })
    .expect("every state of a node may follow itself");
}

/// When a node that is away is given up; not before the brake says so.
pub fn given_up_at(view: &dyn View, node: &Node) -> Option<Timestamp> {
    let brake = view.cluster().and_then(|cluster| cluster.brake);
    node.lost_at
        .max(node.lost_at.and(brake.map(|brake| brake.until)))
}

/// Nobody waits for this node any longer, nor for what may live there.
pub fn give_up(txn: &mut Txn<'_>, node: &NodeName, why: Reason) -> Vec<InstanceKey> {
    let text = format!("its node is lost: {}", why.text);
    let reason = Reason::new(code::NODE_LOST, text).about(Key::Node(node.clone()));
    txn.update_node(node, |node| {
        node.state = NodeState::Lost;
        node.reason = Some(why);
        node.lost_at = None;
    })
    .expect("it is away");
    let mut given_up = txn.instances_on(node);
    given_up.retain(|key| {
        let state = txn.instance(key).map(|instance| instance.state);
        let was = state.and_then(|state| state.out_of_sight());
        if let Some(was) = was {
            change(txn, key, |instance| {
                instance.state = InstanceState::Lost { was };
                instance.reason = Some(reason.clone());
            });
        }
        was.is_some()
    });
    given_up
}

pub fn provides(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> bool {
    txn.node(&key.node)
        .is_some_and(|node| node.provides.contains_key(&instance.service_type))
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
    let (hash, config) = wanted_config(txn, key, &instance);
    // In a new epoch the node may know incarnations that this graph never heard of: none of them is above this one.
    let incarnation = Incarnation {
        epoch: instance.incarnation.epoch.max(env.leadership.epoch),
        ..instance.incarnation.next()
    };
    let start_deadline = Duration::from_millis(declaration.start_deadline_ms);
    let lease = lease::granted(txn, key, &declaration);
    change(txn, key, |instance| {
        instance.incarnation = incarnation;
        instance.lease = lease;
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
        instance.given = hash;
        instance.in_place = None;
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

/// The configuration to start with, as canonical JSON: the one it shall have by now, else the one it ran with, since
/// a change reaches instances one after the other.
fn wanted_config(
    txn: &Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
) -> (Option<ConfigHash>, String) {
    let by_placement = txn
        .placement(&key.placement)
        .map(|placement| placement.wish.config_on(&key.node).clone());
    let candidates = [
        instance.wanted.clone(),
        instance.ran_with.clone(),
        by_placement,
    ];
    candidates
        .into_iter()
        .flatten()
        .find_map(|hash| {
            let json = txn.configuration(&Key::Configuration(hash.clone()))?;
            Some((Some(hash), json))
        })
        .unwrap_or_else(|| (None, "{}".to_owned()))
}

/// Whether some instance last ran with what its node was to have.
pub fn some_ran_with<'c>(
    txn: &Txn<'_>,
    name: &PlacementName,
    config_on: impl Fn(&NodeName) -> &'c ConfigHash,
) -> bool {
    txn.instances_of(name).iter().any(|key| {
        let instance = txn.instance(key);
        instance.is_some_and(|found| found.ran_with.as_ref() == Some(config_on(&key.node)))
    })
}

/// It shall run with this configuration; nothing is wanted any more where it does already.
pub fn want_config(txn: &mut Txn<'_>, key: &InstanceKey, hash: &ConfigHash) {
    let Some(instance) = txn.instance(key) else {
        return;
    };
    let settled = instance.given.as_ref() == Some(hash) && instance.ran_with.as_ref() == Some(hash);
    let subject = Key::Instance(key.clone());
    if settled {
        txn.unlink_all(&subject, Relation::Wants);
    } else {
        txn.relink(subject, Relation::Wants, Key::Configuration(hash.clone()))
            .expect("a placement's configurations exist");
    }
    change(txn, key, |instance| {
        let wanted = (!settled).then(|| hash.clone());
        // An open question stays: its answer says what the instance runs with.
        if instance.wanted != wanted && !matches!(instance.in_place, Some(InPlace::Asked { .. })) {
            instance.in_place = None;
        }
        instance.wanted = wanted;
    });
}

/// It runs with what it was last told: that wish is fulfilled, unless another came meanwhile.
pub fn confirm_config(txn: &mut Txn<'_>, key: &InstanceKey) {
    let Some(instance) = txn.instance(key) else {
        return;
    };
    let fulfilled = instance.wanted == instance.given;
    if fulfilled {
        txn.unlink_all(&Key::Instance(key.clone()), Relation::Wants);
    }
    change(txn, key, |instance| {
        instance.ran_with = instance.given.clone();
        if fulfilled {
            instance.wanted = None;
        }
    });
}

/// Removes those of these configurations that nothing names any more.
pub fn forget_configs(txn: &mut Txn<'_>, configs: BTreeSet<ConfigHash>) {
    let mut unused = configs;
    for key in txn.keys(Kind::Placement) {
        if unused.is_empty() {
            return;
        }
        if let Key::Placement(name) = &key
            && let Some(placement) = txn.placement(name)
        {
            for config in placement.configs() {
                unused.remove(config);
            }
        }
    }
    for config in unused {
        let key = Key::Configuration(config);
        let used = [Relation::Configured, Relation::Wants]
            .into_iter()
            .any(|relation| !txn.edges_to(&key, relation).is_empty());
        if !used {
            txn.remove(&key);
        }
    }
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

/// Asks what runs to go on with the configuration that is wanted. False: it is not to be had any more.
pub fn ask_in_place(txn: &mut Txn<'_>, key: &InstanceKey, wanted: &ConfigHash, env: &Env) -> bool {
    let instance = txn.instance(key).expect("the caller read it");
    let Some(config) = txn.configuration(&Key::Configuration(wanted.clone())) else {
        return false;
    };
    let deadline_ms = txn
        .service_type(&instance.service_type)
        .map_or(30_000, |found| found.declaration.start_deadline_ms);
    let until = env.now + Duration::from_millis(deadline_ms) + env.settings.answer_margin();
    change(txn, key, |instance| {
        instance.given = Some(wanted.clone());
        instance.in_place = Some(InPlace::Asked { until });
    });
    let change = Reconfigure {
        instance: key.clone(),
        incarnation: instance.incarnation,
        config,
        deadline_ms,
    };
    command(txn, key, Order::Reconfigure(change), env);
    true
}

pub(crate) fn command(txn: &mut Txn<'_>, key: &InstanceKey, order: Order, env: &Env) {
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

/// What was ordered about it and not answered is past.
pub fn forget_orders(txn: &mut Txn<'_>, key: &InstanceKey) {
    for command in txn.commands_for(&key.node) {
        let about_it = txn
            .command(&command)
            .is_some_and(|command| command.order.instance().0 == key);
        if about_it {
            txn.remove(&command);
        }
    }
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
