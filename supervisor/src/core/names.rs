//! Who holds which name on this node: at most one living incarnation each.

use std::collections::BTreeMap;

use mainstay_protocol::{InstanceKey, SlotName};

/// The table of names that are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    holders: BTreeMap<SlotName, InstanceKey>,
}

impl Names {
    pub fn holder(&self, name: &SlotName) -> Option<&InstanceKey> {
        self.holders.get(name)
    }

    /// Gives the name to an instance. Whoever calls has looked that nobody holds it.
    pub fn take(&mut self, name: SlotName, instance: InstanceKey) {
        self.holders.insert(name, instance);
    }

    /// Frees the name if this instance holds it.
    pub fn free(&mut self, name: &SlotName, instance: &InstanceKey) {
        if self.holders.get(name) == Some(instance) {
            self.holders.remove(name);
        }
    }
}
