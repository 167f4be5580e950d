//! `run_over`: a run that ended a while ago is forgotten, with its steps and with the run that undid it.

use mainstay_protocol::RunId;
use mainstay_protocol::code;
use mainstay_resource_graph::{Key, Run, RunState, StepState, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::runs;

pub struct RunOver;

impl Rule for RunOver {
    const NAME: &'static str = "run_over";
    const ABOUT: &'static str = "Forgets a run that ended a day ago, with its steps.";
    type Subject = RunId;

    fn watches() -> Watch {
        Watch::runs(|run| run.forgotten_at().is_some())
    }

    /// The last of what was out has settled.
    fn subjects_of(changed: &Key, _view: &dyn View) -> Vec<RunId> {
        match changed {
            Key::Step(step) => vec![step.run.clone()],
            _ => Vec::new(),
        }
    }

    fn judge(subject: RunId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(run) = txn.run(&subject) else {
            return Verdict::Nothing;
        };
        if run.forgotten_at().is_none_or(|at| at > env.now) || is_needed(txn, &subject, &run) {
            return Verdict::Nothing;
        }
        let by = subject.undoing();
        if let Some(undoing) = txn.run(&by) {
            if undoing.state.is_open() || is_out(txn, &by, &undoing) {
                return Verdict::Nothing;
            }
            runs::remove(txn, &by, &undoing);
        }
        runs::remove(txn, &subject, &run);
        Verdict::did(code::RUN_OVER, "it ended a day ago and is forgotten")
    }
}

/// What undid another goes with that one; what is to be undone is undone first.
fn is_needed(txn: &Txn<'_>, id: &RunId, run: &Run) -> bool {
    let goes_with_another = id.undone().is_some_and(|undone| txn.run(&undone).is_some());
    let program = runs::program(txn, run);
    let waits = program.is_some_and(|program| match run.state {
        RunState::Errored => runs::is_undone_when_it_fails(&program, run),
        // What it made is there, until somebody wants it undone.
        RunState::Completed => runs::can_be_undone(&program, run),
        _ => false,
    });
    goes_with_another || waits || is_out(txn, id, run)
}

fn is_out(txn: &Txn<'_>, id: &RunId, run: &Run) -> bool {
    runs::steps(txn, id, run)
        .iter()
        .any(|step| matches!(step.state, StepState::Running { .. }))
}
