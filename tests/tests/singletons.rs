//! Singletons on real processes: whoever is killed, stopped or cut short, at most one runs. Not our word for it: each
//! holds a connection to a witness outside the cluster, which the kernel closes when nothing of it is left.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use mainstay_tests::answers::pid_of;
use mainstay_tests::soak::{self, SEED, seed};
use mainstay_tests::{Cluster, DevOptions, Random, signal, until};
use rustix::process::Signal;

/// Counts who is connected, and what each said first.
#[derive(Clone, Default)]
struct Witness {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    now: usize,
    most: usize,
    tokens: Vec<u64>,
}

impl Witness {
    fn listen() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let witness = Self::default();
        let watching = witness.clone();
        spawn(move || {
            for stream in listener.incoming().flatten() {
                let watching = watching.clone();
                spawn(move || watching.watch(stream));
            }
        });
        (witness, port)
    }

    fn watch(&self, stream: TcpStream) {
        self.look(|seen| {
            seen.now += 1;
            seen.most = seen.most.max(seen.now);
        });
        let mut stream = BufReader::new(stream);
        let mut first = String::new();
        if stream.read_line(&mut first).is_ok()
            && let Ok(token) = first.trim().parse()
        {
            self.look(|seen| seen.tokens.push(token));
        }
        // Until nobody has the other end any more, however it was let go of.
        let _ = stream.read_to_end(&mut Vec::new());
        self.look(|seen| seen.now -= 1);
    }

    fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().expect("nobody panics with it"))
    }

    fn now(&self) -> usize {
        self.look(|seen| seen.now)
    }

    fn begun(&self) -> usize {
        self.look(|seen| seen.tokens.len())
    }

    #[track_caller]
    fn saw_one_at_a_time(&self) {
        self.look(|seen| {
            assert_eq!(seen.most, 1, "at most one at every moment: {seen:?}");
            assert!(
                seen.tokens.is_sorted_by(|one, next| one < next),
                "each start has a greater number: {seen:?}"
            );
        });
    }
}

/// A cluster with the only `ledger`, which is connected to the witness.
fn with_ledger(stations: u16) -> (Cluster, Witness) {
    let (witness, port) = Witness::listen();
    let cluster = Cluster::with(&DevOptions {
        nodes: 3,
        stations,
        ..DevOptions::default()
    });
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; echo $MAINSTAY_FENCING_TOKEN >&3; exec sleep 100000"
    );
    let file = cluster.home().join("ledger.yaml");
    let spec = serde_json::json!({
        "kind": "Placement",
        "name": "ledger",
        "type": "process",
        "config": {"command": ["/bin/bash", "-c", script]},
        "singleton": {"lease": "3s"},
        // It is ended more often than what is left alone, and is not to rest in the middle of that.
        "policy": {"attempts": 32, "window": "1m", "backoff": {"max": "1s"}},
    });
    std::fs::write(&file, spec.to_string()).expect("the home is ours");
    cluster
        .sh(&format!("apply -f {} --yes", file.display()))
        .ok();
    until("it is connected", || witness.now(), |now| *now == 1);
    (cluster, witness)
}

/// None also while nobody leads: most of the stations may have been struck.
fn node_of(cluster: &Cluster) -> Option<String> {
    let run = cluster.sh("get instances ledger -o json");
    let all = (run.code == Some(0)).then(|| run.json())?;
    let runs = all.as_array()?;
    let runs = runs.iter().find(|one| one["state"] == "Running")?;
    runs["node"].as_str().map(str::to_owned)
}

// proves: S23
// acceptance: issue 5, line 2
#[test]
fn the_only_one_is_ended_where_it_runs_when_its_agent_stands_still_and_then_runs_elsewhere() {
    let (cluster, witness) = with_ledger(1);
    let node = node_of(&cluster).expect("it runs");
    let agent = cluster.agent_pid(&node);
    signal(agent, Signal::STOP);
    until("its hold ends it", || witness.now(), |now| *now == 0);
    let other = until(
        "it runs elsewhere",
        || node_of(&cluster),
        |found| found.as_ref().is_some_and(|found| *found != node),
    );
    until("it is connected", || witness.begun(), |begun| *begun == 2);
    signal(agent, Signal::CONT);
    until(
        "the node is back, and the old one told of",
        || cluster.instance(&format!("ledger@{node}")),
        Option::is_none,
    );
    assert_eq!(node_of(&cluster), other);
    witness.saw_one_at_a_time();
}

// proves: S23, S26
#[test]
fn a_lease_outlives_a_restart_of_the_agent_and_is_renewed_by_its_next_life() {
    let (cluster, witness) = with_ledger(1);
    let node = node_of(&cluster).expect("it runs");
    let reference = format!("ledger@{node}");
    let pid = pid_of(&cluster.until_state(&reference, "Running"));
    let agent = cluster.agent_pid(&node);
    signal(agent, Signal::KILL);
    // Three leases long.
    let began = Instant::now();
    until(
        "it is older than its lease, and lives",
        || witness.now(),
        |now| *now == 0 || began.elapsed() > Duration::from_secs(10),
    );
    assert_eq!(witness.now(), 1);
    assert_ne!(cluster.agent_pid(&node), agent, "it is another life");
    assert_eq!(pid_of(&cluster.until_state(&reference, "Running")), pid);
    witness.saw_one_at_a_time();
}

// proves: S23, S25
#[test]
fn the_only_one_waits_for_a_lease_that_may_still_run_and_says_so_and_a_drain_ends_it_first() {
    let (cluster, witness) = with_ledger(1);
    let node = node_of(&cluster).expect("it runs");
    cluster
        .sh(&format!("node drain {node} --reason 'a new disk'"))
        .ok();
    let other = until(
        "it runs elsewhere",
        || node_of(&cluster),
        |found| found.as_ref().is_some_and(|found| *found != node),
    );
    let other = other.expect("the condition holds for something only");
    until("it is connected", || witness.begun(), |begun| *begun == 2);

    // Its agent stands still, and is given up before its lease is over for certain: its machine answers, for which people
    // wait longer where they have said nothing else.
    cluster.sh("settings set lost.closed=3s").ok();
    cluster.sh(&format!("node uncordon {node}")).ok();
    let agent = cluster.agent_pid(&other);
    signal(agent, Signal::STOP);
    until(
        "another waits for the lease, with the time of it",
        || cluster.list("get instances ledger"),
        |all| {
            all.iter()
                .any(|one| one["reason"]["code"] == "MS-LEASE-HELD" && one["next_try"].is_string())
        },
    );
    until("it runs", || witness.begun(), |begun| *begun == 3);
    signal(agent, Signal::CONT);
    witness.saw_one_at_a_time();
}

/// Breaks something for a while, and mends it.
fn breaks_something(cluster: &Cluster, random: &mut Random) {
    let busy = node_of(cluster).unwrap_or_else(|| "n1".to_owned());
    let some = format!("n{}", random.below(3) + 1);
    let node = if random.below(3) > 0 { busy } else { some };
    let stations: Vec<u32> = cluster.station_pids().into_values().collect();
    let station = stations.get(random.below(stations.len().max(1) as u64) as usize);
    let span = Duration::from_millis(200 + random.below(6_000));
    let pause = |pid: u32| {
        signal(pid, Signal::STOP);
        // tidy: waits because that is how long it stands still
        sleep(span);
        signal(pid, Signal::CONT);
    };
    match (random.below(6), station) {
        (0, _) => signal(cluster.agent_pid(&node), Signal::KILL),
        (1 | 2, _) | (_, None) => pause(cluster.agent_pid(&node)),
        (3, Some(station)) => signal(*station, Signal::KILL),
        (4, Some(station)) => pause(*station),
        (_, Some(station)) => {
            // The agent stands still behind a leader that stands still: what was on its way comes late.
            let agent = cluster.agent_pid(&node);
            signal(*station, Signal::STOP);
            pause(agent);
            signal(*station, Signal::CONT);
        }
    }
}

// proves: S23
// acceptance: issue 5, line 2
#[test]
fn the_only_one_never_runs_twice_in_a_soak_of_faults() {
    let schedules = soak::rounds(20, 200);
    let (cluster, witness) = with_ledger(3);
    let seed = seed();
    println!("{SEED}={seed} repeats this run");
    let mut random = Random::new(seed);
    for _ in 0..schedules {
        breaks_something(&cluster, &mut random);
        witness.saw_one_at_a_time();
        // tidy: waits because the next blow is to fall at any time of what follows
        sleep(Duration::from_millis(random.below(3_000)));
    }
    until(
        "one runs in the end",
        || (node_of(&cluster), witness.now()),
        |(node, now)| node.is_some() && *now == 1,
    );
    witness.saw_one_at_a_time();
    let begun = witness.begun();
    println!("{schedules} schedules, {begun} starts");
    assert!(
        begun > schedules / 20,
        "little of it was felt: {begun} starts"
    );
}
