//! `dependency_gate`: what depends on other placements starts when they are as far as it asks, and not before; that
//! holds for every start, also for one after a failure. What runs is left alone when a dependency fails.

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{InstanceKey, PlacementName};
use mainstay_resource_graph::{
    DependsUntil, Desired, Instance, InstanceState, Key, Txn, Vertex, View, ViewExt, traverse,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct DependencyGate;

impl Rule for DependencyGate {
    const NAME: &'static str = "dependency_gate";
    const ABOUT: &'static str = "Holds a start back until what the placement depends on is there.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.desired == Desired::Running
                && (waits(instance)
                    || matches!(
                        instance.state,
                        InstanceState::Pending | InstanceState::Stopped { by_itself: false }
                    ))
        })
    }

    /// An instance that came or went on concerns whatever depends on its placement, a changed placement also its own; a
    /// node, of which somebody may have said something, what is on it and whatever depends on that.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Instance(key) => depending_on(view, &key.placement),
            Key::Placement(name) => {
                let own = view.instances_of(name);
                depending_on(view, name).into_iter().chain(own).collect()
            }
            Key::Node(node) => {
                let mut all = view.instances_on(node);
                let placements: BTreeSet<_> = all.iter().map(|key| key.placement.clone()).collect();
                all.extend(placements.iter().flat_map(|name| depending_on(view, name)));
                all
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        if instance.desired != Desired::Running {
            return Verdict::Nothing;
        }
        let about_to_start = matches!(
            instance.state,
            InstanceState::Pending | InstanceState::Stopped { by_itself: false }
        );
        // `start` says what people want there.
        if about_to_start && verb::kept_down(txn, &subject).is_some() {
            return Verdict::Nothing;
        }
        match unmet(txn, &subject.placement) {
            Some(reason) if about_to_start || waits(&instance) => {
                block(&subject, &instance, reason, txn)
            }
            None if waits(&instance) => {
                let text = "what it depends on is up";
                verb::change(txn, &subject, |instance| {
                    instance.state = InstanceState::Pending;
                    instance.reason = Some(Reason::new(code::WANTED, text));
                });
                Verdict::did(code::WANTED, text)
            }
            Some(_) | None => Verdict::Nothing,
        }
    }
}

fn depending_on(view: &dyn View, placement: &PlacementName) -> Vec<InstanceKey> {
    traverse::standing_on(view, placement)
        .iter()
        .flat_map(|name| view.instances_of(name))
        .collect()
}

fn waits(instance: &Instance) -> bool {
    instance.state == InstanceState::Blocked
        && instance
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code::DEPENDENCY_NOT_READY)
}

fn block(subject: &InstanceKey, instance: &Instance, reason: Reason, txn: &mut Txn<'_>) -> Verdict {
    if waits(instance) && instance.reason.as_ref() == Some(&reason) {
        return Verdict::Nothing;
    }
    // Nobody waits for a name behind what cannot take it.
    verb::free_name(txn, subject);
    let text = reason.text.clone();
    verb::change(txn, subject, |instance| {
        instance.state = InstanceState::Blocked;
        instance.next_try = None;
        instance.reason = Some(reason);
    });
    Verdict::did(code::DEPENDENCY_NOT_READY, text)
}

/// Which dependencies are not as far as they must be; none if all are. How they are changes often and is theirs to
/// tell: the reason names them, and `why` follows it.
pub fn unmet(view: &dyn View, placement: &PlacementName) -> Option<Reason> {
    let record = view.record(&Key::Placement(placement.clone()))?;
    let Vertex::Placement(placement) = &record.vertex else {
        return None;
    };
    let mut missing = placement
        .wish
        .depends_on
        .iter()
        .filter(|(on, until)| !is_ready(view, on, **until))
        .peekable();
    missing.peek()?;
    let mut texts = Vec::new();
    let mut reason = Reason::new(code::DEPENDENCY_NOT_READY, "");
    for (on, until) in missing {
        texts.push(format!("{on} is {}", until.as_str()));
        reason = reason.about(on);
    }
    reason.text = format!("waits until {}", texts.join(" and "));
    Some(reason)
}

/// All of its instances that are wanted; one without any is not there at all.
fn is_ready(view: &dyn View, on: &PlacementName, until: DependsUntil) -> bool {
    let mut wanted = 0;
    for key in view.instances_of(on) {
        let Some(instance) = view.instance(&key) else {
            continue;
        };
        let ready = match until {
            DependsUntil::Healthy => verb::is_healthy(&instance),
            DependsUntil::Started => instance.state.is_up(),
        };
        // Somebody took it down and knows, or works on it: the others carry on without it, or with it as long as it is well.
        if instance.desired != Desired::Running || verb::kept_down(view, &key).is_some() {
            wanted += usize::from(ready && instance.desired == Desired::Running);
            continue;
        }
        wanted += 1;
        // What is about to be restarted is as good as gone.
        if !ready || instance.restart_asked {
            return false;
        }
    }
    wanted > 0
}
