//! Orchestrations and runs, as verbs of scripts:
//!
//! ```text
//! activity {"type":"a","provider":"p"} | orchestration {..} | forget activity a | forget orchestration t
//! run r1 t {"input":1} | pause r1 | resume r1 | cancel r1 | retry r1 | forget-run r1 | tell r1/a complete {} | tell r1/a fail no
//! takes r1/a | lets-go n1
//! queue outside | turn r1/a | turn r1/a at 17
//! service {..} | forget service ID | order o1 SERVICE {"parameter":1}
//! works r1/a complete {"output":1} | works r1/a wait | works r1/a again 5s | works r1/a fails no | works r1/a fatal no | works r1/a large
//! said-again r1/a | runs
//! artifact ID site index.html,404.html | artifact-begins ID text | artifact-chunk ID text | artifact-ends ID text | forget artifact ID
//! ```
//! What has a step answers as a processor would; `said-again` says once more that it is complete.

use std::time::Duration;

use mainstay_coordinator::{
    Answer, BasedOn, Keep, NewArtifact, Operation, Orchestrate, PlaceOrder, RunAct, StartRun,
};
use mainstay_protocol::command::Order;
use mainstay_protocol::report::{CommandOutcome, Report};
use mainstay_protocol::work::{Changes, Outside, Work, WorkAnswer};
use mainstay_protocol::{
    ArtifactId, Blob, CommandId, Generation, Json, RunId, ServiceId, Sha256, StepKey, Timestamp,
    WorkName, limits,
};
use mainstay_resource_graph::{Key, Kind, Listing, StepState, View, ViewExt};

use super::world::World;

pub fn json(text: &str) -> Json {
    Json::parse(if text.is_empty() { "{}" } else { text }).unwrap()
}

pub fn work_name(text: &str) -> WorkName {
    WorkName::new(text).unwrap()
}

pub fn step(text: &str) -> StepKey {
    let (run, activity) = text.split_once('/').expect("run/activity");
    StepKey::new(RunId::new(run).unwrap(), work_name(activity))
}

pub fn verb(world: &mut World, words: &[&str]) -> bool {
    let tail = |from: usize| words.get(from..).unwrap_or_default().join(" ");
    let what = match words {
        ["activity", ..] => Orchestrate::PutActivity {
            definition: json(&tail(1)),
            based_on: BasedOn::Anything,
        },
        ["new", "activity", ..] => Orchestrate::PutActivity {
            definition: json(&tail(2)),
            based_on: BasedOn::Nothing,
        },
        ["orchestration", ..] => Orchestrate::PutOrchestration {
            definition: json(&tail(1)),
            based_on: BasedOn::Anything,
        },
        ["orchestration-at", generation, ..] => Orchestrate::PutOrchestration {
            definition: json(&tail(2)),
            based_on: match *generation {
                "0" => BasedOn::Nothing,
                generation => BasedOn::Generation(Generation(generation.parse().unwrap())),
            },
        },
        ["forget", "activity", name] => Orchestrate::DeleteActivity {
            name: work_name(name),
        },
        ["forget", "orchestration", name] => Orchestrate::DeleteOrchestration {
            name: work_name(name),
        },
        [verb, id, text, ..] if verb.starts_with("artifact") => {
            return puts(world, verb, id, text, words.get(3).copied());
        }
        ["forget", "artifact", id] => keep(Keep::Delete {
            artifact: artifact(id),
        }),
        ["service" | "order", ..] | ["forget", "service", _] => ordering(words, &tail),
        ["run", id, of, ..] => begins(id, of, &tail(3)),
        [act @ ("pause" | "resume" | "cancel" | "retry"), id] => Orchestrate::Act {
            run: RunId::new(id).unwrap(),
            act: match *act {
                "pause" => RunAct::Pause,
                "resume" => RunAct::Resume,
                "cancel" => RunAct::Cancel,
                _ => RunAct::Retry,
            },
        },
        ["forget-run", id] => Orchestrate::Forget {
            run: RunId::new(id).unwrap(),
        },
        ["tell", at, how, ..] => told(world, &step(at), how, &tail(3)),
        _ => return at_work(world, words),
    };
    world.orchestrate(what).ok();
    true
}

/// What those do who have steps, or say whose turn it is.
fn at_work(world: &mut World, words: &[&str]) -> bool {
    match words {
        ["queue", "outside"] | ["turn", ..] => queue_outside(world, words),
        ["takes", at] => world.takes(&step(at)),
        ["lets-go", node] => world.lets_go(node),
        ["works", at, how, more @ ..] => {
            world.works(&step(at), answer(how, &more.join(" ")));
        }
        ["said-again", at] => world.works_again(&step(at)),
        _ => return false,
    }
    true
}

fn queue_outside(world: &mut World, words: &[&str]) {
    let ["turn", at, more @ ..] = words else {
        return world.with_outside_queue();
    };
    let step = step(at);
    let since = match more {
        ["at", micros] => Some(Timestamp(micros.parse().unwrap())),
        _ => due_since(world, &step),
    };
    let counts = world.core.turn(&step, since.unwrap_or_default());
    let said = if counts { "it is due" } else { "nothing" };
    world.said.push(format!("turn {at}: {said}"));
    world.run();
}

fn due_since(world: &World, step: &StepKey) -> Option<Timestamp> {
    match world.graph().step(step)?.state {
        StepState::Queued { since } => Some(since),
        _ => None,
    }
}

pub fn artifact(end: &str) -> ArtifactId {
    let text = format!("urn:ivcap:artifact:00000000-0000-0000-0000-{end:0>12}");
    ArtifactId::new(&text).unwrap()
}

fn keep(keep: Keep) -> Orchestrate {
    Orchestrate::Artifact(Box::new(keep))
}

/// Of a content that is short: its digest is its own business here.
pub fn begin(id: &str, text: &str, files: Option<&str>) -> Orchestrate {
    keep(Keep::Begin(NewArtifact {
        id: artifact(id),
        name: Some(text.to_owned()),
        media_type: None,
        size: text.len() as u64,
        digest: digest_of(text),
        listing: match files {
            Some(files) => Listing::Files(files.split(',').map(str::to_owned).collect()),
            None => Listing::Not("it is no archive".to_owned()),
        },
    }))
}

fn digest_of(text: &str) -> Sha256 {
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().zip(text.bytes()) {
        *at = byte;
    }
    Sha256::of_sha256(hash)
}

pub fn chunk(id: &str, text: &str) -> Orchestrate {
    keep(Keep::Chunk {
        artifact: artifact(id),
        digest: digest_of(text),
        number: 0,
        bytes: Blob::new(text.as_bytes()),
    })
}

pub fn ends(id: &str, text: &str) -> Orchestrate {
    keep(Keep::Finish {
        artifact: artifact(id),
        digest: digest_of(text),
    })
}

fn puts(world: &mut World, verb: &str, id: &str, text: &str, files: Option<&str>) -> bool {
    let all = match verb {
        "artifact" => vec![begin(id, text, files), chunk(id, text), ends(id, text)],
        "artifact-begins" => vec![begin(id, text, files)],
        "artifact-chunk" => vec![chunk(id, text)],
        "artifact-ends" => vec![ends(id, text)],
        _ => return false,
    };
    for one in all {
        world.orchestrate(one).ok();
    }
    true
}

fn ordering(words: &[&str], tail: &impl Fn(usize) -> String) -> Orchestrate {
    match words {
        ["service", ..] => Orchestrate::PutService {
            description: json(&tail(1)),
            based_on: BasedOn::Anything,
        },
        ["forget", "service", id] => Orchestrate::DeleteService {
            id: ServiceId::new(id).unwrap(),
        },
        ["order", id, of, ..] => Orchestrate::Order(PlaceOrder {
            id: RunId::new(id).unwrap(),
            service: (*of).to_owned(),
            name: None,
            parameters: json(&tail(3)).members().into_iter().collect(),
        }),
        _ => panic!("{words:?} is no order"),
    }
}

pub fn begins(id: &str, of: &str, input: &str) -> Orchestrate {
    Orchestrate::Start(StartRun {
        id: RunId::new(id).unwrap(),
        orchestration: work_name(of),
        section: None,
        correlation: None,
        input: json(input),
    })
}

fn told(world: &World, at: &StepKey, how: &str, more: &str) -> Orchestrate {
    let token = world.graph().step(at).and_then(|step| step.token());
    Orchestrate::Act {
        run: at.run.clone(),
        act: RunAct::Tell {
            activity: at.activity.clone(),
            token: token.unwrap_or(CommandId(0)),
            said: match how {
                "complete" => Outside::Complete { output: json(more) },
                _ => Outside::Fail {
                    error: more.to_owned(),
                },
            },
        },
    }
}

fn answer(how: &str, more: &str) -> WorkAnswer {
    match how {
        "complete" => complete(more),
        "large" => complete(&format!(
            "{{\"x\":\"{}\"}}",
            "x".repeat(limits::WORK_BYTES_MAX)
        )),
        "wait" => WorkAnswer::Wait,
        "again" => WorkAnswer::Schedule {
            after: humantime::parse_duration(more).unwrap(),
            scratch: set("seen", "true"),
        },
        "fails" => fails(more),
        "fatal" => WorkAnswer::Fatal {
            error: more.to_owned(),
        },
        _ => panic!("no such answer: {how}"),
    }
}

pub fn complete(output: &str) -> WorkAnswer {
    WorkAnswer::Complete {
        output: json(output),
        context: Changes::default(),
    }
}

pub fn fails(error: &str) -> WorkAnswer {
    WorkAnswer::Retry {
        error: error.to_owned(),
        after: None,
        scratch: Changes::default(),
    }
}

fn set(name: &str, value: &str) -> Changes {
    Changes {
        set: [(name.to_owned(), json(value))].into(),
        delete: Default::default(),
    }
}

impl World {
    pub fn orchestrate(&mut self, what: Orchestrate) -> Answer {
        let by = "ada".to_owned();
        self.operate(Operation::Orchestrate { what, by })
    }

    /// What an instance was given for a step, the newest first.
    pub fn given(&self, step: &StepKey) -> Option<(CommandId, Work)> {
        let nodes = self.nodes.values();
        let received = nodes.flat_map(|node| &node.received);
        let of = received.filter_map(|command| match &command.order {
            Order::Work(work) if work.step == *step => Some((command.id, (**work).clone())),
            _ => None,
        });
        of.max_by_key(|(id, _)| *id)
    }

    /// Whoever has the step answers.
    pub fn works(&mut self, step: &StepKey, answer: WorkAnswer) {
        let (command, work) = self
            .given(step)
            .unwrap_or_else(|| panic!("nobody was given {step}"));
        let node = work.instance.node.clone();
        let report = Report::Worked {
            instance: work.instance,
            incarnation: work.incarnation,
            step: work.step,
            command,
            answer,
        };
        self.report(report, node.as_str());
    }

    /// It has it, and says so: nothing is sent again.
    fn takes(&mut self, step: &StepKey) {
        let (command, work) = self
            .given(step)
            .unwrap_or_else(|| panic!("nobody was given {step}"));
        let report = Report::CommandDone {
            command,
            outcome: CommandOutcome::Done,
        };
        self.report(report, work.instance.node.as_str());
    }

    /// Nothing of what was taken back is at work there any more.
    fn lets_go(&mut self, node: &str) {
        let scripted = self.scripted(node);
        let taken_back = scripted.open.values();
        let taken_back: Vec<(CommandId, CommandId)> = taken_back
            .filter_map(|command| match &command.order {
                Order::TakeBack(back) => Some((command.id, back.work)),
                _ => None,
            })
            .collect();
        for (command, work) in taken_back {
            let scripted = self.scripted(node);
            scripted.open.remove(&command);
            scripted.works.remove(&work);
            let outcome = CommandOutcome::Done;
            self.report(Report::CommandDone { command, outcome }, node);
        }
    }

    fn works_again(&mut self, step: &StepKey) {
        self.works(step, complete("{}"));
    }
}

/// Every run with its steps.
pub fn runs(world: &World) -> Vec<String> {
    let view = world.graph();
    let (now, mut lines) = (world.log_now(), Vec::new());
    for key in view.keys(Kind::Run) {
        let Key::Run(id) = &key else { continue };
        let run = view.run(id).unwrap();
        let mut line = format!("{id}: {}", run.state.as_str());
        for (activity, error) in &run.errors {
            line += &format!("; {activity}: {error}");
        }
        if let Some(response) = &run.response {
            line += &format!("; {response}");
        }
        lines.push(line);
        for key in view.keys(Kind::Step) {
            let Key::Step(at) = &key else { continue };
            if at.run != *id {
                continue;
            }
            let step = view.step(at).unwrap();
            let mut line = format!("  {}: {}", at.activity, step.state.as_str());
            if let Some(due) = step.due() {
                let left = Duration::from_micros(due.0.saturating_sub(now.0));
                line += &format!(" for {:.1} s", left.as_secs_f32());
            }
            if step.calls > 0 {
                line += &format!(", attempt {} call {}", step.attempt, step.calls);
            }
            if let Some(error) = &step.last_error {
                line += &format!(", {error}");
            }
            lines.push(line);
        }
    }
    lines
}
