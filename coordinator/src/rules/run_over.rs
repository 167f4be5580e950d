//! `run_over`: a run that ended a while ago is forgotten, with its steps.

use mainstay_protocol::code;
use mainstay_protocol::{RunId, StepKey};
use mainstay_resource_graph::{Key, Run, Txn, ViewExt};

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

    fn judge(subject: RunId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(run) = txn.run(&subject) else {
            return Verdict::Nothing;
        };
        if Run::forgotten_at(&run).is_none_or(|at| at > env.now) {
            return Verdict::Nothing;
        }
        let Some(program) = runs::program(txn, &run) else {
            return Verdict::Nothing;
        };
        for activity in program.plan(&run).steps.into_keys() {
            let key = StepKey::new(subject.clone(), activity);
            // One that is still out is not answered for any more.
            if let Some(token) = txn.step(&key).and_then(|step| step.token()) {
                txn.remove(&Key::Command(token));
            }
            txn.remove(&Key::Step(key));
        }
        txn.remove(&Key::Run(subject));
        Verdict::did(code::RUN_OVER, "it ended a day ago and is forgotten")
    }
}
