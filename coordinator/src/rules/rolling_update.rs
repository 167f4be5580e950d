//! `rolling_update`: a changed configuration reaches the instances as the placement's update says; a bad one stops at
//! the first instance and is taken back.
//!
//! ```text
//!   waiting --told--> changing --healthy for so long--> done ... all done: the update is over
//!                         |
//!                         +--failed so often, refused, or not healthy in time--> taken back (or halted)
//! ```
//! An instance is told by being given the configuration as its wish; `reconfigure` and `start` carry that out.

use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::health::FailureKind;
use mainstay_protocol::report::Presence;
use mainstay_protocol::{InstanceKey, PlacementName, Timestamp};
use mainstay_resource_graph::{
    ConfigHash, Desired, FailureCause, InPlace, Instance, InstanceState, Key, Past, Placement,
    Rollout, Standing, Strategy, Txn, Vertex, View, ViewExt,
};

use crate::env::Env;
use crate::record;
use crate::rule::{Rule, Verdict, Watch};
use crate::rules::could_not_start;
use crate::verb;

pub struct RollingUpdate;

impl Rule for RollingUpdate {
    const NAME: &'static str = "rolling_update";
    const ABOUT: &'static str =
        "Brings a changed configuration to the instances, and takes a bad one back.";
    type Subject = PlacementName;

    fn watches() -> Watch {
        Watch::placements(is_under_way)
    }

    /// What became of an instance that was told decides what comes next.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<PlacementName> {
        let Key::Instance(key) = changed else {
            return Vec::new();
        };
        let placement = view.record(&Key::Placement(key.placement.clone()));
        match placement.as_ref().map(|record| &record.vertex) {
            Some(Vertex::Placement(placement)) if is_under_way(placement) => {
                vec![key.placement.clone()]
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn judge(subject: PlacementName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(placement) = txn.placement(&subject).filter(is_under_way) else {
            return Verdict::Nothing;
        };
        let Some(rollout) = placement.rollout.clone() else {
            return Verdict::Nothing;
        };
        if let Some(on) = &placement.maintenance {
            let text = format!("{subject} is in maintenance, {}", on.said);
            return Verdict::declined(code::IN_MAINTENANCE, text);
        }
        let gate = Gate::of(&placement, &rollout, txn, env);
        let parts = survey(&subject, &placement, &gate, txn);
        if let Some((key, why)) = parts.bad.first()
            && rollout.halted.is_none()
        {
            return stop_at(&subject, placement.clone(), key, why, txn);
        }
        let spare = spare(&subject, &placement, txn);
        let told = tell(&placement, &parts, &rollout, spare, txn);
        if !told.is_empty() {
            let text = format!(
                "{} of {} have it; now {}",
                parts.done,
                parts.all(),
                told.join(", ")
            );
            note(&subject, txn, |rollout| {
                rollout.told = env.now;
                rollout.wake = None;
            });
            return Verdict::did(code::UPDATING, text);
        }
        if parts.is_over() {
            note_over(&subject, txn);
            let text = format!("{} instances have it", parts.done);
            return Verdict::did(code::UPDATED, text);
        }
        let wake = parts.wake;
        if rollout.wake != wake {
            note(&subject, txn, |rollout| rollout.wake = wake);
        }
        let waits = parts.changing == 0 && rollout.halted.is_none();
        if waits && spare == 0 && !parts.waiting.is_empty() {
            return Verdict::declined(code::MINIMUM_KEPT, minimum_kept(&placement));
        }
        Verdict::Nothing
    }
}

fn is_under_way(placement: &Placement) -> bool {
    placement.rollout.is_some() && placement.standing == Standing::Wanted
}

/// What an instance must pass to count as changed.
struct Gate {
    told: Timestamp,
    wait: Duration,
    /// By then it must be healthy.
    deadline: Timestamp,
    failures_max: usize,
    now: Timestamp,
}

impl Gate {
    fn of(placement: &Placement, rollout: &Rollout, txn: &Txn<'_>, env: &Env) -> Self {
        let wait = Duration::from_millis(placement.wish.update.wait_ms);
        let start_ms = txn
            .service_type(&placement.service_type)
            .map_or(30_000, |found| found.declaration.start_deadline_ms);
        let patience = Duration::from_millis(start_ms + env.settings.update_patience_ms);
        Self {
            told: rollout.told,
            wait,
            deadline: rollout.told + patience + wait,
            failures_max: env.settings.reconfigure_failures_max as usize,
            now: env.now,
        }
    }
}

/// How far the instances are.
#[derive(Default)]
struct Parts {
    done: usize,
    /// Told, and neither healthy nor bad yet.
    changing: usize,
    /// Told, and no good: with what it said.
    bad: Vec<(InstanceKey, Reason)>,
    /// Lives with another configuration.
    waiting: Vec<InstanceKey>,
    /// Does not live: it can be told at once.
    idle: Vec<InstanceKey>,
    /// Not told, and out of sight.
    away: usize,
    wake: Option<Timestamp>,
}

impl Parts {
    fn all(&self) -> usize {
        self.done
            + self.changing
            + self.bad.len()
            + self.waiting.len()
            + self.idle.len()
            + self.away
    }

    fn is_over(&self) -> bool {
        self.done == self.all()
    }

    fn look_again(&mut self, at: Timestamp, now: Timestamp) {
        if at > now {
            self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        }
    }
}

fn survey(subject: &PlacementName, placement: &Placement, gate: &Gate, txn: &Txn<'_>) -> Parts {
    let mut parts = Parts::default();
    for key in txn.instances_of(subject) {
        let Some(instance) = txn.instance(&key) else {
            continue;
        };
        // Another has taken its place; it ends when its node is back.
        if instance.desired == Desired::Absent && instance.state.out_of_sight().is_some() {
            continue;
        }
        let config = placement.wish.config_on(&key.node);
        if !has_been_told(&instance, config) {
            not_told(key, &instance, &mut parts);
        } else if instance.desired != Desired::Running {
            // It has it when somebody starts it again.
        } else {
            told(key, &instance, config, gate, &mut parts);
        }
    }
    parts
}

fn has_been_told(instance: &Instance, config: &ConfigHash) -> bool {
    match &instance.wanted {
        Some(wanted) => wanted == config,
        None => instance.ran_with.as_ref() == Some(config),
    }
}

fn not_told(key: InstanceKey, instance: &Instance, parts: &mut Parts) {
    match instance.state {
        InstanceState::Unknown { .. } | InstanceState::Lost { .. } => parts.away += 1,
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Failed {
            presence: Presence::Living,
        } if instance.desired == Desired::Running => parts.waiting.push(key),
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Stopped { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => parts.idle.push(key),
    }
}

fn told(
    key: InstanceKey,
    instance: &Instance,
    config: &ConfigHash,
    gate: &Gate,
    parts: &mut Parts,
) {
    if let Some(why) = no_good(instance, config, gate) {
        parts.bad.push((key, why));
        return;
    }
    match instance.state {
        // It ended by itself, cleanly: that is for its policy.
        InstanceState::Stopped { by_itself: true } => parts.done += 1,
        // Whether it is healthy cannot be known; nor can it be blamed.
        InstanceState::Unknown { .. } => parts.changing += 1,
        // The others go on without it.
        InstanceState::Lost { .. } => parts.away += 1,
        InstanceState::Running if instance.wanted.is_none() && verb::is_healthy(instance) => {
            let healthy = instance.healthy_since.unwrap_or(gate.told).max(gate.told);
            if healthy + gate.wait <= gate.now {
                parts.done += 1;
            } else {
                parts.changing += 1;
                parts.look_again(healthy + gate.wait, gate.now);
            }
        }
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Stopped { by_itself: false }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => {
            parts.changing += 1;
            parts.look_again(gate.deadline, gate.now);
        }
    }
}

/// Why an instance with the new configuration is no good; none while it may still become good.
fn no_good(instance: &Instance, config: &ConfigHash, gate: &Gate) -> Option<Reason> {
    if let Some(InPlace::Refused(why)) = &instance.in_place {
        return Some(why.clone());
    }
    // Before it was ordered with the new one, its failures are the old one's.
    if instance.given.as_ref() != Some(config) {
        return late(instance, gate);
    }
    let said = || {
        instance
            .failure
            .as_ref()
            .map(verb::reason_of)
            .or_else(|| instance.reason.clone())
    };
    let failures = instance.attempts.len();
    let is_bad = match instance.state {
        InstanceState::Quarantined => true,
        InstanceState::Failed {
            presence: Presence::Gone,
        } => {
            could_not_start::is_final(instance)
                || counts(instance) && failures + 1 >= gate.failures_max
        }
        InstanceState::Backoff { .. } => failures >= gate.failures_max,
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Failed {
            presence: Presence::Living,
        }
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => false,
    };
    if is_bad { said() } else { late(instance, gate) }
}

/// That its agent ended is nothing it did.
fn counts(instance: &Instance) -> bool {
    instance
        .failure
        .as_ref()
        .is_none_or(|failure| failure.cause != FailureCause::Failed(FailureKind::AgentEnded))
}

fn late(instance: &Instance, gate: &Gate) -> Option<Reason> {
    let is_fine = instance.wanted.is_none() && verb::is_healthy(instance);
    let is_away = instance.state.out_of_sight().is_some();
    let ended_well = instance.state == InstanceState::Stopped { by_itself: true };
    if gate.now < gate.deadline || is_fine || is_away || ended_well {
        return None;
    }
    let state = instance.state.as_str();
    let (code, text) = match &instance.reason {
        Some(reason) => (reason.code.clone(), format!("{state}: {}", reason.text)),
        None => (
            code::UPDATING,
            format!("{state}, health {}", instance.health.as_str()),
        ),
    };
    Some(Reason::new(
        code,
        format!("it is not healthy in time; it is {text}"),
    ))
}

/// Gives the next instances their configuration, by the placement's strategy; what does not live gets it at once.
fn tell(
    placement: &Placement,
    parts: &Parts,
    rollout: &Rollout,
    mut spare: usize,
    txn: &mut Txn<'_>,
) -> Vec<String> {
    let more = match placement.wish.update.strategy {
        _ if rollout.halted.is_some() => 0,
        Strategy::All => usize::MAX,
        Strategy::Rolling { at_once } => (at_once as usize).saturating_sub(parts.changing),
        Strategy::Canary if parts.done > 0 && parts.changing == 0 => usize::MAX,
        Strategy::Canary => 1_usize.saturating_sub(parts.changing),
    };
    let mut may_be_down = |key: &&InstanceKey| {
        let may = !serves(txn, key) || spare > 0;
        spare -= usize::from(may && serves(txn, key));
        may
    };
    let waiting = parts.waiting.iter().filter(&mut may_be_down).take(more);
    let next: Vec<&InstanceKey> = parts.idle.iter().chain(waiting).collect();
    for key in &next {
        let config = placement.wish.config_on(&key.node);
        record::reach(txn, key, config);
        // What it went through before has nothing to do with it.
        verb::change(txn, key, |instance| instance.attempts.clear());
    }
    next.into_iter().map(ToString::to_string).collect()
}

fn minimum_kept(placement: &Placement) -> String {
    let minimum = placement.wish.minimum;
    format!("no more than its minimum of {minimum} serve; the next is changed when one more does")
}

/// What keeps an update that is under way from going on, if it is that.
pub fn held_by_minimum(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
) -> Option<Reason> {
    let waits = placement.rollout.is_some() && spare(name, placement, view) == 0;
    waits.then(|| Reason::new(code::MINIMUM_KEPT, minimum_kept(placement)))
}

/// So many of those that serve may be down at once.
fn spare(subject: &PlacementName, placement: &Placement, txn: &dyn View) -> usize {
    let all = txn.instances_of(subject);
    let serving = || all.iter().filter(|key| serves(txn, key)).count();
    match placement.wish.minimum as usize {
        0 => usize::MAX,
        minimum => serving().saturating_sub(minimum),
    }
}

/// What was told another configuration is on its way down.
fn serves(txn: &dyn View, key: &InstanceKey) -> bool {
    txn.instance(key).is_some_and(|one| {
        one.state.is_serving() && one.desired == Desired::Running && one.wanted.is_none()
    })
}

/// The first bad one: everything goes back, or the update halts as it is.
fn stop_at(
    subject: &PlacementName,
    placement: Placement,
    key: &InstanceKey,
    why: &Reason,
    txn: &mut Txn<'_>,
) -> Verdict {
    let generation = placement.generation;
    let back = placement
        .rollout
        .as_ref()
        .and_then(|rollout| rollout.back.clone())
        .filter(|_| placement.wish.update.rollback);
    // What never ran is nothing to go back to. What has run may be what every instance had before this one.
    let ran = back.as_ref().is_some_and(|back| {
        let proven = |past: &Past| past.generation == back.generation && past.proven;
        placement.history.iter().any(proven)
            || verb::some_ran_with(txn, subject, |node| back.config_on(node))
    });
    let Some(back) = back.filter(|_| ran) else {
        let text = format!(
            "{key} is no good with generation {generation}: {}",
            why.text
        );
        let reason = Reason::new(code::UPDATE_HALTED, text.clone()).about(key);
        note(subject, txn, |rollout| {
            rollout.halted = Some(reason);
            rollout.wake = None;
        });
        return Verdict::did(code::UPDATE_HALTED, text);
    };
    let text = format!("{key} is no good with it: {}", why.text);
    let reason = Reason::new(code::ROLLED_BACK, text.clone()).about(key);
    let mut wish = placement.wish.clone();
    wish.config = back.config;
    wish.on_nodes = back.on_nodes;
    wish.needs = back.needs;
    let to = back.generation;
    record::replace(txn, subject, placement, wish, Some(reason));
    Verdict::did(
        code::ROLLED_BACK,
        format!("generation {generation} is dropped, back to the configuration of {to}: {text}"),
    )
}

fn note(subject: &PlacementName, txn: &mut Txn<'_>, change: impl FnOnce(&mut Rollout)) {
    update(subject, txn, |placement| {
        if let Some(rollout) = &mut placement.rollout {
            change(rollout);
        }
    });
}

fn note_over(subject: &PlacementName, txn: &mut Txn<'_>) {
    update(subject, txn, |placement| placement.rollout = None);
}

fn update(subject: &PlacementName, txn: &mut Txn<'_>, change: impl FnOnce(&mut Placement)) {
    let mut placement = txn.placement(subject).expect("the judge read it");
    change(&mut placement);
    txn.put(
        Key::Placement(subject.clone()),
        Vertex::Placement(placement),
    )
    .expect("a placement has no transitions");
}
