//! `restart`: what ended against the wish begins again; at once after sustained health, then after 1, 2, 4 .. s.

use std::time::Duration;

use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::health::FailureKind;
use mainstay_protocol::report::{Presence, RestartWhen};
use mainstay_protocol::{InstanceKey, Timestamp};
use mainstay_resource_graph::{
    Desired, FailureCause, Instance, InstanceState, Key, NodeState, RestartBudget, Txn, View,
    ViewExt,
};

use crate::env::Env;
use crate::hash;
use crate::lease;
use crate::room;
use crate::rule::{Rule, Verdict, Watch};
use crate::rules::{could_not_start, dependency_gate, stray};
use crate::verb;

/// Jitter adds at most this part of the wait.
const JITTER_PART: u64 = 5;
/// Those that wait are started together at moments this part of the wait apart: a wave of many costs about five entries
/// of the log, however long they wait.
const MARK_PART: u64 = 20;

pub struct Restart;

impl Rule for Restart {
    const NAME: &'static str = "restart";
    const ABOUT: &'static str =
        "Starts again what ended against the wish, at once or after a pause.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| match instance.state {
            InstanceState::Failed { presence } => presence == Presence::Gone,
            InstanceState::Backoff { .. } => true,
            InstanceState::Stopped { by_itself } => by_itself,
            InstanceState::Pending
            | InstanceState::Blocked
            | InstanceState::Starting
            | InstanceState::Running
            | InstanceState::Degraded
            | InstanceState::Unresponsive { .. }
            | InstanceState::Stopping { .. }
            | InstanceState::Quarantined
            | InstanceState::Unknown { .. }
            | InstanceState::Lost { .. } => false,
        })
    }

    /// A Backoff that came due while its node was away goes on when the node is back.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Node(node)
                if view
                    .node(node)
                    .is_some_and(|node| node.state == NodeState::Online) =>
            {
                view.instances_on(node)
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        if instance.desired != Desired::Running || could_not_start::is_final(&instance) {
            return Verdict::Nothing;
        }
        match instance.state {
            InstanceState::Failed {
                presence: Presence::Gone,
            } => after_failure(&subject, &instance, txn, env),
            InstanceState::Stopped { by_itself: true } => {
                after_clean_end(&subject, &instance, txn, env)
            }
            InstanceState::Backoff { .. } => when_due(&subject, &instance, txn, env),
            InstanceState::Failed {
                presence: Presence::Living,
            }
            | InstanceState::Stopped { by_itself: false }
            | InstanceState::Pending
            | InstanceState::Blocked
            | InstanceState::Starting
            | InstanceState::Running
            | InstanceState::Degraded
            | InstanceState::Unresponsive { .. }
            | InstanceState::Stopping { .. }
            | InstanceState::Quarantined
            | InstanceState::Unknown { .. }
            | InstanceState::Lost { .. } => Verdict::Nothing,
        }
    }
}

fn after_failure(
    subject: &InstanceKey,
    instance: &Instance,
    txn: &mut Txn<'_>,
    env: &Env,
) -> Verdict {
    let budget = verb::budget(txn, subject, instance, env);
    if budget.restart == RestartWhen::Never {
        verb::free_name(txn, subject);
        return Verdict::declined(code::NO_RESTART, "its policy says: never restart");
    }
    let count = instance.attempts.len() as u32;
    if was_stopped_with_its_agent(instance) {
        return again(subject, txn, env, Count::Not, AGENT_WAS_STOPPED);
    }
    if is_not_its_fault(subject, instance, txn, env) {
        return again(subject, txn, env, Count::Not, WITH_ITS_AGENT);
    }
    if count == 0 {
        return again(subject, txn, env, Count::Attempt, AT_ONCE);
    }
    let attempt = count + 1;
    let of = budget.attempts;
    let next_try = next_try(subject, count, &budget, env);
    let why = instance
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| reason.text.clone());
    let text = format!(
        "attempt {attempt} of {of} in {:.1} s; {why}",
        next_try.since(env.now).as_secs_f64()
    );
    verb::change(txn, subject, |instance| {
        instance.state = InstanceState::Backoff { attempt, of };
        instance.next_try = Some(next_try);
        instance.reason = Some(Reason::new(code::BACKOFF, text.clone()));
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is(crate::planted::Bug::BackoffWithoutReason) {
            instance.reason = None;
        }
    });
    Verdict::did(code::BACKOFF, text)
}

fn after_clean_end(
    subject: &InstanceKey,
    instance: &Instance,
    txn: &mut Txn<'_>,
    env: &Env,
) -> Verdict {
    let budget = verb::budget(txn, subject, instance, env);
    if budget.restart != RestartWhen::Always {
        verb::free_name(txn, subject);
        return Verdict::declined(
            code::NO_RESTART,
            "it ended cleanly by itself, and its policy restarts on failure only",
        );
    }
    // `always` treats a clean end as one more attempt, so that it cannot become a hot loop.
    let count = instance.attempts.len() as u32;
    if count == 0 {
        verb::change(txn, subject, |instance| {
            instance.state = InstanceState::Pending
        });
        return again(subject, txn, env, Count::Attempt, AT_ONCE);
    }
    let of = budget.attempts;
    let next_try = next_try(subject, count, &budget, env);
    let text = format!(
        "ended by itself and is always restarted; again in {:.1} s",
        next_try.since(env.now).as_secs_f64()
    );
    verb::change(txn, subject, |instance| {
        instance.state = InstanceState::Backoff {
            attempt: count + 1,
            of,
        };
        instance.next_try = Some(next_try);
        instance.reason = Some(Reason::new(code::BACKOFF, text.clone()));
    });
    Verdict::did(code::BACKOFF, text)
}

fn when_due(subject: &InstanceKey, instance: &Instance, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    let due = instance.next_try.is_none_or(|at| at <= env.now);
    if !due {
        return Verdict::Nothing;
    }
    again(subject, txn, env, Count::Attempt, WHEN_DUE)
}

/// Whoever ended the agent in order meant the agent: nothing of what ended with it failed, however soon and often.
fn was_stopped_with_its_agent(instance: &Instance) -> bool {
    failed_as(instance, FailureKind::AgentStopped)
}

fn failed_as(instance: &Instance, kind: FailureKind) -> bool {
    instance
        .failure
        .as_ref()
        .is_some_and(|failure| failure.cause == FailureCause::Failed(kind))
}

/// It had begun well, and then its agent ended: not its fault, unless it was the last to begin there and that was not
/// long ago. A service that ends its whole agent soon after each start is always the last of those that begin: once
/// it waits for its next try, and also when a neighbour was taken for it, it begins after all the others.
pub fn is_not_its_fault(
    subject: &InstanceKey,
    instance: &Instance,
    view: &dyn View,
    env: &Env,
) -> bool {
    if was_stopped_with_its_agent(instance) {
        return true;
    }
    let begun_well = failed_as(instance, FailureKind::AgentEnded) && instance.version.is_some();
    let Some(started) = instance.started.filter(|_| begun_well) else {
        return false;
    };
    let soon = env.now.since(started) < env.settings.healthy_after();
    let began_last = || view.last_start_on(&subject.node) <= Some(started);
    !(soon && began_last())
}

/// When a restart happens, in a code and in words.
type When = (Code, &'static str);
const AT_ONCE: When = (code::RESTARTED_AT_ONCE, "at once");
const WITH_ITS_AGENT: When = (code::AGENT_ENDED, "at once, with its agent");
const AGENT_WAS_STOPPED: When = (code::AGENT_STOPPED, "at once: its agent was ended in order");
const WHEN_DUE: When = (code::BACKOFF, "its time has come");

/// Whether a restart uses up the budget.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    Attempt,
    Not,
}

/// Starts the next incarnation, or leaves it to `start` if the node cannot take it now.
fn again(
    subject: &InstanceKey,
    txn: &mut Txn<'_>,
    env: &Env,
    count: Count,
    (code, when): When,
) -> Verdict {
    let instance = txn.instance(subject).expect("the judge read it");
    let startable = verb::is_online(txn, subject)
        && verb::kept_down(txn, subject).is_none()
        && stray::ends(txn, subject).is_none()
        && verb::provides(txn, subject, &instance)
        && verb::held_by_another(txn, subject, &instance).is_none()
        && dependency_gate::unmet(txn, &subject.placement).is_none()
        && lease::in_the_way(txn, subject, env.now).is_none()
        // It has its room, unless it needs another by now.
        && room::needs_of(txn, subject, &instance) == instance.needs;
    let turn = room::not_its_turn(txn, subject);
    if count == Count::Attempt {
        verb::change(txn, subject, |instance| verb::count_attempt(instance, env));
    }
    if startable && turn.is_none() {
        verb::begin_start(txn, subject, env);
        return Verdict::did(
            code,
            format!("incarnation {}, {when}", instance.incarnation.next()),
        );
    }
    // Who only waits for its turn keeps its name; of any other `start` says what it waits for.
    let why = turn.filter(|_| startable).unwrap_or_else(|| {
        verb::free_name(txn, subject);
        Reason::new(code::WANTED, "it is to be restarted")
    });
    verb::change(txn, subject, |instance| {
        instance.state = InstanceState::Pending;
        instance.next_try = None;
        instance.reason = Some(why);
    });
    Verdict::did(code::WANTED, "to be restarted; it cannot begin now")
}

/// 1, 2, 4 .. s up to the limit, and up to a fifth more, so that many do not come back as one; then the next mark of log
/// time, at which all whose time has come since the last mark are started in one entry. Never sooner than the wait.
fn next_try(subject: &InstanceKey, restarts: u32, budget: &RestartBudget, env: &Env) -> Timestamp {
    let wait_us = backoff_ms(restarts, budget).saturating_mul(1000);
    let spread = hash::stable(&format!("{subject} {restarts}")) % 1000;
    #[cfg(feature = "planted-bugs")]
    let spread = match crate::planted::is(crate::planted::Bug::JitterOfTheMachine) {
        true => {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(subject) % 1000
        }
        false => spread,
    };
    let wait = Duration::from_micros(wait_us + wait_us / JITTER_PART * spread / 1000);
    let mark = (wait_us / MARK_PART).max(1);
    Timestamp((env.now + wait).0.next_multiple_of(mark))
}

fn backoff_ms(restarts: u32, budget: &RestartBudget) -> u64 {
    let doublings = restarts.saturating_sub(1);
    budget
        .backoff_first_ms
        .saturating_mul(1u64.checked_shl(doublings).unwrap_or(u64::MAX))
        .min(budget.backoff_max_ms)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_protocol::{Leadership, Revision};
    use mainstay_resource_graph::{RestartPolicy, Settings};

    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_many_come_back_at_few_moments() {
        let budget = RestartPolicy::default().over(RestartWhen::OnFailure, &Settings::LAN);
        let env = Env::new(
            Timestamp(123_456_789),
            Leadership::default(),
            Settings::LAN,
            Revision::default(),
        );
        for (restarts, least_ms) in [
            (1, 1000),
            (2, 2000),
            (3, 4000),
            (4, 8000),
            (12, 60_000),
            (99, 60_000),
        ] {
            let moments: BTreeSet<Timestamp> = (0..100)
                .map(|at| {
                    let name = format!("web{at}").parse().unwrap();
                    let key = InstanceKey::new("n1".parse().unwrap(), name);
                    next_try(&key, restarts, &budget, &env)
                })
                .collect();
            for moment in &moments {
                let wait_us = moment.since(env.now).as_micros() as u64;
                assert!(wait_us >= least_ms * 1000, "{restarts}: {wait_us}");
                assert!(wait_us <= least_ms * 1250, "{restarts}: {wait_us}");
            }
            assert!(moments.len() > 2, "jitter keeps them apart: {moments:?}");
            assert!(moments.len() <= 5, "marks bring them together: {moments:?}");
        }
    }
}
