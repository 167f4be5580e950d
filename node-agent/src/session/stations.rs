//! Which station is asked next: those that the agent was started with, and those that stations told of. Pure: the
//! session tries, fails and hears; what follows from it is decided here.
//!
//! ```text
//!             told of another leader, and the last step was a pause
//!        +---------------------------------------------------------> ask it at once
//! failed +
//!        +---------------------------------------------------------> pause, then the next of all in turn
//! lost   ----------------------------------------------------------> pause, then the same, or the leader that it told
//! silent ----------------------------------------------------------> pause, then the next, or the leader that it told
//! ```
//!
//! What must hold: between two steps without a pause there is one with a pause, whatever stations say, so that two that
//! point at each other are not asked in a hot loop; and every station has its turn, whoever is said to lead.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::session::Stations;
use mainstay_protocol::{Address, BadAddress, StationId, limits};

pub(super) const PAUSE_MIN: Duration = Duration::from_millis(50);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// When the current station is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    AtOnce,
    /// Not jittered yet.
    After(Duration),
}

/// What was new in what a station told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct News {
    /// It is to be kept.
    pub(super) changed: bool,
    /// Each once, as long as it is told.
    pub(super) not_understood: Vec<(StationId, BadAddress)>,
    /// So many stations were more than a cluster has; none, if it was so before.
    pub(super) left_off: usize,
}

#[derive(Debug)]
pub(super) struct Known {
    configured: Vec<Address>,
    told: Stations,
    not_understood: BTreeMap<StationId, BadAddress>,
    left_off: usize,
    /// Configured and told, each once.
    all: Vec<Address>,
    /// Whose turn it was last, in `all`.
    turn: usize,
    current: Address,
    /// Said to lead, and not asked since.
    leader: Option<Address>,
    /// The last step was one without a pause.
    jumped: bool,
    pause: Duration,
    /// Pauses of this length.
    pauses: usize,
}

impl Known {
    pub(super) fn new(configured: Vec<Address>) -> Self {
        let first = configured.first().cloned();
        Self {
            told: Stations::default(),
            not_understood: BTreeMap::new(),
            left_off: 0,
            all: each_once(configured.iter()),
            turn: 0,
            current: first.expect("an agent that was told no station does not run"),
            leader: None,
            jumped: false,
            pause: PAUSE_MIN,
            pauses: 0,
            configured,
        }
    }

    /// Whom to ask now, or whose session it is.
    pub(super) fn current(&self) -> &Address {
        &self.current
    }

    pub(super) fn knows(&self, endpoint: &Address) -> bool {
        self.all.contains(endpoint)
    }

    /// What was told last, within bounds; also what this build does not understand: the next may.
    pub(super) fn as_told(&self) -> &Stations {
        &self.told
    }

    /// The list that is told stands for the one before. Whoever is asked now stays it.
    pub(super) fn told(&mut self, mut told: Stations) -> News {
        let mut left_off = 0;
        while told.addresses.len() > limits::STATIONS_MAX {
            told.addresses.pop_last();
            left_off += 1;
        }
        if told.addresses.is_empty() {
            // Who knows of no station does not unsay what others told.
            told.addresses.clone_from(&self.told.addresses);
        }
        let mut understood = BTreeMap::new();
        let mut not_understood = BTreeMap::new();
        for (station, address) in &told.addresses {
            match address.parse::<Address>() {
                Ok(endpoint) => _ = understood.insert(*station, endpoint),
                Err(bad) => _ = not_understood.insert(*station, bad),
            }
        }
        told.addresses
            .retain(|_, address| address.len() <= limits::ADDRESS_BYTES_MAX);
        let is_new = |(station, bad): &(&StationId, &BadAddress)| {
            self.not_understood.get(station) != Some(bad)
        };
        let news = News {
            changed: told != self.told,
            not_understood: not_understood
                .iter()
                .filter(is_new)
                .map(|(station, bad)| (*station, bad.clone()))
                .collect(),
            left_off: if left_off == self.left_off {
                0
            } else {
                left_off
            },
        };
        self.leader = told
            .leader
            .and_then(|leader| understood.get(&leader))
            .filter(|leader| **leader != self.current)
            .cloned();
        self.all = each_once(self.configured.iter().chain(understood.values()));
        self.told = told;
        self.not_understood = not_understood;
        self.left_off = left_off;
        news
    }

    /// The current one was asked and there is no session. It must not be called for one that was lost.
    pub(super) fn failed(&mut self) -> Next {
        // Who is named behind a jump is not followed: it is asked when it has its turn.
        if let Some(leader) = self.leader.take()
            && !self.jumped
        {
            self.jumped = true;
            self.current = leader;
            return Next::AtOnce;
        }
        self.jumped = false;
        let asked = self.current.clone();
        self.take_turn();
        if self.current == asked {
            self.take_turn();
        }
        Next::After(self.next_pause())
    }

    /// A session ended. Its station may only have been started again; one that fell silent stands still, or is cut off.
    pub(super) fn lost(&mut self, silent: bool) -> Next {
        self.jumped = false;
        (self.pause, self.pauses) = (PAUSE_MIN, 0);
        let leader = self.leader.take();
        let named = leader.is_some();
        self.current = leader.unwrap_or_else(|| self.current.clone());
        let turn = self.all.iter().position(|one| *one == self.current);
        self.turn = turn.unwrap_or(self.turn);
        if silent && !named {
            self.take_turn();
        }
        Next::After(self.next_pause())
    }

    fn take_turn(&mut self) {
        self.turn = (self.turn + 1) % self.all.len();
        self.current = self.all[self.turn].clone();
    }

    /// Longer once all have had their turn.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pauses += 1;
        if self.pauses >= self.all.len() {
            self.pauses = 0;
            self.pause = (pause * 2).min(PAUSE_MAX);
        }
        pause
    }
}

fn each_once<'a>(endpoints: impl Iterator<Item = &'a Address>) -> Vec<Address> {
    let mut once = Vec::new();
    for endpoint in endpoints {
        if !once.contains(endpoint) {
            once.push(endpoint.clone());
        }
    }
    once
}

#[cfg(test)]
mod tests;
