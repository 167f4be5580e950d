//! `forget`: a collected record goes when its time is up; until then every rule had its chance.

use mainstay_resource_graph::{CollectedId, Key, Kind, Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};

pub struct Forget;

impl Rule for Forget {
    const NAME: &'static str = "forget";
    const ABOUT: &'static str = "Drops collected records whose time is up.";
    const SAFETY: Option<&'static str> = Some("records would fill the graph");
    type Subject = CollectedId;

    fn watches() -> Watch {
        Watch::every(Kind::Collected)
    }

    /// Nothing to record: that it would go was known when it came.
    fn judge(subject: CollectedId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let over = txn
            .collected(subject)
            .is_some_and(|record| record.until <= env.now);
        if over {
            txn.remove(&Key::Collected(subject));
        }
        Verdict::Nothing
    }
}
