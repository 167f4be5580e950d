//! `run_over`: a run that ended a while ago is forgotten, with its steps and with the run that undid it.

use mainstay_protocol::RunId;
use mainstay_protocol::code;
use mainstay_resource_graph::{Key, Run, RunState, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::runs;

pub struct RunOver;

impl Rule for RunOver {
    const NAME: &'static str = "run_over";
    const ABOUT: &'static str = "Forgets a run that ended a day ago, with its steps.";
    type Subject = RunId;

    fn watches() -> Watch {
        Watch::runs(|run| run.may_be_forgotten_at().is_some())
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
        if run.may_be_forgotten_at().is_none_or(|at| at > env.now) || is_needed(txn, &subject, &run)
        {
            return Verdict::Nothing;
        }
        match runs::forget(txn, &subject, &run) {
            true => Verdict::did(code::RUN_OVER, "it ended a day ago and is forgotten"),
            false => Verdict::Nothing,
        }
    }
}

/// What undid another goes with that one; what is to be undone is undone first.
fn is_needed(txn: &Txn<'_>, id: &RunId, run: &Run) -> bool {
    let goes_with_another = id.undone().is_some_and(|undone| txn.run(&undone).is_some());
    let program = runs::program(txn, run);
    let waits = match run.state {
        // What it made is there, until somebody wants it undone, or the run forgotten.
        RunState::Completed | RunState::Errored | RunState::CompensationFailed => {
            program.is_some_and(|program| runs::can_be_undone(&program, run))
        }
        RunState::Running
        | RunState::Paused
        | RunState::Compensating
        | RunState::Compensated
        | RunState::Cancelled => false,
    };
    goes_with_another || waits
}
