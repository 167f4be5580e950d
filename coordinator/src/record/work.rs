//! What came of an activity that an instance was given.

use mainstay_orchestrator::{Machine, No};
use mainstay_protocol::report::CommandOutcome;
use mainstay_protocol::work::{Changes, Work, WorkAnswer};
use mainstay_protocol::{CommandId, Json, NodeName, StepKey, limits, words};
use mainstay_resource_graph::{Key, Txn, ViewExt};

use crate::env::Env;
use crate::runs::{self, InGraph};

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
    let answer = match too_large(txn, step, answer) {
        Some(error) => WorkAnswer::Fatal { error },
        None => answer.clone(),
    };
    settle(txn, command, step, env, |machine| {
        machine.answered(&step.activity, command, with_cut_words(answer))
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
    settle(txn, command, step, env, |machine| {
        machine.lost(&step.activity, command, &why)
    });
}

/// What its step does not know any more is no longer sent.
fn settle(
    txn: &mut Txn<'_>,
    command: CommandId,
    step: &StepKey,
    env: &Env,
    act: impl FnOnce(&mut Machine<'_, InGraph<'_, '_>>) -> Result<(), No>,
) {
    if runs::change(txn, &step.run, env, act).is_err() {
        txn.remove(&Key::Command(command));
    }
}

/// What it leaves behind is bounded; another attempt would leave as much.
fn too_large(txn: &Txn<'_>, step: &StepKey, answer: &WorkAnswer) -> Option<String> {
    let context = || txn.run(&step.run).map(|run| run.context);
    let scratch = || txn.step(step).map(|step| step.scratch);
    let empty = Json::empty_object;
    let sizes = match answer {
        WorkAnswer::Complete {
            output,
            context: to,
        } => vec![
            ("output", output.as_str().len()),
            ("context", size(to, context().unwrap_or_else(empty))),
        ],
        WorkAnswer::Schedule { scratch: to, .. } | WorkAnswer::Retry { scratch: to, .. } => {
            vec![("scratch", size(to, scratch().unwrap_or_else(empty)))]
        }
        WorkAnswer::Wait | WorkAnswer::Fatal { .. } => Vec::new(),
    };
    let most = limits::WORK_BYTES_MAX;
    let (what, bytes) = sizes.into_iter().find(|(_, bytes)| *bytes > most)?;
    Some(format!(
        "too-large: its {what} would have {bytes} bytes, and at most {most} are kept; leave the data elsewhere and its \
         place here"
    ))
}

fn size(changes: &Changes, of: Json) -> usize {
    changes.of(&of).as_str().len()
}

fn with_cut_words(mut answer: WorkAnswer) -> WorkAnswer {
    if let WorkAnswer::Retry { error, .. } | WorkAnswer::Fatal { error } = &mut answer {
        words::cut(error, limits::EVIDENCE_BYTES_MAX);
    }
    answer
}
