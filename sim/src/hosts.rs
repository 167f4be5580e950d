//! Commands about machines: they reboot one, or they fail.

use mainstay_coordinator::{AskHost, Event};
use mainstay_protocol::host::HostCommand;
use mainstay_resource_graph::HostOutcome;

use crate::fault::Fault;
use crate::happening::Happening;
use crate::station::StationAt;
use crate::world::{Held, World};

const MS: u64 = 1000;

impl World {
    /// A node's agent is to run one; it takes its time, perhaps longer than it may.
    pub fn asks_host(&mut self, at: StationAt, ask: AskHost) {
        let life = self.station(at).life;
        let after = self.dice.between(1, 4_000) * MS;
        let ends = Happening::HostCommandEnds {
            station: at,
            life,
            ask: Box::new(ask),
        };
        self.queue.put(self.now + after, ends);
    }

    pub fn host_command_ends(&mut self, at: StationAt, life: u64, ask: AskHost) -> Held {
        let HostCommand { id, only, .. } = ask.command;
        let reached = self.speaks_to(at, &ask.on);
        let machine = self.node_called(&id.node);
        let outcome = match (reached, machine) {
            (Some(by), Some(machine)) if self.dice.per_mille(700) => {
                let runs = self.nodes[by.0].agent_run;
                if only.is_none_or(|only| only == runs) {
                    self.counts.fault(Fault::HostRestarted);
                    self.node_reboots(machine)?;
                }
                // Whoever restarts its own machine says nothing more.
                match only {
                    Some(_) => return Ok(()),
                    None => HostOutcome::Done,
                }
            }
            (Some(_), Some(_)) => HostOutcome::Failed("exit code 1".to_owned()),
            (None, _) | (_, None) => HostOutcome::Failed(format!("{} is not here", ask.on)),
        };
        if self.station(at).life != life {
            return Ok(());
        }
        // Refused only where nobody leads, and then the next leader asks again.
        if self
            .enqueue(at, Event::HostCommandRan { id, outcome }, None)
            .is_err()
        {
            return Ok(());
        }
        self.pump(at)
    }
}
