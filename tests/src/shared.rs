//! One cluster for several tests of a file, as long as one of them runs: each uses placements of its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::cluster::{Cluster, DevOptions};

#[derive(Debug)]
pub struct Shared(Mutex<Weak<Cluster>>);

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    pub const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// The cluster there is, else a new one. It ends with the last test that holds it.
    pub fn get(&self, options: &DevOptions) -> Arc<Cluster> {
        // A test that failed while it started one leaves nothing behind that the next could trip over.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Cluster::with(options));
        *shared = Arc::downgrade(&cluster);
        cluster
    }
}
