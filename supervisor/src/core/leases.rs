//! Starts with a lease: they wait for a renewal that was asked for after they came.

use mainstay_protocol::command::{Start, Stop};
use mainstay_protocol::report::{CommandOutcome, LiveState};
use mainstay_protocol::{CommandId, Epoch, limits};

use super::AgentCore;
use super::input::Action;

#[derive(Debug, Clone)]
pub(super) struct Unleased {
    command: CommandId,
    start: Start,
    since_ms: u64,
}

impl AgentCore {
    pub(super) fn start_leased(&mut self, command: CommandId, start: Start) {
        if self.is_under_way(&start) || self.is_stale(&start) {
            return self.start(command, start);
        }
        // It would outlast the renewal that it waits for. It comes again when the older one is gone.
        if let Some(older) = self.state.living.get(&start.instance) {
            return match older.state == LiveState::Stopping && !self.stuck.contains(&start.instance)
            {
                true => {}
                false => self.start(command, start),
            };
        }
        // Without a session nobody would renew it. It comes again.
        if self.session.is_none() || self.unleased.len() >= limits::INSTANCES_PER_NODE_MAX {
            return;
        }
        self.output.actions.push(Action::Renew);
        match self.unleased.get(&start.instance) {
            Some(waiting) if waiting.command == command => return,
            Some(newer) if newer.start.incarnation >= start.incarnation => {
                return self.answer(command, CommandOutcome::Stale);
            }
            Some(_) | None => {}
        }
        let waiting = Unleased {
            command,
            since_ms: self.now_ms,
            start,
        };
        let instance = waiting.start.instance.clone();
        if let Some(older) = self.unleased.insert(instance, waiting) {
            self.answer(older.command, CommandOutcome::Stale);
        }
    }

    /// What a station says of a moment that has not come is no renewal.
    pub(super) fn renewed(&mut self, from_ms: u64, epoch: Epoch) {
        if self.session.is_none() || from_ms > self.now_ms {
            return;
        }
        self.output.actions.push(Action::Renewed { from_ms, epoch });
        let granted = |waiting: &Unleased| {
            let of_epoch = waiting
                .start
                .lease
                .is_some_and(|lease| lease.epoch == epoch);
            of_epoch && waiting.since_ms <= from_ms
        };
        let (begin, wait) = std::mem::take(&mut self.unleased)
            .into_iter()
            .partition(|(_, waiting)| granted(waiting));
        self.unleased = wait;
        for (_, Unleased { command, start, .. }) in begin {
            self.start(command, start);
        }
    }

    pub(super) fn forget_unleased(&mut self, stop: &Stop) {
        let waits = self.unleased.get(&stop.instance);
        if waits.is_some_and(|waiting| waiting.start.incarnation <= stop.incarnation)
            && let Some(older) = self.unleased.remove(&stop.instance)
        {
            self.answer(older.command, CommandOutcome::Stale);
        }
    }
}
