//! What became of runs and their steps, of the entries that a leader commits.

use std::collections::BTreeMap;

use mainstay_coordinator::Entry;
use mainstay_resource_graph::{Change, RunState, StepState, Vertex};

use super::{Histogram, Text};

#[derive(Debug, Default)]
pub struct Work {
    /// Runs that came to a state, each time they did.
    runs: BTreeMap<&'static str, u64>,
    task_seconds: Histogram,
}

impl Work {
    pub fn take(&mut self, entry: &Entry) {
        for change in &entry.delta.changes {
            let Change::Put(record) = change else {
                continue;
            };
            // A run is written with each of its steps; a state is new in the entry that its time is of.
            let is_new = record.since == entry.log_time;
            match &record.vertex {
                Vertex::Run(run) if is_new && run.state != RunState::Paused => {
                    *self.runs.entry(run.state.as_str()).or_default() += 1;
                }
                Vertex::Step(step) if is_new => {
                    if let (StepState::Completed { .. }, Some(began)) =
                        (&step.state, step.first_try)
                    {
                        let took = entry.log_time.0.saturating_sub(began.0);
                        self.task_seconds.take(took as f64 / MICROS);
                    }
                }
                _ => {}
            }
        }
    }

    pub fn write(&self, text: &mut Text) {
        let name = "mainstay_runs_total";
        text.family(
            name,
            "counter",
            "Runs that came to a state: Running is those that began.",
        );
        for (state, count) in &self.runs {
            text.sample(name, &[("state", state)], *count as f64);
        }
        let name = "mainstay_task_latency_seconds";
        let help = "Of steps of runs, from their first attempt to their completion.";
        text.family(name, "histogram", help);
        text.histogram(name, &[], &self.task_seconds);
    }
}

/// In a second of log time.
const MICROS: f64 = 1_000_000.0;
