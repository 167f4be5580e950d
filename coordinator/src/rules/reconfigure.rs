//! `reconfigure`: what runs with another configuration than it shall is asked to take it while it runs, where its type
//! can; else it is started again with it, the old one gone before the new one comes.
//!
//! ```text
//!   wanted --type says in_place--> asked --ConfigChanged--> done
//!      |                             |  \--no good--> it goes on as it was; the update is taken back
//!      |                             | needs a restart, or no word in time
//!      \-----------------------------+--> Stopping --> started again with it
//! ```

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::StopWhy;
use mainstay_resource_graph::{
    ConfigHash, Desired, InPlace, Instance, InstanceState, Txn, ViewExt,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Reconfigure;

impl Rule for Reconfigure {
    const NAME: &'static str = "reconfigure";
    const ABOUT: &'static str = "Gives a running instance the configuration it shall have.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.desired == Desired::Running
                && instance.wanted.is_some()
                && instance.state.is_up()
        })
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        if instance.desired != Desired::Running || !instance.state.is_up() {
            return Verdict::Nothing;
        }
        let Some(wanted) = &instance.wanted else {
            return Verdict::Nothing;
        };
        match &instance.in_place {
            Some(InPlace::Asked { until }) if env.now < *until && !instance.restart_asked => {
                Verdict::Nothing
            }
            // What becomes of the change is for `rolling_update`; this instance is as well as it was.
            Some(InPlace::Refused(_)) if !instance.restart_asked => Verdict::Nothing,
            None if can_be_asked(&instance, txn) => ask(&subject, wanted, txn, env),
            Some(_) | None => restart(&subject, wanted, txn, env),
        }
    }
}

fn can_be_asked(instance: &Instance, txn: &Txn<'_>) -> bool {
    let in_place = txn
        .service_type(&instance.service_type)
        .is_some_and(|found| found.declaration.in_place);
    let answers = matches!(
        instance.state,
        InstanceState::Running | InstanceState::Degraded
    );
    in_place && answers && !instance.restart_asked
}

fn ask(subject: &InstanceKey, wanted: &ConfigHash, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    if !verb::ask_in_place(txn, subject, wanted, env) {
        return Verdict::Nothing;
    }
    let text = format!("asked to go on with config/{}", wanted.0);
    Verdict::did(code::RECONFIGURING, text)
}

fn restart(subject: &InstanceKey, wanted: &ConfigHash, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    let text = format!("stopping, to be started again with config/{}", wanted.0);
    let reason = Reason::new(code::RECONFIGURING, text.clone());
    verb::change(txn, subject, |instance| {
        instance.restart_asked = false;
        instance.in_place = None;
    });
    verb::begin_stop(txn, subject, StopWhy::Reconfigure, reason, env);
    Verdict::did(code::RECONFIGURING, text)
}
