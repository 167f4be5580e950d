//! What people say of nodes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, Client};
use crate::problem::Problem;
use crate::routes::{self, Method};
use crate::types::{Accepted, CordonRequest, DrainRequest, LabelsRequest, MaintenanceRequest};

/// What somebody works on.
#[derive(Debug, Clone, Copy)]
pub enum WorkedOn<'a> {
    Node(&'a str),
    Placement(&'a str),
    EveryNode,
}

impl Client {
    pub async fn cordon(&self, node: &str, reason: &str) -> Result<Accepted, Problem> {
        let reason = reason.to_owned();
        let path = routes::NODE_CORDON.fill(&[node]);
        self.post(&path, &CordonRequest { reason }).await
    }

    pub async fn drain(&self, node: &str, reason: &str, force: bool) -> Result<Accepted, Problem> {
        let reason = reason.to_owned();
        let path = routes::NODE_DRAIN.fill(&[node]);
        self.post(&path, &DrainRequest { reason, force }).await
    }

    pub async fn uncordon(&self, node: &str) -> Result<Accepted, Problem> {
        let path = routes::NODE_UNCORDON.fill(&[node]);
        self.post(&path, &Value::Null).await
    }

    pub async fn maintain(
        &self,
        what: WorkedOn<'_>,
        request: &MaintenanceRequest,
    ) -> Result<Accepted, Problem> {
        let path = match what {
            WorkedOn::Node(node) => routes::NODE_MAINTENANCE.fill(&[node]),
            WorkedOn::Placement(name) => routes::PLACEMENT_MAINTENANCE.fill(&[name]),
            WorkedOn::EveryNode => routes::MAINTENANCE.path.to_owned(),
        };
        self.post(&path, request).await
    }

    pub async fn end_maintenance(&self, what: WorkedOn<'_>) -> Result<Accepted, Problem> {
        let path = match what {
            WorkedOn::Node(node) => routes::NODE_MAINTENANCE_OVER.fill(&[node]),
            WorkedOn::Placement(name) => routes::PLACEMENT_MAINTENANCE_OVER.fill(&[name]),
            WorkedOn::EveryNode => routes::MAINTENANCE_OVER.path.to_owned(),
        };
        self.delete(&path).await
    }

    /// None takes one away.
    pub async fn label(
        &self,
        node: &str,
        labels: BTreeMap<String, Option<String>>,
        force: bool,
    ) -> Result<Accepted, Problem> {
        let path = routes::NODE_LABELS.fill(&[node]);
        let change = Change::new(Method::Put, &path);
        self.change(change, &LabelsRequest { labels, force }, self.timeout())
            .await
    }

    pub async fn confirm_dead(&self, node: &str, reason: &str) -> Result<Accepted, Problem> {
        let reason = reason.to_owned();
        let path = routes::NODE_CONFIRM_DEAD.fill(&[node]);
        self.post(&path, &CordonRequest { reason }).await
    }

    pub async fn restart_node(
        &self,
        node: &str,
        reason: &str,
        force: bool,
    ) -> Result<Accepted, Problem> {
        let reason = reason.to_owned();
        let path = routes::NODE_RESTART.fill(&[node]);
        self.post(&path, &DrainRequest { reason, force }).await
    }

    pub async fn remove_node(&self, node: &str) -> Result<Accepted, Problem> {
        let path = routes::NODE_REMOVE.fill(&[node]);
        self.delete(&path).await
    }
}
