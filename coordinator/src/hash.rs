//! Hashes that are the same on every build and machine: for jitter, for stable ids, for texts that are kept once.

use sha2::{Digest, Sha256};

/// The first bytes of a text's SHA-256, in hexadecimal.
pub fn digest(text: &str, bytes: usize) -> String {
    let digest = Sha256::digest(text);
    let first = digest.iter().take(bytes);
    first.map(|byte| format!("{byte:02x}")).collect()
}

/// Not for secrets: FNV-1a, then a finisher, so that texts that differ in their last byte differ everywhere.
pub fn stable(text: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}
