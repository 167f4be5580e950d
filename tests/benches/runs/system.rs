//! What is measured of every system, and how it is of those with an HTTP API: clients on a connection each, which begin
//! their next run once they saw the result of the last.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Caches, connections and pools have settled by then.
pub const WARM_UP: Duration = Duration::from_secs(1);
pub const MEASURED: Duration = Duration::from_secs(4);
/// Clients that begin runs which are not measured one by one.
pub const BEGINNERS: usize = 64;
/// Runs in flight when the server is killed.
pub const BACKLOG: usize = 300;
/// Three steps of a second each: none has ended before the server is killed.
pub const SLOW_STEP: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(3);
/// Who says nothing to the end of it has lost a run.
const PATIENCE: Duration = Duration::from_secs(90);
/// Beyond what any of them takes until all that was begun waits.
const OPEN_MAX: Duration = Duration::from_secs(300);
/// Between two questions to a server that is not there yet.
const PAUSE: Duration = Duration::from_millis(10);

/// What a run is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Three steps, one after the other.
    Chain,
    /// One step, ten beside each other, one.
    Fan,
    /// Three that take `SLOW_STEP` each.
    Slow,
    /// One step, and an hour.
    Hour,
}

impl Flow {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Fan => "fan",
            Self::Slow => "slow",
            Self::Hour => "hour",
        }
    }
}

/// KiB that are resident.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub server: u64,
    pub worker: u64,
}

/// Times since the server was begun again.
#[derive(Debug)]
pub struct Recovery {
    pub first: Duration,
    pub all: Duration,
    pub lost: usize,
}

impl Recovery {
    /// Of those that ended, when each did.
    pub fn of(mut ends: Vec<Duration>) -> Self {
        ends.sort_unstable();
        Self {
            first: ends.first().copied().unwrap_or(Duration::MAX),
            all: ends.last().copied().unwrap_or(Duration::MAX),
            lost: BACKLOG - ends.len(),
        }
    }
}

/// A system that runs, alone or beside others; dropped, nothing of it is left.
pub trait System {
    /// From begin to the result seen, one after the other.
    fn times(&mut self, flow: Flow, count: usize) -> Vec<Duration>;

    /// Chains ended in a second.
    fn rate(&mut self, clients: usize) -> f64;

    /// Begins so many that stay open; returns once they wait.
    fn open(&mut self, count: usize);

    fn memory(&self) -> Memory;

    /// kill -9 of the server with `BACKLOG` runs in flight, and what becomes of them.
    fn recover(&mut self) -> Recovery;
}

/// One client and its connection.
pub trait Caller: Send + 'static {
    /// Returns once the result was seen, and held against what was given.
    fn run(&mut self, flow: Flow, number: usize)
    -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Returns once it was said that the run has begun.
    fn begin(
        &mut self,
        flow: Flow,
        number: usize,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Returns once one that was begun has ended well.
    fn end(&mut self, flow: Flow, number: usize)
    -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// A server with an HTTP API, and a worker in another process.
pub trait Served {
    type Caller: Caller;

    fn caller(&self) -> Self::Caller;

    /// Whether so many of an hour have done their step and wait.
    fn all_wait(
        &self,
        caller: &mut Self::Caller,
        count: usize,
    ) -> impl Future<Output = anyhow::Result<bool>>;

    fn memory(&self) -> Memory;

    fn kill(&mut self);

    /// Returns as soon as its process has begun.
    fn begin_again(&mut self);
}

pub struct OverHttp<S> {
    served: S,
    runtime: Handle,
    /// Each run has a number of its own.
    numbers: Arc<AtomicUsize>,
}

impl<S: Served> OverHttp<S> {
    pub fn new(served: S, runtime: &Handle) -> Self {
        Self {
            served,
            runtime: runtime.clone(),
            numbers: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Numbers 0 to `count`.
    fn begin_all(&self, flow: Flow, count: usize) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut beginners = JoinSet::new();
        for _ in 0..BEGINNERS {
            let (next, mut caller) = (Arc::clone(&next), self.served.caller());
            let begin = async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let begun = caller.begin(flow, number).await;
                    begun.expect("it begins");
                }
            };
            beginners.spawn_on(begin, &self.runtime);
        }
        self.runtime.block_on(beginners.join_all());
    }

    /// When each ended, since `begun`; who has not ended in time is left out.
    fn ends(&self, begun: Instant) -> Vec<Duration> {
        let mut lanes = JoinSet::new();
        for lane in 0..BEGINNERS {
            let mut caller = self.served.caller();
            let wait = async move {
                let mut ends = Vec::new();
                for number in (lane..BACKLOG).step_by(BEGINNERS) {
                    while begun.elapsed() < PATIENCE {
                        if caller.end(Flow::Slow, number).await.is_ok() {
                            ends.push(begun.elapsed());
                            break;
                        }
                        // tidy: waits because a server that is not there yet is asked again
                        sleep(PAUSE).await;
                    }
                }
                ends
            };
            lanes.spawn_on(wait, &self.runtime);
        }
        self.runtime.block_on(lanes.join_all()).concat()
    }
}

impl<S: Served> System for OverHttp<S> {
    fn times(&mut self, flow: Flow, count: usize) -> Vec<Duration> {
        let mut caller = self.served.caller();
        let numbers = &self.numbers;
        self.runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..count {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let begun = Instant::now();
                let ran = caller.run(flow, number).await;
                ran.expect("it runs to its end");
                times.push(begun.elapsed());
            }
            times
        })
    }

    fn rate(&mut self, clients: usize) -> f64 {
        let ended = Arc::new(AtomicU64::new(0));
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let (mut caller, ended) = (self.served.caller(), Arc::clone(&ended));
            let numbers = Arc::clone(&self.numbers);
            let client = async move {
                loop {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let ran = caller.run(Flow::Chain, number).await;
                    ran.expect("it runs to its end");
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            };
            all.spawn_on(client, &self.runtime);
        }
        self.runtime.block_on(async {
            // tidy: waits because a rate is of a time
            sleep(WARM_UP).await;
            let (before, begun) = (ended.load(Ordering::Relaxed), Instant::now());
            // tidy: waits because a rate is of a time
            sleep(MEASURED).await;
            let many = ended.load(Ordering::Relaxed) - before;
            let rate = many as f64 / begun.elapsed().as_secs_f64();
            // A client never ends by itself, but with a panic: that is told.
            if let Some(failed) = all.try_join_next() {
                failed.expect("every run goes well");
            }
            all.shutdown().await;
            rate
        })
    }

    fn open(&mut self, count: usize) {
        self.begin_all(Flow::Hour, count);
        let mut caller = self.served.caller();
        let begun = Instant::now();
        self.runtime.block_on(async {
            loop {
                let all_wait = self.served.all_wait(&mut caller, count).await;
                if all_wait.expect("it says what waits") {
                    return;
                }
                assert!(
                    begun.elapsed() < OPEN_MAX,
                    "some of {count} do not wait yet"
                );
                // tidy: waits because it is asked again
                sleep(WARM_UP).await;
            }
        });
    }

    fn memory(&self) -> Memory {
        self.served.memory()
    }

    fn recover(&mut self) -> Recovery {
        // What begins first is the first to be over.
        let begun = Instant::now();
        self.begin_all(Flow::Slow, BACKLOG);
        let took = begun.elapsed();
        assert!(took < SLOW, "some had ended when all were begun: {took:?}");
        self.served.kill();
        let killed = Instant::now();
        self.served.begin_again();
        Recovery::of(self.ends(killed))
    }
}
