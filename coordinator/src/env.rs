//! What a rule may know besides the graph: the time, the settings, who leads.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use mainstay_orchestrator::Models;
use mainstay_protocol::{CommandId, Leadership, Revision, StepKey, Timestamp};
use mainstay_resource_graph::Settings;

use crate::core::Turns;

/// The surroundings of one step. The same graph, events and env give the same output.
#[derive(Debug, Clone)]
pub struct Env {
    pub now: Timestamp,
    pub leadership: Leadership,
    pub settings: Settings,
    /// The revision this step's delta will make.
    pub revision: Revision,
    /// Of services, by what their controllers say they are.
    pub models: Arc<Models>,
    /// Where an outside queue says whose turn it is: whose.
    turns: Option<Arc<Turns>>,
    commands: Cell<u64>,
}

/// Made once: it is asked for with each step.
pub(crate) fn shipped() -> Arc<Models> {
    static SHIPPED: LazyLock<Arc<Models>> = LazyLock::new(|| Arc::new(Models::shipped()));
    Arc::clone(&SHIPPED)
}

/// Commands one step can number; far above what `limits::STEP_SUBJECTS_MAX` lets it decide.
const COMMANDS_PER_REVISION: u64 = 1 << 20;

impl Env {
    pub fn new(
        now: Timestamp,
        leadership: Leadership,
        settings: Settings,
        revision: Revision,
    ) -> Self {
        Self {
            now,
            leadership,
            settings,
            revision,
            models: shipped(),
            turns: None,
            commands: Cell::new(0),
        }
    }

    /// With models that somebody added.
    #[must_use]
    pub fn with_models(self, models: Arc<Models>) -> Self {
        Self { models, ..self }
    }

    #[must_use]
    pub(crate) fn with_turns(self, turns: Option<Arc<Turns>>) -> Self {
        Self { turns, ..self }
    }

    /// It may be handed out: whatever is due may, unless an outside queue says whose turn it is.
    pub(crate) fn is_turn_of(&self, step: &StepKey, since: Timestamp) -> bool {
        let turns = self.turns.as_ref();
        turns.is_none_or(|turns| turns.get(step) == Some(&since))
    }

    /// The next command's number: unique, because revisions are.
    pub fn command_id(&self) -> CommandId {
        let number = self.commands.get();
        self.commands.set(number + 1);
        CommandId(self.revision.0 * COMMANDS_PER_REVISION + number)
    }
}
