//! The graph as a tree: each vertex with what it is related to, once; where it comes again, that is said.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_api::types::{Graph, GraphRelation};

use crate::table::Tone;
use crate::text::one_line;

pub fn text(graph: &Graph, colour: bool) -> String {
    let tree = Tree::new(graph, colour);
    let mut out = String::new();
    match &graph.root {
        Some(root) => {
            out.push_str(&format!("{}\n", tree.told(root)));
            tree.around(&mut out, root);
        }
        // The whole: each with what leads out of it, so that each relation stands once.
        None => {
            for vertex in &graph.vertices {
                out.push_str(&format!("{}\n", tree.told(&vertex.reference)));
                let outward: Vec<&GraphRelation> = tree
                    .near(&vertex.reference)
                    .filter(|one| one.from == vertex.reference)
                    .collect();
                for (at, related) in outward.iter().enumerate() {
                    let lead = if at + 1 == outward.len() {
                        "└─ "
                    } else {
                        "├─ "
                    };
                    let told = tree.told(&related.to);
                    out.push_str(&format!("{lead}{} → {told}\n", related.relation));
                }
            }
        }
    }
    out
}

struct Tree<'a> {
    states: BTreeMap<&'a str, &'a str>,
    near: BTreeMap<&'a str, Vec<&'a GraphRelation>>,
    colour: bool,
}

/// A line that is still to be written.
struct Open<'a> {
    reference: &'a str,
    from: Option<&'a str>,
    /// How it was come to; none for the root.
    line: Option<String>,
    /// What stands before every line below it.
    rest: String,
}

impl<'a> Tree<'a> {
    fn new(graph: &'a Graph, colour: bool) -> Self {
        let mut near: BTreeMap<&str, Vec<&GraphRelation>> = BTreeMap::new();
        for related in &graph.relations {
            near.entry(&related.from).or_default().push(related);
            if related.to != related.from {
                near.entry(&related.to).or_default().push(related);
            }
        }
        let states = graph.vertices.iter();
        Self {
            states: states
                .filter_map(|one| Some((one.reference.as_str(), one.state.as_deref()?)))
                .collect(),
            near,
            colour,
        }
    }

    fn near(&self, reference: &str) -> impl Iterator<Item = &'a GraphRelation> {
        self.near.get(reference).into_iter().flatten().copied()
    }

    fn told(&self, reference: &str) -> String {
        let name = one_line(reference);
        match self.states.get(reference) {
            Some(state) => format!("{name}  {}", Tone::of(state).paint(state, self.colour)),
            None => name,
        }
    }

    /// How far each is from the root: a vertex unfolds where it is nearest, so that the tree is no deeper than was
    /// asked for.
    fn parents(&self, root: &'a str) -> BTreeMap<&'a str, &'a str> {
        let mut parents = BTreeMap::new();
        let mut edge = vec![root];
        let mut seen = BTreeSet::from([root]);
        while !edge.is_empty() {
            let mut next = Vec::new();
            for vertex in edge {
                for related in self.near(vertex) {
                    let other = other_end(related, vertex);
                    if seen.insert(other) {
                        parents.insert(other, vertex);
                        next.push(other);
                    }
                }
            }
            edge = next;
        }
        parents
    }

    fn around(&self, out: &mut String, root: &'a str) {
        let parents = self.parents(root);
        let mut unfolded = BTreeSet::new();
        let mut open = vec![Open {
            reference: root,
            from: None,
            line: None,
            rest: String::new(),
        }];
        while let Some(now) = open.pop() {
            let here = parents.get(now.reference).copied() == now.from;
            let unfolds = here && unfolded.insert(now.reference);
            let below = self.below(&now, &parents);
            if let Some(line) = &now.line {
                let elsewhere = match unfolds || below.is_empty() {
                    true => "",
                    false => "  (told elsewhere)",
                };
                out.push_str(&format!("{line}{elsewhere}\n"));
            }
            if unfolds {
                open.extend(below.into_iter().rev());
            }
        }
    }

    /// Everything it is related to, but for the way it was come by.
    fn below(&self, now: &Open<'a>, parents: &BTreeMap<&'a str, &'a str>) -> Vec<Open<'a>> {
        let came_from = parents.get(now.reference).copied();
        let related: Vec<&GraphRelation> = self
            .near(now.reference)
            .filter(|one| Some(other_end(one, now.reference)) != came_from)
            .filter(|one| {
                // Told once, from the end that is told first; at the edge of what was asked for nothing new is there.
                let other = other_end(one, now.reference);
                parents.get(other) == Some(&now.reference) || one.from == now.reference
            })
            .collect();
        let last = related.len().saturating_sub(1);
        let line = |(at, one): (usize, &&'a GraphRelation)| {
            let one: &'a GraphRelation = one;
            let (lead, under) = if at == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let other = other_end(one, now.reference);
            let arrow = if one.from == now.reference {
                "→"
            } else {
                "←"
            };
            Open {
                reference: other,
                from: Some(now.reference),
                line: Some(format!(
                    "{}{lead}{} {arrow} {}",
                    now.rest,
                    one.relation,
                    self.told(other)
                )),
                rest: format!("{}{under}", now.rest),
            }
        };
        related.iter().enumerate().map(line).collect()
    }
}

fn other_end<'a>(related: &'a GraphRelation, reference: &str) -> &'a str {
    match related.from == reference {
        true => &related.to,
        false => &related.from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::graph::sample;

    #[test]
    fn a_circle_is_told_once_and_arrows_say_which_way() {
        assert_eq!(
            text(&sample::graph(Some("web@n1")), false),
            "\
web@n1  Running
├─ InstanceOf → type/t
└─ PlacedBy → web
   ├─ OfType → type/t
   └─ PlacedBy ← web@n2  Failed
"
        );
    }

    #[test]
    fn the_whole_graph_has_each_relation_once() {
        assert_eq!(
            text(&sample::graph(None), false),
            "\
type/t
web
└─ OfType → type/t
web@n1  Running
├─ InstanceOf → type/t
└─ PlacedBy → web
web@n2  Failed
└─ PlacedBy → web
"
        );
    }
}
