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
use crate::group::Place;
use crate::happening::Happening;
use crate::invariant::Violation;
use crate::plan::{BAD_CONFIG, BAD_START, BASE, PLACEMENTS, TAIL, Wanted, some_needs};
use crate::station::StationAt;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;

/// An order that was given and not definitely answered.
#[derive(Debug, Clone)]
pub struct Order {
    operation: Operation,
    placement: String,
    ticket: Option<Ticket>,
    /// Which station was asked, and to which it was passed on.
    asked: StationAt,
    passed_to: Option<StationAt>,
    /// Pages to which this order alone added what it wants.
    hoped: Vec<InstanceKey>,
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
    /// What definite answers there were.
    pub answers: BTreeMap<u64, Answer>,
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
        | Operation::SetSecret { .. }
        | Operation::SetGroup { .. }
        | Operation::RemoveGroup { .. }
        | Operation::Node { .. }
        | Operation::Move { .. }
        | Operation::Orchestrate { .. }
        | Operation::Maintenance { .. } => None,
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
            asked: StationAt(0),
            hoped: Vec::new(),
            passed_to: None,
            in_doubt: false,
        };
        self.operators.orders.insert(number, order);
        self.give(number)
    }

    /// One that is told beforehand.
    pub fn order(&mut self, operation: Operation) -> Held {
        let asked = StationAt(self.dice.below(self.stations.len() as u64) as usize);
        self.order_of(asked, operation).map(drop)
    }

    /// The number of the order that one station is asked for.
    pub fn order_of(&mut self, asked: StationAt, operation: Operation) -> Result<u64, Violation> {
        self.operators.given += 1;
        let number = self.operators.given;
        let order = Order {
            operation,
            placement: String::new(),
            ticket: None,
            asked: StationAt(0),
            hoped: Vec::new(),
            passed_to: None,
            in_doubt: false,
        };
        self.operators.orders.insert(number, order);
        self.gives(number, asked)?;
        Ok(number)
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
            policy: RestartPolicy {
                watched_from: 1,
                ..RestartPolicy::default()
            },
            singleton: None,
            needs: some_needs(self.dice.below(4)),
            minimum: 0,
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

    /// Any station is asked: one that does not lead passes it on, once, or refuses it.
    fn give(&mut self, number: u64) -> Held {
        let asked = StationAt(self.dice.below(self.stations.len() as u64) as usize);
        self.gives(number, asked)
    }

    fn gives(&mut self, number: u64, asked: StationAt) -> Held {
        self.operators.tickets += 1;
        let ticket = Ticket(self.operators.tickets);
        let alive = self.station(asked).core.is_some();
        let leader = self.leader_known_to(asked).filter(|_| alive);
        let Some(order) = self.operators.orders.get_mut(&number) else {
            return Ok(());
        };
        order.ticket = Some(ticket);
        order.asked = asked;
        order.passed_to = leader.filter(|leader| *leader != asked);
        let passed_to = order.passed_to;
        trace!(
            self,
            "operators ask {} for {:?}",
            asked.id(),
            order.operation
        );
        let Some(to) = passed_to else {
            // One that stands still reads it when it goes on.
            if self.station(asked).paused_until > self.now {
                let reads = Happening::OrderPassedOn {
                    station: asked,
                    order: number,
                    ticket,
                };
                self.queue.put(self.now, reads);
                return Ok(());
            }
            return self.order_arrives(asked, number, ticket);
        };
        self.counts.fault(Fault::OrderPassedOn);
        if self.is_cut(Place::Station(asked), Place::Station(to)) {
            self.in_doubt(number);
            return Ok(());
        }
        let arrives = self.now + self.dice.between(200, 3000);
        let passed_on = Happening::OrderPassedOn {
            station: to,
            order: number,
            ticket,
        };
        self.queue.put(arrives, passed_on);
        Ok(())
    }

    pub fn order_arrives(&mut self, at: StationAt, number: u64, ticket: Ticket) -> Held {
        let order = self.operators.orders.get(&number);
        let Some(order) = order.filter(|order| order.ticket == Some(ticket)) else {
            return Ok(());
        };
        let operation = order.operation.clone();
        // From now on it may take effect.
        let hoped = self.note(&operation, None);
        if let Some(order) = self.operators.orders.get_mut(&number) {
            order.hoped.extend(hoped);
        }
        match self.enqueue(at, Event::operator(operation, "ada"), Some(ticket)) {
            Ok(()) => self.pump(at),
            Err(_) => {
                // Nobody took it; in doubt it remains if an earlier try was.
                self.not_taken(number);
                Ok(())
            }
        }
    }

    /// Nothing was changed, it is said: unless an earlier try is in doubt, it must never take effect.
    fn not_taken(&mut self, number: u64) {
        let Some(order) = self.operators.orders.get_mut(&number) else {
            return;
        };
        order.ticket = None;
        let hoped = std::mem::take(&mut order.hoped);
        let (operation, in_doubt) = (order.operation.clone(), order.in_doubt);
        for instance in hoped.into_iter().filter(|_| !in_doubt) {
            if let (Some(page), Some(desired)) =
                (self.operators.books.get_mut(&instance), wish(&operation))
            {
                page.possible.remove(&desired);
            }
        }
        if !self.calm && !in_doubt && self.dice.per_mille(300) {
            self.operators.orders.remove(&number);
            return;
        }
        self.ask_again_later(number);
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
    pub fn operators_lose_station(&mut self, at: StationAt) {
        let waiting: Vec<u64> = self
            .operators
            .orders
            .iter()
            .filter(|(_, order)| order.ticket.is_some())
            .filter(|(_, order)| order.asked == at || order.passed_to == Some(at))
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

    /// Writes a promise, or a doubt, into the books; says on which pages it was not one already.
    fn note(&mut self, operation: &Operation, promised: Option<Revision>) -> Vec<InstanceKey> {
        let Some(desired) = wish(operation) else {
            return Vec::new();
        };
        // Where whole wishes change, targets do too: nothing is promised for one instance.
        if let Operation::Stop { instance } = operation
            && [BASE, TAIL].contains(&instance.placement.as_str())
        {
            return Vec::new();
        }
        let instances: Vec<InstanceKey> = match operation {
            Operation::Start(start) => {
                let nodes: Vec<NodeName> = match &start.on {
                    StartOn::Nodes(nodes) => nodes.iter().cloned().collect(),
                    StartOn::All => self.known_nodes(),
                    // Where they are to be is not for who asks.
                    StartOn::Count(_) => Vec::new(),
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
            | Operation::SetSecret { .. }
            | Operation::SetGroup { .. }
            | Operation::RemoveGroup { .. }
            | Operation::Node { .. }
            | Operation::Move { .. }
            | Operation::Orchestrate { .. }
            | Operation::Maintenance { .. } => Vec::new(),
        };
        let mut added = Vec::new();
        for instance in instances {
            let page = self.operators.books.entry(instance.clone()).or_default();
            if promised.is_some() {
                page.possible.clear();
                page.promised = promised;
            }
            if page.possible.insert(desired) {
                added.push(instance);
            }
        }
        added
    }

    fn known_nodes(&self) -> Vec<NodeName> {
        self.oracle.nodes_of(self.oracle.mirror())
    }

    /// Whether an answer finds its way back past the station that was asked.
    fn is_heard(&self, at: StationAt, order: &Order) -> bool {
        let way = (Place::Station(at), Place::Station(order.asked));
        at == order.asked
            || (self.station(order.asked).core.is_some() && !self.is_cut(way.0, way.1))
    }

    pub fn answered(&mut self, at: StationAt, ticket: Ticket, answer: Answer) -> Held {
        let Some(number) = self
            .operators
            .orders
            .iter()
            .find(|(_, order)| order.ticket == Some(ticket))
            .map(|(number, _)| *number)
        else {
            return Ok(());
        };
        let order = &self.operators.orders[&number];
        let (operation, heard) = (order.operation.clone(), self.is_heard(at, order));
        match answer {
            Ok(accepted) => {
                if !heard || (!self.calm && self.dice.per_mille(80)) {
                    self.counts.fault(Fault::AnswerLost);
                    self.in_doubt(number);
                    return Ok(());
                }
                self.counts.answers += 1;
                trace!(self, "operators are promised: {}", accepted.text);
                self.note(&operation, Some(accepted.revision));
                self.operators.newest = self.operators.newest.max(accepted.revision);
                self.operators.orders.remove(&number);
                let held = self.promise(&operation, &accepted);
                self.operators.answers.insert(number, Ok(accepted));
                held
            }
            Err(refusal) if refusal.code == code::ANSWER_LOST || !heard => {
                self.in_doubt(number);
                Ok(())
            }
            Err(refusal) if refusal.code == code::NO_QUORUM => {
                self.not_taken(number);
                Ok(())
            }
            Err(refusal) => {
                trace!(self, "operators are refused: {}", refusal.text);
                self.counts.refusals += 1;
                self.operators.orders.remove(&number);
                self.operators.answers.insert(number, Err(refusal));
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
