//! `step_lost`: who had a step is gone, and nobody will answer for it: an attempt that counts.

use mainstay_protocol::code;
use mainstay_protocol::{Incarnation, InstanceKey, StepKey};
use mainstay_resource_graph::{InstanceState, Key, StepState, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::runs;

pub struct StepLost;

impl Rule for StepLost {
    const NAME: &'static str = "step_lost";
    const ABOUT: &'static str = "Ends the attempt of a step whose instance is gone.";
    const SAFETY: Option<&'static str> =
        Some("what a lost instance had would wait for it for ever");
    type Subject = StepKey;

    fn watches() -> Watch {
        Watch::steps(|step| matches!(step.state, StepState::Running { .. }))
    }

    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<StepKey> {
        match changed {
            Key::Instance(worker) => view.steps_at(worker),
            _ => Vec::new(),
        }
    }

    fn judge(subject: StepKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(step) = txn.step(&subject) else {
            return Verdict::Nothing;
        };
        let (
            Some(worker),
            StepState::Running {
                token, incarnation, ..
            },
        ) = (step.at_work(), &step.state)
        else {
            return Verdict::Nothing;
        };
        let Some((why, may_be_at_work)) = gone(txn, worker, *incarnation) else {
            return Verdict::Nothing;
        };
        let lost = runs::change(txn, &subject.run, env, |machine| match may_be_at_work {
            true => machine.given_up(&subject.activity, *token, &why),
            false => machine.lost(&subject.activity, *token, &why),
        });
        match lost {
            Ok(()) => Verdict::did(code::WORKER_GONE, why),
            Err(_) => Verdict::Nothing,
        }
    }
}

/// Why nobody will answer, and whether it may be at work all the same. An instance out of sight is waited for until its node is
/// given up.
fn gone(view: &dyn View, worker: &InstanceKey, had: Incarnation) -> Option<(String, bool)> {
    let Some(instance) = view.instance(worker) else {
        return Some((format!("{worker} is removed"), false));
    };
    if instance.incarnation != had {
        return Some((format!("{worker} was started again"), false));
    }
    match instance.state {
        InstanceState::Lost { .. } => Some((format!("{worker} is lost with its node"), true)),
        state if state.may_be_live() => None,
        state => Some((format!("{worker} is {}", state.as_str()), false)),
    }
}
