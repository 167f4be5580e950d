//! Room: what a node has to give, and what an instance takes of it. Amounts are whole numbers in their smallest unit; how
//! people write them is the broker's.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Cores, memory and disk: of a node all that it offers, of an instance what it takes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Room {
    pub millicores: u64,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
}

/// What an instance needs of its node.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Needs {
    pub room: Room,
    /// Numbers of ports that nobody else on the node may have.
    pub ports: BTreeSet<u16>,
}

/// Thousandths of a core, as people read them: `2`, `500m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millicores(pub u64);

impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_multiple_of(1000) {
            true => write!(f, "{}", self.0 / 1000),
            false => write!(f, "{}m", self.0),
        }
    }
}

/// Bytes, in the largest unit that is exact: `4GiB`, `1500B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// Of each unit so many powers of 1024, the largest first.
pub const BYTE_UNITS: [(&str, u32); 5] = [
    ("PiB", 50),
    ("TiB", 40),
    ("GiB", 30),
    ("MiB", 20),
    ("KiB", 10),
];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, shift): &&(&str, u32)| self.0.trailing_zeros() >= *shift;
        match BYTE_UNITS.iter().find(exact).filter(|_| self.0 > 0) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// The same for people: what is no round number has two digits behind the point, rather than ten before it.
pub struct Rough(pub Bytes);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes(bytes) = self.0;
        let exact = self.0.to_string();
        let reached = |(_, shift): &&(&str, u32)| bytes >> shift > 0;
        match BYTE_UNITS.iter().find(reached) {
            Some((unit, shift)) if exact.len() > ROUGH_FROM => {
                // Down, so that what is free never looks like more.
                let hundredths = (u128::from(bytes) * 100) >> shift;
                write!(f, "{}.{:02}{unit}", hundredths / 100, hundredths % 100)
            }
            Some(_) | None => f.write_str(&exact),
        }
    }
}

/// So long is `1023GiB`.
const ROUGH_FROM: usize = 7;

/// `2 cores, 4GiB of memory`; "nothing" where it is nothing.
impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.millicores > 0 {
            parts.push(format!("{} cores", Millicores(self.millicores)));
        }
        if self.memory_bytes > 0 {
            parts.push(format!("{} of memory", Bytes(self.memory_bytes)));
        }
        if self.disk_bytes > 0 {
            parts.push(format!("{} of disk", Bytes(self.disk_bytes)));
        }
        match parts.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}

impl Room {
    pub const NONE: Self = Self {
        millicores: 0,
        memory_bytes: 0,
        disk_bytes: 0,
    };

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// Nothing where there would be less than nothing: whoever offers less than is taken has no room.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    pub fn fits_into(self, free: Self) -> bool {
        self.millicores <= free.millicores
            && self.memory_bytes <= free.memory_bytes
            && self.disk_bytes <= free.disk_bytes
    }

    fn with(self, other: Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            millicores: of(self.millicores, other.millicores),
            memory_bytes: of(self.memory_bytes, other.memory_bytes),
            disk_bytes: of(self.disk_bytes, other.disk_bytes),
        }
    }
}

impl Needs {
    pub fn is_nothing(&self) -> bool {
        self.room == Room::NONE && self.ports.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rough_amount_is_short_and_never_more_than_there_is() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1 << 30, "1GiB"),
            (1023 << 30, "1023GiB"),
            ((4 << 30) - 1, "3.99GiB"),
            (25_289_506_816, "23.55GiB"),
            (u64::MAX, "16383.99PiB"),
        ] {
            assert_eq!(Rough(Bytes(bytes)).to_string(), text);
        }
    }

    #[test]
    fn what_fits_fits_in_every_amount_and_less_than_nothing_is_nothing() {
        let room = |millicores, memory_bytes, disk_bytes| Room {
            millicores,
            memory_bytes,
            disk_bytes,
        };
        let free = room(10, 10, 10);
        assert!(free.fits_into(free) && Room::NONE.fits_into(Room::NONE));
        for over in [room(11, 1, 1), room(1, 11, 1), room(1, 1, 11)] {
            assert!(!over.fits_into(free), "{over:?}");
        }
        assert_eq!(free.minus(room(3, 11, 0)), room(7, 0, 10));
        assert_eq!(free.plus(room(u64::MAX, 1, 0)), room(u64::MAX, 11, 10));
    }
}
