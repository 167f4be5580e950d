//! A worker: counts, for as long as there is somebody to count for.

use std::env;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::database::Database;

/// Slow enough to be watched.
const PAUSE: Duration = Duration::from_millis(500);
/// A database that is started again at once is back long before.
const PATIENCE: Duration = Duration::from_secs(5);
/// A log that tells how it goes is enough.
const TOLD_EVERY: u64 = 20;

pub(super) fn work() -> Result<(), String> {
    let name = env::var("MAINSTAY_INSTANCE").unwrap_or_else(|_| "worker".to_owned());
    let mut database = Database::default();
    let mut without_since: Option<Instant> = None;
    for turn in 0_u64.. {
        match database.ask(&format!("add {name}")) {
            Ok(total) => {
                if without_since.take().is_some() || turn.is_multiple_of(TOLD_EVERY) {
                    println!("counted: it is {total} now");
                }
            }
            Err(why) => {
                let since = *without_since.get_or_insert_with(|| {
                    println!("{why}; trying again");
                    Instant::now()
                });
                if since.elapsed() >= PATIENCE {
                    let waited = PATIENCE.as_secs();
                    return Err(format!("gave up after {waited} s: {why}"));
                }
            }
        }
        sleep(PAUSE);
    }
    Ok(())
}
