//! The order of activities: who waits for whom, who is before whom, and a circle if there is one.

use std::collections::BTreeMap;

use mainstay_protocol::WorkName;

use crate::definition::Activity;

/// By places in a list. Dependencies that nobody has are left out.
#[derive(Debug)]
pub struct Dag {
    /// For each the places that it waits for.
    waits_for: Vec<Vec<usize>>,
    /// A place behind all that it waits for; without those that are in a circle, or behind one.
    order: Vec<usize>,
}

impl Dag {
    pub fn of(activities: &[Activity]) -> Self {
        let all = activities.iter().map(|activity| {
            let on = activity.depends_on.iter().map(WorkName::as_str);
            (activity.id.as_str(), on.collect())
        });
        Self::named(&all.collect::<Vec<_>>())
    }

    /// Of anything that has names, and names what it waits for.
    pub fn named(all: &[(&str, Vec<&str>)]) -> Self {
        let places = all.iter().enumerate();
        let places: BTreeMap<&str, usize> =
            places.map(|(place, (name, _))| (*name, place)).collect();
        let waits_for =
            |on: &Vec<&str>| on.iter().filter_map(|on| places.get(on).copied()).collect();
        let waits_for: Vec<Vec<usize>> = all.iter().map(|(_, on)| waits_for(on)).collect();
        let order = order(&waits_for);
        Self { waits_for, order }
    }

    /// The places of a circle, each waiting for the next one, the first once more at its end.
    pub fn circle(&self) -> Option<Vec<usize>> {
        let mut is_ordered = vec![false; self.waits_for.len()];
        self.order
            .iter()
            .for_each(|place| is_ordered[*place] = true);
        let mut at = is_ordered.iter().position(|is_ordered| !is_ordered)?;
        // Whoever is not in order waits for one that is not; so the way comes back to a place it was at.
        let mut way = Vec::new();
        while !way.contains(&at) {
            way.push(at);
            let next = self.waits_for[at].iter().find(|next| !is_ordered[**next]);
            at = *next.expect("what is not in order waits for what is not");
        }
        let begins = way.iter().position(|place| *place == at);
        way.drain(..begins.expect("it was there"));
        way.push(at);
        Some(way)
    }

    /// Who must be complete before whom, directly or not.
    pub fn before(&self) -> Before {
        let words = self.waits_for.len().div_ceil(64);
        let mut sets = vec![vec![0; words]; self.waits_for.len()];
        for place in &self.order {
            let mut all = vec![0; words];
            for on in &self.waits_for[*place] {
                all[on / 64] |= 1 << (on % 64);
                for (word, other) in all.iter_mut().zip(&sets[*on]) {
                    *word |= other;
                }
            }
            sets[*place] = all;
        }
        Before { sets }
    }

    /// For each how many must follow each other before it: for display, nothing waits for a tier.
    pub fn tiers(&self) -> Vec<usize> {
        let mut tiers = vec![0; self.waits_for.len()];
        for place in &self.order {
            let before = self.waits_for[*place].iter().map(|on| tiers[*on] + 1);
            tiers[*place] = before.max().unwrap_or_default();
        }
        tiers
    }
}

/// For each place the set of those before it, a bit for each.
pub struct Before {
    sets: Vec<Vec<u64>>,
}

impl Before {
    pub fn is_before(&self, first: usize, then: usize) -> bool {
        self.sets[then][first / 64] >> (first % 64) & 1 == 1
    }
}

fn order(waits_for: &[Vec<usize>]) -> Vec<usize> {
    let mut left: Vec<usize> = waits_for.iter().map(Vec::len).collect();
    let mut waited_by = vec![Vec::new(); waits_for.len()];
    for (place, on) in waits_for.iter().enumerate() {
        on.iter().for_each(|on| waited_by[*on].push(place));
    }
    let mut order: Vec<usize> = (0..left.len()).filter(|place| left[*place] == 0).collect();
    let mut next = 0;
    while let Some(place) = order.get(next).copied() {
        next += 1;
        for waiting in &waited_by[place] {
            left[*waiting] -= 1;
            if left[*waiting] == 0 {
                order.push(*waiting);
            }
        }
    }
    order
}
