//! Placements: what is wanted, and the worst of what there is.

use std::collections::BTreeSet;

use mainstay_coordinator::candidates;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::report::RestartWhen;
use mainstay_protocol::room::Room;
use mainstay_protocol::{Generation, InstanceKey, NodeName, PlacementName, Timestamp};
use mainstay_resource_graph::{
    Beside, ConfigHash, Desired, Instance, InstanceState, Key, Made, Move, Placement,
    RestartPolicy, Rollout, Singleton, Standing, Strategy, Target, Update, Vertex, ViewExt, Wish,
};
use serde_json::Value;

use super::{Present, json};
use crate::time::Time;
use crate::types::{self, BesideSpec, ConstraintsSpec, NeedsSpec, SingletonSpec, Span};

impl Present<'_> {
    pub fn placement(&self, name: &PlacementName) -> Option<types::Placement> {
        let record = self.record(&Key::Placement(name.clone()))?;
        let Vertex::Placement(placement) = &record.vertex else {
            return None;
        };
        let instances: Vec<Instance> = self
            .view
            .instances_of(name)
            .iter()
            .filter_map(|key| self.view.instance(key))
            .collect();
        let wanted: Vec<&Instance> = instances
            .iter()
            .filter(|instance| instance.desired == Desired::Running)
            .collect();
        let worst = wanted
            .iter()
            .max_by_key(|instance| severity(&instance.state));
        let count = |wanted: &dyn Fn(&Instance) -> bool| {
            instances.iter().filter(|i| wanted(i)).count() as u64
        };
        let shown = self.wish(&placement.wish);
        let missing = candidates::missing(self.view, name, placement);
        let stopped = count(&|instance| instance.desired == Desired::Stopped);
        Some(types::Placement {
            name: name.to_string(),
            service_type: placement.service_type.to_string(),
            holds: placement.holds.as_ref().map(ToString::to_string),
            target: shown.target,
            generation: placement.generation.0,
            made_by: placement.made.by.clone(),
            made_at: self.live.time(placement.made.at),
            leaving: placement.standing == Standing::Leaving,
            want: self.want(name, placement, (wanted.len(), missing)) as u64,
            stopped,
            have: count(&|instance| instance.state.is_up()),
            healthy: count(&Instance::is_healthy),
            state: match (worst, missing) {
                (Some(worst), _) => worst.state.as_str(),
                (None, 0) => "Stopped",
                (None, _) => "Pending",
            }
            .to_owned(),
            reason: candidates::shortage(self.view, name, placement, (missing, &BTreeSet::new()))
                .map(|text| Reason::new(code::TOO_FEW_NODES, text))
                .or_else(|| worst.and_then(|instance| instance.reason.clone()))
                .or_else(|| no_good(placement))
                .or_else(|| some_stopped(stopped, instances.len())),
            config: shown.config,
            config_on: shown.config_on,
            policy: shown.policy,
            depends_on: shown.depends_on,
            update: shown.update,
            restart_group: shown.restart_group,
            singleton: shown.singleton,
            needs: shown.needs,
            minimum: shown.minimum,
            moves: self.moves(placement),
            maintenance: placement.maintenance.is_some(),
            maintenance_until: self.maintenance_until(placement),
            rollout: placement
                .rollout
                .as_ref()
                .map(|under_way| self.rollout(name, placement, under_way)),
            rolled_back: rolled_back(placement),
            waiting_on: waiting_on(&wanted),
        })
    }

    fn maintenance_until(&self, placement: &Placement) -> Option<Time> {
        let until = placement.maintenance.as_ref()?.until?;
        Some(self.live.time(until))
    }

    fn moves(&self, placement: &Placement) -> Vec<types::Move> {
        let shown = |(from, one): (&NodeName, &Move)| types::Move {
            from: from.to_string(),
            to: one.to.to_string(),
            by: one.by.clone(),
            until: self.live.time(one.until),
        };
        placement.moves.iter().map(shown).collect()
    }

    /// Its wishes, the newest first.
    pub fn placement_history(&self, name: &PlacementName) -> Option<Vec<types::PlacementVersion>> {
        let placement = self.view.placement(name)?;
        let mut versions =
            vec![self.version(placement.generation, &placement.wish, &placement.made, None)];
        versions[0].current = true;
        versions.extend(placement.history.iter().rev().map(|past| {
            self.version(
                past.generation,
                &past.wish,
                &past.made,
                past.dropped.clone(),
            )
        }));
        Some(versions)
    }

    fn version(
        &self,
        generation: Generation,
        wish: &Wish,
        made: &Made,
        dropped: Option<Reason>,
    ) -> types::PlacementVersion {
        types::PlacementVersion {
            generation: generation.0,
            current: false,
            made_by: made.by.clone(),
            made_at: self.live.time(made.at),
            dropped,
            ..self.wish(wish)
        }
    }

    fn wish(&self, wish: &Wish) -> types::PlacementVersion {
        let config = |hash: &ConfigHash| {
            let text = self.view.configuration(&Key::Configuration(hash.clone()));
            text.map_or(Value::Null, |text| json(&text))
        };
        types::PlacementVersion {
            generation: 0,
            current: false,
            made_by: String::new(),
            made_at: self.live.time(Timestamp::ZERO),
            target: target(&wish.target),
            config: config(&wish.config),
            config_on: wish
                .on_nodes
                .iter()
                .map(|(node, hash)| (node.to_string(), config(hash)))
                .collect(),
            policy: policy(&wish.policy),
            depends_on: wish
                .depends_on
                .iter()
                .map(|(placement, until)| types::DependencySpec {
                    placement: placement.to_string(),
                    until: Some(until.as_str().to_owned()),
                })
                .collect(),
            update: update(&wish.update),
            restart_group: wish.restart_group.as_ref().map(ToString::to_string),
            singleton: wish.singleton.as_ref().map(singleton),
            needs: NeedsSpec::of(&wish.needs),
            minimum: wish.minimum,
            dropped: None,
        }
    }

    /// How many are to be: of so many, those that found no node as well.
    fn want(
        &self,
        name: &PlacementName,
        placement: &Placement,
        (wanted, missing): (usize, usize),
    ) -> usize {
        if placement.wish.target.count().is_none() {
            return wanted;
        }
        let kept = candidates::kept(self.view, name, placement);
        let runs = |key: &&InstanceKey| {
            let one = self.view.instance(key);
            one.is_some_and(|one| one.desired == Desired::Running)
        };
        kept.iter().filter(runs).count() + missing
    }

    fn rollout(
        &self,
        name: &PlacementName,
        placement: &Placement,
        under_way: &Rollout,
    ) -> types::Rollout {
        let keys = self.view.instances_of(name);
        let told = keys.iter().filter(|key| {
            let config = placement.wish.config_on(&key.node);
            self.view.instance(key).is_some_and(|instance| {
                let aims_at = instance.wanted.as_ref().or(instance.ran_with.as_ref());
                aims_at == Some(config)
            })
        });
        let state = match &under_way.halted {
            None => "updating",
            Some(_) => "halted",
        };
        types::Rollout {
            state: state.to_owned(),
            told: told.count() as u64,
            of: keys.len() as u64,
            back_to: under_way.back.as_ref().map(|back| back.generation.0),
            reason: under_way.halted.clone(),
        }
    }
}

fn target(target: &Target) -> types::TargetSpec {
    let nothing = types::TargetSpec::default();
    match target {
        Target::Nodes(nodes) => types::TargetSpec {
            nodes: Some(nodes.iter().map(ToString::to_string).collect()),
            ..nothing
        },
        Target::All(labels) => types::TargetSpec {
            all: Some(labels.clone()),
            ..nothing
        },
        Target::Count(wanted) => types::TargetSpec {
            count: Some(wanted.count),
            // Every node is what nothing said means.
            all: (!wanted.on.is_empty()).then(|| wanted.on.clone()),
            spread: wanted.spread.clone(),
            constraints: (wanted.least != Room::NONE).then(|| ConstraintsSpec::of(wanted.least)),
            affinity: wanted.affinity.iter().map(beside).collect(),
            anti_affinity: wanted.anti_affinity.iter().map(beside).collect(),
            ..nothing
        },
    }
}

fn beside(other: &Beside) -> BesideSpec {
    BesideSpec {
        placement: other.placement.to_string(),
        label: other.label.clone(),
    }
}

/// What it says itself; null where the type and the settings say.
fn policy(policy: &RestartPolicy) -> types::PolicySpec {
    types::PolicySpec {
        restart: policy.restart.map(|when| {
            match when {
                RestartWhen::Always => "always",
                RestartWhen::OnFailure => "on-failure",
                RestartWhen::Never => "never",
            }
            .to_owned()
        }),
        attempts: policy.attempts,
        window: policy.window_ms.map(types::Span::from_ms),
        backoff: types::BackoffSpec {
            max: policy.backoff_max_ms.map(types::Span::from_ms),
        },
        escalate: Some(policy.escalate.as_str().to_owned()),
        on_isolation: types::IsolationSpec {
            replace: policy.replace_isolated_ms.map(types::Span::from_ms),
        },
        watched_from: Some(policy.watched_from),
    }
}

fn update(update: &Update) -> types::UpdateSpec {
    let (strategy, at_once) = match update.strategy {
        Strategy::All => ("all", None),
        Strategy::Rolling { at_once } => ("rolling", Some(at_once)),
        Strategy::Canary => ("canary", None),
    };
    types::UpdateSpec {
        strategy: Some(strategy.to_owned()),
        at_once,
        rollback: Some(update.rollback),
        wait: Some(types::Span::from_ms(update.wait_ms)),
    }
}

fn rolled_back(placement: &Placement) -> Option<Reason> {
    placement.history.last()?.dropped.clone()
}

/// A change that halted, or was taken back.
fn no_good(placement: &Placement) -> Option<Reason> {
    let under_way = placement.rollout.as_ref();
    let halted = under_way.and_then(|under_way| under_way.halted.clone());
    halted.or_else(|| rolled_back(placement))
}

/// They are not wanted to run, so that nothing else tells of them.
fn some_stopped(stopped: u64, all: usize) -> Option<Reason> {
    let text = match all {
        1 => "it is stopped".to_owned(),
        all => format!("{stopped} of {all} are stopped"),
    };
    (stopped > 0).then(|| Reason::new(code::STOPPED_BY_OPERATOR, text))
}

/// What the reasons of those that cannot start point at.
fn waiting_on(wanted: &[&Instance]) -> Vec<String> {
    let waiting = |instance: &&&Instance| {
        matches!(
            instance.state,
            InstanceState::Blocked | InstanceState::Pending
        )
    };
    let refs: BTreeSet<String> = wanted
        .iter()
        .filter(waiting)
        .filter_map(|instance| instance.reason.as_ref())
        .flat_map(|reason| reason.refs.iter().cloned())
        .collect();
    refs.into_iter().collect()
}

/// The higher, the more somebody should look.
fn severity(state: &InstanceState) -> u8 {
    match state {
        InstanceState::Running => 0,
        InstanceState::Stopped { .. } => 1,
        InstanceState::Starting => 2,
        InstanceState::Pending => 3,
        InstanceState::Stopping { .. } => 4,
        InstanceState::Degraded => 5,
        InstanceState::Backoff { .. } => 6,
        InstanceState::Unresponsive { .. } => 7,
        InstanceState::Unknown { .. } | InstanceState::Lost { .. } => 8,
        InstanceState::Blocked => 9,
        InstanceState::Failed { .. } => 10,
        InstanceState::Quarantined => 11,
    }
}

fn singleton(wish: &Singleton) -> SingletonSpec {
    SingletonSpec {
        lease: Some(Span::from_ms(wish.lease_ms)),
        fenced: wish.fenced,
    }
}

#[cfg(test)]
mod tests {
    use crate::present::sample::{Sample, placement_name};

    #[test]
    fn a_placement_shows_its_worst_instance_and_what_it_waits_for() {
        let sample = Sample::new();
        let web = sample.present().placement(&placement_name("web")).unwrap();
        assert_eq!((web.want, web.have, web.healthy), (1, 1, 1));
        assert_eq!(web.state, "Running");
        assert_eq!(web.target.nodes, Some(vec!["n1".to_owned()]));
        let rival = sample
            .present()
            .placement(&placement_name("rival"))
            .unwrap();
        assert_eq!(
            (rival.want, rival.have, rival.state.as_str()),
            (1, 0, "Blocked")
        );
        assert_eq!(rival.waiting_on, ["web@n1"]);
        assert_eq!(
            serde_json::to_value(&rival.target).unwrap(),
            serde_json::json!({
                "nodes": ["n1"], "all": null, "count": null, "spread": null,
                "constraints": null, "affinity": [], "anti_affinity": [],
            })
        );
    }
}
