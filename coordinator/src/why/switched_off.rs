//! Rules that are switched off, where they would act: that is why nothing happens there.

use std::collections::BTreeMap;

use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::{Key, Record, RuleOff, Vertex, View, ViewExt};

use super::{Cause, action};
use crate::rule::Rules;

pub fn rules(view: &dyn View) -> BTreeMap<String, RuleOff> {
    view.cluster()
        .map(|cluster| cluster.rules_off)
        .unwrap_or_default()
}

/// One for each rule that is switched off and would act on this.
pub fn causes(view: &dyn View, record: &Record) -> Vec<Cause> {
    rules(view)
        .into_iter()
        .filter(|(rule, _)| would_act(view, record, rule))
        .map(|(rule, off)| {
            let mut text = format!("the rule {rule} is switched off by {}", off.by);
            if !off.why.is_empty() {
                text.push_str(&format!(": {}", off.why));
            }
            Cause {
                key: Key::Cluster,
                state: format!("without its rule {rule}"),
                reason: Some(Reason::new(code::RULE_OFF, text)),
                since: off.at,
                because: Vec::new(),
                evidence: None,
            }
        })
        .collect()
}

/// An instance remembers which rule would have acted; of the others it is what the rule watches.
fn would_act(view: &dyn View, record: &Record, rule: &str) -> bool {
    match (&record.key, &record.vertex) {
        (Key::Instance(key), Vertex::Instance(instance)) => {
            let next = action::system_will(view, key).is_some_and(|will| will.rule == rule);
            next || instance.refusals.get(rule) == Some(&code::RULE_OFF)
        }
        (_, _) => Rules::shipped()
            .find(rule)
            .is_some_and(|entry| (entry.watch)().matches(record)),
    }
}

/// The commands that switch on what the tree names.
pub fn remedies(tree: &Cause) -> Vec<String> {
    tree.because
        .iter()
        .filter_map(|cause| cause.state.strip_prefix("without its rule "))
        .map(|rule| format!("mainstay rule enable {rule}"))
        .collect()
}
