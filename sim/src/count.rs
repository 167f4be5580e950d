//! What happened, counted: a simulator that injects nothing finds nothing.

use std::collections::BTreeMap;

use mainstay_coordinator::Rules;

use crate::fault::Fault;

/// Sums over one run, or over many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub runs: u64,
    pub happenings: u64,
    pub entries: u64,
    pub log_bytes: u64,
    pub reports: u64,
    pub commands: u64,
    pub starts: u64,
    pub full_passes: u64,
    pub answers: u64,
    pub refusals: u64,
    /// Virtual time from the end of the faults until everything held, at worst.
    pub healing_ms_max: u64,
    pub faults: BTreeMap<Fault, u64>,
    /// Decisions by rule, those that decline included.
    pub rules: BTreeMap<String, u64>,
}

impl Counts {
    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub fn rule(&mut self, rule: &str) {
        match self.rules.get_mut(rule) {
            Some(count) => *count += 1,
            None => {
                self.rules.insert(rule.to_owned(), 1);
            }
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.happenings += other.happenings;
        self.entries += other.entries;
        self.log_bytes += other.log_bytes;
        self.reports += other.reports;
        self.commands += other.commands;
        self.starts += other.starts;
        self.full_passes += other.full_passes;
        self.answers += other.answers;
        self.refusals += other.refusals;
        self.healing_ms_max = self.healing_ms_max.max(other.healing_ms_max);
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (rule, count) in &other.rules {
            *self.rules.entry(rule.clone()).or_default() += count;
        }
    }

    /// Faults and shipped rules that never fired.
    pub fn missing(&self) -> Vec<String> {
        let faults = Fault::ALL
            .iter()
            .filter(|fault| !self.faults.contains_key(fault))
            .map(|fault| fault.text().to_owned());
        // A stray comes with a restored graph, and none is restored here; a run is forgotten after a day,
        // and nobody puts artifacts. The coordinator's own stories have them.
        let elsewhere = |name: &str| ["stray", "run_over", "artifact_left"].contains(&name);
        let shipped = Rules::shipped();
        let rules = shipped
            .entries()
            .iter()
            .filter(|entry| !self.rules.contains_key(entry.name) && !elsewhere(entry.name))
            .map(|entry| format!("rule {}", entry.name));
        faults.chain(rules).collect()
    }

    pub fn table(&self) -> String {
        let mut lines = vec![
            format!(
                "{} runs, {} happenings, {} entries ({} bytes), {} reports, {} commands, {} starts",
                self.runs,
                self.happenings,
                self.entries,
                self.log_bytes,
                self.reports,
                self.commands,
                self.starts
            ),
            format!(
                "{} orders taken, {} refused, {} full passes, healed within {} ms at worst",
                self.answers, self.refusals, self.full_passes, self.healing_ms_max
            ),
        ];
        for fault in Fault::ALL {
            let count = self.faults.get(fault).copied().unwrap_or_default();
            lines.push(format!("{count:>9}  {}", fault.text()));
        }
        for (rule, count) in &self.rules {
            lines.push(format!("{count:>9}  rule {rule}"));
        }
        lines.join("\n")
    }
}
