//! What operators were promised stands in every later graph, whatever crashed in between.

use mainstay_coordinator::{Accepted, Operation, StartOn};
use mainstay_protocol::InstanceKey;
use mainstay_resource_graph::{Graph, Key, Target, Vertex, View, ViewExt};

use super::demand;
use crate::operators::Page;
use crate::station::StationAt;
use crate::world::{Held, World};

const NAME: &str = "promises";

fn kept(graph: &Graph, instance: &InstanceKey, page: &Page) -> Held {
    if page.promised.is_none() {
        return Ok(());
    }
    let record = graph.record(&Key::Instance(instance.clone()));
    let desired = record.as_ref().and_then(|record| match &record.vertex {
        Vertex::Instance(instance) => Some(instance.desired),
        _ => None,
    });
    let stands = match desired {
        Some(desired) => page.possible.contains(&desired),
        // It is placed there when that is lifted.
        None => graph.cordon_against(instance).is_some(),
    };
    demand(NAME, stands, || {
        format!("{instance} was promised to be one of {page:?}, and is wanted {desired:?}")
    })
}

impl World {
    /// Just promised: it is in the graph now.
    pub fn promise(&mut self, operation: &Operation, accepted: &Accepted) -> Held {
        let graph = self.oracle.mirror();
        demand(NAME, graph.revision() >= accepted.revision, || {
            format!(
                "revision {} was promised and is not there",
                accepted.revision
            )
        })?;
        if let Operation::Start(start) = operation {
            let placed = graph.placement(&start.name).is_some_and(|placement| {
                match (&placement.wish.target, &start.on) {
                    (Target::All(_), _) => true,
                    (Target::Nodes(have), StartOn::Nodes(asked)) => asked.is_subset(have),
                    (Target::Count(have), StartOn::Count(asked)) => have == asked,
                    (Target::Nodes(_) | Target::Count(_), StartOn::All)
                    | (Target::Count(_), StartOn::Nodes(_))
                    | (Target::Nodes(_), StartOn::Count(_)) => false,
                }
            });
            demand(NAME, placed, || {
                format!("the placement {} was promised and is not there", start.name)
            })?;
        }
        self.promises_hold(self.oracle.mirror())
    }

    pub fn promises_hold(&self, graph: &Graph) -> Held {
        for (instance, page) in self.operators.books() {
            kept(graph, instance, page)?;
        }
        Ok(())
    }

    /// Whoever begins to lead has everything that was ever promised.
    pub fn promises_of(&self, at: StationAt) -> Held {
        let Some(core) = self.station(at).core.as_ref() else {
            return Ok(());
        };
        let newest = self.operators.newest;
        demand(NAME, core.graph().revision() >= newest, || {
            format!(
                "revision {newest} was promised, and {} leads without it",
                at.id()
            )
        })?;
        self.promises_hold(core.graph())
    }
}
