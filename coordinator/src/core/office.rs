//! What a coordinator has while it leads, and the batches that it takes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::{AgentRunId, Leadership, NodeName, Timestamp, limits};
use mainstay_resource_graph::{Change, Graph, Key, Settings, Vertex, View};

use super::Turns;
use super::hosts::Hosts;
use super::looks::Looks;
use super::silence::Slow;
use super::watches::Watching;
use super::{CoreConfig, Monotonic};
use crate::entry::Entry;
use crate::env::Env;
use crate::event::{Event, Ticket};
use crate::record::Outcome;

/// A deadline comes late by a sixteenth of its way for each change of leader, at most.
const MARKS: u32 = 16;
/// No more often than this.
const MARK_MIN: Duration = Duration::from_secs(10);

/// What exists only while this station leads.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) leadership: Leadership,
    pub(super) began: Monotonic,
    /// Log time goes on from `anchor_log` at `anchor`.
    pub(super) anchor: Monotonic,
    pub(super) anchor_log: Timestamp,
    /// The newest proposal's log time. No two proposals of a term have the same: it is what a committed entry is
    /// recognised by, also when one that was lost turns up late.
    pub(super) proposed: Timestamp,
    pub(super) inbox: VecDeque<(Event, Option<Ticket>)>,
    /// To be judged although nothing changed: left over, or the first look of a term.
    pub(super) dirty: BTreeSet<Key>,
    /// Deadlines up to here have been judged.
    pub(super) judged_until: Timestamp,
    pub(super) in_flight: Option<InFlight>,
    /// Who waits for what was said to be lost: it is in line again, and may be committed all the same.
    pub(super) in_doubt: BTreeSet<Ticket>,
    pub(super) sessions: BTreeMap<NodeName, Session>,
    pub(super) grace_over: bool,
    pub(super) looks: Looks,
    pub(super) hosts: Hosts,
    pub(super) watching: Watching,
    /// Told by the outside queue, and not handed out yet.
    pub(super) turns: Arc<Turns>,
    /// It has stood still itself.
    pub(super) slow: Slow,
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) log_time: Timestamp,
    pub(super) events: Vec<(Event, Option<Ticket>)>,
    pub(super) dirty: BTreeSet<Key>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) rest: BTreeSet<Key>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) agent_run: AgentRunId,
    /// None until it is welcome: an agent says nothing while its introduction is being committed.
    pub(super) heard: Option<Monotonic>,
}

impl Office {
    pub(super) fn heard(&mut self, node: &NodeName, now: Monotonic) {
        if let Some(session) = self.sessions.get_mut(node) {
            session.heard = Some(now);
        }
    }

    /// As much as one step judges of what was left over and what is due: with a whole graph of it, what is handed back and
    /// forth at each step would cost more than the judging.
    pub(super) fn take_dirty(&mut self, graph: &Graph, log_now: Timestamp) -> BTreeSet<Key> {
        let next = graph.next_deadline_after(self.judged_until);
        if next.is_some_and(|at| at <= log_now) {
            self.dirty.extend(graph.due(log_now));
        }
        let first = std::iter::from_fn(|| self.dirty.pop_first());
        first.take(limits::STEP_SUBJECTS_MAX).collect()
    }

    /// What a step of now may know.
    pub(super) fn env(
        &self,
        now: Timestamp,
        settings: Settings,
        graph: &Graph,
        config: &CoreConfig,
    ) -> Env {
        let turns = config.outside_queue.then(|| Arc::clone(&self.turns));
        Env::new(now, self.leadership, settings, graph.revision().next())
            .with_models(Arc::clone(&config.models))
            .with_turns(turns)
    }

    /// When log time has to be written for its own sake: deadlines lie ahead, and whoever leads next would go on from
    /// the newest entry, so that they came late by all that has passed since. It may be a part of the way that is left.
    pub(super) fn mark_at(&self, graph: &Graph, log_time: Timestamp) -> Option<Timestamp> {
        let deadline = graph.next_deadline_after(self.judged_until)?;
        let part = deadline.since(log_time) / MARKS;
        let mark = log_time + part.max(MARK_MIN);
        (mark < deadline).then_some(mark)
    }

    pub(super) fn log_now(&self, now: Monotonic) -> Timestamp {
        self.anchor_log + now.since(self.anchor)
    }
}

/// A bounded number of events; a frame of reports counts as many as it holds.
pub(super) fn take_batch(
    inbox: &mut VecDeque<(Event, Option<Ticket>)>,
) -> Vec<(Event, Option<Ticket>)> {
    let mut batch = Vec::new();
    let mut weight = 0;
    let mut gone = BTreeSet::new();
    while let Some((event, _)) = inbox.front() {
        match event {
            Event::AgentGone { node, .. } => _ = gone.insert(node.clone()),
            // What follows from its absence is to be seen by those who are told of each entry.
            Event::NodeUp { up, .. } if gone.contains(&up.node) => break,
            _ => {}
        }
        weight += match event {
            Event::Reports { reports, .. } => reports.reports.len().max(1),
            Event::Found(_)
            | Event::NodeUp { .. }
            | Event::AgentGone { .. }
            | Event::Stations(_)
            | Event::Sighted { .. }
            | Event::HostCommandRan { .. }
            | Event::StationStops { .. }
            | Event::Operator { .. } => 1,
        };
        if !batch.is_empty() && weight > limits::BATCH_EVENTS_MAX {
            break;
        }
        batch.extend(inbox.pop_front());
    }
    batch
}

/// Commands an entry made, or decided to send again.
pub(super) fn commands_of(entry: &Entry) -> BTreeSet<Key> {
    entry
        .delta
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Put(record) => match &record.vertex {
                Vertex::Command(command) if command.deadline.is_some() => Some(record.key.clone()),
                _ => None,
            },
            Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => None,
        })
        .collect()
}
