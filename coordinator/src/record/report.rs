//! Reports become facts. What speaks of another incarnation than the graph's, or of a state that is past, changes nothing.

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::{Order, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{CommandOutcome, Ending, Presence, Report, RestartWhen};
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, NodeName, SlotName};
use mainstay_resource_graph::{
    Cause, Configuration, Desired, FailureCause, InPlace, Instance, InstanceState, Key, Relation,
    Txn, Vertex, View, ViewExt,
};

use super::word::{self, Speaker};
use super::{adopted, room, seen, session, work};
use crate::config;
use crate::env::Env;
use crate::lease;
use crate::verb;

/// Records one report of `node`.
pub fn report(txn: &mut Txn<'_>, node: &NodeName, report: &Report, env: &Env) {
    txn.set_cause(Cause::Report(report.name().to_owned()));
    // Which incarnation it is of does not matter: the command that it names says whether it counts.
    if let Report::Worked {
        step,
        command,
        answer,
        ..
    } = report
    {
        return work::worked(txn, node, (step, *command), answer, env);
    }
    if let Some((key, incarnation)) = report.about() {
        // A node reports about itself only.
        if key.node != *node {
            return;
        }
        let Some(instance) = txn
            .instance(key)
            .filter(|instance| instance.incarnation == incarnation)
        else {
            session::about_stray(txn, key, incarnation, report, env);
            return;
        };
        let key = key.clone();
        about_instance(txn, &key, &instance, report, env);
        return;
    }
    match report {
        Report::SupervisorChanged {
            incarnation,
            watches,
            ..
        } => {
            seen::supervisor(txn, node, *incarnation, *watches);
        }
        Report::CommandDone { command, outcome } => command_done(txn, node, *command, outcome, env),
        Report::GuardSaw { guarded, sight } => seen::guard_saw(txn, node, guarded, *sight, env),
        Report::WatcherSaw {
            instance,
            incarnation,
            sight,
        } => seen::watcher_saw(txn, node, (instance, *incarnation), *sight, env),
        Report::Started { .. }
        | Report::CouldNotStart { .. }
        | Report::NameTaken { .. }
        | Report::Ended { .. }
        | Report::Failed { .. }
        | Report::HealthChanged { .. }
        | Report::Unresponsive { .. }
        | Report::Adopted { .. }
        | Report::Acquired { .. }
        | Report::Released { .. }
        | Report::Asked { .. }
        | Report::Announced { .. }
        | Report::Recorded { .. }
        | Report::Worked { .. }
        | Report::ConfigChanged { .. } => {}
    }
}

fn about_instance(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    report: &Report,
    env: &Env,
) {
    match report {
        Report::Started {
            version,
            config,
            process,
            ports,
            ..
        } => {
            adopted::started(txn, key, instance, version, config, (process, ports), env);
        }
        Report::CouldNotStart { refused, text, .. } => {
            could_not_start(txn, key, instance, *refused, text, env);
        }
        Report::NameTaken { name, holder, .. } => {
            let evidence = taken_by(name, &key.node, holder.as_ref());
            start_failed(txn, key, instance, FailureCause::NameTaken, evidence, env);
        }
        Report::Ended { ending, .. } => {
            ended(txn, key, instance, *ending, env);
            lease::forget_end(txn, key);
        }
        Report::Failed {
            kind,
            presence,
            evidence,
            ..
        } => {
            failed(txn, key, instance, *kind, *presence, evidence, env);
            lease::forget_end(txn, key);
        }
        Report::HealthChanged { health, detail, .. } => {
            health_changed(txn, key, instance, *health, detail, env);
        }
        Report::Unresponsive {
            missed,
            limit,
            detail,
            ..
        } => {
            unresponsive(txn, key, instance, (*missed, *limit), detail, env);
        }
        Report::ConfigChanged { config, .. } => config_changed(txn, key, instance, config),
        Report::Adopted { .. } => adopted::told(txn, key, instance, report, env),
        Report::Acquired { .. }
        | Report::Released { .. }
        | Report::Asked { .. }
        | Report::Announced { .. }
        | Report::Recorded { .. } => {
            let who = Speaker {
                key,
                incarnation: instance.incarnation,
                instance,
            };
            word::said(txn, who, report, env);
        }
        Report::SupervisorChanged { .. }
        | Report::Worked { .. }
        | Report::CommandDone { .. }
        | Report::GuardSaw { .. }
        | Report::WatcherSaw { .. } => {}
    }
}

fn taken_by(name: &SlotName, node: &NodeName, holder: Option<&InstanceKey>) -> Evidence {
    let by = holder.map_or_else(
        || "something that this agent did not start".to_owned(),
        ToString::to_string,
    );
    Evidence::text(format!("{name} on {node} is taken by {by}"))
}

/// It goes on with what it was given last.
fn config_changed(txn: &mut Txn<'_>, key: &InstanceKey, instance: &Instance, config: &str) {
    if !instance.state.may_be_live() {
        return;
    }
    runs_with(txn, key, instance, config);
    verb::change(txn, key, |instance| instance.in_place = None);
}

/// Its configuration is this one by now, and what it takes of runs goes by it.
pub(super) fn runs_with(txn: &mut Txn<'_>, key: &InstanceKey, instance: &Instance, config: &str) {
    let configuration = configuration(txn, instance, config);
    let text = configuration
        .as_ref()
        .and_then(|key| txn.configuration(key));
    if let Some(configuration) = configuration {
        let subject = Key::Instance(key.clone());
        txn.relink(subject, Relation::Configured, configuration)
            .expect("both ends exist");
    }
    verb::confirm_config(txn, key);
    let Some(declared) = txn.service_type(&instance.service_type) else {
        return;
    };
    let text = text.unwrap_or_default();
    let (hands, skills) = declared.declaration.serves.configured(&text);
    verb::change(txn, key, |instance| {
        instance.hands = hands;
        instance.skills = skills;
    });
}

/// The configuration it says it has; the one it was given if what it says cannot be kept (an agent leaves one out that
/// is too long to travel).
pub(super) fn configuration(txn: &mut Txn<'_>, instance: &Instance, said: &str) -> Option<Key> {
    match config::canonical(said) {
        Ok((hash, json)) => {
            let configuration = Key::Configuration(hash);
            txn.put(
                configuration.clone(),
                Vertex::Configuration(Configuration { json }),
            )
            .expect("a configuration has no transitions");
            Some(configuration)
        }
        Err(_) => instance
            .given
            .clone()
            .map(Key::Configuration)
            .filter(|given| txn.record(given).is_some()),
    }
}

fn could_not_start(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    refused: RefusedStart,
    text: &str,
    env: &Env,
) {
    let cause = FailureCause::CouldNotStart(refused);
    start_failed(txn, key, instance, cause, Evidence::text(text), env);
}

/// A start came to nothing, and nothing of it is left.
pub(super) fn start_failed(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    cause: FailureCause,
    evidence: Evidence,
    env: &Env,
) {
    match instance.state {
        InstanceState::Starting | InstanceState::Unknown { .. } | InstanceState::Lost { .. } => {
            verb::fail(txn, key, cause, evidence, Presence::Gone, env);
        }
        InstanceState::Stopping { why, .. } => finish_stop(txn, key, why, env),
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => {}
    }
}

fn ended(txn: &mut Txn<'_>, key: &InstanceKey, instance: &Instance, ending: Ending, env: &Env) {
    match instance.state {
        InstanceState::Stopping { .. }
            if ending == Ending::Killed && instance.desired != Desired::Running =>
        {
            let text = "stopped on request; it had to be killed, since it did not end within its stop deadline";
            verb::settle_stopped(txn, key, Reason::new(code::STOPPED_BY_OPERATOR, text));
        }
        InstanceState::Stopping { why, .. } => finish_stop(txn, key, why, env),
        InstanceState::Failed {
            presence: Presence::Living,
        } => {
            // It said it failed, then ended: one failure.
            verb::change(txn, key, |instance| {
                instance.state = InstanceState::Failed {
                    presence: Presence::Gone,
                };
                verb::quiet(instance);
            });
        }
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => {
            let announced = instance
                .reason
                .as_ref()
                .filter(|reason| reason.code == code::ANNOUNCED_STOP);
            let text = match (ending, announced) {
                (Ending::ByItself, Some(reason)) => {
                    format!("it ended cleanly by itself; before that, {}", reason.text)
                }
                (Ending::ByItself, None) => "it ended cleanly by itself".to_owned(),
                (Ending::Asked | Ending::Killed, _) => {
                    "it ended on a stop that the coordinator no longer knows".to_owned()
                }
            };
            let window = verb::window(txn, key, env);
            verb::change(txn, key, |instance| {
                instance.state = InstanceState::Stopped { by_itself: true };
                instance.reason = Some(Reason::new(code::ENDED_BY_ITSELF, text));
                verb::forget_old_attempts(instance, window, env);
                verb::quiet(instance);
            });
            // Not left to the rule alone: a step may end between this and its judgement.
            if verb::budget(txn, key, instance, env).restart != RestartWhen::Always
                || instance.desired != Desired::Running
            {
                verb::free_name(txn, key);
            }
        }
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Stopped { .. }
        | InstanceState::Failed {
            presence: Presence::Gone,
        }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => {}
    }
}

fn failed(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    kind: FailureKind,
    presence: Presence,
    evidence: &Evidence,
    env: &Env,
) {
    match (instance.state, presence) {
        (InstanceState::Stopping { .. }, Presence::Gone)
            if kind == FailureKind::Reported && instance.desired != Desired::Running =>
        {
            let text = format!("stopped on request; its stop went wrong: {}", evidence.text);
            verb::settle_stopped(txn, key, Reason::new(code::STOPPED_BY_OPERATOR, text));
        }
        (InstanceState::Stopping { why, .. }, Presence::Gone) => finish_stop(txn, key, why, env),
        (
            InstanceState::Failed {
                presence: Presence::Living,
            },
            Presence::Gone,
        ) => {
            verb::change(txn, key, |instance| {
                instance.state = InstanceState::Failed {
                    presence: Presence::Gone,
                };
                verb::quiet(instance);
            });
        }
        (
            InstanceState::Starting
            | InstanceState::Running
            | InstanceState::Degraded
            | InstanceState::Unresponsive { .. }
            | InstanceState::Unknown { .. }
            | InstanceState::Lost { .. },
            _,
        ) => {
            let cause = FailureCause::Failed(kind);
            verb::fail(txn, key, cause, evidence.clone(), presence, env);
        }
        (
            InstanceState::Stopping { .. }
            | InstanceState::Failed {
                presence: Presence::Living,
            },
            Presence::Living,
        )
        | (
            InstanceState::Pending
            | InstanceState::Blocked
            | InstanceState::Stopped { .. }
            | InstanceState::Failed {
                presence: Presence::Gone,
            }
            | InstanceState::Backoff { .. }
            | InstanceState::Quarantined,
            _,
        ) => {}
    }
}

/// The end that a Stop asked for. What follows depends on why it was asked, and on what is wanted by now.
pub fn finish_stop(txn: &mut Txn<'_>, key: &InstanceKey, why: StopWhy, env: &Env) {
    let instance = txn.instance(key).expect("the caller read it");
    if instance.desired != Desired::Running {
        let reason = Reason::new(code::STOPPED_BY_OPERATOR, "stopped on request");
        verb::settle_stopped(txn, key, reason);
        return;
    }
    match why {
        // Wanted again by now, or asked to restart: from the beginning, and the name is not let go in between.
        StopWhy::NotWanted | StopWhy::Restart | StopWhy::Reconfigure => {
            let reason = Reason::new(code::RESTART_ASKED, "ended on request, to start again");
            verb::renew(
                txn,
                key,
                InstanceState::Stopped { by_itself: false },
                reason,
            );
        }
        // The failure was noted when the stop was decided; now it is gone.
        StopWhy::Failed | StopWhy::Unresponsive | StopWhy::StartDeadline => {
            let window = verb::window(txn, key, env);
            verb::change(txn, key, |instance| {
                verb::forget_old_attempts(instance, window, env);
                instance.state = InstanceState::Failed {
                    presence: Presence::Gone,
                };
                instance.reason = instance.failure.as_ref().map(verb::reason_of);
                verb::quiet(instance);
            });
        }
    }
}

/// What is wrong with it as it says, or in our words where it says nothing, and where its words are not known yet.
pub(super) fn unwell(health: Health, detail: &str) -> Option<Reason> {
    let (code, ours) = match health {
        Health::Ok | Health::Unknown => return None,
        Health::Degraded => (code::DEGRADED, "its Check says that it is degraded"),
        Health::Failed => (code::CHECK_FAILED, "its Check says that it failed"),
        Health::Unresponsive => (code::UNRESPONSIVE, "it does not answer its Checks"),
    };
    let text = if detail.is_empty() { ours } else { detail };
    Some(Reason::new(code, text))
}

fn health_changed(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    health: Health,
    detail: &str,
    env: &Env,
) {
    if !instance.state.is_up() {
        return;
    }
    verb::change(txn, key, |instance| {
        instance.health = health;
        instance.health_detail = detail.to_owned();
        instance.refusals.clear();
        match health {
            Health::Ok => {
                instance.state = InstanceState::Running;
                instance.reason = None;
                instance.healthy_since = instance.healthy_since.or(Some(env.now));
            }
            Health::Degraded | Health::Failed => {
                instance.state = InstanceState::Degraded;
                instance.reason = unwell(health, detail);
                verb::end_health(instance, env);
            }
            Health::Unknown | Health::Unresponsive => verb::end_health(instance, env),
        }
    });
}

fn unresponsive(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    (missed, limit): (u32, u32),
    detail: &str,
    env: &Env,
) {
    if !instance.state.is_up() {
        return;
    }
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Unresponsive { missed, limit };
        instance.health = Health::Unresponsive;
        instance.health_detail = detail.to_owned();
        verb::end_health(instance, env);
        let text = format!("{missed} of {limit} Checks missed in a row: {detail}");
        instance.reason = Some(Reason::new(code::UNRESPONSIVE, text));
    });
}

/// The command's vertex goes with its answer; the answer may settle what the command was about.
fn command_done(
    txn: &mut Txn<'_>,
    node: &NodeName,
    id: CommandId,
    outcome: &CommandOutcome,
    env: &Env,
) {
    let key = Key::Command(id);
    let Some(command) = txn.command(&key).filter(|command| command.node == *node) else {
        return;
    };
    txn.remove(&key);
    if let Order::Work(given) = &command.order {
        return work::taken(txn, id, given, outcome, env);
    }
    let (instance_key, incarnation) = command.order.instance();
    let Some(instance) = current(txn, instance_key, incarnation) else {
        return;
    };
    match &command.order {
        Order::Start(_) => start_answered(txn, instance_key, &instance, outcome, env),
        Order::Stop(_) => stop_answered(txn, instance_key, &instance, outcome, env),
        Order::Reconfigure(_) => change_answered(txn, instance_key, &instance, outcome),
        // Who asked has it, or is gone.
        Order::Answer(_) => {}
        Order::Adopt(_) => adopted::answered(txn, instance_key, &instance, outcome, env),
        // Its hand is free by now.
        Order::TakeBack(_) => {}
        // Looked at before.
        Order::Work(_) => {}
    }
}

fn current(txn: &Txn<'_>, key: &InstanceKey, incarnation: Incarnation) -> Option<Instance> {
    txn.instance(key)
        .filter(|instance| instance.incarnation == incarnation)
}

fn start_answered(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    outcome: &CommandOutcome,
    env: &Env,
) {
    let text = match outcome {
        // Started, CouldNotStart or Failed said the rest.
        CommandOutcome::Done | CommandOutcome::NotRunning | CommandOutcome::WillNotEnd => return,
        CommandOutcome::Stale => {
            "the node knows a newer incarnation, or a newer coordinator".to_owned()
        }
        CommandOutcome::Refused { code, text } if *code == code::NO_ROOM => {
            return room::refused(txn, key, instance, text, env);
        }
        CommandOutcome::Refused { code, text } => format!("{text} ({code})"),
    };
    let cause = FailureCause::CouldNotStart(RefusedStart::NotNow);
    start_failed(txn, key, instance, cause, Evidence::text(text), env);
}

/// What it took was told by ConfigChanged, before this.
fn change_answered(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    outcome: &CommandOutcome,
) {
    // Asked again meanwhile, or not waited for any more.
    if !matches!(instance.in_place, Some(InPlace::Asked { .. })) {
        return;
    }
    let refused = match outcome {
        CommandOutcome::Refused { code, text } if *code == code::BAD_CONFIG => {
            InPlace::Refused(Reason::new(code.clone(), text.clone()))
        }
        CommandOutcome::Done
        | CommandOutcome::NotRunning
        | CommandOutcome::Stale
        | CommandOutcome::WillNotEnd
        | CommandOutcome::Refused { .. } => InPlace::NeedsRestart,
    };
    let still_wanted = instance.wanted == instance.given;
    // It goes on as it was.
    verb::change(txn, key, |instance| {
        instance.given = instance.ran_with.clone();
        instance.in_place = still_wanted.then_some(refused);
    });
    if let Some(wanted) = &instance.wanted {
        verb::want_config(txn, key, wanted);
    }
}

fn stop_answered(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    outcome: &CommandOutcome,
    env: &Env,
) {
    let InstanceState::Stopping { why, .. } = instance.state else {
        return;
    };
    match outcome {
        // Done comes with Ended, in the same outbox, before this.
        CommandOutcome::Done => {}
        CommandOutcome::NotRunning | CommandOutcome::Stale => finish_stop(txn, key, why, env),
        CommandOutcome::WillNotEnd => verb::change(txn, key, |instance| {
            instance.state = InstanceState::Stopping { why, stuck: true };
            instance.deadline = None;
            instance.reason = Some(Reason::new(
                code::WILL_NOT_END,
                "its task never yields and cannot be aborted; it keeps its name until its agent is restarted",
            ));
        }),
        // The deadline stands: `stop_escalate` goes on.
        CommandOutcome::Refused { .. } => {}
    }
}
