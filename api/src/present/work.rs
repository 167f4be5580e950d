//! Orchestrations, types of activities, runs and their steps.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::{activities_of, is_run_over, why};
use mainstay_orchestrator::{Activity, ActivityType, Dag, Definition, Found};
use mainstay_protocol::work::Skill;
use mainstay_protocol::{Json, RunId, StepKey, WorkName, limits, words};
use mainstay_resource_graph::{Key, Kind, Record, Run, RunState, Vertex, ViewExt};

use super::{Present, known};
use crate::types::{self, Exact};

impl Present<'_> {
    pub fn orchestration(&self, name: &WorkName) -> Option<types::Orchestration> {
        let record = self.record(&Key::Orchestration(name.clone()))?;
        let Vertex::Orchestration(one) = &record.vertex else {
            return None;
        };
        let definition = Definition::read(&one.definition, &mut Found::default())?;
        let activities = &definition.activities;
        Some(types::Orchestration {
            name: name.to_string(),
            description: known(&definition.description),
            active: definition.active,
            generation: one.generation.0,
            sections: activities.names().into_iter().map(str::to_owned).collect(),
            activities: activities.all().count(),
            by: one.by.clone(),
            since: self.live.time(record.since),
            definition: Some(Exact(one.definition.clone())),
        })
    }

    pub fn activity(&self, name: &WorkName) -> Option<types::Activity> {
        let record = self.record(&Key::Activity(name.clone()))?;
        let Vertex::Activity(one) = &record.vertex else {
            return None;
        };
        let of = ActivityType::read(&one.definition, &mut Found::default())?;
        let skill = Skill {
            provider: of.provider.clone(),
            activity: of.name.clone(),
        };
        let serving = self.view.hands().into_iter();
        let serving = serving.filter(|worker| why::does(self.view, worker, &skill));
        Some(types::Activity {
            name: name.to_string(),
            provider: of.provider,
            description: known(&of.description),
            generation: one.generation.0,
            served_by: serving.map(|worker| worker.to_string()).collect(),
            used_by: self.users().get(name).cloned().unwrap_or_default(),
            by: one.by.clone(),
            since: self.live.time(record.since),
            definition: Some(Exact(one.definition.clone())),
        })
    }

    /// By type of activity the orchestrations that have it: looked for once, however many are shown.
    fn users(&self) -> &BTreeMap<WorkName, Vec<String>> {
        self.activity_users.get_or_init(|| {
            let mut users: BTreeMap<WorkName, Vec<String>> = BTreeMap::new();
            for key in self.view.keys(Kind::Orchestration) {
                let record = self.record(&key);
                let Some(Vertex::Orchestration(one)) = record.map(|record| record.vertex.clone())
                else {
                    continue;
                };
                let read = Definition::read(&one.definition, &mut Found::default());
                let activities = read.iter().flat_map(|read| read.activities.all());
                let names: BTreeSet<WorkName> = activities.map(|one| one.of.clone()).collect();
                for name in names {
                    users.entry(name).or_default().push(key.to_string());
                }
            }
            users
        })
    }

    pub fn run(&self, id: &RunId) -> Option<types::Run> {
        let record = self.record(&Key::Run(id.clone()))?;
        let Vertex::Run(run) = &record.vertex else {
            return None;
        };
        Some(self.run_row(id, run, &record))
    }

    pub(super) fn run_row(&self, id: &RunId, run: &Run, record: &Record) -> types::Run {
        let errors = run.errors.iter().map(|(activity, error)| types::RunError {
            activity: activity.to_string(),
            error: short(error),
        });
        let is_undone = || id.undone().is_none() && self.view.run(&id.undoing()).is_some();
        types::Run {
            id: id.to_string(),
            orchestration: run.orchestration.to_string(),
            section: run.section.clone(),
            correlation_id: run.correlation.clone(),
            state: run.state.as_str().to_owned(),
            over: is_run_over(self.view, id, run),
            reason: why::run_reason(self.view, id, run).map(|mut reason| {
                reason.text = short(&reason.text);
                reason
            }),
            done: run.done,
            steps: run.done + run.left,
            errors: errors.collect(),
            undoes: id.undone().map(|undone| undone.to_string()),
            undone_by: (run.state != RunState::Running && is_undone())
                .then(|| id.undoing().to_string()),
            by: run.by.clone(),
            began: self.live.time(run.began),
            ended: run.ended.map(|ended| self.live.time(ended)),
            since: self.live.time(record.since),
        }
    }

    pub fn run_detail(&self, id: &RunId) -> Option<types::RunDetail> {
        let record = self.record(&Key::Run(id.clone()))?;
        let Vertex::Run(run) = &record.vertex else {
            return None;
        };
        let activities = activities_of(self.view, run);
        let tiers = Dag::of(&activities).tiers();
        let steps = activities.iter().zip(tiers).filter_map(|(activity, tier)| {
            self.step_of(
                &StepKey::new(id.clone(), activity.id.clone()),
                activity,
                tier,
            )
        });
        Some(types::RunDetail {
            run: self.run_row(id, run, &record),
            input: Exact(self.text(&Key::Text(run.input.clone()))),
            context: Exact(run.context.clone()),
            outputs: run.response.clone().map(Exact),
            steps: steps.collect(),
        })
    }

    /// Its texts are there as long as it is.
    fn text(&self, key: &Key) -> Json {
        match self.record(key).map(|record| record.vertex.clone()) {
            Some(Vertex::Text(text)) => text.json,
            _ => Json::empty_object(),
        }
    }

    pub fn step(&self, key: &StepKey) -> Option<types::Step> {
        let run = self.view.run(&key.run)?;
        let activities = activities_of(self.view, &run);
        let place = activities.iter().position(|one| one.id == key.activity)?;
        let tier = Dag::of(&activities).tiers()[place];
        self.step_of(key, &activities[place], tier)
    }

    fn step_of(&self, key: &StepKey, activity: &Activity, tier: usize) -> Option<types::Step> {
        let record = self.record(&Key::Step(key.clone()))?;
        let Vertex::Step(step) = &record.vertex else {
            return None;
        };
        Some(types::Step {
            activity: key.activity.to_string(),
            of: step.skill.activity.to_string(),
            provider: step.skill.provider.clone(),
            tier,
            depends_on: activity
                .depends_on
                .iter()
                .map(ToString::to_string)
                .collect(),
            state: step.state.as_str().to_owned(),
            reason: why::step_reason(self.view, key, step),
            attempt: step.attempt,
            calls: step.calls,
            worker: step.worker.as_ref().map(ToString::to_string),
            token: step.token().map(|token| token.to_string()),
            began: step.first_try.map(|began| self.live.time(began)),
            since: self.live.time(record.since),
            due: step.due().map(|due| self.live.time(due)),
            last_error: step.last_error.clone(),
            outputs: step.output.clone().map(Exact),
            scratch: Exact(step.scratch.clone()),
        })
    }
}

/// What went wrong in whole is with the step.
fn short(text: &str) -> String {
    let mut text = text.to_owned();
    words::cut(&mut text, limits::EVIDENCE_SHORT_BYTES);
    text
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::{RunId, WorkName};

    use crate::present::sample::Sample;

    #[test]
    fn a_run_shows_its_steps_in_order_with_what_each_waits_for() {
        let sample = Sample::new();
        let id = RunId::new("r1").unwrap();
        let shown = sample.present().run_detail(&id).unwrap();
        assert_eq!(shown.run.correlation_id.as_deref(), Some("order 7"));
        assert_eq!((shown.run.done, shown.run.steps), (1, 2));
        let steps: Vec<_> = shown
            .steps
            .iter()
            .map(|step| (step.activity.as_str(), step.tier))
            .collect();
        assert_eq!(steps, [("make", 0), ("use", 1)]);
        assert_eq!(shown.steps[1].token.as_deref(), Some("9"));
        let why = shown.run.reason.unwrap();
        assert_eq!(why.code.as_str(), "MS-STEP-WAITS");
        let written = serde_json::to_string(&shown.input).unwrap();
        assert_eq!(written, r#"{"n":9007199254740993}"#);
    }

    #[test]
    fn an_activity_names_who_uses_it() {
        let sample = Sample::new();
        let shown = sample
            .present()
            .activity(&WorkName::new("a").unwrap())
            .unwrap();
        assert_eq!(shown.used_by, ["orchestration/t"]);
        assert!(shown.served_by.is_empty());
        let shown = sample
            .present()
            .orchestration(&WorkName::new("t").unwrap())
            .unwrap();
        assert_eq!((shown.generation, shown.activities), (2, 2));
    }
}
