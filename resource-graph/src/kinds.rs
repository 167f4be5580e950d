//! A map by key, split by kind: all keys of one kind are a walk of their own, and counts cost nothing.

use std::collections::BTreeMap;

use crate::key::{Key, Kind};

#[derive(Debug, Clone)]
pub(crate) struct ByKind<V> {
    maps: [BTreeMap<Key, V>; Kind::ALL.len()],
}

impl<V> Default for ByKind<V> {
    fn default() -> Self {
        Self {
            maps: std::array::from_fn(|_| BTreeMap::new()),
        }
    }
}

impl<V> ByKind<V> {
    /// Kinds are numbered from 1 without gaps, in the order of the keys.
    fn place(kind: Kind) -> usize {
        kind as usize - 1
    }

    pub(crate) fn of(&self, kind: Kind) -> &BTreeMap<Key, V> {
        &self.maps[Self::place(kind)]
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&V> {
        self.of(key.kind()).get(key)
    }

    pub(crate) fn insert(&mut self, key: Key, value: V) -> Option<V> {
        self.maps[Self::place(key.kind())].insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Option<V> {
        self.maps[Self::place(key.kind())].remove(key)
    }

    /// In key order: the maps stand in the order of the kinds, which is the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.maps.iter().flatten()
    }
}
