//! What a run goes by, worked out of its definition.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::WorkName;
use mainstay_protocol::work::Skill;

use crate::activity_type::{ActivityType, Known};
use crate::definition::{Activity, OnFatal};
use crate::fault::{Found, Pointer};
use crate::retry::{Retry, RetryPolicy};

/// What a run goes by: one section of a definition that was found to be right.
#[derive(Debug, Clone)]
pub struct Plan {
    pub steps: BTreeMap<WorkName, Planned>,
    pub on_fatal: OnFatal,
}

#[derive(Debug, Clone)]
pub struct Planned {
    pub skill: Skill,
    pub waits_for: Vec<WorkName>,
    /// Who waits for it.
    pub before: Vec<WorkName>,
    pub retry: RetryPolicy,
    pub attempt_timeout: Option<Duration>,
    pub wait_timeout: Option<Duration>,
}

impl Plan {
    pub fn of(
        activities: &[Activity],
        on_fatal: OnFatal,
        (known, retry): (&Known, &RetryPolicy),
    ) -> Self {
        let mut before: BTreeMap<&WorkName, Vec<WorkName>> = BTreeMap::new();
        for activity in activities {
            for on in &activity.depends_on {
                before.entry(on).or_default().push(activity.id.clone());
            }
        }
        let planned = |activity: &Activity| Planned {
            waits_for: activity.depends_on.clone(),
            before: before.get(&activity.id).cloned().unwrap_or_default(),
            skill: Skill {
                provider: known
                    .get(&activity.of)
                    .map_or_else(String::new, |of| of.provider.clone()),
                activity: activity.of.clone(),
            },
            retry: policy(activity, known.get(&activity.of), retry),
            attempt_timeout: activity.attempt_timeout,
            wait_timeout: activity.wait_timeout,
        };
        let steps = activities.iter();
        Self {
            steps: steps.map(|one| (one.id.clone(), planned(one))).collect(),
            on_fatal,
        }
    }

    /// Those that are left of it, one after the other, whatever they depended on: how things are undone.
    pub fn in_line(&self, order: &[WorkName]) -> Self {
        let line: Vec<&WorkName> = order
            .iter()
            .filter(|id| self.steps.contains_key(*id))
            .collect();
        let steps = line.iter().enumerate().map(|(place, id)| {
            let neighbour = |at: Option<usize>| {
                let found = at.and_then(|at| line.get(at));
                found.map(|id| (*id).clone()).into_iter().collect()
            };
            let planned = Planned {
                waits_for: neighbour(place.checked_sub(1)),
                before: neighbour(Some(place + 1)),
                ..self.steps[*id].clone()
            };
            ((*id).clone(), planned)
        });
        Self {
            steps: steps.collect(),
            on_fatal: OnFatal::Stop,
        }
    }
}

/// What the activity says, over what its type says, over what counts where nobody says anything.
fn policy(activity: &Activity, of: Option<&ActivityType>, default: &RetryPolicy) -> RetryPolicy {
    let policy = of.map_or_else(|| default.clone(), |of| of.retry.over(default));
    match &activity.retry {
        Some(said) => {
            let mut found = Found::default();
            Retry::read(Pointer::root(), said, &mut found).over(&policy)
        }
        None => policy,
    }
}
