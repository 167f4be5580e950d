//! What became of everything that is not an instance.

use super::Told;
use crate::vertex::{
    Cluster, CommandVertex, Node, NodeState, Parked, ParkedWhat, Placement, Record, ServiceType,
    Station, StationBegan, StationState, Supervisor, SupervisorState, Target, Vertex,
};

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
    (was.settings != now.settings).then(|| {
        told(
            new,
            "cluster.settings_changed",
            format!("settings of {} changed", now.name),
        )
    })
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
        (Some(_), StationState::Running | StationState::Stopped) => {
            ("station.changed", format!("{key} changed: {}", at()))
        }
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
    let (kind, message) = match (was, now.state) {
        (None, _) => ("node.joined", format!("{key} joined")),
        (Some(was), NodeState::Online) if was.state != NodeState::Online => {
            ("node.online", format!("{key} is online"))
        }
        (Some(was), NodeState::AgentDown) if was.state != NodeState::AgentDown => {
            let why = now
                .reason
                .as_ref()
                .map_or("", |reason| reason.text.as_str());
            (
                "node.agent_down",
                join(format!("the agent of {key} is down"), why),
            )
        }
        (Some(was), _) if was.agent_run != now.agent_run => (
            "node.agent_replaced",
            format!("{key} has a new agent process"),
        ),
        (Some(was), _) if was.provides != now.provides => {
            ("node.types_changed", format!("{key} provides other types"))
        }
        (Some(was), _)
            if (was.schedulable, was.maintenance) != (now.schedulable, now.maintenance) =>
        {
            (
                "node.schedule_changed",
                format!("{key} takes instances: {}", now.schedulable),
            )
        }
        (Some(_), NodeState::Online | NodeState::AgentDown) => return None,
    };
    let told = told(new, kind, message)
        .with("state", now.state.as_str())
        .with("build", &now.build)
        .with_some("code", now.reason.as_ref().map(|reason| &reason.code));
    Some(told)
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
    let (kind, verb) = match old {
        None => ("placement.created", "is created"),
        Some(_) => ("placement.changed", "changed"),
    };
    let target = match &now.target {
        Target::Nodes(nodes) => {
            let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
            nodes.join(", ")
        }
        Target::All => "all nodes".to_owned(),
    };
    let message = format!(
        "placement {} {verb}: {} on {target}",
        new.key, now.service_type
    );
    let told = told(new, kind, message)
        .with("type", &now.service_type)
        .with("target", target)
        .with("generation", now.generation)
        .with("configuration", &now.config.0);
    Some(told)
}

pub(super) fn supervisor(old: Option<&Record>, new: &Record, now: &Supervisor) -> Option<Told> {
    let key = &new.key;
    let was = match old.map(|old| &old.vertex) {
        Some(Vertex::Supervisor(was)) => Some(was),
        _ => None,
    };
    let (kind, what) = match (was, now.state) {
        (Some(was), _) if was.state == now.state && was.incarnation == now.incarnation => {
            return None;
        }
        (Some(was), SupervisorState::Running) if was.incarnation != now.incarnation => {
            ("supervisor.replaced", "was replaced")
        }
        (_, SupervisorState::Running) => ("supervisor.running", "is running"),
        (_, SupervisorState::Unknown) => ("supervisor.unknown", "is unknown"),
    };
    let message = format!("{key} {what} (incarnation {})", now.incarnation);
    Some(told(new, kind, message).with("incarnation", now.incarnation))
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

fn told(new: &Record, kind: &str, message: String) -> Told {
    Told::new(&new.key, kind, Some(&new.cause), message)
}

fn join(what: String, why: &str) -> String {
    match why {
        "" => what,
        why => format!("{what}: {why}"),
    }
}
