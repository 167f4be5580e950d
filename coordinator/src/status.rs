//! `status`: the whole cluster in one answer: a verdict, the problems with their roots, what is done about them.

use std::collections::BTreeMap;

use mainstay_protocol::Timestamp;
use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::{
    Cluster, Desired, Instance, InstanceState, Key, Kind, Node, NodeState, Placement, RuleOff,
    Standing, StationState, SupervisorState, Vertex, View, ViewExt,
};

use crate::rules::fence;
use crate::{candidates, verb, why};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Healthy,
    /// Something is not as wanted.
    Degraded,
    /// Nothing that is wanted runs.
    Down,
    /// Nodes are not heard, so it cannot be said.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub verdict: Verdict,
    pub nodes: Count,
    pub instances: Count,
    pub problems: Vec<Problem>,
    pub working_on: Vec<Work>,
    pub scheduled: Vec<Work>,
    /// Nodes that take nothing new, as somebody said.
    pub set_aside: Vec<SetAside>,
    /// Rules that are switched off.
    pub rules_off: BTreeMap<String, RuleOff>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub total: usize,
    pub ok: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub key: Key,
    pub reason: Option<Reason>,
    pub root: Key,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub key: Key,
    /// "is drained, by ada: new disks".
    pub how: String,
    /// The command that ends it.
    pub undo: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub key: Key,
    pub action: String,
    pub at: Option<Timestamp>,
    pub rule: &'static str,
}

/// What there may be something to say of.
const KINDS: [Kind; 6] = [
    Kind::Cluster,
    Kind::Station,
    Kind::Node,
    Kind::Parked,
    Kind::Placement,
    Kind::Instance,
];

pub fn status(view: &dyn View) -> Status {
    let mut status = Status {
        verdict: Verdict::Healthy,
        nodes: Count::default(),
        instances: Count::default(),
        problems: Vec::new(),
        working_on: Vec::new(),
        scheduled: Vec::new(),
        set_aside: Vec::new(),
        rules_off: BTreeMap::new(),
    };
    for kind in KINDS {
        for key in view.keys(kind) {
            if let Some(record) = view.record(&key) {
                count(view, &record, &mut status);
            }
        }
    }
    // What a rule would do that is switched off is neither under way nor to come.
    status.rules_off = view
        .cluster()
        .map(|found| found.rules_off)
        .unwrap_or_default();
    let off = &status.rules_off;
    status
        .working_on
        .retain(|work| !off.contains_key(work.rule));
    status.scheduled.retain(|work| !off.contains_key(work.rule));
    status.verdict = verdict(view, &status);
    status
}

fn count(view: &dyn View, record: &mainstay_resource_graph::Record, status: &mut Status) {
    match &record.vertex {
        Vertex::Cluster(cluster) => held(record, cluster, status),
        Vertex::Node(node) => count_node(view, record, node, status),
        Vertex::Placement(placement) => count_placement(view, record, placement, status),
        Vertex::Parked(parked) => {
            let reason = Some(why::parked_reason(parked));
            status
                .problems
                .push(problem(record, reason, record.key.clone()));
        }
        // Another has taken its place, and its node is a problem already.
        Vertex::Instance(Instance {
            state: InstanceState::Lost { .. },
            desired: Desired::Absent,
            ..
        }) => {}
        Vertex::Instance(instance) => {
            status.instances.total += 1;
            if instance.is_as_wanted() {
                status.instances.ok += 1;
            } else if !is_known(view, &record.key, instance) {
                let root = why::root_of(view, &record.key);
                status
                    .problems
                    .push(problem(record, instance.reason.clone(), root));
            }
            work(&record.key, instance, status);
        }
        // The others decide without it, but bear one loss less.
        Vertex::Station(station) if station.state == StationState::Away => {
            let reason = why::station_reason(station);
            status
                .problems
                .push(problem(record, reason, record.key.clone()));
        }
        Vertex::Supervisor(supervisor) if supervisor.state == SupervisorState::Silent => {
            let reason = Some(why::nobody_at_work());
            status
                .problems
                .push(problem(record, reason, record.key.clone()));
        }
        Vertex::Station(_)
        | Vertex::Token(_)
        | Vertex::Identity(_)
        | Vertex::Secret(_)
        | Vertex::Outbox(_)
        | Vertex::Type(_)
        | Vertex::Name(_)
        | Vertex::Configuration(_)
        | Vertex::Supervisor(_)
        | Vertex::Command(_)
        | Vertex::Resource(_)
        | Vertex::Asked(_)
        | Vertex::Procedure(_)
        | Vertex::Collected(_)
        | Vertex::Orchestration(_)
        | Vertex::Activity(_)
        | Vertex::Service(_)
        | Vertex::Artifact(_)
        | Vertex::Chunk(_)
        | Vertex::Text(_)
        // That work failed is no failure of the cluster.
        | Vertex::Run(_)
        | Vertex::Step(_) => {}
    }
}

fn count_placement(
    view: &dyn View,
    record: &mainstay_resource_graph::Record,
    placement: &Placement,
    status: &mut Status,
) {
    if let Some(on) = &placement.maintenance {
        status.scheduled.push(Work {
            key: record.key.clone(),
            action: format!("end its maintenance, {}", on.said),
            at: on.until,
            rule: "placement_maintenance",
        });
        return;
    }
    let Key::Placement(name) = &record.key else {
        return;
    };
    if placement.standing == Standing::Leaving {
        return;
    }
    let short = candidates::shortage_of(view, name, placement);
    let short = short.map(|text| Reason::new(code::TOO_FEW_NODES, text));
    for reason in short
        .into_iter()
        .chain(why::below_minimum(view, name, placement))
    {
        status
            .problems
            .push(problem(record, Some(reason), record.key.clone()));
    }
}

fn held(record: &mainstay_resource_graph::Record, cluster: &Cluster, status: &mut Status) {
    let Some(brake) = &cluster.brake else { return };
    let reason = why::brake_reason(cluster);
    status.problems.push(Problem {
        since: brake.since,
        ..problem(record, reason, record.key.clone())
    });
    status.scheduled.push(Work {
        key: record.key.clone(),
        action: "give up those that are still away, a few at a time".to_owned(),
        at: Some(brake.until),
        rule: "node_lost",
    });
}

fn count_node(
    view: &dyn View,
    record: &mainstay_resource_graph::Record,
    node: &Node,
    status: &mut Status,
) {
    status.nodes.total += 1;
    let work = |action, at, rule| Work {
        key: record.key.clone(),
        action,
        at,
        rule,
    };
    if let Some(on) = &node.care.maintenance {
        let action = format!("end its maintenance, {}", on.said);
        status.scheduled.push(work(action, on.until, "maintenance"));
    }
    if let (Key::Node(name), Some(cordon)) = (&record.key, &node.care.cordon) {
        status.set_aside.push(SetAside {
            key: record.key.clone(),
            how: cordon.to_string(),
            undo: format!("mainstay node uncordon {name}"),
        });
    }
    if node.state == NodeState::Online {
        status.nodes.ok += 1;
    } else if node.care.maintenance.is_none() {
        status
            .problems
            .push(problem(record, node.reason.clone(), record.key.clone()));
    }
    if node.lost_at.is_some() {
        let action = "give it up, unless it is back by then".to_owned();
        status
            .scheduled
            .push(work(action, verb::given_up_at(view, node), "node_lost"));
    }
    if let Key::Node(name) = &record.key
        && let at @ Some(_) = fence::tries_again(view, name)
    {
        let action = why::FENCES_AGAIN.to_owned();
        status.scheduled.push(work(action, at, "fence"));
    }
    let left_alone = node.strays.values().filter_map(|stray| stray.held.clone());
    for why in left_alone {
        status
            .problems
            .push(problem(record, Some(why), record.key.clone()));
    }
}

/// Somebody works on it, or wants its node to be empty and enough others serve.
fn is_known(view: &dyn View, key: &Key, facts: &Instance) -> bool {
    let Key::Instance(key) = key else {
        return false;
    };
    let reason = facts.reason.as_ref();
    let drained = reason.is_some_and(|reason| reason.code == code::NODE_DRAINED);
    let enough_serve = || {
        let minimum = view
            .placement(&key.placement)
            .map_or(0, |placement| placement.wish.minimum);
        let enough = minimum.max(1) as usize;
        verb::serving_elsewhere(view, &key.placement, &key.node, enough) == enough
    };
    verb::in_maintenance(view, key).is_some() || (drained && enough_serve())
}

fn problem(record: &mainstay_resource_graph::Record, reason: Option<Reason>, root: Key) -> Problem {
    Problem {
        key: record.key.clone(),
        reason,
        root,
        since: record.since,
    }
}

fn work(key: &Key, instance: &Instance, status: &mut Status) {
    let entry = |action: &str, at, rule| Work {
        key: key.clone(),
        action: action.to_owned(),
        at,
        rule,
    };
    match instance.state {
        InstanceState::Starting => {
            status
                .working_on
                .push(entry("starting", instance.deadline, "start"))
        }
        // What cannot be ended waits for somebody.
        InstanceState::Stopping { stuck: true, .. } => {}
        InstanceState::Stopping { stuck: false, .. } => {
            status
                .working_on
                .push(entry("stopping", instance.deadline, "stop"))
        }
        InstanceState::Backoff { .. } => {
            status
                .scheduled
                .push(entry("restart", instance.next_try, "restart"))
        }
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Quarantined
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => {}
    }
}

fn verdict(view: &dyn View, status: &Status) -> Verdict {
    if status.nodes.total > 0 && status.nodes.ok == 0 {
        return Verdict::Unknown;
    }
    if status.problems.is_empty() {
        return Verdict::Healthy;
    }
    let wanted: Vec<Instance> = view
        .keys(Kind::Instance)
        .iter()
        .filter_map(|key| match key {
            Key::Instance(instance) => view.instance(instance),
            _ => None,
        })
        .filter(|instance| instance.desired == Desired::Running)
        // What ended cleanly by itself is worth a word, but the cluster is not down for it.
        .filter(|instance| instance.state != InstanceState::Stopped { by_itself: true })
        .collect();
    let any_runs = wanted.iter().any(|instance| instance.state.is_serving());
    if !wanted.is_empty() && !any_runs {
        return Verdict::Down;
    }
    Verdict::Degraded
}
