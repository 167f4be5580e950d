//! Clients: they begin runs, cancel some and try failed ones again, while everything else happens.
//!
//! Their dice are their own, as those of the carers are: in six of seven storms there are none.

use mainstay_coordinator::{BasedOn, Operation, Orchestrate, RunAct, StartRun};
use mainstay_protocol::{Json, RunId, WorkName};
use mainstay_resource_graph::{Graph, Key, Kind, RunState, StepState, View, ViewExt};

use crate::dice::Dice;
use crate::happening::Happening;
use crate::world::{Held, World};

const MS: u64 = 1000;

const ACTIVITY: &str =
    r#"{"type":"a","provider":"p","retry":{"maxAttempts":4,"first":"500ms","max":"4s"}}"#;

/// Attempts and waits end by themselves, so that every run does.
const ORCHESTRATIONS: [&str; 2] = [
    r#"{"type":"join","activities":[{"id":"a","type":"a","attemptTimeout":"3s","waitTimeout":"5s"},{"id":"b","type":"a","waitTimeout":"5s"},{"id":"c","type":"a","dependsOn":["a","b"],"waitTimeout":"5s"}]}"#,
    r#"{"type":"saga","onFatal":"compensate","activities":{"deploy":[{"id":"a","type":"a","waitTimeout":"5s"},{"id":"b","type":"a","dependsOn":"a","waitTimeout":"5s"}],"dispose":[{"id":"a","type":"a","waitTimeout":"5s"},{"id":"b","type":"a","waitTimeout":"5s"}]}}"#,
];

#[derive(Debug)]
pub struct Clients {
    pub dice: Dice,
    pub wanted: bool,
    begun: u64,
}

impl Clients {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed ^ 0x636c_6965_6e74_7321),
            wanted: seed % 7 == 3,
            begun: 0,
        }
    }
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("it is JSON")
}

fn asked(what: Orchestrate) -> Operation {
    Operation::Orchestrate {
        what,
        by: "a client".to_owned(),
    }
}

impl World {
    pub fn client_acts(&mut self) -> Held {
        if self.calm {
            return Ok(());
        }
        let after = self.clients.dice.between(300, 3_000) * MS;
        self.queue.put(self.now + after, Happening::ClientActs);
        // What they go by comes first, and again in case the first was lost.
        let what = match self.clients.begun {
            0 | 10 => Orchestrate::PutActivity {
                definition: json(ACTIVITY),
                based_on: BasedOn::Anything,
            },
            1 | 2 | 11 | 12 => Orchestrate::PutOrchestration {
                definition: json(ORCHESTRATIONS[self.clients.begun as usize % 10 - 1]),
                based_on: BasedOn::Anything,
            },
            number => self.client_wants(number),
        };
        self.clients.begun += 1;
        self.order(asked(what))
    }

    fn client_wants(&mut self, number: u64) -> Orchestrate {
        let dice = &mut self.clients.dice;
        let run = |number: u64| RunId::new(&format!("r{number}")).expect("it is a name");
        let act = match dice.below(10) {
            0 => RunAct::Cancel,
            1 | 2 => RunAct::Retry,
            _ => {
                let of = *dice.pick(&["join", "saga"]).expect("there are two");
                return Orchestrate::Start(StartRun {
                    id: run(number),
                    orchestration: WorkName::new(of).expect("it is a name"),
                    section: None,
                    correlation: None,
                    input: Json::empty_object(),
                });
            }
        };
        let run = run(dice.below(number));
        Orchestrate::Act { run, act }
    }

    /// Every run is over, or waits for somebody who does such work, and there is nobody.
    pub fn runs_missing(&self, graph: &Graph, missing: &mut Vec<String>) {
        let nobody = graph.hands().is_empty();
        for key in graph.keys(Kind::Step) {
            let Key::Step(at) = &key else { continue };
            let state = graph.step(at).map(|step| step.state);
            let goes_on = match &state {
                Some(StepState::Queued { .. }) => !nobody,
                Some(
                    StepState::Running { .. }
                    | StepState::Waiting { .. }
                    | StepState::Scheduled { .. }
                    | StepState::Retrying { .. },
                ) => true,
                _ => false,
            };
            if goes_on {
                missing.push(format!("{key} is {state:?}"));
            }
        }
        for key in graph.keys(Kind::Run) {
            let Key::Run(id) = &key else { continue };
            let Some(run) = graph.run(id) else { continue };
            let undoing = graph.run(&id.undoing()).map(|run| run.state);
            let stuck =
                run.state == RunState::Compensating && !undoing.is_some_and(RunState::is_open);
            let is_saga = run.orchestration.as_str() == "saga" && id.undone().is_none();
            let stuck = stuck || is_saga && run.state == RunState::Errored;
            if stuck {
                missing.push(format!(
                    "{key} is {}, and nobody undoes it",
                    run.state.as_str()
                ));
            }
        }
    }
}
