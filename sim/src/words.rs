//! Entries and reports in words, for the trace.

use mainstay_coordinator::Entry;
use mainstay_protocol::report::{Report, Reports};
use mainstay_resource_graph::{Change, Vertex};

pub fn entry(entry: &Entry) -> String {
    let decisions: Vec<String> = entry
        .decisions
        .iter()
        .map(|decision| {
            format!(
                "{}({}) {}",
                decision.rule,
                decision.subject,
                decision.outcome.code()
            )
        })
        .collect();
    let changes: Vec<String> = entry
        .delta
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Put(record) => match &record.vertex {
                Vertex::Instance(instance) => Some(format!(
                    "{}={:?}#{}",
                    record.key, instance.state, instance.incarnation
                )),
                Vertex::Command(command) => Some(format!(
                    "{}={}#{} sent {}",
                    record.key,
                    command.order.name(),
                    command.order.instance().1,
                    command.sends
                )),
                Vertex::Node(node) => Some(format!("{}={:?}", record.key, node.state)),
                _ => None,
            },
            Change::Remove(key) => Some(format!("-{key}")),
            _ => None,
        })
        .collect();
    format!(
        "revision {}: {} | {}",
        entry.delta.expected.next(),
        changes.join(", "),
        decisions.join(", ")
    )
}

pub fn reports(reports: &Reports) -> String {
    let texts: Vec<String> = reports
        .reports
        .iter()
        .map(|numbered| {
            let about = numbered
                .report
                .about()
                .map_or_else(String::new, |(instance, incarnation)| {
                    format!(" {instance}#{incarnation}")
                });
            let what = match &numbered.report {
                Report::CommandDone { command, outcome } => {
                    format!(" {command} {outcome:?}")
                }
                _ => String::new(),
            };
            format!(
                "{}:{}{about}{what}",
                numbered.sequence,
                numbered.report.name()
            )
        })
        .collect();
    texts.join(", ")
}
