//! What this station does wrong on purpose: ways to nodes that are cut or slow, a slow disk, a clock that is wrong. Nothing
//! of it outlives the time for which this station leads, and only one that was started with `--chaos` does it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_api::present::Broken;
use mainstay_api::shapes::duration_text;
use mainstay_protocol::{NodeName, StationId};
use mainstay_resource_graph::Key;
use tokio::sync::watch;

use crate::clock;

/// The way to and from one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing arrives, and nobody else sees it either.
    Gone,
    /// Nothing arrives here; others see it.
    CutOff,
    /// Everything takes longer by so much.
    Slow(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("is cut off from everybody"),
            Self::CutOff => f.write_str("is cut off from the station; others see it"),
            Self::Slow(by) => write!(
                f,
                "is far away: what goes there and comes from there takes {} longer",
                lasting(*by)
            ),
        }
    }
}

/// "1h 30m".
pub fn lasting(span: Duration) -> String {
    duration_text(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// What is wrong with this station itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Own {
    slower: Duration,
    skew_ms: i64,
}

impl Fault {
    fn is_cut(self) -> bool {
        match self {
            Self::Gone | Self::CutOff => true,
            Self::Slow(_) => false,
        }
    }
}

#[derive(Debug, Default)]
pub struct Faults {
    ways: watch::Sender<BTreeMap<NodeName, Fault>>,
    own: Mutex<Own>,
}

impl Faults {
    pub fn set(&self, node: NodeName, fault: Fault) {
        tracing::warn!(%node, ?fault, "its way is broken on purpose");
        self.ways.send_modify(|ways| {
            ways.insert(node, fault);
        });
    }

    /// False where nothing was wrong with it.
    pub fn heal(&self, node: &NodeName) -> bool {
        self.ways
            .send_if_modified(|ways| ways.remove(node).is_some())
    }

    pub fn heal_all(&self) {
        self.ways.send_modify(BTreeMap::clear);
        self.heal_own();
    }

    /// What is wrong with this station itself.
    pub fn heal_own(&self) {
        self.slow_disk(Duration::ZERO);
        self.skew(0);
    }

    /// Every time the log of this station goes to the disk, that takes longer by so much.
    pub fn slow_disk(&self, by: Duration) {
        self.own().slower = by;
        mainstay_store::slow_syncs(by);
    }

    /// The clock on the wall of this station is wrong by so much.
    pub fn skew(&self, by_ms: i64) {
        self.own().skew_ms = by_ms;
        clock::skew(by_ms);
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is wrong on purpose, in words.
    pub fn all(&self, station: StationId) -> Vec<Broken> {
        let own = *self.own();
        let mut all = Vec::new();
        let mut of_station = |how: String| {
            let key = Key::Station(station);
            all.push(Broken { key, how });
        };
        if !own.slower.is_zero() {
            let by = lasting(own.slower);
            of_station(format!("has a slow disk: each sync takes {by} longer"));
        }
        if own.skew_ms != 0 {
            let by = lasting(Duration::from_millis(own.skew_ms.unsigned_abs()));
            let way = if own.skew_ms < 0 { "behind" } else { "ahead" };
            of_station(format!("has a clock that is {by} {way}"));
        }
        let ways = self.ways.borrow();
        all.extend(ways.iter().map(|(node, fault)| Broken {
            key: Key::Node(node.clone()),
            how: fault.to_string(),
        }));
        all
    }

    pub fn of(&self, node: &NodeName) -> Option<Fault> {
        self.ways.borrow().get(node).copied()
    }

    /// Returns when what came, or is to go, may do so: like packets that are sent again until they arrive.
    pub async fn pass(&self, node: &NodeName) {
        if self.ways.borrow().is_empty() {
            return;
        }
        let mut ways = self.ways.subscribe();
        let is_open =
            |ways: &BTreeMap<NodeName, Fault>| !ways.get(node).is_some_and(|fault| fault.is_cut());
        let fault = match ways.wait_for(is_open).await {
            Ok(ways) => ways.get(node).copied(),
            Err(_the_station_ends) => None,
        };
        if let Some(Fault::Slow(by)) = fault {
            tokio::time::sleep(by).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_way_that_is_cut_lets_nothing_pass_until_it_is_healed_and_no_other_is_touched() {
        let faults = Faults::default();
        let [n1, n2] = ["n1", "n2"].map(|name| name.parse::<NodeName>().unwrap());
        for fault in [Fault::Gone, Fault::CutOff] {
            faults.set(n1.clone(), fault);
            faults.pass(&n2).await;
            let early = timeout(Duration::from_millis(10), faults.pass(&n1)).await;
            assert!(early.is_err(), "{fault:?}");
            let passing = faults.pass(&n1);
            let healing = async { assert!(faults.heal(&n1)) };
            tokio::join!(passing, healing);
        }
        assert!(!faults.heal(&n1), "nothing was wrong with it");
    }
}
