//! The graph as vertices and relations; what would be affected if something failed.

use mainstay_protocol::limits;
use mainstay_resource_graph::impact::{self, Loss};
use mainstay_resource_graph::relations::{self, Part};
use mainstay_resource_graph::{Key, Vertex, check};

use super::Present;
use crate::problem::Problem;
use crate::types;

impl Present<'_> {
    /// What lies around something; without a reference everything, each kind with its own.
    pub fn graph(&self, reference: Option<&str>, depth: usize) -> Result<types::Graph, Problem> {
        let Some(reference) = reference else {
            let part = relations::whole(self.view, limits::GRAPH_VERTICES_MAX);
            return Ok(self.part(&part, None));
        };
        let key = self.find(reference)?;
        let part = relations::around(self.view, &key, depth, limits::GRAPH_VERTICES_MAX);
        Ok(self.part(&part, Some((&key, depth))))
    }

    fn part(&self, part: &Part, from: Option<(&Key, usize)>) -> types::Graph {
        types::Graph {
            root: from.map(|(key, _)| key.to_string()),
            depth: from.map(|(_, depth)| depth as u64),
            vertices: part
                .vertices
                .iter()
                .map(|key| types::GraphVertex {
                    reference: key.to_string(),
                    kind: key.kind().as_str().to_owned(),
                    state: self.state(key),
                })
                .collect(),
            relations: part
                .relations
                .iter()
                .map(|related| types::GraphRelation {
                    from: related.from.to_string(),
                    relation: related.relation.to_owned(),
                    to: related.to.to_string(),
                })
                .collect(),
            is_cut: part.is_cut,
        }
    }

    fn state(&self, key: &Key) -> Option<String> {
        let record = self.record(key)?;
        let state = match &record.vertex {
            Vertex::Instance(instance) => instance.state.as_str(),
            Vertex::Node(node) => node.state.as_str(),
            Vertex::Supervisor(supervisor) => supervisor.state.as_str(),
            Vertex::Parked(_) => "Parked",
            _ => return None,
        };
        Some(state.to_owned())
    }

    /// The linter over the whole graph.
    pub fn graph_problems(&self) -> Vec<types::GraphProblem> {
        check(self.view)
            .into_iter()
            .map(|problem| types::GraphProblem {
                reference: problem.key.to_string(),
                text: problem.text,
            })
            .collect()
    }

    pub fn impact(&self, reference: &str) -> Result<types::Impact, Problem> {
        let key = self.find(reference)?;
        let found = impact::impact(self.view, &key);
        Ok(types::Impact {
            reference: key.to_string(),
            state: self.state(&key),
            text: in_words(&key, &found),
            instances: texts(&found.instances),
            placements: found.placements.iter().map(loss).collect(),
            names: found
                .names
                .into_iter()
                .map(|name| Key::Name(name).to_string())
                .collect(),
            waiting: texts(&found.waiting),
            unwatched: texts(&found.unwatched),
            depending: texts(&found.depending),
        })
    }
}

fn texts(keys: &[impl ToString]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

fn loss(loss: &Loss) -> types::Loss {
    types::Loss {
        reference: loss.placement.to_string(),
        want: loss.want as u64,
        have: loss.have as u64,
        left: loss.left as u64,
    }
}

fn in_words(key: &Key, found: &impact::Impact) -> String {
    if let Key::Station(_) | Key::Cluster = key {
        return "what runs would go on; nothing is decided and no change is taken until it is back"
            .to_owned();
    }
    if !found.unwatched.is_empty() {
        let count = found.unwatched.len();
        return format!(
            "{count} live instances would go on unwatched until the next supervisor is there"
        );
    }
    if found.instances.is_empty() {
        return "nothing that lives depends on it".to_owned();
    }
    let gone = found.placements.iter().filter(|loss| loss.left == 0);
    format!(
        "{} live instances would end; of {} placements concerned, {} would have none left",
        found.instances.len(),
        found.placements.len(),
        gone.count()
    )
}

#[cfg(test)]
mod tests {
    use crate::present::sample::Sample;

    #[test]
    fn a_part_of_the_graph_shows_relations_of_keys_and_edges_alike() {
        let sample = Sample::new();
        let graph = sample.present().graph(Some("web@n1"), 1).unwrap();
        let has = |from: &str, relation: &str, to: &str| {
            let relations = graph.relations.iter();
            let mut same = relations.filter(|one| one.from == from && one.to == to);
            same.any(|one| one.relation == relation)
        };
        assert!(has("web@n1", "RunsOn", "node/n1"));
        assert!(has("web@n1", "PlacedBy", "web"));
        assert!(has("web@n1", "Holds", "name/n1/web"));
        assert!(has("parked/beef", "About", "web@n1"));
        assert!(!graph.vertices.iter().any(|one| one.reference == "rival@n1"));
        let whole = sample.present().graph(None, 0).unwrap();
        assert!(whole.vertices.iter().any(|one| one.reference == "rival@n1"));
        assert!(
            graph
                .relations
                .iter()
                .all(|one| whole.relations.contains(one))
        );
    }

    #[test]
    fn a_holders_end_leaves_its_placement_with_nothing_and_lets_the_waiter_in() {
        let impact = Sample::new().present().impact("web@n1").unwrap();
        assert_eq!(impact.instances, ["web@n1"]);
        assert_eq!(impact.names, ["name/n1/web"]);
        assert_eq!(impact.waiting, ["rival@n1"]);
        let loss = &impact.placements[0];
        assert_eq!(
            (loss.reference.as_str(), loss.want, loss.have, loss.left),
            ("web", 1, 1, 0)
        );
        let supervisor = Sample::new().present().impact("supervisor/n1").unwrap();
        assert_eq!(supervisor.unwatched, ["web@n1"]);
        assert!(supervisor.instances.is_empty());
    }
}
