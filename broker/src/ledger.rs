//! What a node has, what is taken of it by whom, and what is free.

use std::collections::BTreeMap;

use mainstay_protocol::InstanceKey;
use mainstay_protocol::room::{Needs, Room};

/// What is taken of one node. Whoever takes twice has what it took last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    takers: BTreeMap<InstanceKey, Needs>,
    taken: Room,
    ports: BTreeMap<u16, InstanceKey>,
}

/// A node's room as the evaluator looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    pub offers: Room,
    pub taken: Room,
    /// Taken ports, and by whom.
    pub ports: &'a BTreeMap<u16, InstanceKey>,
}

impl Ledger {
    /// A port that another has stays that one's: it was there first, and both are told of it.
    pub fn take(&mut self, taker: InstanceKey, needs: Needs) {
        self.give_back(&taker);
        if needs.is_nothing() {
            return;
        }
        self.taken = self.taken.plus(needs.room);
        for port in &needs.ports {
            self.ports.entry(*port).or_insert_with(|| taker.clone());
        }
        self.takers.insert(taker, needs);
    }

    pub fn give_back(&mut self, taker: &InstanceKey) {
        let Some(needs) = self.takers.remove(taker) else {
            return;
        };
        self.taken = self.taken.minus(needs.room);
        for port in needs.ports {
            if self.ports.get(&port) != Some(taker) {
                continue;
            }
            self.ports.remove(&port);
            let next = self
                .takers
                .iter()
                .find(|(_, needs)| needs.ports.contains(&port));
            if let Some((next, _)) = next {
                self.ports.insert(port, next.clone());
            }
        }
    }

    pub fn needs_of(&self, taker: &InstanceKey) -> Option<&Needs> {
        self.takers.get(taker)
    }

    pub fn taken(&self) -> Room {
        self.taken
    }

    pub fn account(&self, offers: Room) -> Account<'_> {
        Account {
            offers,
            taken: self.taken,
            ports: &self.ports,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(memory_bytes: u64, ports: &[u16]) -> Needs {
        Needs {
            room: Room {
                memory_bytes,
                ..Room::NONE
            },
            ports: ports.iter().copied().collect(),
        }
    }

    #[test]
    fn what_is_given_back_is_free_once_and_a_port_goes_to_whoever_has_it_as_well() {
        let key = |name: &str| InstanceKey::new("n1".parse().unwrap(), name.parse().unwrap());
        let mut ledger = Ledger::default();
        ledger.take(key("web"), needs(5, &[80]));
        ledger.take(key("web"), needs(3, &[80, 81]));
        ledger.take(key("db"), needs(2, &[81]));
        assert_eq!(ledger.taken().memory_bytes, 5);
        let account = ledger.account(needs(4, &[]).room);
        assert_eq!(account.taken.memory_bytes, 5, "more than it offers");
        assert_eq!(account.ports[&81], key("web"));
        ledger.give_back(&key("web"));
        ledger.give_back(&key("web"));
        assert_eq!(ledger.taken().memory_bytes, 2);
        let account = ledger.account(Room::NONE);
        assert_eq!(account.ports, &BTreeMap::from([(81, key("db"))]));
        ledger.give_back(&key("db"));
        assert_eq!(ledger, Ledger::default());
    }
}
