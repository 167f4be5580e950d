//! Why something is as it is; or, without a reference, a tree for each root problem.

use std::collections::BTreeSet;

use mainstay_coordinator::status;
use mainstay_coordinator::why::{self, Cause};
use mainstay_protocol::limits;
use mainstay_resource_graph::{Key, ViewExt};

use super::Present;
use super::status::ranked;
use crate::problem::Problem;
use crate::types;

impl Present<'_> {
    pub fn why(&self, reference: &str) -> Result<types::Why, Problem> {
        let key = self.find(reference)?;
        self.why_key(&key).ok_or_else(|| self.missing(&key))
    }

    /// The heaviest roots first.
    pub fn why_all(&self) -> Vec<types::Why> {
        let problems = ranked(status::status(self.view).problems);
        let mut seen = BTreeSet::new();
        problems
            .into_iter()
            .filter(|problem| seen.insert(problem.root.clone()))
            .take(limits::WHY_TREES_MAX)
            .filter_map(|problem| self.why_key(self.worth_showing(&problem)))
            .collect()
    }

    /// A root that is well itself, as the holder of a name that others wait for, explains nothing without them.
    fn worth_showing<'p>(&self, problem: &'p status::Problem) -> &'p Key {
        let root_is_well = match &problem.root {
            Key::Instance(root) => self
                .view
                .instance(root)
                .is_some_and(|facts| facts.is_as_wanted()),
            _ => false,
        };
        match root_is_well {
            true => &problem.key,
            false => &problem.root,
        }
    }

    fn why_key(&self, key: &Key) -> Option<types::Why> {
        let found = why::why(self.view, key)?;
        Some(types::Why {
            tree: self.cause(&found.tree),
            affects: found.affects.iter().map(ToString::to_string).collect(),
            system_will: found.system_will.map(|will| types::SystemWill {
                action: will.action,
                at: will.at.map(|at| self.live.time(at)),
                rule: Some(will.rule),
            }),
            you_can: found.you_can,
        })
    }

    fn cause(&self, cause: &Cause) -> types::WhyNode {
        types::WhyNode {
            reference: cause.key.to_string(),
            state: cause.state.clone(),
            reason: cause.reason.clone(),
            since: Some(self.live.time(cause.since)),
            because: cause
                .because
                .iter()
                .map(|behind| self.cause(behind))
                .collect(),
            evidence: cause.evidence.clone(),
            root: cause.is_root(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::present::sample::Sample;

    #[test]
    fn why_leads_from_the_blocked_to_the_holder() {
        let sample = Sample::new();
        let why = sample.present().why("rival@n1").unwrap();
        assert_eq!(
            (why.tree.reference.as_str(), why.tree.root),
            ("rival@n1", false)
        );
        assert_eq!(why.tree.because[0].reference, "web@n1");
        let json = serde_json::to_value(&why).unwrap();
        assert_eq!(json["ref"], "rival@n1");
        assert!(json["affects"].is_array() && json["you_can"].is_array());
        let all = sample.present().why_all();
        let about: Vec<&str> = all.iter().map(|why| why.tree.reference.as_str()).collect();
        assert!(
            about.contains(&"rival@n1") && !about.contains(&"web@n1"),
            "the holder is well, and explains nothing alone: {about:?}"
        );
    }
}
