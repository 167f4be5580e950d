//! A step that is complete stays so, with what it left behind, and nobody is asked to do it again.

use std::collections::BTreeMap;

use mainstay_coordinator::Entry;
use mainstay_protocol::{CommandId, Json, StepKey};
use mainstay_resource_graph::{Change, Key, StepState, Vertex};

use super::{Oracle, demand};
use crate::world::Held;

const NAME: &str = "done once";

/// What steps left behind, and by which command each was brought.
#[derive(Debug, Default)]
pub struct Done(BTreeMap<StepKey, (CommandId, Option<Json>)>);

impl Done {
    pub fn entry(&mut self, entry: &Entry, newest: CommandId) -> Held {
        for change in &entry.delta.changes {
            let Change::Put(record) = change else {
                continue;
            };
            let (Key::Step(key), Vertex::Step(step)) = (&record.key, &record.vertex) else {
                continue;
            };
            let is_complete = matches!(step.state, StepState::Completed { .. });
            if let Some((_, output)) = self.0.get(key) {
                demand(NAME, is_complete && step.output == *output, || {
                    format!("{key} was complete and is {}", step.state.as_str())
                })?;
            } else if is_complete {
                self.0.insert(key.clone(), (newest, step.output.clone()));
            }
        }
        Ok(())
    }
}

impl Oracle {
    /// Commands that were decided before it was complete may still arrive; none is decided after that.
    pub fn work_begins(&self, step: &StepKey, command: CommandId) -> Held {
        let done = self.done.0.get(step);
        demand(
            NAME,
            done.is_none_or(|(newest, _)| command <= *newest),
            || format!("{step} is complete, and command {command} brings it once more"),
        )
    }
}
