//! What must hold after every committed entry, whatever happened before it.

use std::collections::BTreeSet;

use mainstay_coordinator::{Decision, Entry, Env, Outcome, Rules, step};
use mainstay_protocol::limits;
use mainstay_resource_graph::{Graph, Key, Kind, Settings, View, ViewExt, check};

use super::print::decision_line;

/// Judges every subject again, as at a leadership's start: what it would still write, in words.
pub fn full_pass(graph: &Graph, rules: &Rules, entry: &Entry) -> Option<String> {
    let settings = graph
        .cluster()
        .map_or(Settings::LAN, |cluster| cluster.settings);
    let env = Env::new(
        entry.log_time,
        entry.leadership,
        settings,
        graph.revision().next(),
    );
    let mut left: BTreeSet<Key> = Kind::ALL
        .into_iter()
        .flat_map(|kind| graph.keys(kind))
        .collect();
    let again = loop {
        if left.is_empty() {
            return None;
        }
        // More than one step takes, where there are very many.
        let again = step(graph, rules, &[], left, &env);
        if !again.delta.is_empty() || !again.decisions.is_empty() {
            break again;
        }
        left = again.rest;
    };
    let mut lines: Vec<String> = again.decisions.iter().take(20).map(decision_line).collect();
    lines.extend(
        again
            .delta
            .changes
            .iter()
            .take(20)
            .map(|change| format!("{change:?}")),
    );
    Some(lines.join("\n"))
}

pub fn sound(graph: &Graph) {
    let problems = check::check(graph);
    assert!(
        problems.is_empty(),
        "revision {}: {problems:#?}",
        graph.revision()
    );
}

/// A decision's read set and texts stay within their bounds.
pub fn bounded(decision: &Decision) {
    let text = match &decision.outcome {
        Outcome::Did { text, .. } | Outcome::Declined { text, .. } => text,
    };
    let bytes: usize = decision.saw.iter().map(|saw| saw.text.len()).sum();
    assert!(
        decision.saw.len() <= limits::DECISION_READS_MAX,
        "{decision:?}"
    );
    assert!(
        bytes <= limits::DECISION_BYTES_MAX,
        "{bytes} bytes: {decision:?}"
    );
    assert!(
        text.len() <= 2 * limits::EVIDENCE_BYTES_MAX,
        "{} bytes: {decision:?}",
        text.len()
    );
    assert_eq!(
        decision.saw[0].key, decision.subject,
        "the subject comes first"
    );
}
