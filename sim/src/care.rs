//! People who work on nodes: one is cordoned, drained, in maintenance for a while, and everything else happens meanwhile.
//! When nothing breaks any more they lift what they have said.
//!
//! Their dice are their own: in two of three storms nobody does, and those take the course they would take without them.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_coordinator::{
    Apply, BasedOn, Change, Maintain, NodeAct, Operation, PlacementWish, WorkedOn,
};
use mainstay_protocol::{InstanceKey, NodeName};
use mainstay_resource_graph::{
    Count, Escalate, RestartPolicy, Singleton, Target, Update, View, ViewExt,
};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::happening::Happening;
use crate::plan::{OUTSIDE, SO_MANY, some_needs};
use crate::world::{Held, World};

const MS: u64 = 1000;

#[derive(Debug)]
pub struct Carers {
    dice: Dice,
    pub wanted: bool,
    /// A singleton is gone only when its machine was off.
    fence: bool,
}

impl Carers {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed ^ 0x6361_7265_7273_2121),
            wanted: seed.is_multiple_of(3),
            fence: !seed.is_multiple_of(4),
        }
    }

    fn think(&mut self, node: NodeName) -> (Fault, Operation) {
        let why = "work on it".to_owned();
        match self.dice.below(9) {
            8 => {
                let force = self.dice.per_mille(700);
                let act = NodeAct::Restart { why, force };
                (Fault::NodeToBeRestarted, say_of(node, act))
            }
            0 => (Fault::NodeCordoned, say_of(node, NodeAct::Cordon { why })),
            1 | 2 => {
                let force = self.dice.per_mille(700);
                let act = NodeAct::Drain { why, force };
                (Fault::NodeDrained, say_of(node, act))
            }
            3 | 4 => {
                let within = self.dice.per_mille(800).then(|| {
                    let ms = self.dice.between(1_000, 12_000);
                    Duration::from_millis(ms)
                });
                let of = match self.dice.below(8) {
                    0 => WorkedOn::EveryNode,
                    1 | 2 => WorkedOn::Placement(SO_MANY.parse().expect("a name")),
                    _ => WorkedOn::Node(node),
                };
                let on = maintenance(of, Some(Maintain { why, within }));
                (Fault::NodeMaintained, on)
            }
            5 => {
                let over = maintenance(WorkedOn::Node(node), None);
                (Fault::NodeReleased, over)
            }
            _ => (Fault::NodeReleased, say_of(node, NodeAct::Uncordon)),
        }
    }
}

fn say_of(node: NodeName, act: NodeAct) -> Operation {
    Operation::Node {
        node,
        act,
        by: "ada".to_owned(),
    }
}

fn maintenance(of: WorkedOn, on: Option<Maintain>) -> Operation {
    Operation::Maintenance {
        of,
        on,
        by: "ada".to_owned(),
    }
}

fn so_many(count: u32) -> Operation {
    wanted(PlacementWish {
        name: SO_MANY.parse().expect("a name"),
        service_type: "flaky".parse().expect("a name"),
        holds: None,
        target: Target::Count(Count::of(count)),
        config: String::new(),
        policy: elsewhere_if_it_must(),
        restart_group: None,
        singleton: None,
        needs: some_needs(2),
        minimum: 0,
        depends_on: BTreeMap::new(),
        update: Update::default(),
    })
}

fn elsewhere_if_it_must() -> RestartPolicy {
    RestartPolicy {
        replace_isolated_ms: Some(1_500),
        escalate: Escalate::Move,
        watched_from: 2,
        ..RestartPolicy::default()
    }
}

/// At most one of it, wherever it can be.
fn only_one(outside: bool, fenced: bool) -> Operation {
    let service_type = if outside { OUTSIDE } else { "flaky" };
    wanted(PlacementWish {
        name: format!("only-{service_type}").parse().expect("a name"),
        service_type: service_type.parse().expect("a name"),
        holds: None,
        target: Target::Count(Count::of(1)),
        config: String::new(),
        // Its lease ends where it is cut off.
        policy: RestartPolicy::default(),
        restart_group: None,
        singleton: Some(Singleton {
            lease_ms: 3_000,
            fenced,
        }),
        needs: Default::default(),
        minimum: 0,
        depends_on: BTreeMap::new(),
        update: Update::default(),
    })
}

fn wanted(wish: PlacementWish) -> Operation {
    Operation::Apply(Apply {
        changes: vec![Change::Put {
            wish: Box::new(wish),
            based_on: BasedOn::Anything,
        }],
        settings: None,
    })
}

impl World {
    /// Somebody says that a node is dead, and it is not: it only was away. Of one with a singleton that would be a promise
    /// broken by people.
    fn confirms_dead(&mut self) -> Held {
        let mut nodes = self.nodes.iter();
        let away = nodes.find(|node| node.link.is_none() && !node.host.has_leases());
        let Some(node) = away.map(|node| node.name.clone()) else {
            return Ok(());
        };
        self.counts.fault(Fault::NodeSaidDead);
        let why = "it does not answer".to_owned();
        self.order(say_of(node, NodeAct::ConfirmDead { why }))
    }

    /// One of so many, or the only one, is to run elsewhere.
    fn moves_one(&mut self) -> Held {
        let at = self.carers.dice.below(self.nodes.len() as u64) as usize;
        let to = self.nodes[at].name.clone();
        let graph = self.oracle.mirror();
        let names = [SO_MANY, "only-flaky"].map(|name| name.parse().expect("a name"));
        let known = names.iter().flat_map(|name| graph.instances_of(name));
        let known: Vec<InstanceKey> = known.collect();
        let Some(instance) = self.carers.dice.pick(&known).cloned() else {
            return Ok(());
        };
        self.counts.fault(Fault::InstanceMoved);
        self.order(Operation::Move {
            instance,
            to,
            by: "ada".to_owned(),
        })
    }

    pub fn carer_acts(&mut self) -> Held {
        if self.calm {
            return Ok(());
        }
        let carers = &mut self.carers;
        let after = carers.dice.between(500, 6_000) * MS;
        self.queue.put(self.now + after, Happening::CarerActs);
        match carers.dice.below(10) {
            8 | 9 => {
                let outside = carers.dice.per_mille(700);
                let fenced = carers.fence;
                self.order(only_one(outside, fenced))
            }
            0 | 1 => {
                let count = carers.dice.between(1, 4) as u32;
                self.order(so_many(count))
            }
            2 => self.confirms_dead(),
            3 => self.moves_one(),
            _ => {
                let at = carers.dice.below(self.nodes.len() as u64) as usize;
                let node = self.nodes[at].name.clone();
                let (fault, operation) = carers.think(node);
                self.counts.fault(fault);
                self.order(operation)
            }
        }
    }

    /// What was said and never answered may still come about after this was called: it is called until nothing is left.
    pub fn carers_finish(&mut self) -> Held {
        if !self.calm || !self.operators.orders.is_empty() {
            return Ok(());
        }
        let graph = self.oracle.mirror();
        let mut lifts = Vec::new();
        for node in &self.nodes {
            let Some(care) = graph.node(&node.name).map(|found| found.care) else {
                continue;
            };
            if care.cordon.is_some() {
                lifts.push(say_of(node.name.clone(), NodeAct::Uncordon));
            }
            if care.maintenance.is_some_and(|on| on.until.is_none()) {
                lifts.push(maintenance(WorkedOn::Node(node.name.clone()), None));
            }
        }
        let so_many = SO_MANY.parse().expect("a name");
        let of_so_many = graph.placement(&so_many).and_then(|one| one.maintenance);
        if of_so_many.is_some_and(|on| on.until.is_none()) {
            lifts.push(maintenance(WorkedOn::Placement(so_many), None));
        }
        for lift in lifts {
            self.order(lift)?;
        }
        Ok(())
    }
}
