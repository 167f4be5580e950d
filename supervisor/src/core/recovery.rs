//! A new life of the agent on the file of the last one.
//!
//! - Another boot, another node, no file, no readable head: the file is void; only the node's id is kept.
//! - Damage further in (not a torn tail): floors are kept; outbox and ledger are void, because numbers given out
//!   in the lost part must not be given again. The digest of NodeUp tells the coordinator what does not live.
//! - Otherwise: what had begun is reported as `Failed{AgentEnded}`, once, in the order of the instances. Its
//!   Start is answered `Done` (it was carried out; the report says what came of it), its Stops `NotRunning`. A
//!   Start that waited and never began is `Refused`: the coordinator decides again.

use mainstay_protocol::code;
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::{CommandOutcome, Presence, Report};
use mainstay_protocol::{CommandId, Incarnation, InstanceKey};

use super::AgentCore;
use super::state::State;
use crate::file::{FileRecord, OpenOrder, Recovered};

impl AgentCore {
    pub(super) fn recover(&mut self, recovered: Recovered) {
        let ours = (self.identity.node.clone(), self.identity.boot_id.clone());
        let found = recovered.state.head.clone();
        let same_node = found.as_ref().is_some_and(|(node, _)| *node == ours.0);
        if found.as_ref() == Some(&ours) && !recovered.damaged {
            self.state = recovered.state;
            self.conclude_the_past();
        } else {
            self.persist(FileRecord::Head {
                node: ours.0.clone(),
                boot_id: ours.1.clone(),
                node_id: recovered.state.node_id.filter(|_| same_node),
            });
            if found.as_ref() == Some(&ours) {
                self.keep_floors(&recovered.state);
            }
        }
        self.trim_floors();
    }

    fn keep_floors(&mut self, past: &State) {
        if past.leadership > self.state.leadership {
            self.persist(FileRecord::Leads(past.leadership));
        }
        for (instance, floor) in past.floors.iter() {
            let lived = past.living.get(instance);
            let incarnation = lived.map_or(floor, |lived| floor.max(lived.incarnation.next()));
            self.persist(FileRecord::Floor {
                instance: instance.clone(),
                incarnation,
            });
        }
    }

    fn conclude_the_past(&mut self) {
        let begun: Vec<(InstanceKey, Incarnation)> = self
            .state
            .living
            .iter()
            .map(|(instance, living)| (instance.clone(), living.incarnation))
            .collect();
        let starts: Vec<CommandId> = self
            .state
            .living
            .values()
            .filter_map(|living| living.start)
            .collect();
        for (instance, incarnation) in begun {
            self.report(Report::Failed {
                instance,
                incarnation,
                kind: FailureKind::AgentEnded,
                presence: Presence::Gone,
                evidence: Evidence::text("the agent process that hosted it ended"),
            });
        }
        for start in starts {
            self.answer(start, CommandOutcome::Done);
        }
        let open: Vec<_> = self
            .state
            .ledger
            .open_entries()
            .map(|(command, order, instance, at)| (command, order, instance.clone(), at))
            .collect();
        for (command, order, instance, incarnation) in open {
            match order {
                OpenOrder::Stop => self.answer(command, CommandOutcome::NotRunning),
                OpenOrder::Start => {
                    self.raise_floor(&instance, incarnation);
                    let why = "the agent ended before the start began";
                    self.refuse(command, code::AGENT_ENDED, why.to_owned());
                }
            }
        }
    }
}
