//! What was seen of the living: each becomes a report, and the commands it concludes are answered behind it.

use std::collections::BTreeMap;

use mainstay_protocol::health::Health;
use mainstay_protocol::report::{CommandOutcome, Presence, Report};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::work::WorkAnswer;
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, code, codec, limits, words};

use super::AgentCore;
use super::input::Observation;

/// Commands that wait for the outcome of one incarnation.
pub(super) struct Awaiting {
    start: Option<CommandId>,
    stops: Vec<CommandId>,
    changes: Vec<CommandId>,
}

impl AgentCore {
    pub(super) fn observed(&mut self, observation: Observation) {
        match observation {
            Observation::Seen(report) => self.reported(fitted(report)),
            Observation::WillNotEnd {
                instance,
                incarnation,
            } => self.will_not_end(&instance, incarnation),
            Observation::Reconfigured {
                command,
                instance,
                incarnation,
                outcome,
            } => self.reconfigured(command, instance, incarnation, outcome),
            Observation::Worked { command, answer } => self.worked(command, answer),
            Observation::ToldAgain {
                command,
                instance,
                incarnation,
                adopted,
            } => self.told_again(command, &instance, incarnation, adopted),
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Started { .. } => self.started(report),
            Report::CouldNotStart { .. } | Report::NameTaken { .. } => self.not_started(report),
            Report::Ended { .. } => self.gone(report),
            Report::Failed { presence, .. } => self.failed(report, presence),
            Report::HealthChanged { health, .. } => self.health_changed(report, health),
            Report::Unresponsive { .. } => self.health_changed(report, Health::Unresponsive),
            Report::SupervisorChanged { incarnation, .. } => {
                self.supervisor_changed(report, incarnation);
            }
            Report::Acquired { .. }
            | Report::Released { .. }
            | Report::Asked { .. }
            | Report::Announced { .. }
            | Report::Recorded { .. } => self.said(report),
            Report::GuardSaw { .. } | Report::WatcherSaw { .. } => self.report(report),
            // Only the core says these, to commands; nobody observes one.
            Report::ConfigChanged { .. }
            | Report::Adopted { .. }
            | Report::Worked { .. }
            | Report::CommandDone { .. } => {}
        }
    }

    /// In its own words; whoever passes them on sees to it that they do not fill the outbox.
    fn said(&mut self, report: Report) {
        if self.awaiting(&report).is_some() {
            self.report(report);
        }
    }

    /// What it is the answer to may be past: another incarnation lives, or none.
    pub(super) fn worked(&mut self, command: CommandId, answer: WorkAnswer) {
        if let Some(taken) = self.state.works.get(&command).cloned() {
            if self.untold.remove(&command).is_some() {
                self.answer(command, CommandOutcome::Done);
            }
            let answer = fitting(answer);
            self.report(Report::Worked {
                instance: taken.instance,
                incarnation: taken.incarnation,
                step: taken.step,
                command,
                answer,
            });
        }
    }

    fn told_again(
        &mut self,
        command: CommandId,
        instance: &InstanceKey,
        incarnation: Incarnation,
        adopted: Option<Box<Report>>,
    ) {
        // The command came twice, and was answered by the first telling.
        if self.state.ledger.knows(command) {
            return;
        }
        if !self.lives(instance, incarnation) {
            return self.answer(command, CommandOutcome::NotRunning);
        }
        if let Some(mut report) = adopted.map(|report| fitted(*report)) {
            if let Report::Adopted { health, .. } = &mut report {
                let pulse = self.pulses.get(instance);
                *health = pulse.map(|pulse| pulse.health).unwrap_or_default();
            }
            self.report(report);
        }
        self.answer(command, CommandOutcome::Done);
    }

    fn started(&mut self, report: Report) {
        let Some(awaiting) = self.awaiting(&report) else {
            return;
        };
        if self.has_started(&report) {
            return;
        }
        self.report(report);
        if let Some(start) = awaiting.start {
            self.answer(start, CommandOutcome::Done);
        }
    }

    /// The starter's word counts until the instance has started.
    fn not_started(&mut self, report: Report) {
        if !self.has_started(&report) {
            self.gone(report);
        }
    }

    fn failed(&mut self, report: Report, presence: Presence) {
        match presence {
            Presence::Gone => self.gone(report),
            Presence::Living => {
                let Some(awaiting) = self.awaiting(&report) else {
                    return;
                };
                if self.has_failed(&report) {
                    return;
                }
                self.report(report);
                if let Some(start) = awaiting.start {
                    self.answer(start, CommandOutcome::Done);
                }
            }
        }
    }

    /// Nothing is left of the incarnation: its name is free.
    fn gone(&mut self, report: Report) {
        let Some(awaiting) = self.awaiting(&report) else {
            return;
        };
        let Some((instance, _)) = report.about() else {
            return;
        };
        let instance = instance.clone();
        let (start, stop) = match &report {
            Report::NameTaken { name, holder, .. } => {
                let text = match holder {
                    Some(holder) => format!("{holder} holds the name {name} on this node"),
                    None => format!("somebody else holds the name {name} on this node"),
                };
                let refused = CommandOutcome::Refused {
                    code: code::NAME_HELD_ON_NODE,
                    text,
                };
                (refused, CommandOutcome::NotRunning)
            }
            Report::Started { .. }
            | Report::CouldNotStart { .. }
            | Report::Ended { .. }
            | Report::Failed { .. }
            | Report::HealthChanged { .. }
            | Report::Unresponsive { .. }
            | Report::ConfigChanged { .. }
            | Report::SupervisorChanged { .. }
            | Report::Adopted { .. }
            | Report::Acquired { .. }
            | Report::Released { .. }
            | Report::Asked { .. }
            | Report::Announced { .. }
            | Report::Recorded { .. }
            | Report::GuardSaw { .. }
            | Report::WatcherSaw { .. }
            | Report::Worked { .. }
            | Report::CommandDone { .. } => (CommandOutcome::Done, CommandOutcome::Done),
        };
        self.report(report);
        self.pulses.remove(&instance);
        self.stuck.remove(&instance);
        self.answer_awaiting(awaiting, &start, &stop);
        self.begin_waiting(&instance);
    }

    /// It stays, and keeps its name; should it end after all, that is reported too.
    fn will_not_end(&mut self, instance: &InstanceKey, incarnation: Incarnation) {
        let Some(living) = self.state.living.get(instance) else {
            return;
        };
        if living.incarnation != incarnation {
            return;
        }
        let awaiting = Awaiting {
            start: living.start,
            stops: living.stops.clone(),
            changes: Vec::new(),
        };
        self.stuck.insert(instance.clone());
        let outcome = CommandOutcome::WillNotEnd;
        self.answer_awaiting(awaiting, &outcome, &outcome);
        self.refuse_waiting(instance);
    }

    /// Told before the command is answered: the coordinator knows what it runs with when the question is settled.
    fn reconfigured(
        &mut self,
        command: CommandId,
        instance: InstanceKey,
        incarnation: Incarnation,
        outcome: Result<String, Refusal>,
    ) {
        let waits = self.state.living.get(&instance).is_some_and(|living| {
            living.incarnation == incarnation && living.changes.contains(&command)
        });
        if !waits {
            return;
        }
        match outcome {
            Ok(config) => {
                self.report(fitted(Report::ConfigChanged {
                    instance,
                    incarnation,
                    config,
                }));
                self.answer(command, CommandOutcome::Done);
            }
            Err(refusal) => self.refuse(command, refusal.code, refusal.text),
        }
    }

    fn health_changed(&mut self, report: Report, health: Health) {
        if self.awaiting(&report).is_none() {
            return;
        }
        let replaces = self.state.outbox.superseded(&report, self.sent);
        let full = self.outbox_is_full() && replaces.is_none();
        let pulse = report
            .about()
            .and_then(|(instance, _)| self.pulses.get_mut(instance));
        if let Some(pulse) = pulse {
            pulse.health = health;
            pulse.unsaid = full.then(|| report.clone());
            self.health_unsaid |= full;
        }
        if !full {
            self.report(report);
        }
    }

    fn supervisor_changed(&mut self, report: Report, incarnation: u64) {
        self.supervisor = incarnation;
        if self.outbox_is_full() {
            self.supervisor_unsaid = Some(report);
        } else {
            self.supervisor_unsaid = None;
            self.report(report);
        }
    }

    /// What the full outbox had no room for, once there is some.
    pub(super) fn say_the_unsaid(&mut self) {
        if self.outbox_is_full() {
            return;
        }
        self.tell_what_was_taken();
        self.tell_what_was_let_go();
        if let Some(report) = self.supervisor_unsaid.take() {
            self.report(report);
        }
        if !self.health_unsaid {
            return;
        }
        let room = limits::OUTBOX_REPORTS_MAX.saturating_sub(self.state.outbox.len());
        let unsaid: Vec<Report> = self
            .pulses
            .values_mut()
            .filter(|pulse| pulse.unsaid.is_some())
            .take(room)
            .filter_map(|pulse| pulse.unsaid.take())
            .collect();
        self.health_unsaid = unsaid.len() == room;
        for report in unsaid {
            self.report(report);
        }
    }

    fn answer_awaiting(
        &mut self,
        awaiting: Awaiting,
        start: &CommandOutcome,
        stop: &CommandOutcome,
    ) {
        if let Some(command) = awaiting.start {
            self.answer(command, start.clone());
        }
        for command in awaiting.stops {
            self.answer(command, stop.clone());
        }
        for command in awaiting.changes {
            self.answer(command, CommandOutcome::NotRunning);
        }
    }

    /// The commands that wait for what this report says; none if it does not speak of what lives.
    fn awaiting(&self, report: &Report) -> Option<Awaiting> {
        let (instance, incarnation) = report.about()?;
        let living = self.state.living.get(instance)?;
        (living.incarnation == incarnation).then(|| Awaiting {
            start: living.start,
            stops: living.stops.clone(),
            changes: living.changes.clone(),
        })
    }

    fn has_started(&self, report: &Report) -> bool {
        self.living_of(report).is_some_and(|living| living.started)
    }

    fn has_failed(&self, report: &Report) -> bool {
        self.living_of(report).is_some_and(|living| living.failed)
    }

    fn living_of(&self, report: &Report) -> Option<&super::state::Living> {
        let (instance, incarnation) = report.about()?;
        let living = self.state.living.get(instance)?;
        (living.incarnation == incarnation).then_some(living)
    }
}

/// No name is longer than those of people, and no more ports are told than one may need.
fn fit(ports: &mut BTreeMap<String, u16>) {
    ports.retain(|name, _| name.len() <= limits::NAME_BYTES_MAX);
    while ports.len() > limits::PORTS_MAX {
        ports.pop_last();
    }
}

/// Cut to what fits a frame: a report that fits none would hold up all behind it.
fn fitted(mut report: Report) -> Report {
    let cut = |text: &mut String| words::cut(text, limits::EVIDENCE_BYTES_MAX);
    match &mut report {
        Report::Started {
            version,
            config,
            ports,
            ..
        } => {
            cut(version);
            fit(ports);
            // Half a configuration is none.
            if config.len() > limits::JSON_BYTES_MAX {
                "null".clone_into(config);
            }
        }
        Report::Failed { evidence, .. } => {
            cut(&mut evidence.text);
            cut(&mut evidence.stderr_tail);
            if let Some(location) = &mut evidence.location {
                cut(location);
            }
        }
        Report::ConfigChanged { config, .. } => {
            if config.len() > limits::JSON_BYTES_MAX {
                "null".clone_into(config);
            }
        }
        Report::CouldNotStart { text, .. } => cut(text),
        Report::HealthChanged { detail, .. } | Report::Unresponsive { detail, .. } => cut(detail),
        Report::SupervisorChanged { why, .. } => cut(why),
        Report::Adopted {
            version,
            given,
            config,
            ports,
            ..
        } => {
            cut(version);
            fit(ports);
            for config in [given, config] {
                if config.len() > limits::JSON_BYTES_MAX {
                    "null".clone_into(config);
                }
            }
        }
        Report::Announced { why, .. } => cut(why),
        // The host takes no longer ones; half a body would be none.
        Report::Asked { .. } | Report::Recorded { .. } => {}
        Report::NameTaken { .. }
        | Report::Ended { .. }
        | Report::Acquired { .. }
        | Report::Released { .. }
        | Report::GuardSaw { .. }
        | Report::WatcherSaw { .. }
        | Report::Worked { .. }
        | Report::CommandDone { .. } => {}
    }
    report
}

/// What does not fit a frame would never arrive, and another attempt would say as much.
fn fitting(answer: WorkAnswer) -> WorkAnswer {
    let bytes = codec::encoded_len(&answer);
    if bytes <= 2 * limits::WORK_BYTES_MAX + limits::EVIDENCE_BYTES_MAX {
        return answer;
    }
    WorkAnswer::Fatal {
        error: format!(
            "too-large: its answer has {bytes} bytes, and of output, context and scratch at most {} are kept each",
            limits::WORK_BYTES_MAX
        ),
    }
}
