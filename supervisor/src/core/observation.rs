//! What was seen of the living: each becomes a report, and the commands it concludes are answered behind it.

use mainstay_protocol::health::{Evidence, Health};
use mainstay_protocol::report::{CommandOutcome, Presence, Report};
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, code, limits};

use super::AgentCore;
use super::input::Observation;

/// Commands that wait for the outcome of one incarnation.
pub(super) struct Awaiting {
    start: Option<CommandId>,
    stops: Vec<CommandId>,
}

impl AgentCore {
    pub(super) fn observed(&mut self, observation: Observation) {
        match observation {
            Observation::Started {
                instance,
                incarnation,
                version,
                config,
                process,
            } => self.started(Report::Started {
                instance,
                incarnation,
                version: clipped(version),
                config: travelling(config),
                process,
            }),
            Observation::CouldNotStart {
                instance,
                incarnation,
                refused,
                text,
            } => self.not_started(Report::CouldNotStart {
                instance,
                incarnation,
                refused,
                text: clipped(text),
            }),
            Observation::NameTaken {
                instance,
                incarnation,
                name,
                holder,
            } => self.not_started(Report::NameTaken {
                instance,
                incarnation,
                name,
                holder,
            }),
            Observation::Ended {
                instance,
                incarnation,
                ending,
            } => self.gone(Report::Ended {
                instance,
                incarnation,
                ending,
            }),
            Observation::Failed {
                instance,
                incarnation,
                kind,
                presence,
                evidence,
            } => self.failed(
                Report::Failed {
                    instance,
                    incarnation,
                    kind,
                    presence,
                    evidence: clipped_evidence(evidence),
                },
                presence,
            ),
            Observation::HealthChanged {
                instance,
                incarnation,
                health,
                detail,
            } => self.health_changed(
                Report::HealthChanged {
                    instance,
                    incarnation,
                    health,
                    detail: clipped(detail),
                },
                health,
            ),
            Observation::Unresponsive {
                instance,
                incarnation,
                missed,
                limit,
                detail,
            } => self.health_changed(
                Report::Unresponsive {
                    instance,
                    incarnation,
                    missed,
                    limit,
                    detail: clipped(detail),
                },
                Health::Unresponsive,
            ),
            Observation::WillNotEnd {
                instance,
                incarnation,
            } => self.will_not_end(&instance, incarnation),
            Observation::SupervisorChanged {
                incarnation,
                watches,
                why,
            } => self.supervisor_changed(incarnation, watches, clipped(why)),
        }
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
            | Report::SupervisorChanged { .. }
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
        };
        self.stuck.insert(instance.clone());
        let outcome = CommandOutcome::WillNotEnd;
        self.answer_awaiting(awaiting, &outcome, &outcome);
        self.refuse_waiting(instance);
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
        }
        if !full {
            self.report(report);
        }
    }

    fn supervisor_changed(&mut self, incarnation: u64, watches: u32, why: String) {
        self.supervisor = incarnation;
        let report = Report::SupervisorChanged {
            incarnation,
            watches,
            why,
        };
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
        if let Some(report) = self.supervisor_unsaid.take() {
            self.report(report);
        }
        if !self.pulses.values().any(|pulse| pulse.unsaid.is_some()) {
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
    }

    /// The commands that wait for what this report says; none if it does not speak of what lives.
    fn awaiting(&self, report: &Report) -> Option<Awaiting> {
        let (instance, incarnation) = report.about()?;
        let living = self.state.living.get(instance)?;
        (living.incarnation == incarnation).then(|| Awaiting {
            start: living.start,
            stops: living.stops.clone(),
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

/// Cuts a text where a character begins, so that every report fits its frame.
pub(super) fn clipped(mut text: String) -> String {
    if text.len() > limits::EVIDENCE_BYTES_MAX {
        let cut = (0..=limits::EVIDENCE_BYTES_MAX)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or_default();
        text.truncate(cut);
    }
    text
}

fn clipped_evidence(evidence: Evidence) -> Evidence {
    Evidence {
        text: clipped(evidence.text),
        location: evidence.location.map(clipped),
        stderr_tail: clipped(evidence.stderr_tail),
        ..evidence
    }
}

/// A configuration too long to travel is left out: a report that fits no frame would hold up all behind it.
fn travelling(config: String) -> String {
    if config.len() > limits::JSON_BYTES_MAX {
        "null".to_owned()
    } else {
        config
    }
}
