//! A told course: no storm, only what a test does to the world and waits for.

use crate::group::Place;
use crate::invariant::Violation;
use crate::world::{Held, World};

const MS: u64 = 1000;

impl World {
    /// A kind world in which everybody has found everybody.
    pub fn settled(stations: usize) -> Result<Self, Violation> {
        let mut world = Self::kind(stations, true);
        world.begins((0, 200));
        match world.comes_about(30_000)? {
            true => Ok(world),
            false => Err(Violation::of("begin", world.not_converged().join("; "))),
        }
    }

    /// Until it is so, for so long at most; says whether it came about.
    pub fn runs_until(
        &mut self,
        most_ms: u64,
        so: impl Fn(&Self) -> bool,
    ) -> Result<bool, Violation> {
        let end = self.now + most_ms * MS;
        while !so(self) {
            if self.queue.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return Ok(so(self));
            }
            if let Some((at, happening)) = self.queue.take() {
                self.now = at;
                self.take_or_put_off(happening)?;
            }
        }
        Ok(true)
    }

    pub fn runs_for(&mut self, span_ms: u64) -> Held {
        self.runs_until(span_ms, |_| false).map(drop)
    }

    /// Until everything wanted has come about.
    pub fn comes_about(&mut self, most_ms: u64) -> Result<bool, Violation> {
        self.runs_until(most_ms, |world| world.not_converged().is_empty())
    }

    /// These hear each other, and nobody else.
    pub fn cuts_out(&mut self, places: &[Place]) {
        for other in self.everywhere() {
            for one in places.iter().filter(|_| !places.contains(&other)) {
                self.cuts_off(*one, other, u64::MAX);
            }
        }
    }

    fn everywhere(&self) -> Vec<Place> {
        let nodes = (0..self.nodes.len()).map(crate::happening::NodeAt);
        let stations = self.places().map(Place::Station);
        stations.chain(nodes.map(Place::Node)).collect()
    }
}
