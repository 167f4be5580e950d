//! What will happen by itself, and what a person can do: every command printed here parses.

use mainstay_protocol::code;
use mainstay_protocol::{InstanceKey, Timestamp};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Kind, Node, NodeState, Target, Vertex, View, ViewExt,
    slot_of,
};

use super::{SystemWill, wants_running, work};
use crate::rules::{drain, fence, stop_escalate};
use crate::{candidates, verb, watching};

/// What somebody still reads before running it.
const COMMAND_BYTES_MAX: usize = 300;

pub fn system_will(view: &dyn View, key: &InstanceKey) -> Option<SystemWill> {
    let facts = view.instance(key)?;
    let will = |action: &str, at, rule: &str| {
        Some(SystemWill {
            action: action.to_owned(),
            at,
            rule: rule.to_owned(),
        })
    };
    match facts.state {
        InstanceState::Backoff { .. } => {
            will("start its next incarnation", facts.next_try, "restart")
        }
        InstanceState::Starting => will(
            "stop it and try again if it says nothing",
            facts.deadline,
            "start_deadline",
        ),
        InstanceState::Stopping { stuck: false, .. } => {
            if stop_escalate::kill_is_under_way(view, key, &facts) {
                return will("say that it will not end", facts.deadline, "stop_escalate");
            }
            // Its agent does it, a margin before the coordinator would ask for it.
            let margin = view.cluster()?.settings.answer_margin();
            let at = facts.deadline.map(|at| at - margin);
            will("kill it if it does not end", at, "stop")
        }
        InstanceState::Unresponsive { .. } => will(
            "stop and restart it if it goes on missing Checks",
            None,
            "unresponsive",
        ),
        InstanceState::Unknown { .. } | InstanceState::Lost { .. } => {
            let (action, at, rule) = out_of_sight(view, key, &facts);
            will(action, at, rule)
        }
        InstanceState::Pending => {
            let (action, at) = once_it_may(view, key, &facts);
            will(action, at, "start")
        }
        InstanceState::Blocked => match blocked_by(&facts) {
            Some(code) if code == code::NAME_HELD => {
                will("start it when the name is free", None, "name_conflict")
            }
            Some(code) if code == code::DEPENDENCY_NOT_READY => will(
                "start it when what it depends on is up",
                None,
                "dependency_gate",
            ),
            Some(_) => will("start it when its node has the type", None, "start"),
            None => None,
        },
        InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Stopping { stuck: true, .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Quarantined => None,
    }
}

/// What becomes of it when its node is back, or given up.
fn out_of_sight(
    view: &dyn View,
    key: &InstanceKey,
    facts: &Instance,
) -> (&'static str, Option<Timestamp>, &'static str) {
    if let (InstanceState::Unknown { .. }, Some(at)) = (facts.state, facts.deadline) {
        return ("give it up: its node is cut off", Some(at), "isolation");
    }
    match (facts.desired, moves_at(view, key, facts)) {
        (Desired::Running, at @ Some(_)) => (
            "start another elsewhere when its node is given up",
            at,
            "node_lost",
        ),
        (Desired::Running, None) => (
            "adopt or restart it when its agent is back",
            None,
            "node_return",
        ),
        (Desired::Stopped | Desired::Absent, _) => ("stop it when its agent is back", None, "stop"),
    }
}

/// When its node is given up, where another then takes its place.
fn moves_at(view: &dyn View, key: &InstanceKey, facts: &Instance) -> Option<Timestamp> {
    let waits = matches!(facts.state, InstanceState::Unknown { .. });
    let moves = waits && candidates::is_of_so_many(view, &key.placement);
    verb::given_up_at(view, &view.node(&key.node).filter(|_| moves)?)
}

/// Of a node that is away.
pub fn gives_up(view: &dyn View, key: &Key) -> Option<SystemWill> {
    let Key::Node(name) = key else { return None };
    let at = verb::given_up_at(view, &view.node(name)?)?;
    Some(SystemWill {
        action: "give it up, unless it is back by then".to_owned(),
        at: Some(at),
        rule: "node_lost".to_owned(),
    })
}

/// Of a node that could not be switched off.
pub fn fences(view: &dyn View, key: &Key) -> Option<SystemWill> {
    let Key::Node(name) = key else { return None };
    let at = fence::tries_again(view, name)?;
    Some(SystemWill {
        action: FENCES_AGAIN.to_owned(),
        at: Some(at),
        rule: "fence".to_owned(),
    })
}

pub const FENCES_AGAIN: &str = "try once more to have it switched off";

/// Of a node that is to be empty: what is kept there as long as too few others serve.
pub fn ends_later(view: &dyn View, key: &Key) -> Option<SystemWill> {
    let Key::Node(name) = key else { return None };
    let on_it = view.instances_on(name).into_iter();
    let mut needed = on_it.filter(|one| drain::needed(view, one).is_some());
    Some(SystemWill {
        action: format!("end {} when enough others of it serve", needed.next()?),
        at: None,
        rule: "drain".to_owned(),
    })
}

/// What starts it that waits for its node.
fn once_it_may(
    view: &dyn View,
    key: &InstanceKey,
    facts: &Instance,
) -> (&'static str, Option<Timestamp>) {
    match blocked_by(facts) {
        Some(code) if code == code::LEASE_HELD => match facts.next_try {
            at @ Some(_) => ("start it when that lease has run out for certain", at),
            None => ("start it when the other has ended", None),
        },
        Some(code) if code == code::NO_ROOM => ("start it when its node has room", facts.next_try),
        Some(code) if code == code::STARTS_IN_TURN => ("start it in its turn", None),
        Some(code) if code == code::NODE_DRAINED => ("start it when its node is uncordoned", None),
        Some(code) if code == code::IN_MAINTENANCE => {
            let of_node = view.node(&key.node).and_then(|node| node.care.maintenance);
            let placement = view.placement(&key.placement);
            let of_placement = placement.and_then(|placement| placement.maintenance);
            match (of_node, of_placement) {
                (None, Some(on)) => (
                    "start it when its placement's maintenance is over",
                    on.until,
                ),
                (on, _) => {
                    let until = on.and_then(|on| on.until);
                    ("start it when its node's maintenance is over", until)
                }
            }
        }
        Some(_) | None => ("start it when its node is online", None),
    }
}

/// What becomes of a move, and when a node that takes none for a while is asked again.
pub fn of_placement(view: &dyn View, key: &Key) -> Option<SystemWill> {
    let Key::Placement(name) = key else {
        return None;
    };
    let placement = view.placement(name)?;
    let will = |action: String, at: Timestamp, rule: &str| SystemWill {
        action,
        at: Some(at),
        rule: rule.to_owned(),
    };
    let moves = placement.moves.iter().map(|(from, one)| {
        let action = format!(
            "leave {name}@{from} where it is, unless {name}@{} serves by then",
            one.to
        );
        will(action, one.until, "move")
    });
    let asked = placement
        .refused_by
        .iter()
        .map(|(node, refusal)| will(format!("ask {node} again"), refusal.until, "place"));
    // Nobody is asked as long as all have a place.
    let worn = || {
        let mut all = view.instances_of(name).into_iter();
        all.any(|one| {
            let one = view.instance(&one);
            one.is_some_and(|one| candidates::escalates(&placement, &one))
        })
    };
    let asked = asked.filter(|_| placement.short > 0 || worn());
    moves.chain(asked).min_by_key(|will| will.at)
}

/// What rules are in the middle of doing to it.
pub fn goes_on(view: &dyn View, key: &Key) -> Vec<SystemWill> {
    let next_step = |id: Key| {
        let Key::Procedure(name) = &id else {
            return None;
        };
        let work = view.procedure(name)?;
        let about_it = work.subject == *key || id == *key;
        Some(SystemWill {
            action: format!("go on after step {} ({})", work.count, work.text),
            at: Some(work.deadline.filter(|_| about_it)?),
            rule: work.rule,
        })
    };
    let all = view.keys(Kind::Procedure);
    all.into_iter().filter_map(next_step).collect()
}

fn blocked_by(facts: &Instance) -> Option<code::Code> {
    facts.reason.as_ref().map(|reason| reason.code.clone())
}

pub fn you_can(view: &dyn View, key: &Key) -> Vec<String> {
    match view.record(key).map(|record| record.vertex.clone()) {
        Some(Vertex::Instance(facts)) => match key {
            Key::Instance(instance) => for_instance(view, instance, &facts),
            _ => Vec::new(),
        },
        Some(Vertex::Node(node)) => for_node(view, key, &node),
        Some(Vertex::Placement(placement)) if placement.maintenance.is_some() => {
            vec![
                format!("mainstay maintenance off {key}"),
                format!("mainstay describe {key}"),
            ]
        }
        Some(Vertex::Parked(_)) => match key {
            Key::Parked(id) => vec![
                format!("mainstay parked requeue {}", id.0),
                format!("mainstay parked drop {}", id.0),
            ],
            _ => Vec::new(),
        },
        Some(Vertex::Asked(_)) => match key {
            Key::Asked(id) => vec![answer(id.0)],
            _ => Vec::new(),
        },
        Some(Vertex::Run(run)) => match key {
            Key::Run(id) => work::for_run(id, &run),
            _ => Vec::new(),
        },
        Some(Vertex::Step(step)) => match key {
            Key::Step(key) => work::for_step(key, &step),
            _ => Vec::new(),
        },
        Some(_) => vec![format!("mainstay describe {key}")],
        None => Vec::new(),
    }
}

fn for_node(view: &dyn View, key: &Key, node: &Node) -> Vec<String> {
    let care = &node.care;
    let lift = care.cordon.as_ref();
    let lift = lift.map(|_| format!("mainstay node uncordon {key}"));
    let force = ends_later(view, key).map(|_| format!("mainstay node drain {key} --force"));
    let end = care.maintenance.as_ref();
    let end = end.map(|_| format!("mainstay maintenance off {key}"));
    let mut can: Vec<String> = [lift, force, end].into_iter().flatten().collect();
    let is_off = match node.state {
        NodeState::Online => {
            can.push(format!("mainstay describe {key}"));
            return can;
        }
        NodeState::Lost => waits_to_be_off(view, key),
        // Others see it at work.
        NodeState::Isolated => false,
        NodeState::Suspect | NodeState::AgentDown => true,
    };
    can.push("mainstay events --since 1h".to_owned());
    can.push(format!("mainstay wait {key} --for state=Online"));
    match node.state {
        _ if is_off => can.push(format!("mainstay node confirm-dead {key}")),
        NodeState::Lost => can.push(format!("mainstay node remove {key}")),
        _ => {}
    }
    can
}

/// What it is told is for its type to understand: any JSON.
pub(super) fn answer(question: u64) -> String {
    format!("mainstay answer {question} true")
}

/// Whoever holds it lets it go, or this one does without.
fn for_name(view: &dyn View, key: &InstanceKey, facts: &Instance) -> Vec<String> {
    let holder = view.holder(&slot_of(key, facts));
    let holder = holder.map(|holder| format!("mainstay stop {holder}"));
    holder
        .into_iter()
        .chain([format!("mainstay stop {key}")])
        .collect()
}

/// A wish for the same once more; none where its configuration is too long for a line that somebody should type.
fn start_again(view: &dyn View, key: &InstanceKey, facts: &Instance) -> Option<String> {
    let placement = view.placement(&key.placement)?;
    let (of, name) = (&facts.service_type, &key.placement);
    let mut command = match &placement.wish.target {
        Target::Count(count) => {
            format!("mainstay start {of} --name {name} --count {}", count.count)
        }
        Target::Nodes(_) | Target::All(_) => {
            format!("mainstay start {of} --name {name} --on {}", key.node)
        }
    };
    let declared = view.service_type(&facts.service_type)?.declaration;
    if declared.holds.is_none() && facts.name.as_str() != key.placement.as_str() {
        command.push_str(&format!(" --holds {}", facts.name));
    }
    let hash = placement.wish.config_on(&key.node).clone();
    let json = view.configuration(&Key::Configuration(hash))?;
    let values: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).ok()?;
    if !values.is_empty() {
        command.push_str(" --config");
    }
    for (name, value) in values {
        // A dot would reach into an object, and a shell ends its quotes at the next one.
        let pair = format!("{name}={value}");
        if name.contains('.') || pair.contains('\'') {
            return None;
        }
        command.push_str(&format!(" '{pair}'"));
    }
    (command.len() <= COMMAND_BYTES_MAX).then_some(command)
}

fn for_instance(view: &dyn View, key: &InstanceKey, facts: &Instance) -> Vec<String> {
    match facts.state {
        InstanceState::Quarantined => {
            vec![
                format!("mainstay clear {key}"),
                format!("mainstay decisions {key}"),
                format!("mainstay stop {key}"),
            ]
        }
        InstanceState::Failed { .. } if blocked_by(facts) == Some(code::CONFIG_REFUSED) => {
            vec![
                format!("mainstay describe type/{}", facts.service_type),
                format!("mainstay reconfigure {key} KEY=VALUE"),
                format!("mainstay decisions {key}"),
            ]
        }
        InstanceState::Failed { .. } | InstanceState::Backoff { .. } => {
            vec![
                format!("mainstay clear {key}"),
                format!("mainstay decisions {key}"),
            ]
        }
        InstanceState::Blocked if blocked_by(facts) == Some(code::NAME_HELD) => {
            for_name(view, key, facts)
        }
        InstanceState::Blocked if blocked_by(facts) == Some(code::DEPENDENCY_NOT_READY) => {
            let refs = facts.reason.iter().flat_map(|reason| &reason.refs);
            refs.map(|on| format!("mainstay why {on}")).collect()
        }
        InstanceState::Blocked
        | InstanceState::Pending
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => {
            vec![
                format!("mainstay why node/{}", key.node),
                format!("mainstay describe node/{}", key.node),
            ]
        }
        InstanceState::Stopping { stuck: true, .. } => {
            vec![
                format!("mainstay chaos kill node/{}", key.node),
                format!("mainstay decisions {key}"),
            ]
        }
        InstanceState::Stopped { .. } => vec![
            start_again(view, key, facts).unwrap_or_else(|| format!("mainstay restart {key}")),
            format!("mainstay decisions {key}"),
        ],
        InstanceState::Starting | InstanceState::Stopping { .. } => {
            let goal = if wants_running(facts) {
                "running"
            } else {
                "state=Stopped"
            };
            vec![
                format!("mainstay wait {key} --for {goal}"),
                format!("mainstay decisions {key}"),
            ]
        }
        InstanceState::Running | InstanceState::Degraded | InstanceState::Unresponsive { .. } => {
            for_one_that_is_up(view, key, facts)
        }
    }
}

/// One that is to be gone for certain may still run there: nothing starts elsewhere before somebody says that it is off.
fn waits_to_be_off(view: &dyn View, node: &Key) -> bool {
    let Key::Node(node) = node else {
        return false;
    };
    let mut instances = view.instances_on(node).into_iter();
    instances.any(|key| {
        let lease = view.instance(&key).and_then(|one| one.lease);
        lease.is_some_and(|lease| lease.fenced)
    })
}

fn for_one_that_is_up(view: &dyn View, key: &InstanceKey, facts: &Instance) -> Vec<String> {
    let check = format!("mainstay check {key}");
    match watching::is_unseen(facts) {
        // Where it runs it works: another incarnation there would be seen as little.
        true => vec![
            format!("mainstay describe {key}"),
            check,
            format!("mainstay why node/{}", key.node),
        ],
        false => vec![
            check,
            format!("mainstay ask-status {key}"),
            // Kept down it would end and not begin again.
            match verb::kept_down(view, key).and_then(|why| why.refs.into_iter().next()) {
                Some(by) => format!("mainstay why {by}"),
                None => format!("mainstay restart {key}"),
            },
        ],
    }
}
