//! Liveness: once nothing breaks any more, everything wanted comes about, and graph and nodes agree.

use mainstay_coordinator::{candidates, room, unmet_dependencies};
use mainstay_protocol::code;
use mainstay_protocol::health::RefusedStart;
use mainstay_protocol::report::Presence;
use mainstay_protocol::{Incarnation, InstanceKey, PlacementName};
use mainstay_resource_graph::{
    Desired, FailureCause, Graph, Instance, InstanceState, Key, Kind, NodeState, Standing, Target,
    View, ViewExt, Waits, slot_of, traverse,
};

use crate::host::Phase;
use crate::node::Node;
use crate::plan::SO_MANY;
use crate::station::StationAt;
use crate::world::World;

/// Entries that may be on their way to a station that is well.
const BEHIND_MAX: u64 = 8;

impl World {
    /// What is still missing; nothing when all is well.
    pub fn not_converged(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let Some(core) = self.coordinator() else {
            return vec!["nobody leads".to_owned()];
        };
        self.group_not_converged(&mut missing);
        for at in self.oracle.group().members().map(StationAt::of) {
            let station = self.station(at);
            let behind = self.oracle.log_length() - station.member.applied;
            if station.core.is_none() || behind > BEHIND_MAX {
                missing.push(format!("{} is down, or {behind} entries behind", at.id()));
            }
        }
        let graph = core.graph();
        for node in &self.nodes {
            let online = graph
                .node(&node.name)
                .is_some_and(|found| found.state == NodeState::Online);
            if !online || !node.welcomed {
                missing.push(format!("{} has no session", node.name));
            }
            if let Some(core) = node.core.as_ref()
                && core.outbox_depth() > 0
            {
                let depth = core.outbox_depth();
                missing.push(format!("{depth} reports of {} wait", node.name));
            }
            self.strays(graph, node, &mut missing);
        }
        self.runs_missing(graph, &mut missing);
        for key in graph.keys(Kind::Command) {
            missing.push(format!("{key} is not answered"));
        }
        for key in graph.keys(Kind::Instance) {
            let Key::Instance(key) = key else { continue };
            let Some(instance) = graph.instance(&key) else {
                continue;
            };
            if let Some(wrong) = self.wrong(graph, &key, &instance) {
                let state = instance.state;
                missing.push(format!("{key}#{} {state:?}: {wrong}", instance.incarnation));
            }
        }
        updates_under_way(graph, &mut missing);
        so_many(graph, &mut missing);
        if !self.operators.orders.is_empty() {
            missing.push(format!("orders wait: {:?}", self.operators.orders));
        }
        missing
    }

    /// What lives and is not in the graph as living.
    fn strays(&self, graph: &Graph, node: &Node, missing: &mut Vec<String>) {
        for actor in node.host.actors.values() {
            let start = &actor.start;
            let known = graph.instance(&start.instance).is_some_and(|instance| {
                instance.incarnation == start.incarnation && instance.state.may_be_live()
            });
            if !known {
                missing.push(format!(
                    "{}#{} lives ({:?}) and the graph does not know it",
                    start.instance, start.incarnation, actor.phase
                ));
            }
        }
    }

    fn wrong(&self, graph: &Graph, key: &InstanceKey, instance: &Instance) -> Option<String> {
        let lives = self.lives(key, instance.incarnation);
        match instance.state {
            // One that nothing ended and that outlived its agent is wanted again, and runs.
            InstanceState::Running if instance.desired == Desired::Running => match lives {
                Some((Phase::Running, _)) => None,
                other => Some(format!("on its node it is {other:?}")),
            },
            InstanceState::Stopping { stuck: true, .. } => match lives {
                Some((_, true)) => None,
                other => Some(format!("said to be stuck; on its node it is {other:?}")),
            },
            InstanceState::Stopped { .. } if instance.desired == Desired::Stopped => None,
            InstanceState::Stopped { by_itself: true } => (instance.service_type.as_str()
                == "daemon")
                .then(|| "a daemon is always restarted".to_owned()),
            InstanceState::Quarantined => None,
            InstanceState::Failed {
                presence: Presence::Gone,
            } => wrongly_failed(instance),
            InstanceState::Blocked => self.wrongly_blocked(graph, key, instance),
            InstanceState::Running if waits_for_dependents(graph, key, instance) => None,
            InstanceState::Pending if instance.waits() == Some(Waits::Room) => {
                let needs = room::needs_of(graph, key, instance);
                let lacks = !room::lacking(graph, key, &needs).is_empty();
                (!lacks).then(|| "it waits for room that there is".to_owned())
            }
            InstanceState::Running
            | InstanceState::Pending
            | InstanceState::Starting
            | InstanceState::Degraded
            | InstanceState::Unresponsive { .. }
            | InstanceState::Stopping { stuck: false, .. }
            | InstanceState::Stopped { by_itself: false }
            | InstanceState::Failed {
                presence: Presence::Living,
            }
            | InstanceState::Backoff { .. }
            | InstanceState::Unknown { .. }
            | InstanceState::Lost { .. } => Some(format!("wanted {}", instance.desired.as_str())),
        }
    }

    fn wrongly_blocked(
        &self,
        graph: &Graph,
        key: &InstanceKey,
        instance: &Instance,
    ) -> Option<String> {
        let why = instance.reason.as_ref().map(|reason| reason.code.clone());
        if why == Some(code::DEPENDENCY_NOT_READY) {
            let unmet = unmet_dependencies(graph, &key.placement);
            return unmet
                .is_none()
                .then(|| "what it depends on is there".to_owned());
        }
        if why == Some(code::NAME_HELD) {
            let holder = graph.holder(&slot_of(key, instance));
            return holder.is_none().then(|| "nobody holds its name".to_owned());
        }
        let missing = self
            .node_named(key)
            .and_then(|at| self.nodes[at.0].missing_type);
        if why == Some(code::TYPE_NOT_PROVIDED) && missing == Some(instance.service_type.as_str()) {
            return None;
        }
        Some(format!("blocked by {why:?}"))
    }

    /// Its phase on the node, and whether nothing can end it.
    fn lives(&self, key: &InstanceKey, incarnation: Incarnation) -> Option<(Phase, bool)> {
        let at = self.node_named(key)?;
        self.nodes[at.0]
            .host
            .actors
            .values()
            .find(|actor| actor.start.instance == *key && actor.start.incarnation == incarnation)
            .map(|actor| (actor.phase, actor.endless))
    }
}

/// Not wanted any more; what depends on it comes first, and cannot be ended.
fn waits_for_dependents(graph: &Graph, key: &InstanceKey, instance: &Instance) -> bool {
    let live = |placement: &PlacementName| {
        graph.instances_of(placement).iter().any(|key| {
            graph
                .instance(key)
                .is_some_and(|one| one.state.may_be_live())
        })
    };
    instance.desired != Desired::Running
        && traverse::standing_on(graph, &key.placement)
            .iter()
            .any(live)
}

/// A changed configuration has reached every instance that can be reached, is taken back, or has halted.
fn updates_under_way(graph: &Graph, missing: &mut Vec<String>) {
    for key in graph.keys(Kind::Placement) {
        let Key::Placement(name) = key else { continue };
        let wanted = graph
            .placement(&name)
            .filter(|found| found.standing == Standing::Wanted);
        let Some(rollout) = wanted.and_then(|found| found.rollout) else {
            continue;
        };
        let instances = graph.instances_of(&name);
        let well = |key: &InstanceKey| {
            graph
                .instance(key)
                .is_some_and(|one| one.state == InstanceState::Running)
        };
        if rollout.halted.is_none() && instances.iter().all(well) {
            missing.push(format!("{name} runs everywhere and its change is not over"));
        }
    }
}

/// Of so many there are so many, or every other node has a reason against one.
fn so_many(graph: &Graph, missing: &mut Vec<String>) {
    let name: PlacementName = SO_MANY.parse().expect("a name");
    let Some(placement) = graph.placement(&name) else {
        return;
    };
    let Target::Count(count) = &placement.wish.target else {
        return;
    };
    let kept = candidates::kept(graph, &name, &placement).len();
    let could = candidates::answers(graph, &name, &placement);
    if kept > count.count as usize {
        missing.push(format!(
            "{kept} of {name} are wanted, and {} asked for",
            count.count
        ));
    }
    if kept < count.count as usize && could.values().any(Vec::is_empty) {
        missing.push(format!(
            "{kept} of {} of {name}, and a node that takes one",
            count.count
        ));
    }
}

/// Final refusals stay, and so do the failures of what is never restarted.
fn wrongly_failed(instance: &Instance) -> Option<String> {
    let cause = instance.failure.as_ref().map(|failure| failure.cause);
    let refused = matches!(
        cause,
        Some(FailureCause::CouldNotStart(
            RefusedStart::Config | RefusedStart::NoSuchType | RefusedStart::NotHere
        ))
    );
    let is_final = instance.desired == Desired::Running
        && (refused || instance.service_type.as_str() == "once");
    (!is_final).then(|| format!("failed of {cause:?} and left alone"))
}
