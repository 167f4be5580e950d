//! Singletons: one starts only when nothing can be left of any other.
//!
//! What runs has a lease that its node's session renews; without that its node ends it, whoever lives there. A session that
//! closed or fell silent renews nothing from then on, so the lease is over at `Leased::ends`, whatever became of the node.
//! Who leads anew waits for nothing more: whoever led before it renewed only as long as it could not be replaced.

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::report::TypeDeclaration;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Timestamp, limits};
use mainstay_resource_graph::{
    Count, Instance, Key, Kind, Leased, NodeState, Settings, Singleton, Target, Txn, Vertex, View,
    ViewExt,
};

use crate::env::Env;
use crate::verb;

/// What keeps a singleton from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTheWay {
    pub reason: Reason,
    /// When it is over by itself, if it is.
    pub until: Option<Timestamp>,
}

/// Whether this one is of a placement of which at most one may run.
pub fn of(view: &dyn View, name: &PlacementName) -> Option<Singleton> {
    // Asked of every change of an instance: the vertex is looked at where it stands.
    match &view.record(&Key::Placement(name.clone()))?.vertex {
        Vertex::Placement(placement) => placement.wish.singleton,
        _ => None,
    }
}

/// The others of its placement, if that is a singleton.
pub fn others(view: &dyn View, key: &InstanceKey) -> Vec<InstanceKey> {
    if of(view, &key.placement).is_none() {
        return Vec::new();
    }
    let mut others = view.instances_of(&key.placement);
    others.retain(|other| other != key);
    others
}

/// The instances of all singletons: the cluster chooses their nodes, so any may have been on this one. Placements that name
/// other nodes, of which there may be very many, are not looked at.
pub fn singletons_for(view: &dyn View, node: &NodeName) -> Vec<InstanceKey> {
    let mut names = view.placements_for(node);
    names.retain(|name| of(view, name).is_some());
    names
        .iter()
        .flat_map(|name| view.instances_of(name))
        .collect()
}

/// What may still run of this singleton elsewhere: what ends last, or has no end that is known.
pub fn in_the_way(view: &dyn View, key: &InstanceKey, now: Timestamp) -> Option<InTheWay> {
    of(view, &key.placement)?;
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is(crate::planted::Bug::IgnoresLeases) {
        return None;
    }
    let known = others(view, key).into_iter();
    let known = known.filter_map(|other| {
        let one = view.instance(&other)?;
        may_run(&other, &one, now)
    });
    let own = view.instance(key).filter(|own| !own.state.may_be_live());
    let own = own.and_then(|own| believed_gone(key, &own, now));
    known
        .chain(own)
        .chain(stray(view, key, now))
        .chain(before_the_epoch(view, key, now))
        .max_by_key(|one| one.until.unwrap_or(Timestamp(u64::MAX)))
}

/// That it may run, and until when.
pub fn may_run(key: &InstanceKey, one: &Instance, now: Timestamp) -> Option<InTheWay> {
    if !one.state.may_be_live() {
        return believed_gone(key, one, now);
    }
    let (text, until) = match (one.state.out_of_sight(), one.lease) {
        (None, _) => (format!("{key} has not ended yet"), None),
        (Some(_), Some(Leased { fenced: true, .. })) => {
            let node = &key.node;
            let text = format!(
                "{key} may still run, whatever its lease says, until {node} was switched off (its host.fence), is back, or is confirmed to be dead"
            );
            (text, None)
        }
        (Some(_), Some(Leased { ends: Some(at), .. })) if at <= now => return None,
        (Some(_), Some(Leased { ends: Some(at), .. })) => {
            let text =
                format!("{key} may still run; its lease is not renewed any more, and runs out");
            (text, Some(at))
        }
        (Some(_), Some(Leased { ends: None, .. }) | None) => {
            let node = &key.node;
            let text = format!(
                "{key} may still run, and has no lease that runs out: bring {node} back, or confirm that it is dead"
            );
            (text, None)
        }
    };
    let reason = Reason::new(code::LEASE_HELD, text).about(key);
    Some(InTheWay { reason, until })
}

/// Its node came back without it and could not say what became of it: a hold that it does not find may still keep it.
fn believed_gone(key: &InstanceKey, one: &Instance, now: Timestamp) -> Option<InTheWay> {
    let until = one.lease?.ends.filter(|at| *at > now)?;
    let text =
        format!("{key} is gone as far as its node knows; should it still run, its lease runs out");
    Some(InTheWay {
        reason: Reason::new(code::LEASE_HELD, text).about(key),
        until: Some(until),
    })
}

/// What a node has of it that this graph did not start: its lease is renewed as long as its node is there.
fn stray(view: &dyn View, key: &InstanceKey, now: Timestamp) -> Option<InTheWay> {
    let has_one = |node: &Key| {
        let record = view.record(node)?;
        let (Key::Node(name), Vertex::Node(facts)) = (node, &record.vertex) else {
            return None;
        };
        let there = InstanceKey::new(name.clone(), key.placement.clone());
        if there == *key || !facts.strays.contains_key(&there.placement) {
            return None;
        }
        let until = match facts.state {
            NodeState::Online => None,
            NodeState::Suspect | NodeState::AgentDown | NodeState::Isolated | NodeState::Lost => {
                let away = facts.away.as_ref();
                let since = away.map_or(record.since, |away| away.since);
                Some(unknown(view, key)?.ends_after(since))
            }
        };
        let text = format!("{there} runs, and no command of this cluster started it");
        let reason = Reason::new(code::LEASE_HELD, text).about(Key::Node(there.node));
        until
            .is_none_or(|until| until > now)
            .then_some(InTheWay { reason, until })
    };
    view.keys(Kind::Node).iter().find_map(has_one)
}

/// Where this graph is older than what ran: what was started meanwhile has a lease of the old epoch, which nobody renews.
fn before_the_epoch(view: &dyn View, key: &InstanceKey, now: Timestamp) -> Option<InTheWay> {
    let began = view.cluster()?.epoch_began?;
    let until = unknown(view, key)?.ends_after(began);
    let text = "one that was started before this epoch may still run; its lease runs out";
    (until > now).then(|| InTheWay {
        reason: Reason::new(code::LEASE_HELD, text).about(Key::Cluster),
        until: Some(until),
    })
}

/// What an incarnation of a singleton is started with.
pub fn granted(view: &dyn View, key: &InstanceKey, declared: &TypeDeclaration) -> Option<Leased> {
    let singleton = of(view, &key.placement)?;
    Some(Leased {
        lease_ms: singleton.lease_ms,
        stop_ms: declared.stop_deadline_ms.min(limits::LEASE_STOP_MS_MAX),
        ends: None,
        fenced: singleton.fenced,
    })
}

/// Whether a lease ends by itself where its node is gone is nothing that the instance knows of: said now, it counts now.
/// What was waited for until it could not run any more is not waited for once more.
pub fn follow_wish(txn: &mut Txn<'_>, name: &PlacementName) {
    let Some(Singleton { fenced, .. }) = of(txn, name) else {
        return;
    };
    let now = txn.now();
    let differs = |lease: Leased| {
        let is_over = lease.ends.is_some_and(|at| at <= now);
        lease.fenced != fenced && !(fenced && is_over)
    };
    for key in txn.instances_of(name) {
        let lease = txn.instance(&key).and_then(|one| one.lease);
        if lease.is_some_and(differs) {
            verb::change(txn, &key, |one| {
                one.lease = one.lease.map(|lease| Leased { fenced, ..lease });
            });
        }
    }
}

/// The lease of one that the graph did not start: as if it had.
pub fn unknown(view: &dyn View, key: &InstanceKey) -> Option<Leased> {
    let declared = view.service_type(&view.instance(key)?.service_type)?;
    granted(view, key, &declared.declaration)
}

/// Its node's session renews its lease up to now, and not later.
pub fn not_renewed(instance: &mut Instance, env: &Env) {
    if instance.lease.is_some_and(|lease| lease.ends.is_none()) {
        renewed_until_now(instance, env);
    }
}

/// The same, whatever was known of it.
pub fn renewed_until_now(instance: &mut Instance, env: &Env) {
    if let Some(lease) = &mut instance.lease {
        lease.ends = Some(lease.ends_after(env.now));
    }
}

/// Its node is there and renews what lives, or saw the end of what does not: there is nothing to wait for.
pub fn forget_end(txn: &mut Txn<'_>, key: &InstanceKey) {
    let waits = |one: &Instance| {
        let ends = one.lease.is_some_and(|lease| lease.ends.is_some());
        ends && one.state.out_of_sight().is_none()
    };
    if txn.instance(key).as_ref().is_some_and(waits) {
        // It may have been taken for one that was switched off.
        let fenced = of(txn, &key.placement).is_some_and(|wish| wish.fenced);
        verb::change(txn, key, |one| {
            one.lease = one.lease.map(|lease| Leased {
                ends: None,
                fenced,
                ..lease
            });
        });
    }
}

/// Whether a placement can be a singleton.
pub fn sensible(
    singleton: &Singleton,
    target: &Target,
    declaration: &TypeDeclaration,
    settings: &Settings,
) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    let (least, most) = (limits::LEASE_MS_MIN, limits::LEASE_MS_MAX);
    let lease_ms = singleton.lease_ms;
    if lease_ms < least {
        return refused(format!(
            "singleton.lease: {lease_ms} ms is too short; it is renewed with each heartbeat, every 1000 ms, and a change of the station that leads takes up to 2000 ms: {least} ms is the least"
        ));
    }
    if lease_ms > most {
        return refused(format!(
            "singleton.lease: {lease_ms} ms is too long; nobody takes the place of one whose node is gone before its lease is over: {most} ms is the most"
        ));
    }
    if !matches!(target, Target::Count(Count { count: 0 | 1, .. })) {
        return refused(format!(
            "target: a singleton is one, on a node that the cluster chooses; write target: {{count: 1}}, not {target}"
        ));
    }
    if singleton.fenced && settings.host_fence.is_empty() {
        return refused(
            "singleton.fenced: host.fence, the command that switches another machine off, is not set: nothing would ever start elsewhere when a node is lost; see `mainstay settings set --help`".to_owned(),
        );
    }
    if !declaration.keeps_lease {
        let name = &declaration.name;
        return refused(format!(
            "singleton: what the type {name} starts goes on when its agent is dead, and nobody there would end it when its lease runs out; use the type process, or a type of your own"
        ));
    }
    Ok(())
}
