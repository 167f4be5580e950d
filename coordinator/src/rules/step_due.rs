//! `step_due`: the time of a step has come: another call, another attempt, or the end of one that takes too long.

use mainstay_protocol::StepKey;
use mainstay_protocol::code;
use mainstay_resource_graph::{Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::runs;

pub struct StepDue;

impl Rule for StepDue {
    const NAME: &'static str = "step_due";
    const ABOUT: &'static str =
        "Goes on with a step whose time has come: a call, an attempt, the end of a wait.";
    const SAFETY: Option<&'static str> = Some("what waits for its time would wait for ever");
    type Subject = StepKey;

    fn watches() -> Watch {
        Watch::steps(|step| step.due().is_some())
    }

    fn judge(subject: StepKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(step) = txn.step(&subject) else {
            return Verdict::Nothing;
        };
        let was = step.state.as_str();
        let done = runs::change(txn, &subject.run, env, |machine| {
            machine.due(&subject.activity)
        });
        match (done, txn.step(&subject)) {
            (Ok(()), Some(now)) => Verdict::did(
                code::STEP_DUE,
                format!("its time as {was} is over: it is {}", now.state.as_str()),
            ),
            (_, _) => Verdict::Nothing,
        }
    }
}
