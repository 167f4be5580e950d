//! What nodes and people do in the world.

use mainstay_coordinator::{Answer, Event, GoneWhy, Operation, StartOn, StartPlacement, Ticket};
use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{CommandOutcome, Ending, LiveState, Presence, Report};
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, NodeName, PlacementName};
use mainstay_resource_graph::{View, ViewExt};

use super::World;
use crate::harness::types::{at, node_name, slot, type_name};
use crate::harness::wishes;

impl World {
    /// The node's agent opens a session.
    pub fn up(&mut self, node: &str) {
        // Of a node that was removed nothing is known: what lives there is a stray, and has its name.
        let is_new = self.graph().node(&node_name(node)).is_none();
        let scripted = self.node(&node_name(node));
        scripted.muted = false;
        if is_new {
            let live = scripted
                .digest
                .iter()
                .filter(|(_, entry)| entry.live.is_some());
            let live: Vec<_> = live.map(|(key, _)| key.clone()).collect();
            scripted.strays.extend(live);
        }
        let event = Event::NodeUp {
            up: Box::new(scripted.node_up()),
            minted: scripted.minted(),
        };
        self.core.enqueue(event, None).unwrap();
        self.run();
    }

    /// The session closes.
    pub fn gone(&mut self, node: &str) {
        let scripted = self.node(&node_name(node));
        scripted.connected = false;
        let event = Event::AgentGone {
            node: scripted.name.clone(),
            agent_run: Some(scripted.agent_run()),
            why: GoneWhy::SessionClosed,
        };
        self.core.enqueue(event, None).unwrap();
        self.run();
    }

    /// The agent process ended, and its next life introduces itself. With its file it knows what became of what it
    /// hosted, and says so.
    pub fn agent_restarts(&mut self, node: &str, keeps_file: bool) {
        let name = node_name(node);
        self.gone(node);
        let scripted = self.node(&name);
        let lived: Vec<_> = scripted
            .digest
            .iter()
            .filter_map(|(key, entry)| Some((key.clone(), entry.live.clone()?)))
            .collect();
        let open: Vec<Command> = scripted.open.values().cloned().collect();
        scripted.restart(keeps_file);
        if keeps_file {
            for (instance, live) in lived {
                scripted.note(Report::Failed {
                    instance,
                    incarnation: live.incarnation,
                    kind: FailureKind::AgentEnded,
                    presence: Presence::Gone,
                    evidence: Evidence::text("the agent process that hosted it ended"),
                });
            }
            for command in open {
                let outcome = match command.order {
                    Order::Start(_) => CommandOutcome::Done,
                    Order::Stop(_)
                    | Order::Reconfigure(_)
                    | Order::Answer(_)
                    | Order::Adopt(_)
                    | Order::Work(_)
                    | Order::TakeBack(_) => CommandOutcome::NotRunning,
                };
                scripted.note(Report::CommandDone {
                    command: command.id,
                    outcome,
                });
            }
        }
        self.up(node);
    }

    /// Something of this count runs on its node, and nobody here started it.
    pub fn runs_stray(&mut self, instance: &InstanceKey, count: u64) {
        let known = self.graph().instance(instance);
        let incarnation = Incarnation {
            count,
            ..known.map_or_else(Incarnation::default, |known| known.incarnation)
        };
        let scripted = self.scripted(instance.node.as_str());
        scripted.set_live(instance, incarnation, Some(LiveState::Running));
        scripted.strays.insert(instance.clone());
    }

    /// The instance is up with the configuration it was started with, and its Start is answered.
    pub fn started_as(&mut self, instance: &InstanceKey, incarnation: Incarnation) {
        self.says_started(instance, incarnation);
        self.answer(&instance.to_string(), &CommandOutcome::Done, is_start);
    }

    /// As above, and the answer to its Start is still to come.
    pub fn says_started(&mut self, instance: &InstanceKey, incarnation: Incarnation) {
        let ordered = self
            .node(&instance.node)
            .received
            .iter()
            .rev()
            .find_map(|command| match &command.order {
                Order::Start(start) if start.instance == *instance => Some(start.config.clone()),
                Order::Start(_)
                | Order::Stop(_)
                | Order::Reconfigure(_)
                | Order::Answer(_)
                | Order::Adopt(_)
                | Order::Work(_)
                | Order::TakeBack(_) => None,
            });
        let report = Report::Started {
            instance: instance.clone(),
            incarnation,
            version: "1.0.0".to_owned(),
            config: ordered.unwrap_or_else(|| "{}".to_owned()),
            process: Vec::new(),
            ports: self.node(&instance.node).ports.clone(),
        };
        self.report(report, instance.node.as_str());
    }

    pub fn started(&mut self, reference: &str) {
        self.started_as(&at(reference), self.incarnation(reference));
    }

    /// Everything that is to start on a node does, turn after turn.
    pub fn starts_all(&mut self, node: &str) {
        loop {
            let open = self.node(&node_name(node)).open.values();
            let starts: Vec<Command> = open
                .filter(|command| is_start(&command.order))
                .cloned()
                .collect();
            if starts.is_empty() {
                return;
            }
            for command in starts {
                let Order::Start(start) = command.order else {
                    continue;
                };
                let scripted = self.node(&node_name(node));
                scripted.note(Report::Started {
                    instance: start.instance,
                    incarnation: start.incarnation,
                    version: "1.0.0".to_owned(),
                    config: start.config,
                    process: Vec::new(),
                    ports: Default::default(),
                });
                scripted.note(Report::CommandDone {
                    command: command.id,
                    outcome: CommandOutcome::Done,
                });
            }
            self.send_what_is_left(node);
        }
    }

    pub fn failed(&mut self, reference: &str, kind: FailureKind, presence: Presence, text: &str) {
        let report = Report::Failed {
            instance: at(reference),
            incarnation: self.incarnation(reference),
            kind,
            presence,
            evidence: Evidence::text(text),
        };
        self.report(report, at(reference).node.as_str());
    }

    /// Panics, and is gone.
    pub fn panics(&mut self, reference: &str, text: &str) {
        self.failed(reference, FailureKind::Panic, Presence::Gone, text);
    }

    pub fn ended(&mut self, reference: &str, ending: Ending) {
        let report = Report::Ended {
            instance: at(reference),
            incarnation: self.incarnation(reference),
            ending,
        };
        self.report(report, at(reference).node.as_str());
        self.answer(reference, &CommandOutcome::Done, |_| true);
    }

    /// The last frame once more, acknowledged or not.
    pub fn send_again(&mut self, node: &str) {
        let frame = self.last_frame.get(&node_name(node)).cloned();
        if let Some(frame) = frame {
            let _ = self.core.enqueue(frame, None);
        }
        self.run();
    }

    /// The agent writes a report down and sends what is not acknowledged, if it can.
    pub fn report(&mut self, report: Report, node: &str) {
        let name = node_name(node);
        self.node(&name).note(report);
        self.send_unacknowledged(&name);
        self.run();
    }

    /// The frame of everything unacknowledged, twice in a row.
    pub fn report_twice(&mut self, report: Report, node: &str) {
        let name = node_name(node);
        self.node(&name).note(report);
        self.send_unacknowledged(&name);
        self.send_unacknowledged(&name);
        self.run();
    }

    /// Answers the open commands about an instance that `which` chooses.
    pub fn answer(&mut self, reference: &str, outcome: &CommandOutcome, which: fn(&Order) -> bool) {
        let instance = at(reference);
        let scripted = self.node(&instance.node);
        let open: Vec<CommandId> = scripted
            .open
            .values()
            .filter(|command| *command.order.instance().0 == instance && which(&command.order))
            .map(|command| command.id)
            .collect();
        for command in open {
            scripted.note(Report::CommandDone {
                command,
                outcome: outcome.clone(),
            });
        }
        self.send_unacknowledged(&instance.node);
        self.run();
    }

    // People.

    pub fn operate(&mut self, operation: Operation) -> Answer {
        let ticket = self.ask(operation);
        self.run();
        self.answers.get(&ticket).cloned().expect("it is answered")
    }

    /// Puts an operation in line; its answer comes when it is committed.
    pub fn ask(&mut self, operation: Operation) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.core
            .enqueue(Event::operator(operation, "ada"), Some(ticket))
            .unwrap();
        ticket
    }

    pub fn start(&mut self, service_type: &str, name: &str, on: &str) -> Answer {
        self.operate(start(service_type, name, on, None, ""))
    }

    /// Puts a stop in line and lets the core take it.
    pub fn stop_in_line(&mut self, instance: &str) {
        self.ask(Operation::Stop {
            instance: at(instance),
        });
        self.run();
    }

    pub fn start_holding(
        &mut self,
        service_type: &str,
        name: &str,
        on: &str,
        holds: &str,
    ) -> Answer {
        self.operate(start(service_type, name, on, Some(holds), ""))
    }

    pub fn stop(&mut self, instance: &str) -> Answer {
        self.operate(Operation::Stop {
            instance: at(instance),
        })
    }

    pub fn could_not_start(&mut self, reference: &str, refused: RefusedStart, text: &str) {
        let instance = at(reference);
        let incarnation = self.incarnation(reference);
        let node = instance.node.clone();
        let report = Report::CouldNotStart {
            instance,
            incarnation,
            refused,
            text: text.to_owned(),
        };
        self.report(report, node.as_str());
        self.answer(reference, &CommandOutcome::Done, is_start);
    }

    pub fn health_ok(&mut self, reference: &str) {
        self.report_health(reference, Health::Ok, "");
    }

    pub fn report_health(&mut self, reference: &str, health: Health, detail: &str) {
        let instance = at(reference);
        let incarnation = self.incarnation(reference);
        let node = instance.node.clone();
        let detail = detail.to_owned();
        self.report(
            Report::HealthChanged {
                instance,
                incarnation,
                health,
                detail,
            },
            node.as_str(),
        );
    }

    /// Checks missed in a row, of three.
    pub fn misses(&mut self, reference: &str, missed: u32, detail: &str) {
        let instance = at(reference);
        let incarnation = self.incarnation(reference);
        let node = instance.node.clone();
        let detail = detail.to_owned();
        self.report(
            Report::Unresponsive {
                instance,
                incarnation,
                missed,
                limit: 3,
                detail,
            },
            node.as_str(),
        );
    }

    /// Sends what is written down and not acknowledged.
    pub fn send_what_is_left(&mut self, node: &str) {
        self.send_unacknowledged(&node_name(node));
        self.run();
    }

    pub fn graph_instances(&self, node: &NodeName) -> Vec<InstanceKey> {
        self.graph().instances_on(node)
    }

    pub fn connected(&self) -> Vec<String> {
        self.nodes
            .values()
            .filter(|node| node.connected)
            .map(|node| node.name.to_string())
            .collect()
    }

    /// A change of leader after which every node that had a session opens one again.
    pub fn fail_over_with_sessions(&mut self) {
        let nodes = self.connected();
        self.fail_over();
        nodes.iter().for_each(|node| self.up(node));
    }
}

/// `on` is a list of nodes, or `all`.
pub fn start(
    service_type: &str,
    name: &str,
    on: &str,
    holds: Option<&str>,
    config: &str,
) -> Operation {
    let on = match (on, wishes::count(on)) {
        ("all", _) => StartOn::All,
        (_, Some(count)) => StartOn::Count(count),
        (nodes, None) => StartOn::Nodes(nodes.split(',').map(node_name).collect()),
    };
    Operation::Start(StartPlacement {
        service_type: type_name(service_type),
        name: PlacementName::new(name).unwrap(),
        holds: holds.map(slot),
        on,
        config: config.to_owned(),
    })
}

pub fn is_start(order: &Order) -> bool {
    matches!(order, Order::Start(_))
}

pub fn is_change(order: &Order) -> bool {
    matches!(order, Order::Reconfigure(_))
}

pub fn is_stop(order: &Order) -> bool {
    matches!(order, Order::Stop(_))
}
