//! A procedure: what is quarantined gets one more chance, once it has cooled down.
//!
//! ```text
//!   Quarantined --> Cool (10 s) --> Retry: cleared, must run within 30 s --> Prove: must stay up for 20 s --> end
//! ```

use std::time::Duration;

use mainstay_station::rule::{
    Env, InstanceKey, InstanceState, Next, Procedure, Turn, Txn, ViewExt, Watch, clear,
};
use serde::{Deserialize, Serialize};

pub struct SecondChance;

/// What it remembers from one step to the next: it is in the graph, and survives the coordinator.
#[derive(Serialize, Deserialize)]
pub enum Step {
    Cool,
    Retry,
    Prove,
}

impl Procedure for SecondChance {
    const NAME: &'static str = "second_chance";
    const ABOUT: &'static str = "Tries once more what is quarantined, when it has cooled down.";
    type Subject = InstanceKey;
    type Step = Step;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Quarantined)
    }

    fn begin(_: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Next<Step> {
        Next::step(Step::Cool, Duration::from_secs(10), "it cools down")
    }

    // It is asked when its subject changed, and when the step's time is up.
    fn go_on(
        subject: InstanceKey,
        step: Step,
        turn: Turn,
        txn: &mut Txn<'_>,
        _: &Env,
    ) -> Next<Step> {
        let Some(instance) = txn.instance(&subject) else {
            return Next::end("it is gone");
        };
        let is_up = instance.state.is_up();
        match (step, turn) {
            // Somebody was quicker.
            (Step::Cool, Turn::Changed) if instance.state != InstanceState::Quarantined => {
                Next::end("it was cleared by hand")
            }
            (Step::Cool, Turn::TimeIsUp) => {
                clear(txn, &subject, "it gets a second chance");
                Next::step(
                    Step::Retry,
                    Duration::from_secs(30),
                    "it must run within 30 s",
                )
            }
            (Step::Retry, _) if is_up => Next::step(
                Step::Prove,
                Duration::from_secs(20),
                "it must stay up for 20 s",
            ),
            (Step::Retry, Turn::TimeIsUp) => Next::end("it did not run; it is left as it is"),
            (Step::Prove, Turn::Changed) if !is_up => Next::end("it did not stay up"),
            (Step::Prove, Turn::TimeIsUp) => Next::end("it has taken its second chance"),
            (_, Turn::Changed) => Next::Stay,
        }
    }
}
