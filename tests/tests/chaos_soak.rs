//! Whatever is broken on purpose, several things at once and one after another: when all of it is healed, everything is as
//! it is wanted, without anybody's help. No incarnation of what stays where it is began twice, and of none is anything left
//! that the graph does not know. `MAINSTAY_SEED` repeats a run's blows.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use mainstay_tests::answers::pid_of;
use mainstay_tests::soak::{self, SEED, seed};
use mainstay_tests::until::until_within;
use mainstay_tests::{Cluster, DevOptions, Random, outside, signal};
use rustix::process::Signal;
use serde_json::{Value, json};

const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// A node that was given up comes back; what fell while nobody led is judged after a change of the leader; what was killed
/// often waits for its turn.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is wanted, and what was ever begun.
struct Wanted {
    cluster: Cluster,
    begun: PathBuf,
    /// How each process calls itself.
    mark: String,
}

impl Wanted {
    /// One `web` on each node, `pool` on two of them, and what comes with the system.
    fn new() -> Self {
        let cluster = Cluster::with(&DevOptions {
            nodes: NODES.len(),
            stations: 3,
            ..DevOptions::default()
        });
        let begun = cluster.home().join("begun");
        let mark = format!("chaos-soak-{}", std::process::id());
        let script = format!(
            "echo $MAINSTAY_INSTANCE $MAINSTAY_INCARNATION >> {}; exec -a {mark} sleep 100000",
            begun.display()
        );
        let wanted = Self {
            cluster,
            begun,
            mark,
        };
        let process = json!({"command": ["/bin/bash", "-c", script]});
        wanted.apply(("web", "process"), &process, &json!({"nodes": NODES}));
        wanted.apply(("pool", "process"), &process, &json!({"count": 2}));
        wanted.apply(("greeter", "greeter"), &json!({}), &json!({"count": 2}));
        wanted.is_fulfilled();
        wanted
    }

    fn apply(&self, (name, of): (&str, &str), config: &Value, target: &Value) {
        let file = self.cluster.home().join(format!("{name}.json"));
        let spec = json!({
            "kind": "Placement",
            "name": name,
            "type": of,
            "config": config,
            "target": target,
            // It is killed more often than what is left alone.
            "policy": {"attempts": 32, "window": "1m", "backoff": {"max": "1s"}},
        });
        std::fs::write(&file, spec.to_string()).expect("the home is ours");
        let line = format!("apply -f {} --yes", file.display());
        self.cluster.sh(&line).ok();
    }

    /// All nodes are here, and exactly what is wanted runs, in the graph and outside.
    fn is_fulfilled(&self) {
        until_within(
            PATIENCE,
            "all is healed and everything runs",
            || (self.rows("get nodes"), self.rows("get instances")),
            |(nodes, instances)| {
                let of = |name: &str| {
                    let of_it = instances.iter().filter(|one| one["placement"] == name);
                    of_it.count()
                };
                nodes.len() == NODES.len()
                    && nodes.iter().all(|node| node["state"] == "Online")
                    && instances.iter().all(|one| one["state"] == "Running")
                    && (of("web"), of("pool"), of("greeter")) == (NODES.len(), 2, 2)
            },
        );
        until_within(
            PATIENCE,
            "what runs is what the graph knows",
            || (self.known(), self.alive()),
            |(known, alive)| known == alive,
        );
        self.began_once_each();
    }

    fn known(&self) -> BTreeSet<u32> {
        let placements = ["web", "pool"].into_iter();
        let all = placements.flat_map(|name| self.rows(&format!("get instances {name}")));
        let runs = all.filter(|one| one["state"] == "Running");
        runs.map(|one| pid_of(&one)).collect()
    }

    /// None while nobody answers.
    fn rows(&self, line: &str) -> Vec<Value> {
        let run = self.cluster.sh(&format!("{line} -o json"));
        match run.code {
            Some(0) => run.json().as_array().cloned().unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn alive(&self) -> BTreeSet<u32> {
        let all = outside::processes().into_iter();
        let ours = all.filter(|process| process.arguments.starts_with(&self.mark));
        ours.map(|process| process.pid).collect()
    }

    /// Of `web`: what is replaced elsewhere, and placed there anew later, counts from one again.
    fn began_once_each(&self) {
        let begun = std::fs::read_to_string(&self.begun).expect("something began");
        let mut seen = BTreeSet::new();
        for line in begun.lines().filter(|line| line.starts_with("web@")) {
            assert!(seen.insert(line), "{line} began twice:\n{begun}");
        }
    }
}

/// Something breaks, or somebody breaks it: says what, and whether it was felt. What is down already, or cannot be asked for
/// while nobody leads, does not break.
fn strike(cluster: &Cluster, random: &mut Random) -> (String, bool) {
    let node = NODES[random.below(NODES.len() as u64) as usize];
    let ms = random.below(1_000);
    let station = || {
        let status = cluster.sh("status -o json");
        let leads = (status.code == Some(0)).then(|| status.json()["leader"].clone());
        leads.and_then(|name| name.as_str().map(str::to_owned))
    };
    let line = match random.below(10) {
        0 => format!("chaos partition node/{node}"),
        1 => format!("chaos partition node/{node} --from-station"),
        2 => format!("chaos delay node/{node} --by {}ms", 100 + ms),
        3 => format!("chaos kill node/{node}"),
        4 => format!("chaos kill web@{node}"),
        5 => format!("chaos kill supervisor/{node}"),
        6 => {
            let agents = cluster.agent_pids(node);
            for agent in &agents {
                signal(*agent, Signal::STOP);
            }
            // tidy: waits because that is how long it stands still
            sleep(Duration::from_millis(4 * ms));
            for agent in &agents {
                signal(*agent, Signal::CONT);
            }
            let text = format!("{node} stood still for {} ms", 4 * ms);
            return (text, !agents.is_empty());
        }
        struck => {
            let Some(station) = station() else {
                return ("nobody leads".to_owned(), false);
            };
            match struck {
                7 => format!("chaos slow-disk station/{station} --by {}ms", 10 + ms / 4),
                8 => format!("chaos skew station/{station} --by 1h --back"),
                _ => format!("chaos kill station/{station}"),
            }
        }
    };
    let run = cluster.sh(&line);
    assert!(!run.stderr.contains("panicked"), "{line}: {}", run.stderr);
    assert_ne!(run.code, Some(2), "{line}: {}", run.stderr);
    (format!("{line}: {:?}", run.code), run.code == Some(0))
}

// proves: S12, S23
#[test]
fn soak_whatever_is_broken_on_purpose_all_is_as_wanted_once_it_is_healed() {
    let seed = seed();
    println!("{SEED}={seed} repeats this run");
    let mut random = Random::new(seed);
    let wanted = Wanted::new();
    let rounds = soak::rounds(5, 200);
    let mut felt = 0;
    for round in 1..=rounds {
        for _ in 0..=random.below(3) {
            let (text, is_felt) = strike(&wanted.cluster, &mut random);
            println!("round {round}: {text}");
            felt += usize::from(is_felt);
            // tidy: waits because the next blow is to fall at any time of what follows
            sleep(Duration::from_millis(random.below(3_000)));
        }
        until_within(
            PATIENCE,
            "it can be healed",
            || wanted.cluster.sh("chaos heal cluster").code,
            |code| *code == Some(0),
        );
        wanted.is_fulfilled();
    }
    assert!(felt >= rounds, "only {felt} blows were felt");
}
