//! Edges: both ends exist and fit, relations of at most one have at most one, a name has at most one holder.

use super::Problems;
use crate::key::Key;
use crate::vertex::Relation;
use crate::view::View;

pub(super) fn check(view: &(impl View + ?Sized), key: &Key, problems: &mut Problems) {
    for relation in Relation::ALL {
        let out = view.edges_from(key, relation);
        problems.demand(out.len() <= 1 || !relation.at_most_one(), key, || {
            format!("has {} edges {}", out.len(), relation.as_str())
        });
        for edge in out {
            problems.demand(
                relation.ends() == (edge.from.kind(), edge.to.kind()),
                key,
                || format!("has an edge {} to {}", relation.as_str(), edge.to),
            );
            problems.demand(view.record(&edge.to).is_some(), key, || {
                format!(
                    "has an edge {} to {}, which does not exist",
                    relation.as_str(),
                    edge.to
                )
            });
        }
        let incoming = view.edges_to(key, relation);
        for edge in &incoming {
            problems.demand(view.record(&edge.from).is_some(), key, || {
                format!(
                    "has an edge {} from {}, which does not exist",
                    relation.as_str(),
                    edge.from
                )
            });
        }
        problems.demand(
            relation != Relation::Holds || incoming.len() <= 1,
            key,
            || {
                let holders: Vec<String> =
                    incoming.iter().map(|edge| edge.from.to_string()).collect();
                format!("is held by {}", holders.join(" and "))
            },
        );
    }
}
