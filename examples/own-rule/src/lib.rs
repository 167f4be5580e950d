//! Rules of one's own. This one: what says that it is degraded is restarted, instead of left as it is. Beside it a
//! procedure of three steps, a rule that answers what instances ask, and one over collected records.

mod disk_full;
mod record;
mod second_chance;

pub use disk_full::MakeRoom;
pub use record::RestartOnRecord;
pub use second_chance::SecondChance;

use mainstay_station::rule::{
    Code, Env, InstanceKey, InstanceState, Rule, Txn, Verdict, ViewExt, Watch, fail,
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
    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        if txn.instance(&subject).is_none() {
            return Verdict::Nothing;
        }
        // A failure, and not just a wish: it is counted, waits longer each time, and is given up in the end.
        fail(txn, &subject, "it says it is degraded", env);
        Verdict::did(Code::known("OWN-DEGRADED"), "it says it is degraded")
    }
}
