//! What stands behind an instance's state.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code;
use mainstay_protocol::health::Health;
use mainstay_resource_graph::{
    Instance, InstanceState, Key, Record, View, ViewExt, Waits, slot_of,
};

use super::{Cause, behind, plain};
use crate::room;
use crate::rules::dependency_gate;
use crate::verb;
use crate::watching;

pub fn cause(
    view: &dyn View,
    key: &InstanceKey,
    facts: &Instance,
    record: &Record,
    depth: usize,
) -> Cause {
    let mut because = Vec::new();
    match facts.state {
        InstanceState::Blocked | InstanceState::Pending => {
            because.extend(obstacle(view, key, facts, depth))
        }
        InstanceState::Unknown { .. } | InstanceState::Lost { .. } => {
            because.extend(behind(view, &Key::Node(key.node.clone()), depth));
        }
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => because.extend(last_failure(key, facts)),
        // What the incarnation before went through has nothing to do with the end of this one.
        InstanceState::Stopping { .. } => {
            let failed = facts.failure.as_ref().map(|failure| failure.incarnation);
            if failed == Some(facts.incarnation) {
                because.extend(last_failure(key, facts));
            }
        }
        InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopped { .. } => {}
    }
    because.extend(missing_dependencies(view, key, facts, depth));
    let evidence = match facts.state {
        InstanceState::Running if because.is_empty() => {
            let seen = watching::say(view, key, facts);
            let well = healthy_since(facts);
            Some(seen.map_or_else(|| well.clone(), |seen| format!("{well}; {seen}")))
        }
        InstanceState::Degraded if watching::is_unseen(facts) => watching::say(view, key, facts),
        InstanceState::Degraded | InstanceState::Unresponsive { .. } => {
            Some(facts.health_detail.clone())
        }
        InstanceState::Pending if facts.waits() == Some(Waits::Room) => {
            room::lacks_now(view, key, facts)
        }
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Stopping { .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => None,
    };
    Cause {
        reason: facts.reason.clone(),
        because,
        evidence: evidence.filter(|text| !text.is_empty()),
        ..plain(record, facts.state.as_str())
    }
}

fn healthy_since(facts: &Instance) -> String {
    match facts.health {
        Health::Ok => "its Checks say ok; a failure, a missed Check, a stop or its agent's end would take it down".to_owned(),
        Health::Unknown => "it answered its start; its first Check is awaited".to_owned(),
        Health::Degraded | Health::Failed | Health::Unresponsive => facts.health_detail.clone(),
    }
}

/// What it waits for: a name, its node, its type.
fn obstacle(view: &dyn View, key: &InstanceKey, facts: &Instance, depth: usize) -> Vec<Cause> {
    let Some(reason) = &facts.reason else {
        return Vec::new();
    };
    if reason.code == code::NAME_HELD {
        return view
            .holder(&slot_of(key, facts))
            .map(|holder| holding(view, holder, depth))
            .unwrap_or_default();
    }
    if reason.code == code::DEPENDENCY_NOT_READY {
        return reason
            .refs
            .iter()
            .filter_map(|name| name.parse().ok())
            .flat_map(|key| dependency(view, &key, depth))
            .collect();
    }
    let placement = Key::Placement(key.placement.clone());
    let of_placement = reason.refs.contains(&placement.to_string());
    if reason.code == code::IN_MAINTENANCE && of_placement {
        let record = view.record(&placement);
        let cause = record.map(|record| Cause {
            reason: Some(reason.clone()),
            ..plain(&record, "in maintenance")
        });
        return cause.into_iter().collect();
    }
    let of_node = [
        code::WAITING_FOR_NODE,
        code::TYPE_NOT_PROVIDED,
        code::NODE_DRAINED,
        code::IN_MAINTENANCE,
    ];
    if of_node.contains(&reason.code) {
        return behind(view, &Key::Node(key.node.clone()), depth);
    }
    last_failure(key, facts)
}

/// What is not well, and stands on something that is not there: that may be why.
fn missing_dependencies(
    view: &dyn View,
    key: &InstanceKey,
    facts: &Instance,
    depth: usize,
) -> Vec<Cause> {
    let is_ill = match facts.state {
        InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => true,
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Stopping { .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => false,
    };
    let missing = match is_ill {
        true => dependency_gate::unmet(view, &key.placement),
        false => None,
    };
    let names = missing.into_iter().flat_map(|reason| reason.refs);
    names
        .filter_map(|name| name.parse().ok())
        .flat_map(|on| dependency(view, &on, depth))
        .collect()
}

/// A placement that others wait for, with whichever of its instances is not up: one that was stopped is as it should be,
/// and in the way all the same.
fn dependency(view: &dyn View, on: &Key, depth: usize) -> Vec<Cause> {
    let mut causes = behind(view, on, depth);
    let (Some(cause), Key::Placement(name)) = (causes.first_mut(), on) else {
        return causes;
    };
    if cause.because.is_empty() {
        let down = view.instances_of(name).into_iter().filter(|instance| {
            view.instance(instance)
                .is_some_and(|facts| !facts.state.is_up())
        });
        cause.because = down
            .flat_map(|instance| behind(view, &Key::Instance(instance), depth + 1))
            .collect();
    }
    causes
}

/// A holder that is well is itself the root: what it went through earlier has nothing to do with the waiting.
fn holding(view: &dyn View, holder: InstanceKey, depth: usize) -> Vec<Cause> {
    let well = view
        .instance(&holder)
        .is_some_and(|facts| facts.is_as_wanted());
    let key = Key::Instance(holder);
    match view.record(&key) {
        Some(record) if well => vec![Cause {
            evidence: Some("it holds the name, and is as it should be".to_owned()),
            ..plain(&record, "Running")
        }],
        Some(_) | None => behind(view, &key, depth),
    }
}

/// The failure that led here, with its own words: of this incarnation, or of the one before it.
fn last_failure(key: &InstanceKey, facts: &Instance) -> Vec<Cause> {
    let Some(failure) = &facts.failure else {
        return Vec::new();
    };
    let recent =
        failure.incarnation == facts.incarnation || failure.incarnation.next() == facts.incarnation;
    if !recent {
        return Vec::new();
    }
    let mut evidence = failure.evidence.text.clone();
    if let Some(location) = &failure.evidence.location {
        evidence = format!("{evidence} (at {location})");
    }
    if !failure.evidence.stderr_tail.is_empty() {
        evidence = format!("{evidence}\n{}", failure.evidence.stderr_tail);
    }
    vec![Cause {
        key: Key::Instance(key.clone()),
        state: format!("incarnation {} failed", failure.incarnation),
        reason: Some(verb::reason_of(failure)),
        since: failure.at,
        because: Vec::new(),
        evidence: (!evidence.is_empty()).then_some(evidence),
    }]
}
