//! A seed's course: a storm of faults, then calm, in which everything has to come about.

use std::panic;
use std::sync::Once;

use crate::count::Counts;
use crate::fault::Fault;
use crate::happening::{Happening, NodeAt};
use crate::host::Host;
use crate::invariant::Violation;
use crate::link::LinkId;
use crate::rules::CURSE;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;
/// Between two looks at whether everything has come about.
const LOOK_MS: u64 = 500;
/// So long it has to stay so.
const STAY_MS: u64 = 3_000;

/// So long after the storm something of it may still arrive: a late duplicate, the end of a silent link.
const LEFTOVER_MS: u64 = 20_000;

/// What came of a seed.
#[derive(Debug, Clone)]
pub struct Report {
    pub seed: u64,
    pub counts: Counts,
    pub violation: Option<Violation>,
    /// The checksum of the whole log: the same seed gives the same.
    pub log_crc: u32,
    /// The last happenings, if asked for.
    pub trace: Vec<String>,
}

/// How a person runs one seed again, with its last happenings.
pub fn replay_command(seed: u64) -> String {
    format!(
        "MAINSTAY_SEED={seed} cargo test -p mainstay-sim --test seeds replay_the_seed_in_the_environment -- --nocapture"
    )
}

pub fn run(seed: u64) -> Report {
    begin(seed, false)
}

pub fn run_traced(seed: u64) -> Report {
    begin(seed, true)
}

fn begin(seed: u64, traced: bool) -> Report {
    keep_silent_about_curses();
    let mut world = World::new(seed, traced);
    let held = course(&mut world);
    world.counts.runs = 1;
    world.counts.log_bytes = world.station.disk.bytes.len() as u64;
    if let Err(violation) = &held {
        trace!(world, "VIOLATION {violation}");
    }
    Report {
        seed,
        log_crc: crc32c::crc32c(&world.station.disk.bytes),
        counts: world.counts,
        violation: held.err(),
        trace: world.trace.lines.into(),
    }
}

/// Rules that panic on purpose would fill the output.
pub(crate) fn keep_silent_about_curses() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let cursed = info
                .payload()
                .downcast_ref::<String>()
                .is_some_and(|text| text == CURSE)
                || info
                    .payload()
                    .downcast_ref::<&str>()
                    .is_some_and(|text| *text == CURSE);
            if !cursed {
                usual(info);
            }
        }));
    });
}

fn course(world: &mut World) -> Held {
    world.queue.put(0, Happening::StationStarts);
    for at in 0..world.nodes.len() {
        let after = world.dice.between(0, 3000) * MS;
        let node = NodeAt(at);
        world
            .queue
            .put(after, Happening::AgentStarts { node, life: 0 });
    }
    world.queue.put(500 * MS, Happening::OperatorActs);
    world.queue.put(4000 * MS, Happening::Mischief);
    let calm_at = world.plan.storm_ms * MS;
    world.queue.put(calm_at, Happening::Calm);
    let last = calm_at + world.plan.healing_ms_max * MS;
    let mut well_since = None;
    while let Some((at, happening)) = world.queue.take() {
        world.now = at;
        let looks = matches!(happening, Happening::Look);
        world.take_or_put_off(happening)?;
        if !looks {
            continue;
        }
        let missing = world.not_converged();
        if missing.is_empty() {
            let since = *well_since.get_or_insert(at);
            if at >= since + STAY_MS * MS {
                let healing = (since - calm_at) / MS;
                world.counts.healing_ms_max = healing;
                world.promises_hold()?;
                return world.final_look();
            }
        } else if at < calm_at + LEFTOVER_MS * MS {
            well_since = None;
        } else if let Some(since) = well_since {
            let text = format!("well at {since} us, then again: {}", missing.join("; "));
            return Err(Violation::of("liveness", text));
        } else if at >= last {
            let text = format!(
                "{} ms after the last fault: {}",
                world.plan.healing_ms_max,
                missing.join("; ")
            );
            return Err(Violation::of("liveness", text));
        }
        world.queue.put(at + LOOK_MS * MS, Happening::Look);
    }
    Err(Violation::of("liveness", "nothing happens any more"))
}

impl World {
    /// What is meant for an agent that stands still waits for it, in its order.
    fn take_or_put_off(&mut self, happening: Happening) -> Held {
        if let Some(node) = self.agent_of(&happening) {
            let until = self.nodes[node.0].paused_until;
            if until > self.now {
                self.queue.put(until, happening);
                return Ok(());
            }
        }
        self.happen(happening)
    }

    fn agent_of(&self, happening: &Happening) -> Option<NodeAt> {
        match happening {
            Happening::ToAgent { link, .. } | Happening::AgentSeesEnd(link) => {
                self.links.get(link).map(|link| link.node)
            }
            Happening::AgentConnects { node, .. }
            | Happening::Heartbeat { node, .. }
            | Happening::Host { node, .. }
            | Happening::ChecksDue { node, .. }
            | Happening::Checked { node, .. }
            | Happening::SupervisorStarts { node, .. } => Some(*node),
            Happening::ToStation { .. }
            | Happening::StationSeesEnd(_)
            | Happening::Synced { .. }
            | Happening::LogSaysLost { .. }
            | Happening::Leads { .. }
            | Happening::StationWakes { .. }
            | Happening::StationStarts
            | Happening::AgentStarts { .. }
            | Happening::OperatorActs
            | Happening::OperatorTriesAgain { .. }
            | Happening::Mischief
            | Happening::Calm
            | Happening::Look => None,
        }
    }

    pub fn becomes_calm(&mut self) {
        trace!(self, "calm");
        self.calm = true;
        for node in &mut self.nodes {
            node.host.behave();
        }
        let silent: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.silent_to_agent || link.silent_to_station)
            .map(|(id, _)| *id)
            .collect();
        for link in silent {
            self.cut_link(link);
        }
        self.queue.put(self.now + LOOK_MS * MS, Happening::Look);
    }

    fn open_link(&mut self) -> Option<LinkId> {
        let open: Vec<LinkId> = self.nodes.iter().filter_map(|node| node.link).collect();
        self.dice.pick(&open).copied()
    }

    /// One stone.
    pub fn mischief(&mut self) -> Held {
        if self.calm {
            return Ok(());
        }
        let after = self.dice.between(100, self.plan.mischief_ms_max) * MS;
        self.queue.put(self.now + after, Happening::Mischief);
        let node = NodeAt(self.dice.below(self.nodes.len() as u64) as usize);
        match self.dice.below(16) {
            0..=2 => self.mischief_of_links(Fault::LinkCut),
            3 => self.mischief_of_links(Fault::LinkSilentToStation),
            4 => self.mischief_of_links(Fault::LinkSilentToAgent),
            5 | 6 => {
                self.counts.fault(Fault::AgentKilled);
                return self.kill_agent(node);
            }
            7 => {
                self.counts.fault(Fault::AgentPaused);
                let until = self.now + self.dice.between(100, 6000) * MS;
                self.nodes[node.0].paused_until = until;
            }
            8 => {
                self.counts.fault(Fault::NodeRebooted);
                self.nodes[node.0].boot += 1;
                self.nodes[node.0].memory += 1;
                self.kill_agent(node)?;
                self.nodes[node.0].host = Host::default();
            }
            9 => {
                self.counts.fault(Fault::AgentFileLost);
                self.nodes[node.0].memory += 1;
                self.kill_agent(node)?;
                self.nodes[node.0].file.clear();
            }
            10 | 11 => self.supervisor_dies(node),
            12 | 13 => return self.station_crashes(false),
            14 => return self.leadership_is_lost(),
            _ => self.wall_clock_jumps(),
        }
        Ok(())
    }

    fn mischief_of_links(&mut self, fault: Fault) {
        let Some(id) = self.open_link() else {
            return;
        };
        self.counts.fault(fault);
        trace!(self, "{} ({id:?})", fault.text());
        if fault == Fault::LinkCut {
            return self.cut_link(id);
        }
        if let Some(link) = self.links.get_mut(&id) {
            match fault {
                Fault::LinkSilentToStation => link.silent_to_station = true,
                _ => link.silent_to_agent = true,
            }
        }
    }
}
