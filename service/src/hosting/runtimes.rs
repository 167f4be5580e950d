//! The threads that services and probes run on, apart from those of the agent's own work.
//!
//! A service that blocks its thread takes one worker away: so there are more workers than cores, and neither a
//! session nor a Check depends on them. A probe that never yields takes a probe thread away: so there is more
//! than one of those.

use std::io;
use std::thread;

use ractor::ActorCell;
use tokio::runtime::{Builder, Handle, Runtime};

use super::panics;

/// Fewer would let few blocking services stop all others.
const SERVICE_THREADS_MIN: usize = 4;
/// More would be woken for nothing whenever a Check is due.
const PROBE_THREADS: usize = 2;

/// Owns the threads. Dropped, it waits for none of them.
#[derive(Debug)]
pub struct Runtimes {
    services: Option<Runtime>,
    probes: Option<Runtime>,
}

/// Where instances run: handles of the runtimes, and their parent.
#[derive(Debug, Clone)]
pub struct Stage {
    pub services: Handle,
    pub probes: Handle,
    pub host: ActorCell,
}

impl Runtimes {
    /// As an agent has them.
    pub fn new() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(cores.max(SERVICE_THREADS_MIN), PROBE_THREADS)
    }

    pub fn with_threads(services: usize, probes: usize) -> io::Result<Self> {
        panics::install_hook();
        Ok(Self {
            services: Some(runtime("services", services)?),
            probes: Some(runtime("probes", probes)?),
        })
    }

    pub fn stage(&self, host: ActorCell) -> Stage {
        let handle = |runtime: &Option<Runtime>| {
            let runtime = runtime.as_ref().expect("taken only when dropped");
            runtime.handle().clone()
        };
        Stage {
            services: handle(&self.services),
            probes: handle(&self.probes),
            host,
        }
    }
}

impl Drop for Runtimes {
    /// A thread that never comes back must not hold up the end.
    fn drop(&mut self) {
        for runtime in [self.services.take(), self.probes.take()]
            .into_iter()
            .flatten()
        {
            runtime.shutdown_background();
        }
    }
}

fn runtime(name: &str, threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .on_thread_start(panics::adopt_thread)
        .enable_all()
        .build()
}
