//! The kill matrix: one course of orders in a kind world, run again with one death in it, at every point at which
//! something is written, before, in the middle of, and after the write.

use mainstay_coordinator::Operation;
use mainstay_resource_graph::Graph;

use crate::happening::Happening;
use crate::invariant::Violation;
use crate::membership::Change;
use crate::run::keep_silent_about_curses;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;
const LOOK_MS: u64 = 500;
/// So long the end has to stay as it is.
const STAY_MS: u64 = 3_000;
/// So long one order may take, with a death and a start in it.
const STEP_MS_MAX: u64 = 120_000;

/// Whose process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Station,
    Agent,
}

/// When, by the write that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    /// A half of it is on disk.
    Torn,
    /// All of it is on disk; nothing was done about it.
    Written,
    /// The station's core was told, and nothing of what follows went out. An agent does the two in one step.
    Told,
}

/// One death, at the write of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    pub victim: Victim,
    pub write: u64,
    pub moment: Moment,
}

/// What was written in a course.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Writes {
    pub log: u64,
    pub told: u64,
    pub files: u64,
}

/// Orders, given in groups; the next group when the one before has come about; then changes of the group of stations. At the
/// end the graph is as it says.
pub struct Course {
    pub name: &'static str,
    pub stations: usize,
    pub groups: Vec<Vec<Operation>>,
    /// Then these, each when the one before has come about.
    pub changes: Vec<Change>,
    pub ends: fn(&Graph) -> Result<(), String>,
}

/// What came of one course.
#[derive(Debug)]
pub struct Ran {
    pub writes: Writes,
    /// The death was died.
    pub killed: bool,
    pub violation: Option<Violation>,
    pub trace: Vec<String>,
}

impl Writes {
    /// Every death that there could be.
    pub fn kills(&self) -> Vec<Kill> {
        use Moment::{Before, Told, Torn, Written};
        let station = [Before, Torn, Written].map(|moment| (Victim::Station, moment, self.log));
        let agent = [Before, Torn, Written].map(|moment| (Victim::Agent, moment, self.files));
        let told = [(Victim::Station, Told, self.told)];
        let all = station.into_iter().chain(told).chain(agent);
        all.flat_map(|(victim, moment, count)| {
            (1..=count).map(move |write| Kill {
                victim,
                write,
                moment,
            })
        })
        .collect()
    }
}

/// Runs a course, with a death or without.
pub fn run(course: &Course, kill: Option<Kill>, traced: bool) -> Ran {
    keep_silent_about_curses();
    let mut world = World::kind(course.stations, traced);
    world.kill = kill;
    let held = go(&mut world, course);
    if let Err(violation) = &held {
        trace!(world, "VIOLATION {violation}");
    }
    Ran {
        writes: world.writes,
        killed: world.killed,
        violation: held.err(),
        trace: world.trace.lines.into(),
    }
}

fn go(world: &mut World, course: &Course) -> Held {
    world.begins((100, 100));
    world.queue.put(LOOK_MS * MS, Happening::Look);
    let (mut groups, mut changes) = (course.groups.iter(), course.changes.iter());
    let (mut step_began, mut well_since) = (0, None);
    while let Some((at, happening)) = world.queue.take() {
        world.now = at;
        let looks = matches!(happening, Happening::Look);
        world.happen(happening)?;
        if !looks {
            continue;
        }
        let missing = world.not_converged();
        if !missing.is_empty() {
            well_since = None;
            if at >= step_began + STEP_MS_MAX * MS {
                let text = format!("{STEP_MS_MAX} ms after the order: {}", missing.join("; "));
                return Err(Violation::of("liveness", text));
            }
        } else if let Some(group) = groups.next() {
            step_began = at;
            for operation in group {
                world.order(operation.clone())?;
            }
        } else if let Some(change) = changes.next() {
            step_began = at;
            if matches!(change, Change::Add(_)) {
                world.station_comes();
            }
            world.wants(*change);
        } else {
            let since = *well_since.get_or_insert(at);
            if at >= since + STAY_MS * MS {
                return end(world, course);
            }
        }
        world.queue.put(at + LOOK_MS * MS, Happening::Look);
    }
    Err(Violation::of("liveness", "nothing happens any more"))
}

fn end(world: &mut World, course: &Course) -> Held {
    world.final_look()?;
    let graph = world.coordinator().map(|core| core.graph());
    let ended = graph.map_or(Err("there is no station".to_owned()), course.ends);
    ended.map_err(|text| Violation::of("end", text))
}
