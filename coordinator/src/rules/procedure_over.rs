//! `procedure_over`: a procedure ends with its subject, and where nobody goes on with it.

use std::time::Duration;

use mainstay_protocol::code;
use mainstay_resource_graph::{Key, Kind, ProcedureId, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};

/// Its own rule acts when its time is up, in the same step; one that did not for so long is switched off, or not part
/// of this station.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

pub struct ProcedureOver;

impl Rule for ProcedureOver {
    const NAME: &'static str = "procedure_over";
    const ABOUT: &'static str =
        "Ends procedures whose subject is gone, or whose rule does not go on.";
    const SAFETY: Option<&'static str> = Some("procedures on what is gone would stay for ever");
    type Subject = ProcedureId;

    fn watches() -> Watch {
        Watch::every(Kind::Procedure)
    }

    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<ProcedureId> {
        if view.record(changed).is_some() {
            return Vec::new();
        }
        view.keys(Kind::Procedure)
            .into_iter()
            .filter_map(|key| match key {
                Key::Procedure(id) => Some(id),
                _ => None,
            })
            .filter(|id| {
                view.procedure(id)
                    .is_some_and(|found| found.subject == *changed)
            })
            .collect()
    }

    fn judge(subject: ProcedureId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(procedure) = txn.procedure(&subject) else {
            return Verdict::Nothing;
        };
        let about = &procedure.subject;
        let gone = txn.record(about).is_none();
        let abandoned = procedure
            .deadline
            .is_some_and(|deadline| deadline + ABANDONED_AFTER <= env.now);
        let text = match (gone, abandoned) {
            (true, _) => format!("{about} is gone"),
            (false, true) => format!(
                "its time was up a minute ago, and {} does not go on with it",
                procedure.rule
            ),
            (false, false) => return Verdict::Nothing,
        };
        txn.remove(&Key::Procedure(subject));
        Verdict::did(code::PROCEDURE_ENDED, text)
    }
}
