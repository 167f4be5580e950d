//! Configurations: stored once, by their hash.

use std::collections::BTreeSet;

use mainstay_resource_graph::{ConfigHash, Key, Kind, Relation, Vertex};

use super::{Present, json};
use crate::types;

impl Present<'_> {
    pub fn configuration(&self, hash: &ConfigHash) -> Option<types::Configuration> {
        let key = Key::Configuration(hash.clone());
        let record = self.record(&key)?;
        let Vertex::Configuration(configuration) = &record.vertex else {
            return None;
        };
        let mut used_by = BTreeSet::new();
        for relation in [Relation::Configured, Relation::Wants] {
            let edges = self.view.edges_to(&key, relation);
            used_by.extend(edges.into_iter().map(|edge| edge.from));
        }
        used_by.extend(self.placements_with(hash));
        Some(types::Configuration {
            hash: hash.0.clone(),
            config: json(&configuration.json),
            used_by: used_by.iter().map(ToString::to_string).collect(),
        })
    }

    fn placements_with(&self, hash: &ConfigHash) -> Vec<Key> {
        let mut keys = self.view.keys(Kind::Placement);
        keys.retain(
            |key| match self.record(key).map(|record| record.vertex.clone()) {
                Some(Vertex::Placement(placement)) => {
                    placement.wish.configs().any(|one| one == hash)
                }
                _ => false,
            },
        );
        keys
    }
}

#[cfg(test)]
mod tests {
    use mainstay_resource_graph::ConfigHash;

    use crate::present::sample::Sample;

    #[test]
    fn a_configuration_says_who_uses_it() {
        let sample = Sample::new();
        let shown = sample
            .present()
            .configuration(&ConfigHash("c0ffee".to_owned()))
            .unwrap();
        assert_eq!(shown.config["greeting"], "hello");
        assert_eq!(shown.used_by, ["rival", "web", "web@n1"]);
    }
}
