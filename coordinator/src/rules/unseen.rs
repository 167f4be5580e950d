//! `unseen`: an instance that its own node finds well, and of which nobody who watches it from elsewhere gets an answer, is
//! Degraded until one does. Nothing is restarted: where it runs it works, and what is broken is on the way.

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{InstanceKey, NodeName};
use mainstay_resource_graph::{Instance, InstanceState, Key, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;
use crate::watching::{self, Outlook};

pub struct Unseen;

impl Rule for Unseen {
    const NAME: &'static str = "unseen";
    const ABOUT: &'static str =
        "Tells when nobody who watches an instance from elsewhere gets an answer from it.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            let is_missed = || {
                let mut seen = instance.seen_from.values();
                seen.any(|seen| !seen.sight.is_of_it())
            };
            watching::is_unseen(instance)
                || (instance.state == InstanceState::Running && is_missed())
        })
    }

    /// Whoever watches it may have gone, or come back.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Node(node) => watching::watched_from(view, node),
            _ => Vec::new(),
        }
    }

    fn judge(key: InstanceKey, txn: &mut Txn<'_>, _: &Env) -> Verdict {
        let Some(instance) = txn.instance(&key) else {
            return Verdict::Nothing;
        };
        let was_unseen = watching::is_unseen(&instance);
        match watching::outlook(txn, &key, &instance) {
            Outlook::Unseen(said) => {
                let reason = reason(&instance, said);
                let text = reason.text.clone();
                verb::change(txn, &key, |instance| {
                    instance.state = InstanceState::Degraded;
                    instance.reason = Some(reason);
                });
                match was_unseen {
                    // Somebody sees something else of it, and that is not an answer either.
                    true => Verdict::Nothing,
                    false => Verdict::did(code::UNSEEN, text),
                }
            }
            Outlook::Seen if was_unseen => {
                runs(txn, &key);
                Verdict::did(code::SEEN_AGAIN, "it is seen from elsewhere again")
            }
            Outlook::Unwatched if was_unseen => {
                runs(txn, &key);
                let text = "nobody who watches it from elsewhere is there any more";
                Verdict::did(code::SEEN_AGAIN, text)
            }
            Outlook::Seen | Outlook::Unwatched | Outlook::Open => Verdict::Nothing,
        }
    }
}

/// As its own node says; what its restarts are measured against has not changed meanwhile.
fn runs(txn: &mut Txn<'_>, key: &InstanceKey) {
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Running;
        instance.reason = None;
    });
}

fn reason(instance: &Instance, said: String) -> Reason {
    let text = format!("its own node finds it well, and from elsewhere nobody does: {said}");
    let about = |reason: Reason, node: &NodeName| reason.about(Key::Node(node.clone()));
    let who = instance.seen_from.keys();
    who.fold(Reason::new(code::UNSEEN, text), about)
}
