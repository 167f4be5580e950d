//! A user's rule that panics on one subject's state, after it has written what must not stay; and a user's procedure.

use std::time::Duration;

use mainstay_coordinator::{Env, Next, Procedure, Rule, Rules, Turn, Verdict, Watch};
use mainstay_protocol::InstanceKey;
use mainstay_resource_graph::{Desired, InstanceState, Txn, ViewExt};

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

/// Two steps over whatever waits for its next try: so often under way that leaders die in the middle of it.
pub struct Patience;

impl Procedure for Patience {
    const NAME: &'static str = "patience";
    type Subject = InstanceKey;
    /// Which step it is.
    type Step = u32;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            matches!(
                instance.state,
                InstanceState::Backoff { .. } | InstanceState::Quarantined
            )
        })
    }

    fn begin(_: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Next<u32> {
        Next::step(1, Duration::from_millis(700), "a moment")
    }

    fn go_on(subject: InstanceKey, step: u32, turn: Turn, txn: &mut Txn<'_>, _: &Env) -> Next<u32> {
        let is_up = txn
            .instance(&subject)
            .is_some_and(|instance| instance.state.is_up());
        match (step, turn) {
            (1, Turn::TimeIsUp) => Next::step(2, Duration::from_secs(3), "a little longer"),
            (_, Turn::TimeIsUp) => Next::end("long enough"),
            (_, Turn::Changed) if is_up => Next::end("it is up"),
            (_, Turn::Changed) => Next::Stay,
        }
    }
}

pub fn rules() -> Rules {
    Rules::shipped()
        .with::<Curse>()
        .with_procedure::<Patience>()
}
