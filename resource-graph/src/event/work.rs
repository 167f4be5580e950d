//! What became of orchestrations, runs and their steps. What is merely due is no event: that it is taken is one.

use super::Told;
use crate::vertex::{
    Activity, Artifact, Orchestration, Record, Run, RunState, Service, Step, StepState, Vertex,
};

pub(super) fn orchestration(
    old: Option<&Record>,
    new: &Record,
    now: &Orchestration,
) -> Option<Told> {
    let (key, by) = (&new.key, &now.by);
    let (kind, message) = match old {
        None => ("orchestration.set", format!("{key} was set by {by}")),
        Some(_) => (
            "orchestration.changed",
            format!("{key} was changed by {by}"),
        ),
    };
    Some(told(new, kind, message).with("generation", now.generation))
}

pub(super) fn activity(old: Option<&Record>, new: &Record, now: &Activity) -> Option<Told> {
    let (key, by) = (&new.key, &now.by);
    Some(match old {
        None => told(new, "activity.set", format!("{key} was set by {by}")),
        Some(_) => told(
            new,
            "activity.changed",
            format!("{key} was changed by {by}"),
        ),
    })
}

pub(super) fn service(old: Option<&Record>, new: &Record, now: &Service) -> Option<Told> {
    let (key, by) = (&new.key, &now.by);
    let (kind, message) = match old {
        None => ("service.set", format!("{key} was registered by {by}")),
        Some(_) => ("service.changed", format!("{key} was changed by {by}")),
    };
    Some(told(new, kind, message).with("generation", now.generation))
}

pub(super) fn artifact(old: Option<&Record>, new: &Record, now: &Artifact) -> Option<Told> {
    let was_there = match old.map(|old| &old.vertex) {
        Some(Vertex::Artifact(was)) => was.is_there(),
        _ => false,
    };
    if !now.is_there() {
        return None;
    }
    let (key, by) = (&new.key, &now.by);
    let (kind, message) = match was_there {
        false => ("artifact.put", format!("{key} was put by {by}")),
        true => (
            "artifact.changed",
            format!("{key} is called otherwise, by {by}"),
        ),
    };
    let told = told(new, kind, message).with("sha256", &now.digest);
    Some(told.with("bytes", now.size))
}

pub(super) fn run(old: Option<&Record>, new: &Record, now: &Run) -> Option<Told> {
    let key = &new.key;
    let was = match old.map(|old| &old.vertex) {
        Some(Vertex::Run(was)) => Some(was.state),
        _ => None,
    };
    if was == Some(now.state) {
        return None;
    }
    let first_error = now.errors.iter().next();
    let (kind, message) = match (was, now.state) {
        (None, _) => (
            "run.began",
            match &now.ordered {
                Some(order) => format!("{key} of {} was ordered by {}", order.service, now.by),
                None => format!("{key} of {} was begun by {}", now.orchestration, now.by),
            },
        ),
        (Some(RunState::Paused), RunState::Running) => ("run.resumed", format!("{key} goes on")),
        (Some(_), RunState::Running) => ("run.retried", format!("{key} is tried again")),
        (Some(_), RunState::Paused) => ("run.paused", format!("{key} is paused")),
        (Some(_), RunState::Completed) => ("run.completed", format!("{key} is complete")),
        (Some(_), RunState::Errored) => (
            "run.errored",
            match first_error {
                Some((activity, error)) => format!("{key} failed: {activity}: {error}"),
                None => format!("{key} failed"),
            },
        ),
        (Some(_), RunState::Compensating) => ("run.compensating", format!("{key} is being undone")),
        (Some(_), RunState::Compensated) => ("run.compensated", format!("{key} is undone")),
        (Some(_), RunState::CompensationFailed) => (
            "run.compensation_failed",
            format!("{key} could not be undone; see what undoes it"),
        ),
        (Some(_), RunState::Cancelled) => ("run.cancelled", format!("{key} is cancelled")),
    };
    let told = told(new, kind, message).with("orchestration", &now.orchestration);
    Some(told.with_some("correlation", now.correlation.as_ref()))
}

pub(super) fn step(old: Option<&Record>, new: &Record, now: &Step) -> Option<Told> {
    let key = &new.key;
    if let Some(Vertex::Step(was)) = old.map(|old| &old.vertex)
        && was.state == now.state
    {
        return None;
    }
    let worker = now.worker.as_ref();
    let error = now.last_error.as_deref().unwrap_or_default();
    let (kind, message) = match &now.state {
        StepState::Pending { .. } | StepState::Queued { .. } => return None,
        StepState::Running { token, .. } => {
            let (attempt, by) = (now.attempt, worker?);
            let message = format!("{key}, attempt {attempt}, is taken by {by}");
            return Some(told(new, "step.taken", message).with("token", token));
        }
        StepState::Waiting { token, .. } => {
            let message = format!("{key} waits until somebody says that it is done");
            return Some(told(new, "step.waiting", message).with("token", token));
        }
        StepState::Scheduled { at } => {
            let message = format!("{key} asked to be called again");
            return Some(told(new, "step.scheduled", message).with("at", at));
        }
        StepState::Retrying { at } => {
            let message = format!("{key} is tried again: {error}");
            let told = told(new, "step.retrying", message).with("at", at);
            return Some(told.with("attempt", now.attempt));
        }
        StepState::Completed { .. } => ("step.completed", format!("{key} is complete")),
        StepState::Failed => ("step.failed", format!("{key} failed for good: {error}")),
        StepState::Skipped => ("step.skipped", format!("{key} is left out: its run failed")),
        StepState::Cancelled => ("step.cancelled", format!("{key} is cancelled")),
    };
    Some(told(new, kind, message))
}

fn told(new: &Record, kind: &str, message: String) -> Told {
    Told::new(&new.key, kind, Some(&new.cause), message)
}
