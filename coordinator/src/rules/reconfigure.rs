//! `reconfigure`: what runs with another configuration than it shall is started again with it, the old one gone before
//! the new one comes.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::StopWhy;
use mainstay_resource_graph::{Desired, Txn, ViewExt};

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
        let Some(wanted) = instance.wanted else {
            return Verdict::Nothing;
        };
        let text = format!("stopping, to be started again with config/{}", wanted.0);
        let reason = Reason::new(code::RECONFIGURING, text.clone());
        verb::change(txn, &subject, |instance| instance.restart_asked = false);
        verb::begin_stop(txn, &subject, StopWhy::Reconfigure, reason, env);
        Verdict::did(code::RECONFIGURING, text)
    }
}
