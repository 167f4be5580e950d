//! The clock of leases: it begins with the machine's boot and goes on while the machine sleeps. The hold, its second
//! stage, and whoever sets or prolongs a lease on this machine read the same one.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of `CLOCK_BOOTTIME`.
pub fn now_ms() -> u64 {
    let now = Duration::try_from(clock_gettime(ClockId::Boottime));
    let now = now.expect("a clock that begins at zero is never negative");
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_and_is_the_kernels_uptime() {
        let before_ms = now_ms();
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let after_ms = now_ms();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let uptime_ms = (seconds * 1_000.0).round() as u64;
        // In hundredths, rounded down.
        assert!(before_ms <= uptime_ms + 10 && uptime_ms <= after_ms);
    }
}
