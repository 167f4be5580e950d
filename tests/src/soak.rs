//! How long a test goes on, and with which moments: a few in every run, all of them in `make soak`.

use std::time::{SystemTime, UNIX_EPOCH};

/// Repeats a run.
pub const SEED: &str = "MAINSTAY_SEED";

/// Of every run that is not long and was not given another.
const SEED_SHORT: u64 = 0x5eed;

pub fn is_long() -> bool {
    std::env::var_os("MAINSTAY_SOAK").is_some()
}

/// So many in every run, and so many in the long one.
pub fn rounds(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// As asked for; another one at each long run.
pub fn seed() -> u64 {
    if let Ok(said) = std::env::var(SEED) {
        return said.parse().expect("MAINSTAY_SEED is a number");
    }
    if !is_long() {
        return SEED_SHORT;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(SEED_SHORT, |since| since.as_secs())
}
