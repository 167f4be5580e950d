//! People who work on nodes: one is cordoned, drained, in maintenance for a while, and everything else happens meanwhile.
//! When nothing breaks any more they lift what they have said.
//!
//! Their dice are their own: in two of three storms nobody does, and those take the course they would take without them.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_coordinator::{Apply, BasedOn, Change, NodeAct, Operation, PlacementWish};
use mainstay_protocol::NodeName;
use mainstay_resource_graph::{Count, RestartPolicy, Singleton, Target, Update, ViewExt};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::happening::Happening;
use crate::plan::{OUTSIDE, SO_MANY};
use crate::world::{Held, World};

const MS: u64 = 1000;

#[derive(Debug)]
pub struct Carers {
    dice: Dice,
    pub wanted: bool,
}

impl Carers {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed ^ 0x6361_7265_7273_2121),
            wanted: seed.is_multiple_of(3),
        }
    }

    fn think(&mut self) -> (Fault, NodeAct) {
        let why = "work on it".to_owned();
        match self.dice.below(8) {
            0 => (Fault::NodeCordoned, NodeAct::Cordon { why }),
            1 | 2 => {
                let force = self.dice.per_mille(700);
                (Fault::NodeDrained, NodeAct::Drain { why, force })
            }
            3 | 4 => {
                let within = self.dice.per_mille(800).then(|| {
                    let ms = self.dice.between(1_000, 12_000);
                    Duration::from_millis(ms)
                });
                (Fault::NodeMaintained, NodeAct::Maintain { why, within })
            }
            5 => (Fault::NodeReleased, NodeAct::EndMaintenance),
            _ => (Fault::NodeReleased, NodeAct::Uncordon),
        }
    }
}

fn so_many(count: u32) -> Operation {
    wanted(PlacementWish {
        name: SO_MANY.parse().expect("a name"),
        service_type: "flaky".parse().expect("a name"),
        holds: None,
        target: Target::Count(Count {
            count,
            on: BTreeMap::new(),
            spread: None,
        }),
        config: String::new(),
        policy: RestartPolicy::default(),
        restart_group: None,
        singleton: None,
        depends_on: BTreeMap::new(),
        update: Update::default(),
    })
}

/// At most one of it, wherever it can be.
fn only_one(outside: bool) -> Operation {
    let service_type = if outside { OUTSIDE } else { "flaky" };
    wanted(PlacementWish {
        name: format!("only-{service_type}").parse().expect("a name"),
        service_type: service_type.parse().expect("a name"),
        holds: None,
        target: Target::Count(Count {
            count: 1,
            on: BTreeMap::new(),
            spread: None,
        }),
        config: String::new(),
        policy: RestartPolicy::default(),
        restart_group: None,
        singleton: Some(Singleton { lease_ms: 3_000 }),
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
    /// Somebody says that a node is dead, and it is not: it only was away.
    fn confirms_dead(&mut self) -> Held {
        let away = self.nodes.iter().find(|node| node.link.is_none());
        let Some(node) = away.map(|node| node.name.clone()) else {
            return Ok(());
        };
        self.counts.fault(Fault::NodeSaidDead);
        let why = "it does not answer".to_owned();
        self.say_of(node, NodeAct::ConfirmDead { why })
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
                self.order(only_one(outside))
            }
            0 | 1 => {
                let count = carers.dice.between(1, 4) as u32;
                self.order(so_many(count))
            }
            2 => self.confirms_dead(),
            _ => {
                let at = carers.dice.below(self.nodes.len() as u64) as usize;
                let (fault, act) = carers.think();
                let node = self.nodes[at].name.clone();
                self.counts.fault(fault);
                self.say_of(node, act)
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
                lifts.push((node.name.clone(), NodeAct::Uncordon));
            }
            if care.maintenance.is_some_and(|on| on.until.is_none()) {
                lifts.push((node.name.clone(), NodeAct::EndMaintenance));
            }
        }
        for (node, act) in lifts {
            self.say_of(node, act)?;
        }
        Ok(())
    }

    fn say_of(&mut self, node: NodeName, act: NodeAct) -> Held {
        self.order(Operation::Node {
            node,
            act,
            by: "ada".to_owned(),
        })
    }
}
