//! Numbers below a bound: not the same for any two seeds, and the same in every run.

pub fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut dice = seed;
    move |below| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) as usize % below
    }
}
