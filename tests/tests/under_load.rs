//! A group of stations whose leader dies, stands still or is cut off, in both ways and in either; whose stations are killed in
//! turn; that grows, shrinks and has a dead one replaced: all on machines of their own, while several clients change one thing
//! at once. What all of them were told must be true together (`register`), and what runs must not notice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mainstay_tests::register::{Done, Hand, contradictions};
use mainstay_tests::{Machines, Witness, soak, until};
use rustix::process::Signal;

const HANDS: usize = 4;
/// A change that nobody answers is given up, so that its client goes on.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of each client after each change: the machine has other things to do as well.
const PAUSE: Duration = Duration::from_millis(10);

/// What clients do while something else happens.
struct Load<'a> {
    made: &'a AtomicUsize,
}

impl Load<'_> {
    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Changes are acknowledged again; how long that took.
    fn goes_on(&self, since: Instant) -> Duration {
        let before = self.made();
        until(
            "changes are acknowledged",
            || self.made(),
            |made| *made > before,
        );
        since.elapsed()
    }
}

/// Clients on a machine change the register while this goes on; everything that they were told. Each asks the stations in an order
/// of its own.
fn under_load(
    machines: &mut Machines,
    person: usize,
    stations: &[usize],
    meanwhile: impl FnOnce(&mut Machines, &Load<'_>),
) {
    let (made, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let orders = (0..HANDS).map(|hand| {
        let mut order = stations.to_vec();
        order.rotate_left(hand % stations.len());
        order
    });
    let hands = orders.enumerate().map(|(hand, order)| {
        let client = machines.client(person, &order);
        Hand::new(client.with_timeout(PATIENCE), &format!("hand{hand}"))
    });
    let hands: Vec<Hand> = hands.collect();
    let last = machines.client(person, stations);
    let there = machines.place(person);
    let mut all = std::thread::scope(|scope| {
        let working: Vec<_> = hands
            .into_iter()
            .map(|hand| scope.spawn(|| there.within(work(hand, &made, &over))))
            .collect();
        let load = Load { made: &made };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            load.goes_on(Instant::now());
            meanwhile(machines, &load);
            load.goes_on(Instant::now());
        }));
        // Also where it failed: else they would go on for ever.
        over.store(true, Ordering::Relaxed);
        let all: Vec<Vec<Done>> = working
            .into_iter()
            .map(|one| one.join().expect("a client ends"))
            .collect();
        if let Err(failed) = done {
            std::panic::resume_unwind(failed);
        }
        all.concat()
    });
    let mut closing = Hand::new(last, "closing");
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| there.within(closing.see_the_end()));
        closing.join().expect("the end is seen");
    });
    all.append(&mut closing.done);
    println!(
        "{} things were asked, {} changes acknowledged",
        all.len(),
        made.load(Ordering::Relaxed)
    );
    let found = contradictions(&all);
    assert!(found.is_empty(), "{found:#?}");
}

async fn work(mut hand: Hand, made: &AtomicUsize, over: &AtomicBool) -> Vec<Done> {
    while !over.load(Ordering::Relaxed) {
        if hand.step().await {
            made.fetch_add(1, Ordering::Relaxed);
        }
        // tidy: waits because several clients share the machine with all they ask
        tokio::time::sleep(PAUSE).await;
    }
    hand.done
}

/// A service on each node, which says outside when it starts.
fn start_steady(machines: &Machines, asked: usize) -> std::path::PathBuf {
    let file = machines.dir(asked).join("steady.witness");
    let line = format!(
        "start flaky --name steady --all --config witness={}",
        file.display()
    );
    machines.sh(asked, &line).ok();
    file
}

fn never_ended(file: &std::path::Path, nodes: usize) {
    // Each node's first incarnation, and no other.
    let starts = Witness::read(file).starts();
    let starts: Vec<_> = starts.into_iter().collect();
    let first = ("steady".to_owned(), "1".to_owned());
    assert_eq!(starts, [(first, nodes)]);
}

/// What can happen to a leader.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// Its process is killed; it is started again.
    Killed,
    /// Its process stands still.
    Stopped,
    /// Nothing comes to its machine, nothing leaves it.
    Cut,
    /// Nothing leaves it.
    Mute,
    /// Nothing comes to it.
    Deaf,
}

fn strike(machines: &mut Machines, at: usize, blow: Blow) {
    match blow {
        Blow::Killed => machines.signal(at, "station", Signal::KILL),
        Blow::Stopped => machines.signal(at, "station", Signal::STOP),
        Blow::Cut => machines.cut(at),
        Blow::Mute => machines.mute(at),
        Blow::Deaf => machines.deafen(at),
    }
}

fn heal(machines: &mut Machines, at: usize, blow: Blow) {
    match blow {
        Blow::Killed => machines.run_station(at),
        Blow::Stopped => machines.signal(at, "station", Signal::CONT),
        Blow::Cut => machines.heal(at),
        Blow::Mute => machines.unmute(at),
        Blow::Deaf => machines.undeafen(at),
    }
}

/// Three stations, two agents, and a machine of whoever works with them.
fn three() -> Machines {
    let mut machines = Machines::new(6);
    machines.init(1, "prod");
    machines.add_station(2);
    machines.add_station(3);
    machines.until_running(1, 3);
    machines.add_agent(4);
    machines.add_agent(5);
    machines.until_online(1, 2);
    machines.add_person(6, "operator");
    machines
}

// acceptance: issue 4, line 2
// proves: S17, S18
#[test]
fn soak_whatever_befalls_the_leader_another_decides_and_all_that_was_told_stays_true() {
    let mut machines = three();
    let file = start_steady(&machines, 6);
    under_load(&mut machines, 6, &[1, 2, 3], |machines, load| {
        for _ in 0..soak::rounds(1, 20) {
            for blow in [
                Blow::Cut,
                Blow::Stopped,
                Blow::Mute,
                Blow::Deaf,
                Blow::Killed,
            ] {
                machines.until_running(6, 3);
                let (leader, term) = machines.until_led_after(6, 0);
                let begun = Instant::now();
                strike(machines, leader, blow);
                machines.until_led_after(6, term);
                let led = begun.elapsed();
                let took = load.goes_on(begun);
                // Commands reach the nodes, whoever gives them.
                until(
                    "nodes are asked",
                    || machines.sh(6, "check steady"),
                    |run| run.code == Some(0),
                );
                let asked = begun.elapsed();
                println!(
                    "the leader is {blow:?}: led after {led:.2?}, changed after {took:.2?}, nodes asked after {asked:.2?}"
                );
                heal(machines, leader, blow);
            }
        }
        machines.until_running(6, 3);
    });
    machines.until_online(6, 2);
    never_ended(&file, 2);
    machines.sh(6, "graph check").ok();
}

// acceptance: issue 4, line 4
// proves: S17
#[test]
fn soak_each_station_is_killed_in_turn_and_comes_back() {
    let mut machines = three();
    let file = start_steady(&machines, 6);
    under_load(&mut machines, 6, &[1, 2, 3], |machines, load| {
        for _ in 0..soak::rounds(1, 20) {
            for station in [1, 2, 3] {
                machines.until_running(6, 3);
                machines.signal(station, "station", Signal::KILL);
                load.goes_on(Instant::now());
                machines.run_station(station);
            }
        }
        machines.until_running(6, 3);
    });
    machines.until_online(6, 2);
    never_ended(&file, 2);
}

// acceptance: issue 4, line 5
// proves: S17, S18
#[test]
fn a_group_grows_to_five_has_a_dead_one_replaced_and_shrinks_while_it_is_used() {
    // m1 .. m6 have stations, m7 an agent, m8 whoever works with them.
    let mut machines = Machines::new(8);
    machines.init(1, "prod");
    machines.add_agent(7);
    machines.until_online(1, 1);
    machines.add_person(8, "operator");
    let file = start_steady(&machines, 8);
    under_load(&mut machines, 8, &[1, 2, 3, 4, 5, 6], |machines, load| {
        for station in 2..=5 {
            machines.add_station(station);
            machines.until_running(1, station);
            load.goes_on(Instant::now());
        }
        // s5 is lost with its machine; another takes its place, under a number of its own.
        machines.signal(5, "station", Signal::KILL);
        let begun = Instant::now();
        until(
            "s5 is missed",
            || machines.sh(1, "why station/s5 -o json"),
            |run| run.stdout.contains("MS-STATION-AWAY"),
        );
        machines.sh(1, "station remove s5 --yes").ok();
        machines.add_station(6);
        let five = machines.until_running(1, 5);
        assert!(five.iter().any(|one| one["id"] == "s6"), "{five:#?}");
        load.goes_on(begun);

        machines.sh(1, "station remove s6 --yes").ok();
        machines.signal(6, "station", Signal::KILL);
        machines.sh(1, "station remove s4 --yes").ok();
        machines.signal(4, "station", Signal::KILL);
        machines.until_running(1, 3);
        load.goes_on(Instant::now());
        // Of two that are left one is not there: it could decide nothing.
        machines.signal(3, "station", Signal::STOP);
        let refused = until(
            "s3 is missed, so that s2 cannot go",
            || machines.sh(1, "station remove s2 --yes"),
            |run| run.code == Some(10),
        );
        assert!(refused.stderr.contains("s3 would not"), "{refused:#?}");
        machines.signal(3, "station", Signal::CONT);
        machines.until_running(8, 3);
    });
    never_ended(&file, 1);
    // Its node came when there was one station, and was told of the rest.
    machines.signal(1, "station", Signal::KILL);
    // So was the person's context, by the answers it was given.
    until(
        "its node is asked by another",
        || machines.sh(8, "check steady@n7"),
        |run| run.code == Some(0),
    );
}
