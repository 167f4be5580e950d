//! What is kept over a restart of the agent: the fold of the file's records. The running core changes it through
//! the same records, so that what is replayed is what was.

use std::collections::BTreeMap;

use mainstay_protocol::report::{LiveState, Presence, Report};
use mainstay_protocol::{
    BootId, CommandId, Incarnation, InstanceKey, Leadership, NodeEpoch, NodeId, NodeName, SlotName,
    StepKey,
};

use super::floors::Floors;
use super::ledger::Ledger;
use super::names::Names;
use super::outbox::Outbox;
use crate::file::{Came, FileRecord, Life, OpenOrder};

/// The kept part of the agent core.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Whose file it is; none before its head.
    pub(crate) head: Option<(NodeName, BootId)>,
    pub(crate) node_id: Option<NodeId>,
    pub(crate) node_epoch: Option<NodeEpoch>,
    pub(crate) leadership: Leadership,
    pub(crate) floors: Floors,
    pub(crate) names: Names,
    pub(crate) living: BTreeMap<InstanceKey, Living>,
    pub(crate) ledger: Ledger,
    /// What the living take of the node.
    pub(crate) room: mainstay_broker::Ledger,
    pub(crate) outbox: Outbox,
    /// Activities of runs that instances have, by the commands that brought them.
    pub(crate) works: BTreeMap<CommandId, Taken>,
    /// The last life of the agent was asked to end, and no new one has told yet what came of it.
    pub(crate) ended_in_order: bool,
}

/// An incarnation that has begun and is not gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Living {
    pub incarnation: Incarnation,
    pub name: SlotName,
    pub state: LiveState,
    /// The Start that waits for its outcome.
    pub start: Option<CommandId>,
    /// The Stops that wait for its end.
    pub stops: Vec<CommandId>,
    /// The Reconfigures that wait for its word.
    pub changes: Vec<CommandId>,
    /// The newest Reconfigure it was given: an older one that comes again is past.
    pub newest_change: Option<CommandId>,
    pub started: bool,
    /// It said itself that it failed; once is enough.
    pub failed: bool,
}

/// Who has an activity of which step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub step: StepKey,
}

impl State {
    pub(crate) fn apply(&mut self, record: &FileRecord) {
        match record {
            FileRecord::Head {
                node,
                boot_id,
                node_id,
            } => {
                *self = Self {
                    head: Some((node.clone(), boot_id.clone())),
                    node_id: *node_id,
                    ..Self::default()
                };
            }
            FileRecord::Joined {
                node_id,
                node_epoch,
                first,
            } => {
                self.node_id = Some(*node_id);
                self.node_epoch = Some(*node_epoch);
                self.outbox.renumber(*first);
                self.gather_answers();
            }
            FileRecord::Leads(leadership) => self.leadership = *leadership,
            FileRecord::Opened {
                command,
                order,
                instance,
                incarnation,
            } => self.opened(*command, *order, instance, *incarnation),
            FileRecord::Begun {
                instance,
                incarnation,
                name,
                command,
                came,
                needs,
            } => {
                self.room.take(instance.clone(), needs.clone());
                self.begun(instance, *incarnation, name, *command, *came);
            }
            FileRecord::Reported { numbered, replaces } => {
                if let Some(older) = replaces {
                    self.outbox.remove(*older);
                }
                if let Report::CommandDone { command, .. } = &numbered.report {
                    self.answered(*command);
                    self.ledger.answer(*command, numbered.sequence);
                }
                self.concluded(&numbered.report);
                self.outbox.insert(numbered.clone());
            }
            FileRecord::Acknowledged { up_to } => {
                self.outbox.acknowledged(*up_to);
                self.ledger.acknowledged(*up_to);
            }
            FileRecord::Floor {
                instance,
                incarnation,
            } => self.floors.raise(instance, *incarnation),
            FileRecord::Life(life) => self.ended_in_order = *life == Life::EndedInOrder,
            FileRecord::Took {
                command,
                instance,
                incarnation,
                step,
            } => self.took(*command, instance, *incarnation, step),
        }
    }

    fn took(
        &mut self,
        command: CommandId,
        instance: &InstanceKey,
        incarnation: Incarnation,
        step: &StepKey,
    ) {
        let taken = Taken {
            instance: instance.clone(),
            incarnation,
            step: step.clone(),
        };
        self.works.insert(command, taken);
    }

    /// A Stop raises the floor at once; a Start when it begins.
    fn opened(
        &mut self,
        command: CommandId,
        order: OpenOrder,
        instance: &InstanceKey,
        incarnation: Incarnation,
    ) {
        self.ledger
            .open(command, order, instance.clone(), incarnation);
        if order == OpenOrder::Start
            && let Some(living) = self.living.get_mut(instance)
            && living.incarnation == incarnation
        {
            living.start = Some(command);
        }
        if order == OpenOrder::Reconfigure
            && let Some(living) = self.living.get_mut(instance)
            && living.incarnation == incarnation
        {
            living.changes.push(command);
            living.newest_change = living.newest_change.max(Some(command));
        }
        if order == OpenOrder::Stop {
            self.floors.raise(instance, incarnation.next());
            if let Some(living) = self.living.get_mut(instance)
                && living.incarnation <= incarnation
            {
                living.state = LiveState::Stopping;
                living.stops.push(command);
                #[cfg(feature = "planted-bugs")]
                if crate::planted::is(crate::planted::Bug::FreesNameAtStop) {
                    self.gone(instance);
                }
            }
        }
    }

    fn begun(
        &mut self,
        instance: &InstanceKey,
        incarnation: Incarnation,
        name: &SlotName,
        command: Option<CommandId>,
        came: Came,
    ) {
        self.floors.raise(instance, incarnation);
        self.names.take(name.clone(), instance.clone());
        let (state, started) = match came {
            Came::Begun => (LiveState::Starting, false),
            Came::Started => (LiveState::Running, true),
        };
        let living = Living {
            incarnation,
            name: name.clone(),
            state,
            start: command,
            stops: Vec::new(),
            changes: Vec::new(),
            newest_change: None,
            started,
            failed: false,
        };
        self.living.insert(instance.clone(), living);
    }

    fn answered(&mut self, command: CommandId) {
        let about = self.ledger.about(command);
        if let Some(living) = about.and_then(|instance| self.living.get_mut(instance)) {
            living.start = living.start.filter(|start| *start != command);
            living.stops.retain(|stop| *stop != command);
            living.changes.retain(|change| *change != command);
        }
    }

    /// What a report says about the living.
    fn concluded(&mut self, report: &Report) {
        let Some((instance, incarnation)) = report.about() else {
            return;
        };
        // Refused is refused: the next try is the next incarnation.
        if matches!(report, Report::NameTaken { .. }) {
            self.floors.raise(instance, incarnation.next());
        }
        let Some(living) = self.living.get_mut(instance) else {
            return;
        };
        if living.incarnation != incarnation {
            return;
        }
        match report {
            Report::Started { .. } | Report::Adopted { .. } => {
                living.started = true;
                if living.state == LiveState::Starting {
                    living.state = LiveState::Running;
                }
            }
            Report::Failed {
                presence: Presence::Living,
                ..
            } => living.failed = true,
            Report::CouldNotStart { .. }
            | Report::Ended { .. }
            | Report::Failed {
                presence: Presence::Gone,
                ..
            } => {
                self.gone(instance);
                self.floors.raise(instance, incarnation.next());
            }
            Report::NameTaken { .. } => self.gone(instance),
            Report::HealthChanged { .. }
            | Report::Unresponsive { .. }
            | Report::ConfigChanged { .. }
            | Report::SupervisorChanged { .. }
            | Report::Acquired { .. }
            | Report::Released { .. }
            | Report::Asked { .. }
            | Report::Announced { .. }
            | Report::Recorded { .. }
            | Report::GuardSaw { .. }
            | Report::WatcherSaw { .. }
            | Report::CommandDone { .. } => {}
            Report::Worked { command, .. } => _ = self.works.remove(command),
        }
    }

    /// The shortest file that says the same about what outlives the agent.
    pub(crate) fn records(&self) -> Vec<FileRecord> {
        let mut records = Vec::new();
        if let Some((node, boot_id)) = self.head.clone() {
            records.push(FileRecord::Head {
                node,
                boot_id,
                node_id: self.node_id,
            });
        }
        if let (Some(node_id), Some(node_epoch)) = (self.node_id, self.node_epoch) {
            records.push(FileRecord::Joined {
                node_id,
                node_epoch,
                first: self.outbox.next(),
            });
        }
        records.push(FileRecord::Leads(self.leadership));
        // Before what lives: what they say of ends is about older incarnations.
        records.extend(self.outbox.iter().map(|numbered| FileRecord::Reported {
            numbered: numbered.clone(),
            replaces: None,
        }));
        records.extend(
            self.floors
                .iter()
                .map(|(instance, incarnation)| FileRecord::Floor {
                    instance: instance.clone(),
                    incarnation,
                }),
        );
        records.extend(
            self.living
                .iter()
                .map(|(instance, living)| FileRecord::Begun {
                    instance: instance.clone(),
                    incarnation: living.incarnation,
                    name: living.name.clone(),
                    command: living.start,
                    came: match living.started {
                        true => Came::Started,
                        false => Came::Begun,
                    },
                    needs: self.room.needs_of(instance).cloned().unwrap_or_default(),
                }),
        );
        records.extend(self.ledger.open_entries().map(
            |(command, order, instance, incarnation)| FileRecord::Opened {
                command,
                order,
                instance: instance.clone(),
                incarnation,
            },
        ));
        let works = self.works.iter().map(|(command, taken)| FileRecord::Took {
            command: *command,
            instance: taken.instance.clone(),
            incarnation: taken.incarnation,
            step: taken.step.clone(),
        });
        records.extend(works);
        if self.ended_in_order {
            records.push(FileRecord::Life(Life::EndedInOrder));
        }
        records
    }

    fn gone(&mut self, instance: &InstanceKey) {
        if let Some(living) = self.living.remove(instance) {
            self.names.free(&living.name, instance);
            self.room.give_back(instance);
            // The coordinator sees that it is gone.
            self.works.retain(|_, taken| taken.instance != *instance);
        }
    }

    fn gather_answers(&mut self) {
        self.ledger.forget_answers();
        for waiting in self.outbox.iter() {
            if let Report::CommandDone { command, .. } = &waiting.report {
                self.ledger.answer(*command, waiting.sequence);
            }
        }
    }
}
