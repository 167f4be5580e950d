//! What came of an activity that an instance was given.

use mainstay_protocol::json::Shape;
use mainstay_protocol::report::CommandOutcome;
use mainstay_protocol::work::{Changes, Work, WorkAnswer};
use mainstay_protocol::{CommandId, Json, NodeName, StepKey};
use mainstay_resource_graph::{Txn, ViewExt};

use crate::env::Env;
use crate::runs;

/// Whoever names a command that is not the step's any more changes nothing.
pub(super) fn worked(
    txn: &mut Txn<'_>,
    node: &NodeName,
    (step, command): (&StepKey, CommandId),
    answer: &WorkAnswer,
    env: &Env,
) {
    // A node answers for its own instances.
    let has_it = txn
        .step(step)
        .and_then(|step| step.worker)
        .is_some_and(|worker| worker.node == *node);
    if !has_it {
        return;
    }
    let wrong = no_object(answer)
        .or_else(|| too_large(txn, step, answer))
        .or_else(|| unlike(txn, step, answer));
    let answer = match wrong {
        Some(error) => WorkAnswer::Fatal { error },
        None => answer.clone(),
    };
    // Stale: it was said before, or by one that was given up.
    let _ = runs::change(txn, &step.run, env, |machine| {
        machine.answered(&step.activity, command, answer)
    });
}

/// It is with its instance, which answers by `Worked`; or the agent has no such instance, or would not give it to one, and
/// the attempt counts.
pub(super) fn taken(
    txn: &mut Txn<'_>,
    command: CommandId,
    work: &Work,
    outcome: &CommandOutcome,
    env: &Env,
) {
    let why = match outcome {
        CommandOutcome::Done => return,
        CommandOutcome::Refused { text, .. } => format!("refused: {text}"),
        CommandOutcome::NotRunning | CommandOutcome::Stale | CommandOutcome::WillNotEnd => {
            format!("{} does not run any more", work.instance)
        }
    };
    let step = &work.step;
    let _ = runs::change(txn, &step.run, env, |machine| {
        machine.lost(&step.activity, command, &why)
    });
}

/// Others name what they want of it.
fn no_object(answer: &WorkAnswer) -> Option<String> {
    match answer {
        WorkAnswer::Complete { output, .. } if output.shape() != Shape::Object => Some(format!(
            "invalid-output: it left {} behind; write an object",
            output.shape().with_article()
        )),
        _ => None,
    }
}

/// What follows reads it by its schema. What was left is told with the error, since it is kept nowhere else.
fn unlike(txn: &Txn<'_>, step: &StepKey, answer: &WorkAnswer) -> Option<String> {
    const SHOWN_CHARS_MAX: usize = 1000;
    let WorkAnswer::Complete { output, .. } = answer else {
        return None;
    };
    let wrong = runs::unlike_output(txn, step, output);
    let left: String = output.as_str().chars().take(SHOWN_CHARS_MAX).collect();
    let all = wrong.join("; ");
    (!wrong.is_empty()).then(|| format!("invalid-output: it left {left}: {all}"))
}

/// What it leaves behind is bounded; another attempt would leave as much.
fn too_large(txn: &Txn<'_>, step: &StepKey, answer: &WorkAnswer) -> Option<String> {
    let of = |changes: &Changes, before: Option<Json>| {
        changes.of(&before.unwrap_or_else(Json::empty_object))
    };
    let values = match answer {
        WorkAnswer::Complete { output, context } => {
            let before = txn.run(&step.run).map(|run| run.context);
            vec![("output", output.clone()), ("context", of(context, before))]
        }
        WorkAnswer::Schedule { scratch, .. } | WorkAnswer::Retry { scratch, .. } => {
            let before = txn.step(step).map(|step| step.scratch);
            vec![("scratch", of(scratch, before))]
        }
        WorkAnswer::Wait | WorkAnswer::Fatal { .. } => Vec::new(),
    };
    values.into_iter().find_map(|(what, value)| {
        let why = runs::unkept(&value)?;
        Some(format!("too-large: its {what} {why}"))
    })
}
