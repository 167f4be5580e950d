//! The whole cluster at a glance: what is not as wanted and what is at its root, what is being done, what will be.

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{InstanceKey, limits};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Kind, NodeState, ParkedWhat, Vertex, View, ViewExt,
};

use super::{Present, is_as_wanted};
use crate::types::{Counts, Status, StatusProblem, Verdict, Work};

/// What the station knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    pub quorum: bool,
    pub term: Option<u64>,
    pub data_age_ms: u64,
}

/// How far a root is looked for.
const ROOT_STEPS_MAX: usize = limits::WHY_DEPTH_MAX;

/// How an instance stands.
enum Stands {
    AsWanted,
    /// On its way; a deadline or a rule looks after it.
    UnderWay(&'static str),
    Wrong(Reason),
}

impl Present<'_> {
    pub fn status(&self, standing: Standing) -> Status {
        let mut sum = Sum::default();
        for key in self.view.keys(Kind::Node) {
            self.add_node(&key, &mut sum);
        }
        for key in self.view.keys(Kind::Parked) {
            self.add_parked(&key, &mut sum);
        }
        for key in self.view.keys(Kind::Instance) {
            if let Key::Instance(instance) = key {
                self.add_instance(&instance, &mut sum);
            }
        }
        for list in [&mut sum.working_on, &mut sum.scheduled] {
            list.sort_by(|a, b| (a.at, &a.reference).cmp(&(b.at, &b.reference)));
            list.truncate(limits::PAGE_ROWS_MAX);
        }
        let verdict = sum.verdict(standing.quorum);
        Status {
            verdict,
            quorum: standing.quorum,
            leader: self.live.leader().map(|id| id.to_string()),
            term: standing.term,
            data_age_ms: standing.data_age_ms,
            nodes: sum.nodes,
            instances: sum.instances,
            problems: sum.ranked(),
            working_on: sum.working_on,
            scheduled: sum.scheduled,
        }
    }

    fn add_node(&self, key: &Key, sum: &mut Sum) {
        let Some(record) = self.record(key) else {
            return;
        };
        let Vertex::Node(node) = &record.vertex else {
            return;
        };
        sum.nodes.total += 1;
        match node.state {
            NodeState::Online => sum.nodes.ok += 1,
            NodeState::AgentDown => {
                let reason = node
                    .reason
                    .clone()
                    .unwrap_or_else(|| Reason::new(code::AGENT_DOWN, "its agent is not connected"));
                sum.problem(key, reason, key, self.live.time(record.since));
            }
        }
    }

    fn add_parked(&self, key: &Key, sum: &mut Sum) {
        let Some(record) = self.record(key) else {
            return;
        };
        let Vertex::Parked(parked) = &record.vertex else {
            return;
        };
        let reason = match &parked.what {
            ParkedWhat::Rule { rule, subject, .. } => {
                let text = format!("rule {rule} is parked for {subject}: {}", parked.text);
                Reason::new(code::RULE_PANICKED, text).about(subject)
            }
            ParkedWhat::Event { name, .. } => Reason::new(
                code::EVENT_PARKED,
                format!("event {name} is parked: {}", parked.text),
            ),
        };
        sum.problem(key, reason, key, self.live.time(parked.at));
    }

    fn add_instance(&self, instance_key: &InstanceKey, sum: &mut Sum) {
        let key = Key::Instance(instance_key.clone());
        let Some(record) = self.record(&key) else {
            return;
        };
        let Vertex::Instance(instance) = &record.vertex else {
            return;
        };
        sum.instances.total += 1;
        sum.wanted += u64::from(instance.desired == Desired::Running);
        match stands(instance) {
            Stands::AsWanted => sum.instances.ok += 1,
            Stands::UnderWay(action) => sum.working_on.push(Work {
                reference: key.to_string(),
                action: action.to_owned(),
                at: instance.deadline.map(|at| self.live.time(at)),
                rule: record.cause.rule().map(str::to_owned),
            }),
            Stands::Wrong(reason) => {
                sum.unknown += u64::from(matches!(instance.state, InstanceState::Unknown { .. }));
                let root = root_of(self.view, &key, &reason);
                sum.problem(&key, reason, &root, self.live.time(record.since));
            }
        }
        if let (InstanceState::Backoff { attempt, of }, Some(at)) =
            (instance.state, instance.next_try)
        {
            sum.scheduled.push(Work {
                reference: key.to_string(),
                action: format!("start, attempt {attempt} of {of}"),
                at: Some(self.live.time(at)),
                rule: Some("restart".to_owned()),
            });
        }
    }
}

fn stands(instance: &Instance) -> Stands {
    if is_as_wanted(instance) {
        return Stands::AsWanted;
    }
    let wrong = |fallback: &code::Code| {
        let given = instance.reason.clone();
        let text = format!("it is {}", instance.state.as_str());
        Stands::Wrong(given.unwrap_or_else(|| Reason::new(fallback.clone(), text)))
    };
    match instance.state {
        InstanceState::Starting => Stands::UnderWay("start"),
        InstanceState::Stopping { stuck: false, .. } => Stands::UnderWay("stop"),
        InstanceState::Stopping { stuck: true, .. } => wrong(&code::WILL_NOT_END),
        // Running and not as wanted: to be stopped, or its first Check is not there yet.
        InstanceState::Running if instance.desired != Desired::Running => Stands::UnderWay("stop"),
        InstanceState::Running => match instance.health {
            crate::types::Health::Unknown => Stands::UnderWay("first Check"),
            crate::types::Health::Ok => Stands::AsWanted,
            crate::types::Health::Degraded => wrong(&code::DEGRADED),
            crate::types::Health::Failed => wrong(&code::CHECK_FAILED),
            crate::types::Health::Unresponsive => wrong(&code::UNRESPONSIVE),
        },
        InstanceState::Pending if instance.reason.is_none() => Stands::UnderWay("start"),
        InstanceState::Pending => wrong(&code::WANTED),
        InstanceState::Blocked => wrong(&code::NAME_HELD),
        InstanceState::Degraded => wrong(&code::DEGRADED),
        InstanceState::Unresponsive { .. } => wrong(&code::UNRESPONSIVE),
        InstanceState::Stopped { .. } => wrong(&code::WANTED),
        InstanceState::Failed { .. } => wrong(&code::VANISHED),
        InstanceState::Backoff { .. } => wrong(&code::BACKOFF),
        InstanceState::Quarantined => wrong(&code::RESTART_BUDGET_USED),
        InstanceState::Unknown { .. } => wrong(&code::NODE_AWAY),
    }
}

/// Follows what reasons point at, as long as that is wrong itself or in the way.
fn root_of(view: &dyn View, key: &Key, reason: &Reason) -> Key {
    let mut at = key.clone();
    let mut reason = Some(reason.clone());
    for _ in 0..ROOT_STEPS_MAX {
        let next = reason
            .iter()
            .flat_map(|reason| &reason.refs)
            .filter_map(|reference| reference.parse::<Key>().ok())
            .find(|next| *next != at && *next != *key && leads_on(view, next));
        let Some(next) = next else { break };
        reason = match view.record(&next).map(|record| record.vertex.clone()) {
            Some(Vertex::Instance(instance)) if !is_as_wanted(&instance) => instance.reason,
            _ => None,
        };
        at = next;
    }
    at
}

/// Nodes and other instances can be at the root; a name or a configuration only says what it is about.
fn leads_on(view: &dyn View, key: &Key) -> bool {
    match key {
        Key::Node(name) => view
            .node(name)
            .is_none_or(|node| node.state != NodeState::Online),
        Key::Instance(_) => view.record(key).is_some(),
        Key::Cluster
        | Key::Station(_)
        | Key::Outbox(_)
        | Key::Type(_)
        | Key::Placement(_)
        | Key::Name(_)
        | Key::Configuration(_)
        | Key::Supervisor(_)
        | Key::Command(_)
        | Key::Parked(_) => false,
    }
}

#[derive(Default)]
struct Sum {
    nodes: Counts,
    instances: Counts,
    wanted: u64,
    unknown: u64,
    problems: Vec<StatusProblem>,
    working_on: Vec<Work>,
    scheduled: Vec<Work>,
}

impl Sum {
    fn problem(&mut self, key: &Key, reason: Reason, root: &Key, since: crate::Time) {
        self.problems.push(StatusProblem {
            reference: key.to_string(),
            reason: Some(reason),
            root: root.to_string(),
            since,
            why: format!("mainstay why {key}"),
        });
    }

    fn verdict(&self, quorum: bool) -> Verdict {
        let nothing_ok = self.wanted > 0 && self.instances.ok == 0;
        let nothing_known = self.nodes.total > 0 && self.nodes.ok == 0;
        match () {
            () if !quorum => Verdict::Unknown,
            () if nothing_known || (nothing_ok && self.unknown == self.instances.total) => {
                Verdict::Unknown
            }
            () if nothing_ok && !self.problems.is_empty() => Verdict::Down,
            () if !self.problems.is_empty() || self.instances.ok < self.instances.total => {
                Verdict::Degraded
            }
            () => Verdict::Healthy,
        }
    }

    /// Roots with the most behind them first, each root's problems together.
    fn ranked(&mut self) -> Vec<StatusProblem> {
        let mut behind = std::collections::BTreeMap::<String, usize>::new();
        for problem in &self.problems {
            *behind.entry(problem.root.clone()).or_default() += 1;
        }
        let mut problems = std::mem::take(&mut self.problems);
        problems.sort_by_cached_key(|problem| {
            let weight = behind.get(&problem.root).copied().unwrap_or_default();
            let is_root = problem.reference == problem.root;
            (
                std::cmp::Reverse(weight),
                problem.root.clone(),
                !is_root,
                problem.reference.clone(),
            )
        });
        problems.truncate(limits::PAGE_ROWS_MAX);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample::Sample;

    const LEADING: Standing = Standing {
        quorum: true,
        term: Some(3),
        data_age_ms: 0,
    };

    #[test]
    fn what_is_blocked_is_a_problem_rooted_in_the_holder() {
        let status = Sample::new().present().status(LEADING);
        assert_eq!(status.verdict, Verdict::Degraded);
        assert_eq!((status.instances.total, status.instances.ok), (2, 1));
        let rival = status
            .problems
            .iter()
            .find(|problem| problem.reference == "rival@n1")
            .unwrap();
        assert_eq!(rival.root, "web@n1");
        assert_eq!(rival.why, "mainstay why rival@n1");
        assert!(
            status
                .problems
                .iter()
                .any(|problem| problem.reference == "parked/beef")
        );
    }

    #[test]
    fn without_a_quorum_nothing_is_called_healthy() {
        let standing = Standing {
            quorum: false,
            term: None,
            data_age_ms: 900,
        };
        let status = Sample::new().present().status(standing);
        assert_eq!(
            (status.verdict, status.data_age_ms),
            (Verdict::Unknown, 900)
        );
    }
}
