//! How properties are tried.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// Seeds that failed once are kept in this file, and tried first.
pub fn config(seeds: &'static str) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..ProptestConfig::default()
    }
}
