//! The whole cluster at a glance: the coordinator's judgement, with roots ranked by how much stands on them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mainstay_coordinator::status::{self, Count, Problem, SetAside, Work};
use mainstay_protocol::{code, limits};
use mainstay_resource_graph::Key;

use super::{Broken, Present};
use crate::types;

/// What the station knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    pub quorum: bool,
    pub term: Option<u64>,
    pub data_age_ms: u64,
}

impl Present<'_> {
    pub fn status(&self, standing: Standing) -> types::Status {
        let found = status::status(self.view);
        types::Status {
            verdict: match found.verdict {
                _ if !standing.quorum => types::Verdict::Unknown,
                status::Verdict::Healthy => types::Verdict::Healthy,
                status::Verdict::Degraded => types::Verdict::Degraded,
                status::Verdict::Down => types::Verdict::Down,
                status::Verdict::Unknown => types::Verdict::Unknown,
            },
            quorum: standing.quorum,
            leader: self.live.leader().map(|id| id.to_string()),
            term: standing.term,
            data_age_ms: standing.data_age_ms,
            nodes: counts(found.nodes),
            instances: counts(found.instances),
            problems: ranked(found.problems)
                .iter()
                .map(|problem| self.problem(problem))
                .collect(),
            working_on: found
                .working_on
                .iter()
                .map(|work| self.work(work))
                .collect(),
            scheduled: found.scheduled.iter().map(|work| self.work(work)).collect(),
            rules_off: found.rules_off.into_keys().collect(),
            broken: self
                .live
                .broken()
                .map(|all| all.iter().map(broken).collect()),
            set_aside: found.set_aside.iter().map(set_aside).collect(),
        }
    }

    fn problem(&self, problem: &Problem) -> types::StatusProblem {
        types::StatusProblem {
            reference: problem.key.to_string(),
            reason: problem.reason.clone(),
            root: problem.root.to_string(),
            since: self.live.time(problem.since),
            why: format!("mainstay why {}", problem.key),
        }
    }

    fn work(&self, work: &Work) -> types::Work {
        types::Work {
            reference: work.key.to_string(),
            action: work.action.clone(),
            at: work.at.map(|at| self.live.time(at)),
            rule: Some(work.rule.to_owned()),
        }
    }
}

fn broken(broken: &Broken) -> types::OnPurpose {
    types::OnPurpose {
        reference: broken.key.to_string(),
        how: broken.how.clone(),
        undo: heal(&broken.key),
    }
}

fn set_aside(one: &SetAside) -> types::OnPurpose {
    types::OnPurpose {
        reference: one.key.to_string(),
        how: one.how.clone(),
        undo: one.undo.clone(),
    }
}

pub(super) fn heal(key: &Key) -> String {
    format!("mainstay chaos heal {key}")
}

fn counts(count: Count) -> types::Counts {
    types::Counts {
        total: count.total as u64,
        ok: count.ok as u64,
    }
}

/// Roots with the most behind them first, each root's problems together. What is merely on its way is told
/// by `working_on`.
pub(super) fn ranked(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.retain(|problem| {
        let code = problem.reason.as_ref().map(|reason| &reason.code);
        !code.is_some_and(|code| [code::STARTING, code::STOPPING].contains(code))
    });
    let mut behind = BTreeMap::<_, usize>::new();
    for problem in &problems {
        *behind.entry(problem.root.clone()).or_default() += 1;
    }
    problems.sort_by_cached_key(|problem| {
        let weight = behind.get(&problem.root).copied().unwrap_or_default();
        let is_root = problem.key == problem.root;
        (
            Reverse(weight),
            problem.root.clone(),
            !is_root,
            problem.key.clone(),
        )
    });
    problems.truncate(limits::PAGE_ROWS_MAX);
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample::Sample;
    use crate::types::Verdict;

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
