//! Services, and what was ordered of them.

use mainstay_coordinator::activities_of;
use mainstay_orchestrator::{Found, Parameter, Pointer, declared, is_own_error};
use mainstay_protocol::{Json, RunId, ServiceId, StepKey, Timestamp};
use mainstay_resource_graph::{
    Key, Kind, Ordered, Record, Run, RunState, StepState, Vertex, ViewExt,
};

use super::list::{ListQuery, Page};
use super::{Present, known};
use crate::problem::Problem;
use crate::types::{self, Exact};

impl Present<'_> {
    pub fn service(&self, id: &ServiceId) -> Option<types::Service> {
        let record = self.record(&Key::Service(id.clone()))?;
        let Vertex::Service(one) = &record.vertex else {
            return None;
        };
        let text = one.description.member("description");
        let parameters = one.description.member("parameters");
        let parameters =
            parameters.map(|all| declared(&Pointer::root(), &all, &mut Found::default()));
        Some(types::Service {
            id: id.to_string(),
            name: one.name.clone(),
            description: text.and_then(|text| known(&text.as_text()?)),
            model: one.model.clone(),
            orderable: one.is_ordered,
            parameters: parameters.into_iter().flatten().map(parameter).collect(),
            generation: one.generation.0,
            by: one.by.clone(),
            since: self.live.time(record.since),
            definition: Some(Exact(one.description.clone())),
        })
    }

    /// In pages, as runs are; `type` is the service, `state` the status.
    pub fn orders(&self, query: &ListQuery) -> Result<Page, Problem> {
        self.page(self.view.keys(Kind::Run), query, |key| {
            let Key::Run(id) = key else { return None };
            let record = self.view.record(key)?;
            let Vertex::Run(run) = &record.vertex else {
                return None;
            };
            let ordered = run.ordered.as_ref()?;
            let of = query.service_type.as_deref();
            let names = [ordered.service.as_str(), &ordered.called];
            if of.is_some_and(|of| !names.contains(&of)) {
                return None;
            }
            // Its steps are looked at only where they say more than the run does.
            let state = query.state.as_deref();
            if state.is_some_and(|state| !may_be(run.state, state)) {
                return None;
            }
            let order = self.order_row(id, (run, ordered), &record);
            let fits = state.is_none_or(|state| state.eq_ignore_ascii_case(&order.status));
            fits.then(|| serde_json::to_value(order).ok())?
        })
    }

    /// None also of a run that nobody ordered.
    pub fn order(&self, id: &RunId) -> Option<types::OrderDetail> {
        let record = self.record(&Key::Run(id.clone()))?;
        let Vertex::Run(run) = &record.vertex else {
            return None;
        };
        let ordered = run.ordered.as_ref()?;
        let detail = self.run_detail(id)?;
        let complete = detail.steps.iter();
        let products = complete.filter_map(|step| {
            let Exact(outputs) = step.outputs.clone()?;
            Some((step.activity.clone(), outputs))
        });
        Some(types::OrderDetail {
            order: self.order_row(id, (run, ordered), &record),
            parameters: Exact(ordered.parameters.clone()),
            products: Exact(Json::object(&products.collect())),
            run: detail.run,
            steps: detail.steps,
        })
    }

    fn order_row(
        &self,
        id: &RunId,
        (run, ordered): (&Run, &Ordered),
        record: &Record,
    ) -> types::Order {
        let shown = self.run_row(id, run, record);
        let (status, started) = self.status_of(id, run);
        types::Order {
            id: id.to_string(),
            service: ordered.service.to_string(),
            service_name: ordered.called.clone(),
            name: ordered.name.clone(),
            status: status.to_owned(),
            reason: shown.reason,
            by: run.by.clone(),
            ordered: shown.began,
            started: started.map(|at| self.live.time(at)),
            finished: shown.ended,
        }
    }

    /// What has become of it, and when the first of it was given out.
    fn status_of(&self, id: &RunId, run: &Run) -> (&'static str, Option<Timestamp>) {
        let activities = activities_of(self.view, run);
        let steps = activities.iter();
        let steps =
            steps.filter_map(|one| self.view.step(&StepKey::new(id.clone(), one.id.clone())));
        let steps: Vec<_> = steps.collect();
        let started = steps.iter().filter_map(|step| step.first_try).min();
        let is_out = |state: &StepState| {
            matches!(state, StepState::Running { .. } | StepState::Waiting { .. })
        };
        let status = match run.state {
            RunState::Running | RunState::Paused if started.is_none() => "pending",
            RunState::Running | RunState::Paused => {
                match steps.iter().any(|step| is_out(&step.state)) {
                    true => "executing",
                    false => "scheduled",
                }
            }
            RunState::Completed => "succeeded",
            RunState::Cancelled => "cancelled",
            _ if run.errors.values().any(|error| is_own_error(error)) => "error",
            _ => "failed",
        };
        (status, started)
    }
}

/// Whether an order whose run is in this state can have this status.
fn may_be(state: RunState, status: &str) -> bool {
    let all: &[&str] = match state {
        RunState::Running | RunState::Paused => &["pending", "scheduled", "executing"],
        RunState::Completed => &["succeeded"],
        RunState::Cancelled => &["cancelled"],
        RunState::Errored
        | RunState::Compensating
        | RunState::Compensated
        | RunState::CompensationFailed => &["failed", "error"],
    };
    all.iter().any(|one| one.eq_ignore_ascii_case(status))
}

fn parameter(of: Parameter) -> types::ServiceParameter {
    types::ServiceParameter {
        of: of.kind.as_str().to_owned(),
        description: known(&of.description),
        unit: known(&of.unit),
        default: of.default.map(Exact),
        optional: of.optional,
        constant: of.constant,
        options: of.options.into_iter().map(Exact).collect(),
        name: of.name,
    }
}
