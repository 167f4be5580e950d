//! Instances: names held and waited for as their state asks, reasons and times where something is amiss, bounds.

use mainstay_protocol::report::Presence;
use mainstay_protocol::{InstanceKey, code, limits};

use super::{Problems, bounded, exists};
use crate::key::Key;
use crate::load::Waits;
use crate::vertex::{Desired, Instance, InstanceState, Relation, slot_of};
use crate::view::{View, ViewExt};

pub(super) fn check(
    view: &(impl View + ?Sized),
    at: &InstanceKey,
    instance: &Instance,
    problems: &mut Problems,
) {
    let key = Key::Instance(at.clone());
    exists(view, &key, &Key::Node(at.node.clone()), problems);
    // What is to go away may have outlived the wish it came from.
    if instance.desired != Desired::Absent {
        exists(view, &key, &Key::Placement(at.placement.clone()), problems);
    }
    let wants = view.linked(&key, Relation::Wants);
    let wanted = instance.wanted.clone().map(Key::Configuration);
    problems.demand(wants == wanted, &key, || {
        format!("wants {wanted:?} and is linked to {wants:?}")
    });
    name(view, at, instance, problems);
    reasons(&key, instance, problems);
    times(&key, instance, problems);
    bounds(&key, instance, problems);
    if instance.state.is_up() {
        let configured = view.linked(&key, Relation::Configured).is_some();
        problems.demand(configured, &key, || {
            format!("is {} with no configuration", instance.state.as_str())
        });
    }
}

/// What a state asks of the name.
enum Hold {
    Must,
    May,
    MustNot,
}

/// Held from the decision to start through back-off; a failure that was just seen keeps it until it is judged, and a
/// stop for a restart until the next start.
fn hold(instance: &Instance) -> Hold {
    match instance.state {
        InstanceState::Stopped { by_itself: false } if instance.desired == Desired::Running => {
            Hold::May
        }
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Failed {
            presence: Presence::Living,
        } => Hold::Must,
        InstanceState::Failed {
            presence: Presence::Gone,
        }
        | InstanceState::Blocked => Hold::May,
        // It keeps its name until its turn comes.
        InstanceState::Pending if instance.waits() == Some(Waits::Turn) => Hold::May,
        InstanceState::Pending | InstanceState::Stopped { .. } | InstanceState::Quarantined => {
            Hold::MustNot
        }
    }
}

fn name(
    view: &(impl View + ?Sized),
    at: &InstanceKey,
    instance: &Instance,
    problems: &mut Problems,
) {
    let key = Key::Instance(at.clone());
    let slot = Key::Name(slot_of(at, instance));
    let state = instance.state.as_str();
    let held = view.linked(&key, Relation::Holds);
    let awaited = view.linked(&key, Relation::Waits);
    for name in held.iter().chain(&awaited) {
        problems.demand(*name == slot, &key, || {
            format!("has to do with {name}; its own is {slot}")
        });
    }
    problems.demand(held.is_none() || awaited.is_none(), &key, || {
        format!("holds {slot} and waits for it")
    });
    match hold(instance) {
        Hold::Must => {
            problems.demand(held.is_some(), &key, || {
                format!("is {state} and does not hold {slot}")
            });
        }
        Hold::MustNot => {
            problems.demand(held.is_none(), &key, || {
                format!("is {state} and holds {slot}")
            });
        }
        Hold::May => {}
    }
    let may_wait = match instance.state {
        InstanceState::Pending | InstanceState::Blocked => true,
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => false,
    };
    problems.demand(awaited.is_none() || may_wait, &key, || {
        format!("is {state} and waits for {slot}")
    });
}

/// Invariant 5: every state that is not the wanted one says why.
fn reasons(key: &Key, instance: &Instance, problems: &mut Problems) {
    let as_wanted = match instance.desired {
        Desired::Running => instance.state == InstanceState::Running,
        Desired::Stopped => matches!(instance.state, InstanceState::Stopped { .. }),
        // An absent instance is one that is not in the graph.
        Desired::Absent => false,
    };
    problems.demand(as_wanted || instance.reason.is_some(), key, || {
        format!(
            "is {} and wanted {}, without a reason",
            instance.state.as_str(),
            instance.desired.as_str()
        )
    });
}

/// Invariant 5, its other half: when something will happen. A time left over would fire for ever.
fn times(key: &Key, instance: &Instance, problems: &mut Problems) {
    let state = instance.state.as_str();
    let backing_off = matches!(instance.state, InstanceState::Backoff { .. });
    let waits_for = |code: &code::Code| {
        let reason = instance.reason.as_ref();
        instance.state == InstanceState::Pending && reason.is_some_and(|one| one.code == *code)
    };
    let may_try = waits_for(&code::LEASE_HELD) || waits_for(&code::NO_ROOM);
    problems.demand(
        instance.next_try.is_some() == backing_off || may_try,
        key,
        || match instance.next_try {
            Some(at) => format!("is {state} with a next try at {at}"),
            None => format!("is {state} with no next try"),
        },
    );
    let under_way = matches!(
        instance.state,
        InstanceState::Starting | InstanceState::Stopping { .. }
    );
    // On an isolated node it may be given up before its node is.
    let waited_for = matches!(instance.state, InstanceState::Unknown { .. });
    let timed = under_way || waited_for;
    problems.demand(instance.deadline.is_none() || timed, key, || {
        format!("is {state} with a deadline")
    });
    problems.demand(
        !under_way || instance.deadline.is_some() || instance.reason.is_some(),
        key,
        || format!("is {state} with neither deadline nor reason"),
    );
}

fn bounds(key: &Key, instance: &Instance, problems: &mut Problems) {
    let attempts = instance.attempts.len();
    bounded(
        key,
        "attempts",
        attempts,
        limits::ATTEMPTS_KEPT_MAX,
        problems,
    );
    let detail = instance.health_detail.len();
    bounded(
        key,
        "detail of health",
        detail,
        limits::EVIDENCE_BYTES_MAX,
        problems,
    );
    if let Some(failure) = &instance.failure {
        let words = failure.evidence.text.len();
        bounded(
            key,
            "words of the failure",
            words,
            limits::EVIDENCE_BYTES_MAX,
            problems,
        );
        let tail = failure.evidence.stderr_tail.len();
        bounded(
            key,
            "tail of standard error",
            tail,
            limits::EVIDENCE_BYTES_MAX,
            problems,
        );
    }
}
