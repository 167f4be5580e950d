//! The ledger of commands: which are under way, and which are answered while the answer is not yet committed.
//! It is what makes a repeated command harmless.

use std::collections::BTreeMap;

use mainstay_protocol::{CommandId, Incarnation, InstanceKey, Sequence};

use crate::file::OpenOrder;

/// What is known of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Under way; a repeat is ignored.
    Open {
        order: OpenOrder,
        instance: InstanceKey,
        incarnation: Incarnation,
    },
    /// Answered by the report of this number, which is in the outbox; a repeat needs no other answer.
    Answered(Sequence),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: BTreeMap<CommandId, Entry>,
}

impl Ledger {
    pub fn knows(&self, command: CommandId) -> bool {
        self.entries.contains_key(&command)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The instance an open command is about.
    pub fn about(&self, command: CommandId) -> Option<&InstanceKey> {
        match self.entries.get(&command)? {
            Entry::Open { instance, .. } => Some(instance),
            Entry::Answered(_) => None,
        }
    }

    pub fn open(
        &mut self,
        command: CommandId,
        order: OpenOrder,
        instance: InstanceKey,
        incarnation: Incarnation,
    ) {
        self.entries.insert(
            command,
            Entry::Open {
                order,
                instance,
                incarnation,
            },
        );
    }

    pub fn answer(&mut self, command: CommandId, by: Sequence) {
        self.entries.insert(command, Entry::Answered(by));
    }

    /// Answers that are committed need no entry: the coordinator does not repeat the command.
    pub fn acknowledged(&mut self, up_to: Sequence) {
        self.entries
            .retain(|_, entry| !matches!(entry, Entry::Answered(by) if *by <= up_to));
    }

    /// The outbox was numbered again: the answers are gathered from it anew.
    pub fn forget_answers(&mut self) {
        self.entries
            .retain(|_, entry| matches!(entry, Entry::Open { .. }));
    }

    pub fn open_entries(
        &self,
    ) -> impl Iterator<Item = (CommandId, OpenOrder, &InstanceKey, Incarnation)> {
        self.entries
            .iter()
            .filter_map(|(command, entry)| match entry {
                Entry::Open {
                    order,
                    instance,
                    incarnation,
                } => Some((*command, *order, instance, *incarnation)),
                Entry::Answered(_) => None,
            })
    }
}
