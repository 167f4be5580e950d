//! Who is not heard: heartbeats that stopped, and nodes that a new coordinator never heard at all.

use std::time::Duration;

use mainstay_protocol::NodeName;
use mainstay_resource_graph::{Key, Kind, NodeState, Settings, View, ViewExt};

use super::office::Office;
use super::{LeaderCore, Monotonic};
use crate::event::{Event, GoneWhy};

/// A station that stood still waits longer for whoever it does not hear: by as long as it stood, for some time, and not
/// without end.
#[derive(Debug, Default)]
pub(super) struct Slow {
    by: Duration,
    until: Monotonic,
}

const SLOW_FOR: Duration = Duration::from_secs(60);

impl Slow {
    pub(super) fn stood_still(&mut self, span: Duration, now: Monotonic) {
        let before = if now < self.until {
            self.by
        } else {
            Duration::ZERO
        };
        self.by = before.max(span);
        self.until = now.after(SLOW_FOR);
    }

    /// Twice the limit, at most.
    fn widens(&self, limit: Duration, now: Monotonic) -> Duration {
        match now < self.until {
            true => limit + self.by.min(limit),
            false => limit,
        }
    }
}

impl Office {
    fn silence_max(&self, settings: &Settings, now: Monotonic) -> Duration {
        let limit = Duration::from_millis(settings.silence_ms);
        self.slow.widens(limit, now)
    }
}

impl LeaderCore {
    /// Nodes whose heartbeats stopped, and, once the grace is over, nodes never heard in this term.
    pub(super) fn watch_silence(&mut self, now: Monotonic) {
        let settings = self.settings();
        let Some(office) = &mut self.office else {
            return;
        };
        let limit = office.silence_max(&settings, now);
        let silent: Vec<NodeName> = office
            .sessions
            .iter()
            .filter(|(_, session)| session.heard.is_some_and(|heard| now.since(heard) > limit))
            .map(|(node, _)| node.clone())
            .collect();
        for node in silent {
            let agent_run = office
                .sessions
                .remove(&node)
                .map(|session| session.agent_run);
            let gone = Event::AgentGone {
                node,
                agent_run,
                why: GoneWhy::Silent,
            };
            office.inbox.push_back((gone, None));
        }
        let grace = Duration::from_millis(settings.grace_ms);
        if office.grace_over || now.since(office.began) < grace {
            return;
        }
        office.grace_over = true;
        for key in self.graph.keys(Kind::Node) {
            let Key::Node(node) = key else { continue };
            let online = self
                .graph
                .node(&node)
                .is_some_and(|found| found.state == NodeState::Online);
            if online && !office.sessions.contains_key(&node) {
                let gone = Event::AgentGone {
                    node,
                    agent_run: None,
                    why: GoneWhy::NotHeard,
                };
                office.inbox.push_back((gone, None));
            }
        }
    }

    /// When `poll` wants to be called if nothing arrives before.
    pub fn wake_at(&self, now: Monotonic) -> Option<Monotonic> {
        let office = self.office.as_ref()?;
        if office.in_flight.is_some() {
            return None;
        }
        if !office.inbox.is_empty() || !office.dirty.is_empty() {
            return Some(now);
        }
        let settings = self.settings();
        let limit = office.silence_max(&settings, now);
        let deadline = self.graph.next_deadline_after(office.judged_until);
        let mark = office.mark_at(&self.graph, self.log_time);
        let written = [deadline, mark]
            .into_iter()
            .flatten()
            .min()
            .map(|at| office.anchor.after(at.since(office.anchor_log)));
        let silence = office
            .sessions
            .values()
            .filter_map(|session| session.heard)
            .map(|heard| heard.after(limit + Duration::from_micros(1)))
            .min();
        let grace = (!office.grace_over)
            .then(|| office.began.after(Duration::from_millis(settings.grace_ms)));
        let looks = office.looks.wake_at(now);
        let hosts = office.hosts.wake_at();
        [written, silence, grace, looks, hosts]
            .into_iter()
            .flatten()
            .min()
    }
}
