//! A rule of one's own: what says that it is degraded is restarted, instead of left as it is.

use mainstay_station::rule::{
    Code, Env, InstanceKey, InstanceState, Rule, Txn, Verdict, ViewExt, Watch, change,
};

pub struct RestartDegraded;

impl Rule for RestartDegraded {
    const NAME: &'static str = "restart_degraded";
    const ABOUT: &'static str = "Restarts what says that it is degraded.";
    type Subject = InstanceKey;

    // It is asked about these, whenever one of them changes; about all others never.
    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Degraded)
    }

    // Everything it may know is in the graph and in `env`; what it writes is one commit with what it answers.
    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let instance = txn.instance(&subject);
        if instance.is_none_or(|instance| instance.restart_asked) {
            return Verdict::Nothing;
        }
        change(txn, &subject, |instance| instance.restart_asked = true);
        Verdict::did(Code::known("OWN-DEGRADED"), "it says it is degraded")
    }
}
