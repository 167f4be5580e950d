//! Groups of three that take writes and bear the loss of one: Mainstay's stations, etcd's members.

mod acks;
mod etcd;
mod puts;
mod reporter;
mod session;
mod stations;

use std::thread;
use std::time::{Duration, Instant};

pub use acks::{Acks, Interruption};
pub use etcd::Etcd;
pub use reporter::report_bytes;
pub use stations::Stations;

pub const MEMBERS: usize = 3;
pub const WRITERS: usize = 64;

/// A group's patience with what it waits for: elections, members that catch up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Caches, connections and the group's own batches have settled by then.
const WARM_UP: Duration = Duration::from_secs(1);

/// A group that runs, and its writers.
pub trait Group {
    const TITLE: &'static str;

    fn acks(&self) -> &Acks;

    /// Every writer has one write under way, and the next one once that is acknowledged; until `rest`.
    fn write(&mut self);

    fn rest(&mut self);

    /// Who leads, if all members are there, follow it and have what it has.
    fn settled(&self) -> Option<usize>;

    /// kill -9.
    fn kill(&mut self, member: usize);

    /// Again, after a kill.
    fn begin(&mut self, member: usize);
}

/// Writes acknowledged in a second, while there are writers.
pub fn rate(acks: &Acks, measured: Duration) -> f64 {
    // tidy: waits because a rate is of a time
    thread::sleep(WARM_UP);
    let (before, begun) = (acks.count(), Instant::now());
    // tidy: waits because a rate is of a time
    thread::sleep(measured);
    (acks.count() - before) as f64 / begun.elapsed().as_secs_f64()
}

/// Kills who leads while everybody writes, and makes the group whole again.
pub fn lose_the_leader<G: Group>(group: &mut G) -> Interruption {
    let leader = until_settled(group);
    group.write();
    // tidy: waits because the leader is killed at work
    thread::sleep(WARM_UP);
    group.acks().begin_anew();
    let killed = Instant::now();
    group.kill(leader);
    let interruption = group.acks().interruption(killed);
    group.rest();
    group.begin(leader);
    until_settled(group);
    interruption
}

/// Returns who leads.
pub fn until_settled<G: Group>(group: &G) -> usize {
    let what = format!("{} is whole", G::TITLE);
    let leader = mainstay_tests::until::until_within(
        PATIENCE,
        &what,
        || group.settled(),
        |leader| leader.is_some(),
    );
    leader.expect("the condition holds for something only")
}
