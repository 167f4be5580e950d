//! What stations and nodes see of a node when they look where its agent should be.

use std::collections::BTreeMap;

use mainstay_coordinator::{Event, Look};
use mainstay_protocol::report::Report;
use mainstay_protocol::sight::{Guards, InstanceSight, Sight, Watches};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName};
use mainstay_resource_graph::Sightings;
use mainstay_supervisor::{Input, Observation};

use crate::group::Place;
use crate::happening::{Happening, NodeAt};
use crate::node::Node;
use crate::station::StationAt;
use crate::world::{Held, World};

const MS: u64 = 1000;

/// Whom an agent guards, and what it last saw of each.
pub type Guarding = BTreeMap<NodeName, Option<Sight>>;

/// What an agent watches of other nodes.
pub type Watching = BTreeMap<InstanceKey, Watched>;

#[derive(Debug, Clone, Copy)]
pub struct Watched {
    incarnation: Incarnation,
    /// What was reported last.
    told: Option<InstanceSight>,
    /// So many Checks in a row got no answer.
    missed: u32,
}

/// One is nothing.
const MISSED_MIN: u32 = 2;

impl Node {
    pub fn is_to_watch(&mut self, watches: Watches) {
        let known = std::mem::take(&mut self.watching);
        let watching = watches
            .instances
            .into_iter()
            .map(|(instance, incarnation)| {
                let same = known.get(&instance);
                let same = same.filter(|watched| watched.incarnation == incarnation);
                let fresh = Watched {
                    incarnation,
                    told: None,
                    missed: 0,
                };
                (instance, same.copied().unwrap_or(fresh))
            });
        self.watching = watching.collect();
    }
}

impl World {
    /// A station is to look for a node; it is told of that soon, or when nobody has answered.
    pub fn looks(&mut self, at: StationAt, look: Look) {
        let life = self.station(at).life;
        let after = self.dice.between(1, 1000) * MS;
        let looked = Happening::Looked {
            station: at,
            life,
            look: Box::new(look),
        };
        self.queue.put(self.now + after, looked);
    }

    pub fn looked(&mut self, at: StationAt, life: u64, look: Look) -> Held {
        let Some(node) = self
            .node_called(&look.node)
            .filter(|_| self.station(at).life == life)
        else {
            return Ok(());
        };
        let knock = match self.sight(Place::Station(at), node) {
            Sight::Nothing => Sight::Nothing,
            // It does not come to words.
            Sight::Machine | Sight::Watching { .. } | Sight::Unwatched { .. } => Sight::Machine,
        };
        let guards = look.guards.into_iter().map(|guard| {
            let sight = self.asks_guard(at, &guard, node);
            (guard, sight)
        });
        let sighted = Event::Sighted {
            node: look.node,
            since: look.since,
            seen: Sightings {
                knock,
                guards: guards.collect(),
            },
        };
        // Refused only where nobody leads, and then the next leader looks anew.
        if self.enqueue(at, sighted, None).is_err() {
            return Ok(());
        }
        self.pump(at)
    }

    fn asks_guard(&self, at: StationAt, guard: &NodeName, node: NodeAt) -> Option<Sight> {
        let guard = self.speaks_to(at, guard)?;
        Some(self.sight(Place::Node(guard), node))
    }

    /// An agent with a session that can be asked, and answers.
    pub fn speaks_to(&self, at: StationAt, node: &NodeName) -> Option<NodeAt> {
        self.welcomed_session_of(at, node)?;
        let node = self.node_called(node)?;
        let (here, there) = (Place::Station(at), Place::Node(node));
        let silent = self.is_cut(here, there) || self.is_cut(there, here) || !self.speaks(node);
        (!silent).then_some(node)
    }

    /// Its agent runs, and does not stand still.
    fn speaks(&self, at: NodeAt) -> bool {
        let node = &self.nodes[at.0];
        node.core.is_some() && node.paused_until <= self.now
    }

    fn sight(&self, from: Place, node: NodeAt) -> Sight {
        let there = Place::Node(node);
        if self.is_cut(from, there) || self.is_cut(there, from) {
            return Sight::Nothing;
        }
        if !self.speaks(node) {
            return Sight::Machine;
        }
        let host = &self.nodes[node.0].host;
        let supervisor = host.supervisor;
        match host.supervisor_lives {
            true => Sight::Watching { supervisor },
            false => Sight::Unwatched { supervisor },
        }
    }

    pub fn guards(&mut self, at: NodeAt, guards: Guards) {
        let known = std::mem::take(&mut self.nodes[at.0].guarding);
        let last = |node: &NodeName| known.get(node).copied().flatten();
        let guarding = guards.nodes.into_keys().map(|node| {
            let last = last(&node);
            (node, last)
        });
        self.nodes[at.0].guarding = guarding.collect();
    }

    /// Looks at each of those it guards, and reports what looks otherwise.
    pub fn guard_looks(&mut self, at: NodeAt) -> Held {
        let life = self.nodes[at.0].life;
        for (name, last) in self.nodes[at.0].guarding.clone() {
            let Some(node) = self.node_called(&name) else {
                continue;
            };
            let sight = self.sight(Place::Node(at), node);
            if last == Some(sight) || self.nodes[at.0].life != life {
                continue;
            }
            self.nodes[at.0].guarding.insert(name.clone(), Some(sight));
            let saw = Report::GuardSaw {
                guarded: name,
                sight,
            };
            self.agent_step(at, Input::Observed(Observation::Seen(saw)))?;
        }
        Ok(())
    }

    /// Checks what it watches of other nodes, and reports what looks otherwise.
    pub fn watcher_checks(&mut self, at: NodeAt) -> Held {
        let life = self.nodes[at.0].life;
        for (instance, mut watched) in self.nodes[at.0].watching.clone() {
            let Some(there) = self.node_called(&instance.node) else {
                continue;
            };
            let sight = match self.sight(Place::Node(at), there) {
                Sight::Watching { .. } | Sight::Unwatched { .. } => {
                    let host = &self.nodes[there.0].host;
                    host.seen(&instance, watched.incarnation)
                }
                Sight::Machine | Sight::Nothing => InstanceSight::NotReached,
            };
            if self.nodes[at.0].life != life {
                return Ok(());
            }
            watched.missed = if sight.is_of_it() {
                0
            } else {
                watched.missed + 1
            };
            let in_doubt = !sight.is_of_it() && watched.missed < MISSED_MIN;
            let is_news = !in_doubt && watched.told != Some(sight);
            if is_news {
                watched.told = Some(sight);
            }
            let incarnation = watched.incarnation;
            self.nodes[at.0].watching.insert(instance.clone(), watched);
            if is_news {
                let saw = Report::WatcherSaw {
                    instance,
                    incarnation,
                    sight,
                };
                self.agent_step(at, Input::Observed(Observation::Seen(saw)))?;
            }
        }
        Ok(())
    }

    pub fn node_called(&self, name: &NodeName) -> Option<NodeAt> {
        let at = self.nodes.iter().position(|node| node.name == *name);
        at.map(NodeAt)
    }
}
