//! Names on nodes.

use mainstay_resource_graph::{Key, NameKey, ViewExt};

use super::Present;
use crate::types;

impl Present<'_> {
    pub fn name(&self, key: &NameKey) -> Option<types::Name> {
        self.record(&Key::Name(key.clone()))?;
        Some(types::Name {
            node: key.node.to_string(),
            name: key.name.to_string(),
            holder: self.view.holder(key).map(|holder| holder.to_string()),
            waiting: self
                .view
                .waiters(key)
                .iter()
                .map(ToString::to_string)
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::SlotName;
    use mainstay_resource_graph::NameKey;

    use crate::present::sample::{Sample, node_name};

    #[test]
    fn a_name_shows_its_holder_and_who_waits() {
        let sample = Sample::new();
        let key = NameKey::new(node_name("n1"), SlotName::new("web").unwrap());
        let name = sample.present().name(&key).unwrap();
        assert_eq!(name.holder.as_deref(), Some("web@n1"));
        assert_eq!(name.waiting, ["rival@n1"]);
    }
}
