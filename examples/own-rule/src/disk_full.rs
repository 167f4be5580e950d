//! A rule that answers: a service asked what to do about a full disk (`ctx.ask("disk-full", ..)`).

use mainstay_station::rule::{AskedId, Env, Rule, Txn, Verdict, ViewExt, Watch, answer, code};
use serde::Serialize;

pub struct MakeRoom;

/// What the service is told; it reads it with `ctx.ask::<Advice>(..)`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    DropOldest { bytes: u64 },
}

impl Rule for MakeRoom {
    const NAME: &'static str = "make_room";
    const ABOUT: &'static str = "Tells a service whose disk is full to drop its oldest files.";
    type Subject = AskedId;

    fn watches() -> Watch {
        Watch::asked(|asked| asked.failure.name == "disk-full")
    }

    fn judge(subject: AskedId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(asked) = txn.asked(subject) else {
            return Verdict::Nothing;
        };
        let bytes = 64 * 1024 * 1024;
        if !answer(txn, subject, &Advice::DropOldest { bytes }, env) {
            return Verdict::Nothing;
        }
        let text = format!(
            "{} is to drop {bytes} bytes of its oldest files",
            asked.instance
        );
        Verdict::did(code::ANSWERED, text)
    }
}
