//! What a node has, in so few bits that thousands of nodes are looked at without going to their records: where what is
//! looked for is not marked, the node does not have it; where it is, it may.

use mainstay_protocol::TypeName;

use crate::node::{Node, NodeState};

/// Two bits for each thing. A false hit costs a look at the record, no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks([u64; 4]);

impl Marks {
    pub fn of_type(name: &TypeName) -> Self {
        Self::of([b"type", name.as_str().as_bytes(), b""])
    }

    pub fn of_label(label: &str, value: &str) -> Self {
        Self::of([b"label", label.as_bytes(), value.as_bytes()])
    }

    /// Nobody keeps instances away: it is online, and people have said nothing against it.
    pub fn of_open() -> Self {
        Self::of([b"open", b"", b""])
    }

    /// Nothing is to run there, as people said.
    pub fn of_drained() -> Self {
        Self::of([b"drained", b"", b""])
    }

    pub(crate) fn of_node(node: &Node) -> Self {
        let types = node.provides.keys().map(Self::of_type);
        let labels = node.labels.iter();
        let labels = labels.map(|(label, value)| Self::of_label(label, value));
        let is_open = node.state == NodeState::Online
            && node.care.cordon.is_none()
            && node.care.maintenance.is_none();
        let open = is_open.then(Self::of_open);
        let drained = node.care.drains().map(|_| Self::of_drained());
        types
            .chain(labels)
            .chain(open)
            .chain(drained)
            .fold(Self::default(), Self::with)
    }

    pub fn with(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// False only where something that the other marks is not there.
    #[inline]
    pub fn may_have(&self, other: &Self) -> bool {
        (0..self.0.len()).all(|at| self.0[at] & other.0[at] == other.0[at])
    }

    fn of(parts: [&[u8]; 3]) -> Self {
        let mut marks = Self::default();
        let hash = fnv(&parts);
        for byte in [hash >> 16, hash >> 40] {
            let bit = (byte & 255) as usize;
            marks.0[bit / 64] |= 1 << (bit % 64);
        }
        marks
    }
}

/// FNV-1a, with a byte that no name has between the parts. Nothing of it is kept or sent.
fn fnv(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_found_and_most_else_is_not() {
        let label = |at: usize| Marks::of_label("rack", &format!("r{at}"));
        let some = (0..10).map(label).fold(Marks::default(), Marks::with);
        assert!((0..10).all(|at| some.may_have(&label(at))));
        let found = (10..1_010).filter(|at| some.may_have(&label(*at))).count();
        assert!(found < 50, "{found} of a thousand");
        assert_ne!(Marks::of_label("a", "bc"), Marks::of_label("ab", "c"));
    }
}
