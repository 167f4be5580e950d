//! A seed's course: a storm of faults, then calm, in which everything has to come about.

use std::panic;
use std::sync::Once;

use crate::count::Counts;
use crate::happening::Happening;
use crate::invariant::Violation;
use crate::rules::CURSE;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;
/// Between two looks at whether everything has come about.
pub(crate) const LOOK_MS: u64 = 500;
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
    /// The checksum of everything committed: the same seed gives the same.
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
    let (log_crc, log_bytes) = world.oracle.log_crc();
    world.counts.log_bytes = log_bytes;
    if let Err(violation) = &held {
        trace!(world, "VIOLATION {violation}");
    }
    Report {
        seed,
        log_crc,
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
    world.begins((0, 3000));
    world.queue.put(500 * MS, Happening::OperatorActs);
    world.queue.put(4000 * MS, Happening::Mischief);
    if world.carers.wanted {
        world.queue.put(5000 * MS, Happening::CarerActs);
    }
    if world.clients.wanted {
        world.queue.put(3000 * MS, Happening::ClientActs);
    }
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
                world.promises_hold(world.oracle.mirror())?;
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
