//! Durable work, as calls.

use serde_json::Value;

use super::{Change, Client};
use crate::problem::Problem;
use crate::routes::{self, Route, query};
use crate::types::{
    Accepted, Activity, Exact, Orchestration, Run, RunDetail, RunRequest, StepDone,
};

/// Which runs; all, where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub orchestration: Option<String>,
    pub state: Option<String>,
    pub correlation: Option<String>,
}

/// What is done to a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunVerb {
    Pause,
    Resume,
    Cancel,
    Retry,
    Dispose,
}

impl RunVerb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Dispose => "dispose",
        }
    }

    fn route(self) -> Route {
        match self {
            Self::Pause => routes::RUN_PAUSE,
            Self::Resume => routes::RUN_RESUME,
            Self::Cancel => routes::RUN_CANCEL,
            Self::Retry => routes::RUN_RETRY,
            Self::Dispose => routes::RUN_DISPOSE,
        }
    }
}

impl Client {
    pub async fn activities(&self) -> Result<Vec<Activity>, Problem> {
        self.list(routes::ACTIVITIES.path).await
    }

    pub async fn activity(&self, name: &str) -> Result<Activity, Problem> {
        self.get(&routes::ACTIVITY.fill(&[name])).await
    }

    pub async fn put_activity(&self, name: &str, definition: &Exact) -> Result<Accepted, Problem> {
        self.put(routes::ACTIVITY_PUT, name, definition).await
    }

    pub async fn delete_activity(&self, name: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::ACTIVITY_DELETE.fill(&[name])).await
    }

    pub async fn orchestrations(&self) -> Result<Vec<Orchestration>, Problem> {
        self.list(routes::ORCHESTRATIONS.path).await
    }

    pub async fn orchestration(&self, name: &str) -> Result<Orchestration, Problem> {
        self.get(&routes::ORCHESTRATION.fill(&[name])).await
    }

    pub async fn put_orchestration(
        &self,
        name: &str,
        definition: &Exact,
    ) -> Result<Accepted, Problem> {
        self.put(routes::ORCHESTRATION_PUT, name, definition).await
    }

    pub async fn delete_orchestration(&self, name: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::ORCHESTRATION_DELETE.fill(&[name]))
            .await
    }

    pub(super) async fn put(
        &self,
        route: Route,
        name: &str,
        definition: &Exact,
    ) -> Result<Accepted, Problem> {
        let path = route.fill(&[name]);
        let change = Change::new(route.method, &path);
        self.change(change, definition, self.timeout()).await
    }

    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Problem> {
        let pairs = [
            ("type", &filter.orchestration),
            ("state", &filter.state),
            ("correlation", &filter.correlation),
        ];
        let said = pairs.iter();
        let said: Vec<(&str, &str)> = said
            .filter_map(|(key, value)| Some((*key, value.as_deref()?)))
            .collect();
        self.list(&format!("{}{}", routes::RUNS.path, query(&said)))
            .await
    }

    pub async fn run(&self, id: &str) -> Result<RunDetail, Problem> {
        self.get(&routes::RUN.fill(&[id])).await
    }

    pub async fn start_run(&self, request: &RunRequest) -> Result<Accepted, Problem> {
        self.post(routes::RUN_START.path, request).await
    }

    pub async fn run_act(&self, id: &str, verb: RunVerb) -> Result<Accepted, Problem> {
        self.post(&verb.route().fill(&[id]), &Value::Null).await
    }

    pub async fn forget_run(&self, id: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::RUN_FORGET.fill(&[id])).await
    }

    pub async fn step_done(
        &self,
        run: &str,
        activity: &str,
        done: &StepDone,
    ) -> Result<Accepted, Problem> {
        let path = routes::STEP_DONE.fill(&[run, activity]);
        self.post(&path, done).await
    }
}
