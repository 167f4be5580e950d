//! Counters and histograms of this station, and their text for Prometheus.

mod recoveries;
mod work;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_coordinator::{Entry, Outcome};
use recoveries::{Recoveries, Stage, Step};
use work::Work;

/// What is counted as it happens.
#[derive(Debug, Default)]
pub struct Metrics {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    decisions: BTreeMap<(String, &'static str), u64>,
    commit_seconds: Histogram,
    batch_size: Histogram,
    leader_changes: u64,
    bad_frames: u64,
    checks: BTreeMap<&'static str, u64>,
    recoveries: Recoveries,
    restarts: BTreeMap<&'static str, u64>,
    recovery_seconds: BTreeMap<Stage, Histogram>,
    work: Work,
}

/// Bounds of seconds and of sizes; one scale serves both.
const BOUNDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 4.0, 16.0, 64.0,
    256.0, 1024.0,
];

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn take(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(value <= bound);
        }
    }
}

/// What is true at the moment of asking.
#[derive(Debug, Default)]
pub struct Gauges {
    pub inbox_depth: usize,
    /// None where there is no outside queue, or another leads.
    pub queue_away: Option<bool>,
    pub instance_states: BTreeMap<String, u64>,
    pub node_states: BTreeMap<String, u64>,
}

impl Metrics {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn committed(&self, entry: &Entry, took: Option<Duration>) {
        let mut counted = self.counted();
        for decision in &entry.decisions {
            let outcome = match decision.outcome {
                Outcome::Did { .. } => "did",
                Outcome::Declined { .. } => "declined",
            };
            *counted
                .decisions
                .entry((decision.rule.clone(), outcome))
                .or_default() += 1;
        }
        for step in counted.recoveries.take(entry) {
            match step {
                Step::Restarted(reason) => *counted.restarts.entry(reason).or_default() += 1,
                Step::Took(stage, took) => counted
                    .recovery_seconds
                    .entry(stage)
                    .or_default()
                    .take(took.as_secs_f64()),
            }
        }
        counted.work.take(entry);
        if let Some(took) = took {
            counted.commit_seconds.take(took.as_secs_f64());
        }
    }

    /// How often a rule did something, and declined to.
    pub fn decisions_of(&self, rule: &str) -> (u64, u64) {
        let counted = self.counted();
        let of = |outcome| {
            let key = (rule.to_owned(), outcome);
            counted.decisions.get(&key).copied().unwrap_or_default()
        };
        (of("did"), of("declined"))
    }

    pub fn batch(&self, events: usize) {
        self.counted().batch_size.take(events as f64);
    }

    pub fn led(&self) {
        self.counted().leader_changes += 1;
    }

    pub fn bad_frame(&self) {
        self.counted().bad_frames += 1;
    }

    pub fn checked(&self, outcome: &'static str) {
        *self.counted().checks.entry(outcome).or_default() += 1;
    }

    /// The text of `/metrics`.
    pub fn text(&self, gauges: &Gauges) -> String {
        let counted = self.counted();
        let mut text = Text(String::new());
        gauges.write(&mut text);
        counted.write(&mut text);
        text.0
    }
}

impl Gauges {
    fn write(&self, text: &mut Text) {
        let name = "mainstay_build_info";
        text.family(name, "gauge", "This build.");
        text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let name = "mainstay_inbox_depth";
        text.family(name, "gauge", "Events that wait for the leader core.");
        text.sample(name, &[], self.inbox_depth as f64);
        if let Some(away) = self.queue_away {
            let name = "mainstay_outside_queue_up";
            let help = "Whether the outside queue can be used; told by whoever leads.";
            text.family(name, "gauge", help);
            text.sample(name, &[], if away { 0.0 } else { 1.0 });
        }
        text.states(
            "mainstay_instance_state",
            "Instances by state.",
            &self.instance_states,
        );
        text.states("mainstay_node_state", "Nodes by state.", &self.node_states);
    }
}

impl Counted {
    fn write(&self, text: &mut Text) {
        let name = "mainstay_decisions_total";
        text.family(name, "counter", "Decisions by rule and outcome.");
        for ((rule, outcome), count) in &self.decisions {
            text.sample(
                name,
                &[("rule", rule.as_str()), ("outcome", outcome)],
                *count as f64,
            );
        }
        let name = "mainstay_checks_total";
        text.family(name, "counter", "Checks asked for by people, by outcome.");
        for (outcome, count) in &self.checks {
            text.sample(name, &[("outcome", outcome)], *count as f64);
        }
        let name = "mainstay_leader_changes_total";
        text.family(name, "counter", "How often this station began to lead.");
        text.sample(name, &[], self.leader_changes as f64);
        let name = "mainstay_bad_frames_total";
        text.family(name, "counter", "Frames that could not be read.");
        text.sample(name, &[], self.bad_frames as f64);
        let name = "mainstay_restarts_total";
        let help = "Restarts that were decided, by what made them necessary: a kind of failure, ended (a clean end \
                    of what always runs) or asked (by a person).";
        text.family(name, "counter", help);
        for (reason, count) in &self.restarts {
            text.sample(name, &[("reason", reason)], *count as f64);
        }
        let name = "mainstay_recovery_duration_seconds";
        let help = "From a failure, once reported, to running again, by stage: decide (until the start is decided, \
                    with back-off), start (from there until it runs), total.";
        text.family(name, "histogram", help);
        for (stage, seconds) in &self.recovery_seconds {
            text.histogram(name, &[("stage", stage.as_str())], seconds);
        }
        self.work.write(text);
        let name = "mainstay_commit_seconds";
        text.family(name, "histogram", "From proposal to commit.");
        text.histogram(name, &[], &self.commit_seconds);
        let name = "mainstay_batch_size";
        let help = "Events in one batch of the leader core.";
        text.family(name, "histogram", help);
        text.histogram(name, &[], &self.batch_size);
    }
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", value.replace(['"', '\\', '\n'], "_")))
            .collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    fn states(&mut self, name: &str, help: &str, states: &BTreeMap<String, u64>) {
        self.family(name, "gauge", help);
        for (state, count) in states {
            self.sample(name, &[("state", state)], *count as f64);
        }
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let bounds = BOUNDS.iter().map(ToString::to_string);
        let all = [("+Inf".to_owned(), histogram.count)];
        for (bound, count) in bounds.zip(histogram.buckets).chain(all) {
            let labels = [labels, &[("le", bound.as_str())]].concat();
            self.sample(&bucket, &labels, count as f64);
        }
        self.sample(&format!("{name}_sum"), labels, histogram.sum);
        self.sample(&format!("{name}_count"), labels, histogram.count as f64);
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{text}").expect("a String takes every write");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative_and_hostile_labels_stay_one_line() {
        let metrics = Metrics::default();
        metrics.batch(1);
        metrics.batch(300);
        let mut gauges = Gauges::default();
        gauges.node_states.insert("On\"line\n".to_owned(), 2);
        let text = metrics.text(&gauges);
        assert!(
            text.contains("mainstay_batch_size_bucket{le=\"1\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("mainstay_batch_size_bucket{le=\"+Inf\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains("mainstay_node_state{state=\"On_line_\"} 2\n"),
            "{text}"
        );
    }
}
