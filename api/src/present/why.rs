//! Why something is as it is; or, without a reference, a tree for each root problem.

use std::collections::BTreeSet;

use mainstay_coordinator::status;
use mainstay_coordinator::why::{self, Cause};
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::limits;
use mainstay_resource_graph::{Key, ViewExt};

use super::status::{heal, ranked};
use super::{Broken, Present};
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
        let broken = self.live.broken().unwrap_or_default();
        let mut you_can = found.you_can;
        for one in broken.iter().filter(|one| names(&found.tree, &one.key)) {
            you_can.insert(0, heal(&one.key));
        }
        Some(types::Why {
            tree: self.cause(&found.tree, &broken),
            affects: found.affects.iter().map(ToString::to_string).collect(),
            system_will: found.system_will.map(|will| types::SystemWill {
                action: will.action,
                at: will.at.map(|at| self.live.time(at)),
                rule: Some(will.rule),
            }),
            you_can,
        })
    }

    fn cause(&self, cause: &Cause, broken: &[Broken]) -> types::WhyNode {
        let on_purpose = broken.iter().filter(|one| one.key == cause.key);
        let on_purpose: Vec<types::WhyNode> = on_purpose.map(on_purpose_node).collect();
        types::WhyNode {
            reference: cause.key.to_string(),
            state: cause.state.clone(),
            reason: cause.reason.clone(),
            since: Some(self.live.time(cause.since)),
            root: cause.is_root() && on_purpose.is_empty(),
            because: on_purpose
                .into_iter()
                .chain(
                    cause
                        .because
                        .iter()
                        .map(|behind| self.cause(behind, broken)),
                )
                .collect(),
            evidence: cause.evidence.clone(),
        }
    }
}

/// It is about this, or something behind it is.
fn names(cause: &Cause, key: &Key) -> bool {
    cause.key == *key || cause.because.iter().any(|behind| names(behind, key))
}

fn on_purpose_node(broken: &Broken) -> types::WhyNode {
    let text = format!("{} {}, as somebody wanted", broken.key, broken.how);
    types::WhyNode {
        reference: broken.key.to_string(),
        state: "broken on purpose".to_owned(),
        reason: Some(Reason::new(code::BROKEN_ON_PURPOSE, text)),
        since: None,
        because: Vec::new(),
        evidence: None,
        root: true,
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
