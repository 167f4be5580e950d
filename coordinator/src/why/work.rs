//! What stands behind a run and its steps.

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::work::Skill;
use mainstay_protocol::{InstanceKey, RunId, StepKey, limits};
use mainstay_resource_graph::{
    Instance, Key, Record, Run, RunState, Step, StepState, Vertex, View, ViewExt,
};

use super::{Cause, SystemWill, behind, describe, plain};
use crate::rules::hand_out;
use crate::runs;

pub fn cause(view: &dyn View, record: &Record, depth: usize) -> Option<Cause> {
    match (&record.key, &record.vertex) {
        (Key::Run(id), Vertex::Run(run)) => Some(of_run(view, id, run, record, depth)),
        (Key::Step(key), Vertex::Step(step)) => Some(of_step(view, key, step, record, depth)),
        _ => None,
    }
}

fn of_run(view: &dyn View, id: &RunId, run: &Run, record: &Record, depth: usize) -> Cause {
    let stops_it = |step: &Step| match run.state {
        RunState::Errored | RunState::CompensationFailed => step.state == StepState::Failed,
        RunState::Running | RunState::Paused => is_under_way(&step.state),
        RunState::Completed
        | RunState::Compensating
        | RunState::Compensated
        | RunState::Cancelled => false,
    };
    let steps = runs::activities_of(view, run)
        .into_iter()
        .filter_map(|activity| {
            let key = StepKey::new(id.clone(), activity.id);
            stops_it(&view.step(&key)?).then_some(Key::Step(key))
        });
    let mut because: Vec<Cause> = steps
        .take(limits::WHY_NODES_MAX)
        .flat_map(|key| behind(view, &key, depth))
        .collect();
    if [RunState::Compensating, RunState::CompensationFailed].contains(&run.state) {
        because.extend(behind(view, &Key::Run(id.undoing()), depth));
    }
    Cause {
        reason: run_reason(view, id, run),
        because,
        ..plain(record, &describe::record(record))
    }
}

fn is_under_way(state: &StepState) -> bool {
    match state {
        StepState::Queued { .. }
        | StepState::Running { .. }
        | StepState::Waiting { .. }
        | StepState::Scheduled { .. }
        | StepState::Retrying { .. }
        | StepState::Failed => true,
        StepState::Pending { .. }
        | StepState::Completed { .. }
        | StepState::Skipped
        | StepState::Cancelled => false,
    }
}

/// Why a run is not going on to its end; none of one that is, or that came to a good one.
pub fn run_reason(view: &dyn View, id: &RunId, run: &Run) -> Option<Reason> {
    let errors = || {
        let errors = run
            .errors
            .iter()
            .map(|(activity, error)| format!("{activity}: {error}"));
        errors.collect::<Vec<_>>().join("; ")
    };
    match run.state {
        RunState::Completed | RunState::Compensated | RunState::Cancelled => None,
        RunState::Running => {
            let activities = runs::activities_of(view, run).into_iter();
            let mut reasons = activities.filter_map(|activity| {
                let key = StepKey::new(id.clone(), activity.id);
                step_reason(view, &key, &view.step(&key)?)
            });
            reasons.next()
        }
        RunState::Paused => Some(Reason::new(
            code::RUN_PAUSED,
            "somebody paused it: nothing of it is handed out",
        )),
        RunState::Errored => Some(Reason::new(code::RUN_FAILED, errors())),
        RunState::Compensating => Some(Reason::new(
            code::UNDOING,
            format!(
                "it failed ({}), and {} undoes it",
                errors(),
                Key::Run(id.undoing())
            ),
        )),
        RunState::CompensationFailed => Some(Reason::new(
            code::NOT_UNDONE,
            format!(
                "it failed ({}), and {} failed as well",
                errors(),
                Key::Run(id.undoing())
            ),
        )),
    }
}

fn of_step(view: &dyn View, key: &StepKey, step: &Step, record: &Record, depth: usize) -> Cause {
    let worker = step.at_work().filter(|worker| {
        let worker = view.instance(worker);
        worker.is_none_or(|worker| !worker.is_as_wanted())
    });
    let worker = worker.map(|worker| behind(view, &Key::Instance(worker.clone()), depth));
    Cause {
        reason: step_reason(view, key, step),
        because: worker.into_iter().flatten().collect(),
        evidence: step.last_error.clone(),
        ..plain(record, &describe::record(record))
    }
}

/// Why a step is not on its way to its end; none of one that is, or that only waits for others.
pub fn step_reason(view: &dyn View, key: &StepKey, step: &Step) -> Option<Reason> {
    let error = step.last_error.as_deref().unwrap_or("it does not say why");
    match &step.state {
        StepState::Queued { .. } => nobody_takes_it(view, key, &step.skill),
        StepState::Waiting { .. } => Some(Reason::new(
            code::STEP_WAITS,
            format!(
                "{} waits for somebody outside to say that it is done",
                key.activity
            ),
        )),
        StepState::Scheduled { .. } => Some(Reason::new(
            code::STEP_WAITS,
            format!("{} asked to be called again later", key.activity),
        )),
        StepState::Retrying { .. } => Some(Reason::new(
            code::STEP_FAILED,
            format!(
                "attempt {} of {} failed: {error}",
                step.attempt - 1,
                key.activity
            ),
        )),
        StepState::Failed => Some(Reason::new(
            code::STEP_FAILED,
            format!("{} failed for good: {error}", key.activity),
        )),
        StepState::Pending { .. }
        | StepState::Running { .. }
        | StepState::Completed { .. }
        | StepState::Skipped
        | StepState::Cancelled => None,
    }
}

/// Whether an instance does such work, and could do so now.
pub fn does(view: &dyn View, worker: &InstanceKey, skill: &Skill) -> bool {
    let does = |worker: &Instance| worker.has_hands() && hand_out::serves(view, worker, skill);
    view.look_at_instance(worker, does).unwrap_or(false)
}

fn nobody_takes_it(view: &dyn View, key: &StepKey, skill: &Skill) -> Option<Reason> {
    if view.run(&key.run)?.state != RunState::Running {
        return None;
    }
    let hands = view.hands().into_iter();
    let able: Vec<_> = hands.filter(|worker| does(view, worker, skill)).collect();
    match able.as_slice() {
        [] => Some(Reason::new(
            code::UNSERVED,
            format!(
                "{} is due, and nothing that runs does {skill}",
                key.activity
            ),
        )),
        able if able
            .iter()
            .all(|worker| hand_out::free_of(view, worker, skill) == 0) =>
        {
            let cling = |worker: &&InstanceKey| view.count_at(worker) > view.steps_at(worker).len();
            let clinging: Vec<String> = able
                .iter()
                .filter(cling)
                .map(|one| one.to_string())
                .collect();
            let still = match clinging.is_empty() {
                true => String::new(),
                false => format!(
                    "; with what was taken back and is not let go of yet: {}",
                    clinging.join(", ")
                ),
            };
            Some(Reason::new(
                code::NO_HANDS,
                format!(
                    "{} is due, and the {} that do {skill} have their hands full{still}",
                    key.activity,
                    able.len()
                ),
            ))
        }
        _ => None,
    }
}

pub fn system_will(view: &dyn View, key: &Key) -> Option<SystemWill> {
    let Key::Step(key) = key else { return None };
    let step = view.step(key)?;
    let action = match &step.state {
        StepState::Scheduled { .. } => "call it again",
        StepState::Retrying { .. } => "try it again",
        StepState::Waiting { until: Some(_), .. } => "let it fail, if nobody says that it is done",
        StepState::Running { until: Some(_), .. } => "let the attempt fail, if it is not done",
        _ => return None,
    };
    Some(SystemWill {
        action: action.to_owned(),
        at: step.due(),
        rule: "step_due".to_owned(),
    })
}

pub fn for_run(id: &RunId, run: &Run) -> Vec<String> {
    let mut can = vec![format!("mainstay run show {id}")];
    match run.state {
        RunState::Running => {
            can.push(format!("mainstay run follow {id}"));
            can.push(format!("mainstay run pause {id}"));
            can.push(format!("mainstay run cancel {id}"));
        }
        RunState::Paused => {
            can.push(format!("mainstay run resume {id}"));
            can.push(format!("mainstay run cancel {id}"));
        }
        RunState::Errored => can.push(format!("mainstay run retry {id}")),
        RunState::CompensationFailed => {
            can.push(format!("mainstay run retry {}", id.undoing()));
        }
        RunState::Completed
        | RunState::Compensating
        | RunState::Compensated
        | RunState::Cancelled => {}
    }
    can
}

pub fn for_step(key: &StepKey, step: &Step) -> Vec<String> {
    let (run, activity) = (&key.run, &key.activity);
    let mut can = vec![format!("mainstay run show {run}")];
    if let StepState::Waiting { token, .. } = &step.state {
        can.push(format!(
            "mainstay run complete {run} {activity} --token {token}"
        ));
    }
    can
}
