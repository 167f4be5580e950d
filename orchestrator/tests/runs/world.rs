//! A run with its steps in a map.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_orchestrator::{
    ActivityType, Found, Known, Machine, No, Plan, RetryPolicy, definition,
};
use mainstay_protocol::work::{Changes, WorkAnswer};
use mainstay_protocol::{
    CommandId, Incarnation, InstanceKey, Json, NodeName, PlacementName, Timestamp, WorkName,
};
use mainstay_resource_graph::{Run, RunState, Step, StepState, TextHash};

pub fn name(text: &str) -> WorkName {
    WorkName::new(text).unwrap()
}

pub fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    first: Duration::from_millis(10),
    max: Duration::from_millis(40),
    factor: 2,
    jitter: false,
    total_timeout: None,
};

/// Activities with what they depend on, and more of their JSON.
pub fn plan(activities: &[(&str, &[&str], &str)], on_fatal: &str) -> Plan {
    let mut found = Found::default();
    let of = ActivityType::read(&json(r#"{"type":"a","provider":"p"}"#), &mut found).unwrap();
    let known: Known = [(of.name.clone(), of)].into();
    let entries = activities.iter().map(|(id, on, more)| {
        let on: Vec<String> = on.iter().map(|on| format!("\"{on}\"")).collect();
        format!(
            r#"{{"id":"{id}","type":"a","dependsOn":[{}]{more}}}"#,
            on.join(",")
        )
    });
    let entries: Vec<String> = entries.collect();
    let text = format!(
        r#"{{"type":"t","onFatal":"{on_fatal}","activities":[{}]}}"#,
        entries.join(",")
    );
    let read = definition(&json(&text), &known, &mut found);
    let read = read.unwrap_or_else(|| panic!("{:?}", found.faults));
    let activities = read.activities.section(None).unwrap();
    Plan::of(activities, read.on_fatal, (&known, &POLICY))
}

/// One run, its steps, and a time that passes as the test says.
pub struct World {
    pub plan: Plan,
    pub run: Run,
    pub steps: BTreeMap<WorkName, Step>,
    pub now: Timestamp,
    pub taken: u64,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut world = Self {
            run: begins(Timestamp(1_000_000)),
            now: Timestamp(1_000_000),
            plan,
            steps: BTreeMap::new(),
            taken: 0,
        };
        world.machine().begin();
        world
    }

    pub fn machine(&mut self) -> Machine<'_, BTreeMap<WorkName, Step>> {
        Machine::new(&self.plan, &mut self.run, &mut self.steps, (self.now, 0))
    }

    pub fn take(&mut self, id: &str) -> CommandId {
        self.taken += 1;
        let token = CommandId(self.taken);
        let taken = self.machine().take(&name(id), token, worker());
        taken.unwrap_or_else(|no| panic!("{id}: {no:?}"));
        token
    }

    pub fn answer(&mut self, id: &str, token: CommandId, answer: WorkAnswer) -> Result<(), No> {
        self.machine().answered(&name(id), token, answer)
    }

    pub fn done(&mut self, id: &str) {
        let token = self.take(id);
        self.answer(id, token, complete("{}")).unwrap();
    }

    pub fn state(&self, id: &str) -> &StepState {
        &self.steps[&name(id)].state
    }

    pub fn queued(&self) -> Vec<&str> {
        let queued = self.steps.iter();
        let queued = queued.filter(|(_, step)| matches!(step.state, StepState::Queued { .. }));
        queued.map(|(id, _)| id.as_str()).collect()
    }

    pub fn passes(&mut self, span: Duration) {
        self.now = self.now + span;
        let due = self.steps.iter();
        let due = due.filter(|(_, step)| step.due().is_some_and(|at| at <= self.now));
        let due: Vec<WorkName> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            // Another one that was due may have ended the run.
            self.machine().due(&id).ok();
        }
    }
}

/// Somebody who works.
pub fn worker() -> (InstanceKey, Incarnation) {
    let at = InstanceKey::new(
        NodeName::new("n1").unwrap(),
        PlacementName::new("w").unwrap(),
    );
    (at, Incarnation::default())
}

fn begins(now: Timestamp) -> Run {
    Run {
        orchestration: name("t"),
        section: None,
        correlation: None,
        plan: TextHash(String::new()),
        input: TextHash(String::new()),
        asked: TextHash(String::new()),
        line: None,
        state: RunState::Running,
        context: Json::empty_object(),
        errors: BTreeMap::new(),
        done: 0,
        left: 0,
        began: now,
        ended: None,
        response: None,
        by: "a test".to_owned(),
        ordered: None,
    }
}

pub fn complete(output: &str) -> WorkAnswer {
    WorkAnswer::Complete {
        output: json(output),
        context: Changes::default(),
    }
}

pub fn retry(error: &str) -> WorkAnswer {
    WorkAnswer::Retry {
        error: error.to_owned(),
        after: None,
        scratch: Changes::default(),
    }
}

pub fn fatal(error: &str) -> WorkAnswer {
    WorkAnswer::Fatal {
        error: error.to_owned(),
    }
}

pub fn set(key: &str, value: &str) -> Changes {
    Changes {
        set: [(key.to_owned(), json(value))].into(),
        delete: BTreeSet::new(),
    }
}
