//! When the supervisor's actor is started again after its end, and when it no longer is. Pure; the keeper obeys.

use std::time::Duration;

use mainstay_protocol::limits;

/// Counts the ends in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restarts {
    in_a_row: u32,
}

/// What follows an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    /// The first in a row is followed at once: nobody watches meanwhile.
    After { in_a_row: u32, pause: Duration },
    /// There were too many in a row.
    Never { in_a_row: u32 },
}

impl Restarts {
    /// It ended, after so long a life.
    pub fn ended(&mut self, lived: Duration) -> NextTry {
        if lived >= Duration::from_millis(limits::SUPERVISOR_WELL_MS) {
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        let in_a_row = self.in_a_row;
        if in_a_row >= limits::SUPERVISOR_DEATHS_MAX {
            return NextTry::Never { in_a_row };
        }
        NextTry::After {
            in_a_row,
            pause: Duration::from_millis(pause_ms(in_a_row)),
        }
    }
}

fn pause_ms(in_a_row: u32) -> u64 {
    let Some(doublings) = in_a_row.checked_sub(2) else {
        return 0;
    };
    limits::SUPERVISOR_PAUSE_MS_MIN
        .saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX))
        .min(limits::SUPERVISOR_PAUSE_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(limits::SUPERVISOR_WELL_MS - 1);
    const WELL: Duration = Duration::from_millis(limits::SUPERVISOR_WELL_MS);

    fn pauses(restarts: &mut Restarts, lives: usize) -> Vec<Option<u128>> {
        let mut pause = || match restarts.ended(SHORT) {
            NextTry::After { pause, .. } => Some(pause.as_millis()),
            NextTry::Never { .. } => None,
        };
        (0..lives).map(|_| pause()).collect()
    }

    #[test]
    fn ends_in_a_row_are_followed_ever_later_and_at_last_not_at_all() {
        let mut restarts = Restarts::default();
        let expected = [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
        assert_eq!(pauses(&mut restarts, 9), expected.map(Some));
        assert_eq!(
            restarts.ended(SHORT),
            NextTry::Never {
                in_a_row: limits::SUPERVISOR_DEATHS_MAX
            }
        );
    }

    #[test]
    fn a_supervisor_that_was_well_begins_the_count_anew() {
        let mut restarts = Restarts::default();
        pauses(&mut restarts, 8);
        let first = NextTry::After {
            in_a_row: 1,
            pause: Duration::ZERO,
        };
        assert_eq!(restarts.ended(WELL), first);
        assert_eq!(pauses(&mut restarts, 2), [Some(100), Some(200)]);
    }
}
