//! When each instance is checked, and what its answers mean: at once after its start, then after 1, 2, 4 .. up to
//! its interval, jittered and on marks that all instances share, with at most one Check under way per instance. Only
//! a change is worth a word.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::command::CheckSchedule;
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::{Presence, Report};
use mainstay_protocol::revision::{SEED, hash};
use mainstay_protocol::{Incarnation, InstanceKey};

use crate::core::Observation;

/// A Check to carry out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCheck {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    /// How long the probe may take.
    pub deadline_ms: u64,
}

/// The schedule of everything that is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckTable {
    rows: BTreeMap<InstanceKey, Row>,
    /// Those not under way, by when they are due.
    queue: BTreeSet<(u64, InstanceKey)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    incarnation: Incarnation,
    schedule: CheckSchedule,
    /// When it is due; none while a Check is under way.
    due_ms: Option<u64>,
    /// The distance to the Check after this one, before jitter.
    gap_ms: u64,
    /// How many Checks were begun: the jitter's second part.
    begun: u64,
    health: Health,
    misses: u32,
    failed_in_a_row: u32,
    answered_ms: Option<u64>,
}

/// Instances are checked together on marks a tenth of the gap apart, at most so far: what costs an idle node is the
/// waking, not the asking.
const MARK_MS_MAX: u64 = 500;

/// A probe that says `failed` so often in a row has failed.
const FAILED_IN_A_ROW: u32 = 2;

impl CheckTable {
    /// Begins to check an instance; an older incarnation of it is forgotten.
    pub fn add(
        &mut self,
        instance: InstanceKey,
        incarnation: Incarnation,
        schedule: CheckSchedule,
        now_ms: u64,
    ) {
        self.remove(&instance);
        let row = Row {
            incarnation,
            schedule,
            due_ms: Some(now_ms),
            gap_ms: schedule.first_ms.clamp(1, schedule.interval_ms.max(1)),
            begun: 0,
            health: Health::Unknown,
            misses: 0,
            failed_in_a_row: 0,
            answered_ms: None,
        };
        self.queue.insert((now_ms, instance.clone()));
        self.rows.insert(instance, row);
    }

    pub fn remove(&mut self, instance: &InstanceKey) {
        if let Some(row) = self.rows.remove(instance)
            && let Some(due_ms) = row.due_ms
        {
            self.queue.remove(&(due_ms, instance.clone()));
        }
    }

    /// Takes what is due. Each stays under way until it is answered or missed.
    pub fn due(&mut self, now_ms: u64) -> Vec<DueCheck> {
        let mut due = Vec::new();
        while let Some((at_ms, _)) = self.queue.first()
            && *at_ms <= now_ms
            && let Some((_, instance)) = self.queue.pop_first()
        {
            let Some(row) = self.rows.get_mut(&instance) else {
                continue;
            };
            row.due_ms = None;
            row.begun += 1;
            due.push(DueCheck {
                incarnation: row.incarnation,
                deadline_ms: row.schedule.deadline_ms,
                instance,
            });
        }
        due
    }

    /// When the next Check is due, if any is not under way.
    pub fn next_due(&self) -> Option<u64> {
        self.queue.first().map(|(at_ms, _)| *at_ms)
    }

    /// The probe answered within its deadline.
    pub fn answered(
        &mut self,
        instance: &InstanceKey,
        incarnation: Incarnation,
        health: Health,
        detail: String,
        now_ms: u64,
    ) -> Vec<Observation> {
        let Some(row) = self.under_way(instance, incarnation) else {
            return Vec::new();
        };
        row.answered_ms = Some(now_ms);
        row.misses = 0;
        row.failed_in_a_row = match health {
            Health::Failed => row.failed_in_a_row + 1,
            Health::Ok | Health::Degraded | Health::Unknown | Health::Unresponsive => 0,
        };
        let mut seen = Vec::new();
        // The detail alone may change with every answer ("busy for 3 s"); that is no change of health.
        if row.health != health {
            row.health = health;
            seen.push(Observation::Seen(Report::HealthChanged {
                instance: instance.clone(),
                incarnation,
                health,
                detail: detail.clone(),
            }));
        }
        if row.failed_in_a_row == FAILED_IN_A_ROW {
            seen.push(Observation::Seen(Report::Failed {
                instance: instance.clone(),
                incarnation,
                kind: FailureKind::Reported,
                presence: Presence::Living,
                evidence: Evidence::text(detail),
            }));
        }
        self.schedule_next(instance, now_ms);
        seen
    }

    /// The probe was asked out of turn, by somebody. Only a change of health counts: what follows from answers in
    /// a row follows from those of the schedule.
    pub fn noted(
        &mut self,
        instance: &InstanceKey,
        incarnation: Incarnation,
        health: Health,
        detail: &str,
    ) -> Option<Observation> {
        let row = self.rows.get_mut(instance)?;
        if row.incarnation != incarnation || row.health == health {
            return None;
        }
        row.health = health;
        row.misses = 0;
        Some(Observation::Seen(Report::HealthChanged {
            instance: instance.clone(),
            incarnation,
            health,
            detail: detail.to_owned(),
        }))
    }

    /// The probe did not answer within its deadline. Said at the first miss, and again at the limit.
    pub fn missed(
        &mut self,
        instance: &InstanceKey,
        incarnation: Incarnation,
        now_ms: u64,
    ) -> Vec<Observation> {
        let Some(row) = self.under_way(instance, incarnation) else {
            return Vec::new();
        };
        row.misses = row.misses.saturating_add(1);
        row.failed_in_a_row = 0;
        row.health = Health::Unresponsive;
        let limit = row.schedule.misses_max.max(1);
        let missed = row.misses;
        let mut seen = Vec::new();
        if missed == 1 || missed == limit {
            seen.push(Observation::Seen(Report::Unresponsive {
                instance: instance.clone(),
                incarnation,
                missed,
                limit,
                detail: format!(
                    "no answer to {missed} of {limit} Checks in a row within {} ms",
                    row.schedule.deadline_ms
                ),
            }));
        }
        self.schedule_next(instance, now_ms);
        seen
    }

    /// Whoever carried the Checks out is gone: what was under way is due again.
    pub fn forget_under_way(&mut self, now_ms: u64) {
        for (instance, row) in &mut self.rows {
            if row.due_ms.is_none() {
                row.due_ms = Some(now_ms);
                self.queue.insert((now_ms, instance.clone()));
            }
        }
    }

    /// How long ago each instance last answered.
    pub fn checked_ages(&self, now_ms: u64) -> BTreeMap<InstanceKey, u64> {
        self.rows
            .iter()
            .filter_map(|(instance, row)| {
                let age_ms = now_ms.saturating_sub(row.answered_ms?);
                Some((instance.clone(), age_ms))
            })
            .collect()
    }

    fn under_way(&mut self, instance: &InstanceKey, incarnation: Incarnation) -> Option<&mut Row> {
        self.rows
            .get_mut(instance)
            .filter(|row| row.incarnation == incarnation && row.due_ms.is_none())
    }

    fn schedule_next(&mut self, instance: &InstanceKey, now_ms: u64) {
        let Some(row) = self.rows.get_mut(instance) else {
            return;
        };
        let due_ms = on_mark(
            now_ms + jittered(row.gap_ms, instance, row.begun),
            row.gap_ms,
        );
        row.gap_ms = row
            .gap_ms
            .saturating_mul(2)
            .min(row.schedule.interval_ms.max(1));
        row.due_ms = Some(due_ms);
        self.queue.insert((due_ms, instance.clone()));
    }
}

/// Between nine tenths and the whole of the gap, by instance and count: those started together drift apart.
fn jittered(gap_ms: u64, instance: &InstanceKey, begun: u64) -> u64 {
    let seed = hash(SEED, instance.to_string().as_bytes());
    let spread = gap_ms / 10;
    gap_ms - hash(seed, &begun.to_be_bytes()) % (spread + 1)
}

/// The last mark before that: between eight tenths and the whole of the gap from now.
fn on_mark(at_ms: u64, gap_ms: u64) -> u64 {
    let mark_ms = (gap_ms / 10).clamp(1, MARK_MS_MAX);
    at_ms - at_ms % mark_ms
}

#[cfg(test)]
mod tests;
