//! Which nodes to ask first. Cheap: most nodes are looked at by their numbers alone, and only those that would be among the
//! best are looked at closer.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mainstay_protocol::room::Room;

/// What is looked at of a node before it is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hint {
    pub offers: Room,
    pub taken: Room,
    /// How many instances are there.
    pub instances: usize,
}

/// The order among nodes; the least comes first. What takes something goes where the scarcest of it is least taken then;
/// what takes nothing where the fewest are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    first: u64,
    second: u64,
}

/// In so many parts of what a node offers: fine enough that a large node's small instance counts.
const PARTS: u128 = 1_000_000;

impl Hint {
    pub fn load(&self, asked: &Room) -> Load {
        let taken = self.taken.plus(*asked);
        let share = [
            (taken.millicores, self.offers.millicores),
            (taken.memory_bytes, self.offers.memory_bytes),
            (taken.disk_bytes, self.offers.disk_bytes),
        ]
        .map(|(taken, of)| share(taken, of))
        .into_iter()
        .max()
        .unwrap_or_default();
        let instances = self.instances as u64;
        let (first, second) = match *asked == Room::NONE {
            true => (instances, share),
            false => (share, instances),
        };
        Load { first, second }
    }

    /// `load(asked).first` is more than this; without dividing.
    #[inline]
    fn is_over(&self, asked: &Room, most: u64) -> bool {
        if *asked == Room::NONE {
            return self.instances as u64 > most;
        }
        let taken = self.taken.plus(*asked);
        let over = |taken: u64, of: u64| match of {
            0 => taken > 0 && most < u64::MAX,
            of => u128::from(taken) * PARTS >= (u128::from(most) + 1) * u128::from(of),
        };
        over(taken.millicores, self.offers.millicores)
            || over(taken.memory_bytes, self.offers.memory_bytes)
            || over(taken.disk_bytes, self.offers.disk_bytes)
    }
}

fn share(taken: u64, of: u64) -> u64 {
    match of {
        0 if taken == 0 => 0,
        0 => u64::MAX,
        of if taken <= u64::MAX / PARTS as u64 => taken * PARTS as u64 / of,
        of => u64::try_from(u128::from(taken) * PARTS / u128::from(of)).unwrap_or(u64::MAX),
    }
}

/// The best of many nodes, at most so many and one at least: the least loaded first, and of equals the one that was offered first.
#[derive(Debug)]
pub struct Ranking<T> {
    asked: Room,
    most: usize,
    offered: usize,
    /// The worst of them on top.
    best: BinaryHeap<Ranked<T>>,
}

#[derive(Debug)]
struct Ranked<T> {
    order: (usize, Load, usize),
    node: T,
}

impl<T> Ranking<T> {
    pub fn new(asked: Room, most: usize) -> Self {
        Self {
            asked,
            most: most.max(1),
            offered: 0,
            best: BinaryHeap::with_capacity(most.min(RANKED_AT_ONCE)),
        }
    }

    /// One more node. What counts before its load comes as a number, the fewest first. `may` is asked only of those that
    /// would be among the best: most are told from their numbers alone.
    #[inline]
    pub fn offer(&mut self, first: usize, hint: &Hint, may: impl FnOnce() -> Option<T>) {
        self.offered += 1;
        let worst = self.best.peek().filter(|_| self.best.len() == self.most);
        let is_behind = |worst: &Ranked<T>| match first.cmp(&worst.order.0) {
            Ordering::Less => false,
            Ordering::Equal => hint.is_over(&self.asked, worst.order.1.first),
            Ordering::Greater => true,
        };
        if worst.is_some_and(is_behind) {
            return;
        }
        let order = (first, hint.load(&self.asked), self.offered);
        if worst.is_some_and(|worst| worst.order < order) {
            return;
        }
        let Some(node) = may() else {
            return;
        };
        if self.best.len() == self.most {
            self.best.pop();
        }
        self.best.push(Ranked { order, node });
    }

    /// The best first.
    pub fn into_list(self) -> Vec<T> {
        let ranked = self.best.into_sorted_vec().into_iter();
        ranked.map(|one| one.node).collect()
    }
}

/// Space for so many is taken beforehand.
const RANKED_AT_ONCE: usize = 64;

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Ranked<T> {}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}
