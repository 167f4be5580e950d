//! `asked`: what an instance asked and nobody answered in time is a failure like any other.

use mainstay_protocol::code;
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::Presence;
use mainstay_resource_graph::{
    Asked as AskedVertex, AskedId, FailureCause, InstanceState, Key, Kind, Txn, ViewExt,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Asked;

impl Rule for Asked {
    const NAME: &'static str = "asked";
    const ABOUT: &'static str = "Makes a failure of what an instance asked and nobody answered.";
    const SAFETY: Option<&'static str> = Some("an instance would wait for its answer for ever");
    type Subject = AskedId;

    fn watches() -> Watch {
        Watch::every(Kind::Asked)
    }

    /// Who asked may be gone.
    fn subjects_of(changed: &Key, view: &dyn mainstay_resource_graph::View) -> Vec<AskedId> {
        let Key::Instance(changed) = changed else {
            return Vec::new();
        };
        view.keys(Kind::Asked)
            .into_iter()
            .filter_map(|key| match key {
                Key::Asked(id) => Some(id),
                _ => None,
            })
            .filter(|id| {
                view.asked(*id)
                    .is_some_and(|asked| asked.instance == *changed)
            })
            .collect()
    }

    fn judge(subject: AskedId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(asked) = txn.asked(subject) else {
            return Verdict::Nothing;
        };
        let key = Key::Asked(subject);
        if !waits(txn, &asked) {
            txn.remove(&key);
            return Verdict::did(
                code::ASKED,
                format!("{} is not there any more to be answered", asked.instance),
            );
        }
        if asked.deadline > env.now {
            return Verdict::Nothing;
        }
        let state = txn.instance(&asked.instance).map(|instance| instance.state);
        // Out of sight it cannot be stopped: it is judged when it is back.
        if state.is_some_and(|state| state.out_of_sight().is_some()) {
            return Verdict::Nothing;
        }
        txn.remove(&key);
        let text = format!(
            "{} {}: nobody answered it in time",
            asked.failure.name, asked.failure.body
        );
        // One that is on its way out already needs no more reasons.
        let goes_on = state.is_some_and(|state| state.is_up() || state == InstanceState::Starting);
        if goes_on {
            let cause = FailureCause::Failed(FailureKind::Reported);
            let evidence = Evidence::text(text.clone());
            verb::fail(txn, &asked.instance, cause, evidence, Presence::Living, env);
        }
        Verdict::did(code::NOT_ANSWERED, text)
    }
}

fn waits(txn: &Txn<'_>, asked: &AskedVertex) -> bool {
    txn.instance(&asked.instance).is_some_and(|instance| {
        instance.incarnation == asked.incarnation && instance.state.may_be_live()
    })
}
