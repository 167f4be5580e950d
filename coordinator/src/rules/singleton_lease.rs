//! `singleton_lease`: one of a singleton waits until nothing can be left of any other.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::{Desired, InstanceState, Key, Relation, Txn, View, ViewExt, slot_of};

use crate::env::Env;
use crate::lease::{self, InTheWay};
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct SingletonLease;

impl Rule for SingletonLease {
    const NAME: &'static str = "singleton_lease";
    const ABOUT: &'static str =
        "Lets one of a singleton wait until nothing can be left of any other.";
    const SAFETY: Option<&'static str> = Some("one that waits for a lease would never start");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.desired == Desired::Running && instance.state == InstanceState::Pending
        })
    }

    /// What ran on a node that nobody knew of may be gone from it.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Instance(key) => lease::others(view, key),
            Key::Node(node) => lease::singletons_for(view, node),
            _ => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        if instance.desired != Desired::Running || instance.state != InstanceState::Pending {
            return Verdict::Nothing;
        }
        match lease::in_the_way(txn, &subject, env.now) {
            Some(InTheWay { reason, until }) => {
                let text = reason.text.clone();
                // What is restarted on request has its name already.
                let name = Key::Name(slot_of(&subject, &instance));
                txn.unlink(&Key::Instance(subject.clone()), Relation::Holds, &name);
                if instance.reason.as_ref() != Some(&reason) || instance.next_try != until {
                    verb::change(txn, &subject, |instance| {
                        instance.next_try = until;
                        instance.reason = Some(reason);
                    });
                }
                Verdict::declined(code::LEASE_HELD, text)
            }
            None if verb::waits_for_lease(&instance) => {
                let text = "nothing can be left of any other";
                verb::change(txn, &subject, |instance| {
                    instance.next_try = None;
                    instance.reason = Some(Reason::new(code::WANTED, text));
                });
                Verdict::did(code::WANTED, text)
            }
            None => Verdict::Nothing,
        }
    }
}
