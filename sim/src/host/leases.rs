//! Leases of simulated services: the hold beside each ends it when its own has run out, whoever lives there.

use mainstay_protocol::Epoch;
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::{Presence, Report};
use mainstay_supervisor::Observation;

use super::{Act, Actor, ActorId, MS};
use crate::fault::Fault;
use crate::happening::{Happening, NodeAt};
use crate::invariant::{one_singleton, room};
use crate::trace;
use crate::world::{Held, World};

/// As the hold knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    Until {
        ms: u64,
    },
    /// Past for ever: its stop is under way.
    Over,
    /// Nothing of it is left; its agent may not know yet.
    Dead,
}

impl Actor {
    pub fn is_dead(&self) -> bool {
        self.lease == Some(Lease::Dead)
    }
}

impl World {
    /// What a node starts counts from the renewal that let it.
    pub(super) fn lease_begins(&mut self, at: NodeAt, id: ActorId) {
        let node = &mut self.nodes[at.0];
        let from_ms = node.renewed.map_or(0, |(from_ms, _)| from_ms);
        if let Some(actor) = node.host.actors.get_mut(&id)
            && let Some(lease) = actor.start.lease
        {
            let ms = from_ms + lease.ms;
            actor.lease = Some(Lease::Until { ms });
            self.lease_ends_at(at, id, ms);
        }
    }

    fn lease_ends_at(&mut self, node: NodeAt, actor: ActorId, at_ms: u64) {
        let boot = self.nodes[node.0].boot;
        let ends = Happening::LeaseEnds { node, boot, actor };
        self.queue.put((at_ms * MS).max(self.now), ends);
    }

    pub fn host_renews(&mut self, at: NodeAt, from_ms: u64, epoch: Epoch) {
        let node = &mut self.nodes[at.0];
        node.renewed = node.renewed.max(Some((from_ms, epoch)));
        let mut longer = Vec::new();
        for (id, actor) in &mut node.host.actors {
            let (Some(lease), Some(Lease::Until { ms })) = (actor.start.lease, &mut actor.lease)
            else {
                continue;
            };
            if lease.epoch == epoch && from_ms + lease.ms > *ms {
                *ms = from_ms + lease.ms;
                longer.push((*id, *ms));
            }
        }
        for (id, ms) in longer {
            self.lease_ends_at(at, id, ms);
        }
    }

    /// Not put off for an agent that stands still: its hold does not.
    pub fn lease_ends(&mut self, at: NodeAt, boot: u64, id: ActorId) {
        let now_ms = self.now_ms();
        let node = &mut self.nodes[at.0];
        let Some(actor) = node.host.actors.get_mut(&id).filter(|_| node.boot == boot) else {
            return;
        };
        match actor.lease {
            Some(Lease::Until { ms }) if ms <= now_ms => {
                actor.lease = Some(Lease::Over);
                let most = actor.start.lease.map_or(0, |lease| lease.stop_ms);
                let after = self.dice.between(most / 2, most) * MS;
                let node = at;
                let ends = Happening::LeaseEnds {
                    node,
                    boot,
                    actor: id,
                };
                self.queue.put(self.now + after, ends);
            }
            Some(Lease::Over) => self.dies_of_lease(at, id),
            Some(Lease::Until { .. } | Lease::Dead) | None => {}
        }
    }

    fn dies_of_lease(&mut self, at: NodeAt, id: ActorId) {
        self.counts.fault(Fault::LeaseRanOut);
        let node = &mut self.nodes[at.0];
        let Some(actor) = node.host.actors.get_mut(&id) else {
            return;
        };
        actor.lease = Some(Lease::Dead);
        let start = &actor.start;
        let failed = Observation::Seen(Report::Failed {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            kind: FailureKind::LeaseRanOut,
            presence: Presence::Gone,
            evidence: Evidence::text("its lease ran out"),
        });
        trace!(
            self,
            "the lease of {}#{} runs out", start.instance, start.incarnation
        );
        // Whoever is there hears of it; who comes later does not find it.
        if self.nodes[at.0].core.is_none() {
            self.nodes[at.0].host.actors.remove(&id);
        }
        self.host_later(at, MS, id, Act::Gone(failed));
    }

    /// It begins beside what lives on its node.
    pub(super) fn has_room(&self, at: NodeAt, id: ActorId) -> Held {
        let node = &self.nodes[at.0];
        let new = &node.host.actors[&id];
        let others = node.host.actors.iter();
        let others = others.filter(|(other, _)| **other != id);
        room::begins(
            (&node.name, node.offers),
            new,
            others.map(|(_, other)| other),
        )
    }

    /// At most one of a singleton runs in the whole cluster.
    pub(super) fn is_only_one(&self, at: NodeAt, id: ActorId) -> Held {
        let new = &self.nodes[at.0].host.actors[&id];
        let all = self.nodes.iter().flat_map(|node| node.host.actors.values());
        one_singleton::begins(new, all.filter(|other| !std::ptr::eq(*other, new)))
    }
}
