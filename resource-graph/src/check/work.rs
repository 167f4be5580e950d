//! Runs and their steps: what is out is with somebody, and what goes on does so in a run that is open.

use mainstay_protocol::StepKey;
use mainstay_protocol::command::Order;

use super::{Problems, exists};
use crate::key::Key;
use crate::vertex::{CommandVertex, Relation, Run, Step, StepState};
use crate::view::{View, ViewExt};

pub(super) fn run(view: &(impl View + ?Sized), key: &Key, run: &Run, problems: &mut Problems) {
    for hash in [&run.plan, &run.input] {
        let text = Key::Text(hash.clone());
        let mut edges = view.edges_from(key, Relation::Reads).into_iter();
        problems.demand(edges.any(|edge| edge.to == text), key, || {
            format!("goes by {text} and does not hold it")
        });
    }
    problems.demand(run.state.is_open() == run.ended.is_none(), key, || {
        let state = run.state.as_str();
        match run.ended {
            Some(at) => format!("is {state} and ended at {at}"),
            None => format!("is {state} and has no end"),
        }
    });
}

pub(super) fn step(
    view: &(impl View + ?Sized),
    at: &StepKey,
    step: &Step,
    problems: &mut Problems,
) {
    let key = Key::Step(at.clone());
    exists(view, &key, &Key::Run(at.run.clone()), problems);
    problems.demand(
        step.output.is_some() == matches!(step.state, StepState::Completed { .. }),
        &key,
        || format!("is {} with or without an output", step.state.as_str()),
    );
    if let StepState::Running { .. } = step.state {
        problems.demand(step.worker.is_some(), &key, || {
            "is out and nobody has it".to_owned()
        });
    }
    if let Some(run) = view.run(&at.run) {
        let goes_on = matches!(
            step.state,
            StepState::Pending { .. }
                | StepState::Queued { .. }
                | StepState::Waiting { .. }
                | StepState::Scheduled { .. }
                | StepState::Retrying { .. }
        );
        problems.demand(!goes_on || run.state.is_open(), &key, || {
            format!(
                "is {} in a run that is {}",
                step.state.as_str(),
                run.state.as_str()
            )
        });
        let is_due = matches!(step.state, StepState::Queued { .. });
        problems.demand(
            !is_due || run.state == crate::RunState::Running,
            &key,
            || "is due in a run that is paused".to_owned(),
        );
    }
}

/// What is sent, and not taken yet, is still wanted.
pub(super) fn command(
    view: &(impl View + ?Sized),
    key: &Key,
    command: &CommandVertex,
    problems: &mut Problems,
) {
    let (Key::Command(id), Order::Work(work)) = (key, &command.order) else {
        return;
    };
    let token = view.step(&work.step).and_then(|step| step.token());
    problems.demand(token == Some(*id), key, || {
        format!("brings {}, which does not know it", work.step)
    });
}
