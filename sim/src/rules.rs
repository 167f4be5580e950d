//! A user's rule that panics on one subject's state, after it has written what must not stay.

use mainstay_coordinator::{Env, Rule, Rules, Verdict, Watch};
use mainstay_protocol::InstanceKey;
use mainstay_resource_graph::{Desired, InstanceState, Txn};

/// The words of its panic: the run's panic hook keeps silent about them.
pub const CURSE: &str = "the simulator's rule panics here on purpose";
/// The placement whose instances it cannot look at.
pub const CURSED: &str = "cursed";

pub struct Curse;

impl Rule for Curse {
    const NAME: &'static str = "curse";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            matches!(
                instance.state,
                InstanceState::Running | InstanceState::Backoff { .. }
            )
        })
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        if subject.placement.as_str() != CURSED {
            return Verdict::Nothing;
        }
        // Undone with the panic; the invariants would see it otherwise.
        txn.update_instance(&subject, |instance| {
            instance.desired = Desired::Absent;
            instance.next_try = None;
        })
        .expect("a wish has no transitions");
        panic!("{CURSE}");
    }
}

pub fn rules() -> Rules {
    Rules::shipped().with::<Curse>()
}
