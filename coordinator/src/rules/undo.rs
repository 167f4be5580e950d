//! `undo`: a run that failed and is to be undone: another run does that, in the reverse order of what was done.

use mainstay_protocol::RunId;
use mainstay_protocol::code;
use mainstay_resource_graph::{Key, Run, RunState, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::runs;

pub struct Undo;

impl Rule for Undo {
    const NAME: &'static str = "undo";
    const ABOUT: &'static str =
        "Has what a failed run did undone by another run, and says when that is over.";
    const SAFETY: Option<&'static str> = Some("what failed runs did would stay");
    type Subject = RunId;

    fn watches() -> Watch {
        Watch::runs(|run| matches!(run.state, RunState::Errored | RunState::Compensating))
    }

    /// What was out when it failed has settled; or the run that undoes it is over.
    fn subjects_of(changed: &Key, _view: &dyn View) -> Vec<RunId> {
        match changed {
            Key::Step(step) => vec![step.run.clone()],
            Key::Run(run) => run.undone().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn judge(subject: RunId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        match txn.run(&subject) {
            Some(run) if run.state == RunState::Errored => begin(txn, &subject, &run, env),
            Some(run) if run.state == RunState::Compensating => end(txn, &subject, env),
            _ => Verdict::Nothing,
        }
    }
}

fn begin(txn: &mut Txn<'_>, id: &RunId, run: &Run, env: &Env) -> Verdict {
    let Some(program) = runs::program(txn, run) else {
        return Verdict::Nothing;
    };
    if !runs::is_undone_when_it_fails(&program, run) {
        return Verdict::Nothing;
    }
    // Something may still be out.
    let order = runs::change(txn, id, env, |machine| Ok(machine.to_undo()));
    let Ok(Some(order)) = order else {
        return Verdict::Nothing;
    };
    let by = id.undoing();
    if runs::undo(txn, id, run.clone(), order, env).is_err() {
        return Verdict::Nothing;
    }
    Verdict::did(code::UNDOING, format!("it is undone by {}", Key::Run(by)))
}

fn end(txn: &mut Txn<'_>, id: &RunId, env: &Env) -> Verdict {
    let by = id.undoing();
    let state = txn.run(&by).map(|run| run.state);
    if state.is_some_and(RunState::is_open) {
        return Verdict::Nothing;
    }
    let well = state == Some(RunState::Completed);
    let done = runs::change(txn, id, env, |machine| machine.undone(well));
    match (done, well) {
        (Err(_), _) => Verdict::Nothing,
        (Ok(()), true) => Verdict::did(code::UNDONE, "everything it did is undone"),
        (Ok(()), false) => Verdict::did(
            code::NOT_UNDONE,
            format!("{} did not come to its end", Key::Run(by)),
        ),
    }
}
