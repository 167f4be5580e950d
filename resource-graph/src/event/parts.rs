//! What became of everything that is not an instance.

use mainstay_protocol::NodeName;
use mainstay_protocol::sight::Sight;
use mainstay_protocol::words::several;

use super::Told;
use crate::key::Key;
use crate::vertex::{
    Asked, Cluster, Collected, CommandVertex, Cordon, Node, NodeState, Parked, ParkedWhat,
    Procedure, Record, ServiceType, Station, StationBegan, StationState, Supervisor,
    SupervisorState, Vertex,
};
use crate::wish::Placement;

pub(super) fn cluster(old: Option<&Record>, new: &Record, now: &Cluster) -> Option<Told> {
    let Some(Vertex::Cluster(was)) = old.map(|old| &old.vertex) else {
        let message = format!("cluster {} is founded", now.name);
        return Some(told(new, "cluster.founded", message).with("id", now.id));
    };
    if was.epoch != now.epoch {
        let message = format!("cluster {} is in epoch {}", now.name, now.epoch);
        return Some(told(new, "cluster.epoch_raised", message).with("epoch", now.epoch));
    }
    let off = |cluster: &Cluster, rule: &String| cluster.rules_off.contains_key(rule);
    if let Some((rule, why)) = now.rules_off.iter().find(|(rule, _)| !off(was, rule)) {
        let message = join(
            format!("the rule {rule} is switched off by {}", why.by),
            &why.why,
        );
        return Some(told(new, "rule.switched_off", message).with("rule", rule));
    }
    if let Some(rule) = was.rules_off.keys().find(|rule| !off(now, rule)) {
        let message = format!("the rule {rule} is switched on again");
        return Some(told(new, "rule.switched_on", message).with("rule", rule));
    }
    if was.groups != now.groups {
        return groups(new, was, now);
    }
    if was.brake.is_some() != now.brake.is_some() {
        return Some(match &now.brake {
            Some(brake) => told(
                new,
                "nodes.held",
                "so many nodes are away at once that none is given up: it is probably the network, or the station itself"
                    .to_owned(),
            )
            .with("until", brake.until),
            None => told(
                new,
                "nodes.released",
                "nodes that are away are given up again".to_owned(),
            ),
        });
    }
    (was.settings != now.settings).then(|| {
        told(
            new,
            "cluster.settings_changed",
            format!("settings of {} changed", now.name),
        )
    })
}

/// In what is told of a group; all of them are in the group itself.
const MEMBERS_NAMED: usize = 8;

fn groups(new: &Record, was: &Cluster, now: &Cluster) -> Option<Told> {
    let set = now
        .groups
        .iter()
        .find(|(name, group)| was.groups.get(*name) != Some(*group));
    if let Some((name, group)) = set {
        let message = format!(
            "the group {name} is {} by {}: {}",
            group.role.as_str(),
            group.by,
            several(group.members.iter(), MEMBERS_NAMED)
        );
        return Some(told(new, "group.set", message).with("group", name));
    }
    let gone = was
        .groups
        .keys()
        .find(|name| !now.groups.contains_key(*name))?;
    let message = format!("the group {gone} is there no more");
    Some(told(new, "group.removed", message).with("group", gone))
}

pub(super) fn station(old: Option<&Record>, new: &Record, now: &Station) -> Option<Told> {
    let key = &new.key;
    let was = match old.map(|old| &old.vertex) {
        Some(Vertex::Station(was)) => Some(was),
        _ => None,
    };
    let at = || format!("{} at {}", now.build, now.address);
    let (kind, message) = match (was, now.state) {
        (None, _) => ("station.joined", format!("{key} joined: {}", at())),
        (Some(was), StationState::Stopped) if was.state != StationState::Stopped => {
            ("station.stopped", format!("{key} ended in order"))
        }
        (Some(was), StationState::Away) if was.state != StationState::Away => {
            ("station.away", format!("{key} is not heard any more"))
        }
        (Some(was), StationState::Removed) if was.state != StationState::Removed => (
            "station.removed",
            format!("{key} is no part of the group any more"),
        ),
        (Some(was), StationState::Running) if was.state == StationState::Joining => (
            "station.voting",
            format!("{key} has caught up and votes: {}", at()),
        ),
        (Some(was), StationState::Running) if was.run != now.run => match now.began {
            StationBegan::First | StationBegan::AfterOrderlyEnd => {
                ("station.started", format!("{key} was started: {}", at()))
            }
            StationBegan::AfterNoWord => (
                "station.restarted",
                format!(
                    "{key} was started again; its last life did not end in order: it was killed, or its machine failed"
                ),
            ),
        },
        (Some(was), StationState::Running) if was.state == StationState::Away => {
            ("station.heard", format!("{key} is heard again"))
        }
        (
            Some(_),
            StationState::Running
            | StationState::Stopped
            | StationState::Joining
            | StationState::Away
            | StationState::Removed,
        ) => ("station.changed", format!("{key} changed: {}", at())),
    };
    Some(
        told(new, kind, message)
            .with("address", &now.address)
            .with("build", &now.build),
    )
}

pub(super) fn node(old: Option<&Record>, new: &Record, now: &Node) -> Option<Told> {
    let key = &new.key;
    let was = match old.map(|old| &old.vertex) {
        Some(Vertex::Node(was)) => Some(was),
        _ => None,
    };
    let why = now.reason.as_ref();
    let why = why.map_or("", |reason| reason.text.as_str());
    let because = |what: String| join(what, why);
    let (kind, message) = match (was, now.state) {
        (None, _) => ("node.joined", format!("{key} joined")),
        (Some(was), NodeState::Online) if was.state != NodeState::Online => {
            ("node.online", format!("{key} is online"))
        }
        (Some(was), NodeState::Suspect) if was.state != NodeState::Suspect => {
            ("node.suspect", because(format!("{key} is not heard")))
        }
        (Some(was), NodeState::AgentDown) if was.state != NodeState::AgentDown => (
            "node.agent_down",
            because(format!("the agent of {key} is down")),
        ),
        (Some(was), NodeState::Isolated) if was.state != NodeState::Isolated => {
            ("node.isolated", because(format!("{key} is cut off")))
        }
        (Some(was), NodeState::Lost) if was.state != NodeState::Lost => {
            ("node.lost", because(format!("{key} is given up")))
        }
        (Some(was), _) if was.agent_run != now.agent_run => (
            "node.agent_replaced",
            format!("{key} has a new agent process"),
        ),
        (Some(was), _) if now.strays.keys().any(|name| !was.strays.contains_key(name)) => {
            let names: Vec<&str> = now.strays.keys().map(|name| name.as_str()).collect();
            (
                "node.strays_found",
                format!("{key} runs what no command started: {}", names.join(", ")),
            )
        }
        (Some(was), _) if was.provides != now.provides => {
            ("node.types_changed", format!("{key} provides other types"))
        }
        (Some(was), _) => care(key, was, now)?,
    };
    let told = told(new, kind, message)
        .with("state", now.state.as_str())
        .with("build", &now.build)
        .with_some("code", now.reason.as_ref().map(|reason| &reason.code));
    Some(told)
}

/// What people have said of it.
fn care(key: &Key, was: &Node, now: &Node) -> Option<(&'static str, String)> {
    let (before, after) = (&was.care, &now.care);
    if before.maintenance != after.maintenance {
        return Some(match &after.maintenance {
            Some(on) => (
                "node.maintenance_began",
                format!("{key} is in maintenance, {}", on.said),
            ),
            None => (
                "node.maintenance_ended",
                format!("the maintenance of {key} is over"),
            ),
        });
    }
    if before.cordon != after.cordon {
        return Some(match &after.cordon {
            Some(Cordon {
                said, drains: true, ..
            }) => ("node.drained", format!("{key} is drained, {said}")),
            Some(Cordon { said, .. }) => (
                "node.cordoned",
                format!("{key} takes no new instances, {said}"),
            ),
            None => ("node.uncordoned", format!("{key} takes instances again")),
        });
    }
    (was.labels != now.labels).then(|| {
        let labels = now
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let labels: Vec<String> = labels.collect();
        let all = match labels.as_slice() {
            [] => "none".to_owned(),
            labels => labels.join(", "),
        };
        (
            "node.labels_changed",
            format!("the labels of {key} are {all}"),
        )
    })
}

pub(super) fn service_type(old: Option<&Record>, new: &Record, now: &ServiceType) -> Option<Told> {
    let version = &now.declaration.version;
    let (kind, verb) = match old {
        None => ("type.declared", "is declared"),
        Some(_) => ("type.changed", "changed"),
    };
    let message = format!("{} {verb}: version {version}", new.key);
    Some(told(new, kind, message).with("version", version))
}

pub(super) fn placement(old: Option<&Record>, new: &Record, now: &Placement) -> Option<Told> {
    let was = match old.map(|old| &old.vertex) {
        Some(Vertex::Placement(was)) => Some(was),
        _ => None,
    };
    let key = &new.key;
    let target = now.wish.target.to_string();
    let (kind, message) = match was {
        None => (
            "placement.created",
            format!(
                "placement {key} is created: {} on {target}",
                now.service_type
            ),
        ),
        Some(was) if was.standing != now.standing => (
            "placement.leaving",
            format!("placement {key} is to be deleted: its instances end first"),
        ),
        Some(was) if was.generation != now.generation => changed(key, now, &target),
        Some(_) => return None,
    };
    let told = told(new, kind, message)
        .with("type", &now.service_type)
        .with("target", target)
        .with("generation", now.generation)
        .with("configuration", &now.wish.config.0);
    Some(told)
}

/// A wish that was dropped, and did not just give way to the next, says why.
fn changed(key: &Key, now: &Placement, target: &str) -> (&'static str, String) {
    let generation = now.generation;
    match now
        .history
        .last()
        .and_then(|past| Some((past, past.dropped.as_ref()?)))
    {
        Some((past, why)) => (
            "placement.rolled_back",
            format!(
                "placement {key} goes back from generation {} (now {generation}): {}",
                past.generation, why.text
            ),
        ),
        None => (
            "placement.changed",
            format!(
                "placement {key} changed: {} on {target} (generation {generation})",
                now.service_type
            ),
        ),
    }
}

pub(super) fn supervisor(old: Option<&Record>, new: &Record, now: &Supervisor) -> Option<Told> {
    let key = &new.key;
    let was = match old.map(|old| &old.vertex) {
        Some(Vertex::Supervisor(was)) => Some(was),
        _ => None,
    };
    let (kind, what) = match (was, now.state) {
        (Some(was), _) if was.state == now.state && was.incarnation == now.incarnation => {
            let (guard, text) = seen_otherwise(was, now)?;
            let message = format!("{key}: {text}");
            return Some(told(new, "supervisor.seen", message).with("guard", guard));
        }
        (Some(was), SupervisorState::Running) if was.incarnation != now.incarnation => {
            ("supervisor.replaced", "was replaced")
        }
        (_, SupervisorState::Running) => ("supervisor.running", "is running"),
        (_, SupervisorState::Unknown) => ("supervisor.unknown", "is unknown"),
        (_, SupervisorState::Silent) => ("supervisor.silent", "does not answer"),
    };
    let message = format!("{key} {what} (incarnation {})", now.incarnation);
    Some(told(new, kind, message).with("incarnation", now.incarnation))
}

/// What one who guards it sees now. That it is as its agent said is no news.
fn seen_otherwise<'n>(was: &Supervisor, now: &'n Supervisor) -> Option<(&'n NodeName, String)> {
    let as_said = Sight::Watching {
        supervisor: now.incarnation,
    };
    let before = |guard| was.seen.get(guard).map_or(as_said, |seen| seen.sight);
    let mut seen = now.seen.iter();
    let (guard, seen) = seen.find(|(guard, seen)| before(*guard) != seen.sight)?;
    let text = match seen.sight {
        Sight::Watching { supervisor } => format!("{guard} sees incarnation {supervisor} at work"),
        sight => format!("{guard} sees {sight}"),
    };
    Some((guard, text))
}

pub(super) fn command(old: Option<&Record>, new: &Record, now: &CommandVertex) -> Option<Told> {
    let (about, incarnation) = now.order.instance();
    let order = now.order.name();
    let sent = format!("{order} of {about} (incarnation {incarnation})");
    let (kind, message) = match old.map(|old| &old.vertex) {
        Some(Vertex::Command(was)) if was.sends < now.sends => (
            "command.resent",
            format!("{sent} is sent again, {} times by now", now.sends),
        ),
        Some(_) => return None,
        None => ("command.decided", format!("{sent} is decided")),
    };
    let told = told(new, kind, message)
        .with("node", &now.node)
        .with("order", order)
        .with("instance", about)
        .with("incarnation", incarnation)
        .with("sends", now.sends);
    Some(told)
}

pub(super) fn parked(old: Option<&Record>, new: &Record, now: &Parked) -> Option<Told> {
    if old.is_some() {
        return None;
    }
    let message = match &now.what {
        ParkedWhat::Rule { rule, subject, .. } => {
            format!("rule {rule} is parked for {subject}: {}", now.why.text)
        }
        ParkedWhat::Event { name, .. } => format!("an event {name} is parked: {}", now.why.text),
    };
    Some(told(new, "parked.added", message).with("text", &now.why.text))
}

pub(super) fn asked(old: Option<&Record>, new: &Record, now: &Asked) -> Option<Told> {
    if old.is_some() {
        return None;
    }
    let (instance, failure) = (&now.instance, &now.failure);
    let message = format!(
        "{instance} (incarnation {}) failed by {} and asks what to do",
        now.incarnation, failure.name
    );
    Some(
        told(new, "asked.opened", message)
            .with("instance", instance)
            .with("failure", &failure.name)
            .with("body", &failure.body),
    )
}

pub(super) fn procedure(old: Option<&Record>, new: &Record, now: &Procedure) -> Option<Told> {
    let (rule, subject) = (&now.rule, &now.subject);
    let (kind, what) = match old.map(|old| &old.vertex) {
        Some(Vertex::Procedure(was)) if was.count == now.count => return None,
        Some(_) => ("procedure.step", "goes on"),
        None => ("procedure.began", "begins"),
    };
    let message = format!("{rule} {what} on {subject}: {}", now.text);
    Some(
        told(new, kind, message)
            .with("rule", rule)
            .with("subject", subject)
            .with("step", &now.step),
    )
}

pub(super) fn collected(old: Option<&Record>, new: &Record, now: &Collected) -> Option<Told> {
    if old.is_some() {
        return None;
    }
    let message = format!("{} has a record {}", now.instance, now.name);
    Some(
        told(new, "collected.record", message)
            .with("instance", &now.instance)
            .with("name", &now.name)
            .with("body", &now.body),
    )
}

fn told(new: &Record, kind: &str, message: String) -> Told {
    Told::new(&new.key, kind, Some(&new.cause), message)
}

fn join(what: String, why: &str) -> String {
    match why {
        "" => what,
        why => format!("{what}: {why}"),
    }
}
