//! Operators: they give orders, keep their own books of what they were promised, and ask again when an answer
//! does not come.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::{
    Answer, Apply, BasedOn, Change, Event, Operation, PlacementWish, Reconfigure, StartOn,
    StartPlacement, Ticket,
};
use mainstay_protocol::code;
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Revision};
use mainstay_resource_graph::{DependsUntil, Desired, RestartPolicy, Strategy, Target, Update};

use crate::fault::Fault;
use crate::happening::Happening;
use crate::plan::{BAD_CONFIG, BAD_START, BASE, PLACEMENTS, TAIL, Wanted};
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;

/// An order that was given and not definitely answered.
#[derive(Debug, Clone)]
pub struct Order {
    operation: Operation,
    placement: String,
    ticket: Option<Ticket>,
    /// It may have been taken although nobody said so.
    pub in_doubt: bool,
}

#[derive(Debug, Default)]
pub struct Operators {
    pub orders: BTreeMap<u64, Order>,
    given: u64,
    tickets: u64,
    books: BTreeMap<InstanceKey, Page>,
    pub newest: Revision,
    pub placed: BTreeMap<String, bool>,
}

/// What an operator may rely on for one instance.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The one thing promised last, and whatever was asked since without an answer.
    pub possible: BTreeSet<Desired>,
    /// Revision of the promise.
    pub promised: Option<Revision>,
}

impl Operators {
    pub fn books(&self) -> &BTreeMap<InstanceKey, Page> {
        &self.books
    }

    fn busy(&self, placement: &str) -> bool {
        self.orders
            .values()
            .any(|order| order.placement == placement)
    }
}

fn wish(operation: &Operation) -> Option<Desired> {
    match operation {
        Operation::Start(_) | Operation::Restart { .. } => Some(Desired::Running),
        Operation::Stop { .. } => Some(Desired::Stopped),
        Operation::Clear { .. }
        | Operation::Requeue { .. }
        | Operation::Drop { .. }
        | Operation::Answer { .. }
        | Operation::DisableRule { .. }
        | Operation::EnableRule { .. }
        | Operation::Apply(_)
        | Operation::Reconfigure(_)
        | Operation::Rollback { .. }
        | Operation::SafeStart { .. }
        | Operation::CreateToken(_)
        | Operation::RevokeToken { .. }
        | Operation::UseToken(_)
        | Operation::RevokeIdentity { .. }
        | Operation::SetSecret { .. } => None,
    }
}

impl World {
    pub fn operator_acts(&mut self) -> Held {
        if self.calm {
            return Ok(());
        }
        let after = self.dice.between(50, self.plan.orders_ms_max) * MS;
        self.queue.put(self.now + after, Happening::OperatorActs);
        let (placement, operation) = if self.dice.per_mille(300) {
            let placement = *self.dice.pick(&[BASE, TAIL]).expect("there are two");
            (placement, None)
        } else {
            let at = self.dice.below(PLACEMENTS.len() as u64) as usize;
            (PLACEMENTS[at].placement, Some(&PLACEMENTS[at]))
        };
        // One order at a time for each placement: which of two came last is not to be guessed.
        if self.operators.busy(placement) {
            return Ok(());
        }
        let operation = match operation {
            Some(wanted) => self.think_of(wanted),
            None => self.think_of_whole(placement),
        };
        self.operators.given += 1;
        let number = self.operators.given;
        let order = Order {
            operation,
            placement: placement.to_owned(),
            ticket: None,
            in_doubt: false,
        };
        self.operators.orders.insert(number, order);
        self.give(number)
    }

    /// One that is told beforehand.
    pub fn order(&mut self, operation: Operation) -> Held {
        self.operators.given += 1;
        let number = self.operators.given;
        let order = Order {
            operation,
            placement: String::new(),
            ticket: None,
            in_doubt: false,
        };
        self.operators.orders.insert(number, order);
        self.give(number)
    }

    fn think_of(&mut self, wanted: &Wanted) -> Operation {
        let node = NodeName::new(format!(
            "n{}",
            self.dice.between(1, self.nodes.len() as u64)
        ))
        .expect("a name");
        let instance = InstanceKey::new(node.clone(), wanted.placement.parse().expect("a name"));
        match self.dice.below(10) {
            0..=4 => {
                let on = if self.dice.per_mille(300) {
                    StartOn::All
                } else {
                    StartOn::Nodes([node].into())
                };
                if self
                    .operators
                    .placed
                    .keys()
                    .any(|other| other != wanted.placement && collide(other, wanted.placement))
                {
                    self.counts.fault(Fault::NamesCollide);
                }
                self.operators
                    .placed
                    .insert(wanted.placement.to_owned(), true);
                Operation::Start(StartPlacement {
                    service_type: wanted.service_type.parse().expect("a name"),
                    name: wanted.placement.parse().expect("a name"),
                    holds: wanted.holds.map(|name| name.parse().expect("a name")),
                    on,
                    config: String::new(),
                })
            }
            5 | 6 => Operation::Stop { instance },
            7 => Operation::Restart { instance },
            8 => Operation::Clear { instance },
            _ => Operation::Reconfigure(Reconfigure {
                placement: wanted.placement.parse().expect("a name"),
                config: self.some_config(),
                on: None,
                based_on: BasedOn::Anything,
            }),
        }
    }

    /// Some are no good, whatever else happens: `decide_start` reads them.
    fn some_config(&mut self) -> String {
        let size = self.dice.below(4);
        match self.dice.below(8) {
            0 => format!(r#"{{"size":{size},"bad":"{}"}}"#, BAD_CONFIG),
            1 => format!(r#"{{"size":{size},"bad":"{}"}}"#, BAD_START),
            _ => format!(r#"{{"size":{size}}}"#),
        }
    }

    /// Whole wishes: put, changed everywhere or on one node first, taken back, deleted.
    fn think_of_whole(&mut self, name: &'static str) -> Operation {
        let node = NodeName::new(format!(
            "n{}",
            self.dice.between(1, self.nodes.len() as u64)
        ))
        .expect("a name");
        let placement: PlacementName = name.parse().expect("a name");
        match self.dice.below(12) {
            0..=4 => {
                let config = self.some_config();
                let wish = self.whole_wish(placement, node, config);
                Operation::Apply(Apply {
                    changes: vec![Change::Put {
                        wish: Box::new(wish),
                        based_on: BasedOn::Anything,
                    }],
                    settings: None,
                })
            }
            5..=7 => Operation::Reconfigure(Reconfigure {
                placement,
                config: self.some_config(),
                on: self.dice.per_mille(300).then(|| [node].into()),
                based_on: BasedOn::Anything,
            }),
            8 => Operation::Rollback {
                placement,
                to: None,
                based_on: BasedOn::Anything,
            },
            9 => Operation::SafeStart {
                instance: InstanceKey::new(node, placement),
            },
            10 => Operation::Stop {
                instance: InstanceKey::new(node, placement),
            },
            _ => Operation::Apply(Apply {
                changes: vec![Change::Delete {
                    placement,
                    based_on: BasedOn::Anything,
                }],
                settings: None,
            }),
        }
    }

    fn whole_wish(&mut self, name: PlacementName, node: NodeName, config: String) -> PlacementWish {
        let until = if self.dice.per_mille(500) {
            DependsUntil::Healthy
        } else {
            DependsUntil::Started
        };
        let depends_on = if name.as_str() == TAIL {
            [(BASE.parse().expect("a name"), until)].into()
        } else {
            BTreeMap::new()
        };
        let target = if self.dice.per_mille(700) {
            Target::All(BTreeMap::new())
        } else {
            Target::Nodes([node].into())
        };
        let strategy = match self.dice.below(3) {
            0 => Strategy::All,
            1 => Strategy::Canary,
            _ => Strategy::Rolling {
                at_once: self.dice.between(1, 2) as u32,
            },
        };
        PlacementWish {
            name,
            service_type: "flaky".parse().expect("a name"),
            holds: None,
            target,
            config,
            policy: RestartPolicy::default(),
            restart_group: self
                .dice
                .per_mille(500)
                .then(|| "shop".parse().expect("a name")),
            depends_on,
            update: Update {
                strategy,
                rollback: self.dice.per_mille(800),
                wait_ms: self.dice.below(3) * 1000,
            },
        }
    }

    fn give(&mut self, number: u64) -> Held {
        self.operators.tickets += 1;
        let ticket = Ticket(self.operators.tickets);
        let Some(order) = self.operators.orders.get_mut(&number) else {
            return Ok(());
        };
        order.ticket = Some(ticket);
        let operation = order.operation.clone();
        trace!(self, "operators ask {operation:?}");
        // From now on it may take effect.
        self.note(&operation, None);
        match self.enqueue(Event::Operator(operation), Some(ticket)) {
            Ok(()) => self.pump(),
            Err(_) => {
                // Nobody took it; in doubt it remains if an earlier try was.
                if let Some(order) = self.operators.orders.get_mut(&number) {
                    order.ticket = None;
                }
                self.ask_again_later(number);
                Ok(())
            }
        }
    }

    fn ask_again_later(&mut self, order: u64) {
        let after = self.dice.between(200, 1500) * MS;
        self.queue
            .put(self.now + after, Happening::OperatorTriesAgain { order });
    }

    pub fn operator_tries_again(&mut self, number: u64) -> Held {
        match self.operators.orders.get(&number) {
            Some(order) if order.ticket.is_none() => self.give(number),
            _ => Ok(()),
        }
    }

    /// Whoever waits for an answer does not know what became of the order.
    pub fn operators_lose_station(&mut self) {
        let waiting: Vec<u64> = self
            .operators
            .orders
            .iter()
            .filter(|(_, order)| order.ticket.is_some())
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            self.in_doubt(number);
        }
    }

    fn in_doubt(&mut self, number: u64) {
        let Some(order) = self.operators.orders.get_mut(&number) else {
            return;
        };
        order.ticket = None;
        order.in_doubt = true;
        let operation = order.operation.clone();
        self.note(&operation, None);
        self.ask_again_later(number);
    }

    /// Writes a promise, or a doubt, into the books.
    fn note(&mut self, operation: &Operation, promised: Option<Revision>) {
        let Some(desired) = wish(operation) else {
            return;
        };
        // Where whole wishes change, targets do too: nothing is promised for one instance.
        if let Operation::Stop { instance } = operation
            && [BASE, TAIL].contains(&instance.placement.as_str())
        {
            return;
        }
        let instances: Vec<InstanceKey> = match operation {
            Operation::Start(start) => {
                let nodes: Vec<NodeName> = match &start.on {
                    StartOn::Nodes(nodes) => nodes.iter().cloned().collect(),
                    StartOn::All => self.known_nodes(),
                };
                nodes
                    .into_iter()
                    .map(|node| InstanceKey::new(node, start.name.clone()))
                    .collect()
            }
            Operation::Stop { instance }
            | Operation::Restart { instance }
            | Operation::Clear { instance } => vec![instance.clone()],
            Operation::Requeue { .. }
            | Operation::Drop { .. }
            | Operation::Answer { .. }
            | Operation::DisableRule { .. }
            | Operation::EnableRule { .. }
            | Operation::Apply(_)
            | Operation::Reconfigure(_)
            | Operation::Rollback { .. }
            | Operation::SafeStart { .. }
            | Operation::CreateToken(_)
            | Operation::RevokeToken { .. }
            | Operation::UseToken(_)
            | Operation::RevokeIdentity { .. }
            | Operation::SetSecret { .. } => Vec::new(),
        };
        for instance in instances {
            let page = self.operators.books.entry(instance).or_default();
            if promised.is_some() {
                page.possible.clear();
                page.promised = promised;
            }
            page.possible.insert(desired);
        }
    }

    fn known_nodes(&self) -> Vec<NodeName> {
        let Some(core) = self.station.core.as_ref() else {
            return self.nodes.iter().map(|node| node.name.clone()).collect();
        };
        self.oracle.nodes_of(core.graph())
    }

    pub fn answered(&mut self, ticket: Ticket, answer: Answer) -> Held {
        let Some(number) = self
            .operators
            .orders
            .iter()
            .find(|(_, order)| order.ticket == Some(ticket))
            .map(|(number, _)| *number)
        else {
            return Ok(());
        };
        let operation = self.operators.orders[&number].operation.clone();
        match answer {
            Ok(accepted) => {
                if !self.calm && self.dice.per_mille(80) {
                    self.counts.fault(Fault::AnswerLost);
                    self.in_doubt(number);
                    return Ok(());
                }
                self.counts.answers += 1;
                trace!(self, "operators are promised: {}", accepted.text);
                self.note(&operation, Some(accepted.revision));
                self.operators.newest = self.operators.newest.max(accepted.revision);
                self.operators.orders.remove(&number);
                self.promise(&operation, &accepted)
            }
            Err(refusal) if refusal.code == code::NO_QUORUM => {
                self.in_doubt(number);
                Ok(())
            }
            Err(refusal) => {
                trace!(self, "operators are refused: {}", refusal.text);
                self.counts.refusals += 1;
                self.operators.orders.remove(&number);
                Ok(())
            }
        }
    }
}

fn collide(one: &str, other: &str) -> bool {
    let name = |placement: &str| {
        PLACEMENTS
            .iter()
            .find(|wanted| wanted.placement == placement)
            .map(|wanted| match wanted.service_type {
                "greeter" => "greeter",
                _ => wanted.holds.unwrap_or(wanted.placement),
            })
    };
    name(one) == name(other)
}
