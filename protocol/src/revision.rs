//! The history of the control interface: each revision with the hash of its whole layout, oldest first.
//!
//! A layout that changes while this list does not fails the `golden` test. The chain digest of the history goes
//! into the handshake, so that two builds with the same number and different layouts find out.

use crate::handshake::Interface;

/// The interface every peer must share.
pub const CONTROL: &str = "control";

/// One revision: its number and the hash over its golden samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub revision: u32,
    pub layout: u64,
}

/// Append-only once released.
pub const HISTORY: &[Entry] = &[Entry {
    revision: 1,
    layout: 0xfdf1_9087_f218_8c1d,
}];

/// The oldest revision this build still speaks.
pub const SPEAKS_MIN: u32 = 1;

/// The revision this build prefers.
pub const fn current() -> Entry {
    HISTORY[HISTORY.len() - 1]
}

/// FNV-1a, 64 bits: to notice a difference, not to withstand an attacker.
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Where a hash begins.
pub const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// Every entry hashed onto the one before: equal digests mean equal histories.
pub fn chain_digest(history: &[Entry]) -> u64 {
    history.iter().fold(SEED, |digest, entry| {
        let digest = hash(digest, &entry.revision.to_be_bytes());
        hash(digest, &entry.layout.to_be_bytes())
    })
}

/// What this build offers in its handshake.
pub fn control() -> Interface {
    Interface {
        id: CONTROL.to_owned(),
        digest: chain_digest(HISTORY).to_be_bytes().to_vec(),
        speaks_min: SPEAKS_MIN,
        speaks_max: current().revision,
    }
}
