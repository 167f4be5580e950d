//! The whole of Mainstay with two rules more: one cannot bear to see a placement named `cursed` run, one never comes to
//! an end over a placement named `endless`. For the tests that look at what a broken rule does to a real station. And with
//! a procedure that stays at its first step over a placement named `patient`, for those that look at procedures.

use std::process::ExitCode;
use std::time::Duration;

use mainstay_agent::Agent;
use mainstay_coordinator::{Env, Next, Procedure, Rule, Turn, Verdict, Watch};
use mainstay_protocol::InstanceKey;
use mainstay_resource_graph::{InstanceState, Txn, ViewExt};
use mainstay_station::Station;

struct Superstitious;

impl Rule for Superstitious {
    const NAME: &'static str = "superstitious";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Running)
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let runs = txn
            .instance(&subject)
            .is_some_and(|instance| instance.state == InstanceState::Running);
        assert!(
            !(runs && subject.placement.as_str() == "cursed"),
            "{subject} runs, and that is a bad omen"
        );
        Verdict::Nothing
    }
}

struct Endless;

impl Rule for Endless {
    const NAME: &'static str = "endless";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Running)
    }

    fn judge(subject: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Verdict {
        while subject.placement.as_str() == "endless" {
            std::hint::spin_loop();
        }
        Verdict::Nothing
    }
}

struct Lasting;

impl Procedure for Lasting {
    const NAME: &'static str = "lasting";
    const ABOUT: &'static str = "Stays where it is over what is named patient.";
    type Subject = InstanceKey;
    type Step = ();

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.state == InstanceState::Running && instance.name.as_str() == "patient"
        })
    }

    fn begin(_: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Next<()> {
        Next::step((), Duration::from_secs(3600), "it waits")
    }

    fn go_on(_: InstanceKey, (): (), _: Turn, _: &mut Txn<'_>, _: &Env) -> Next<()> {
        Next::Stay
    }
}

fn main() -> ExitCode {
    let station = Station::new()
        .rule::<Superstitious>()
        .rule::<Endless>()
        .procedure::<Lasting>();
    mainstay_cli::main_with(Agent::new(), station)
}
