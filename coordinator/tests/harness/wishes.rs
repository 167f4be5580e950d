//! How scripts say what a placement shall be.
//!
//! ```text
//! put web greeter on n1,n2 based 3 depends db:healthy,cache:started update rolling:2 attempts 3 {"greeting":"hi"}
//! put web greeter on role=web
//! put web greeter on so-many:3:rack
//! put web noisy on so-many:3:rack needs 2,8:80 least 4 near db:rack apart cache
//! delete web based 3
//! apply put db noisy on n1 + put web flaky on n1 depends db + delete old
//! ```
//! Without `based` a change is based on whatever there is.

use std::collections::BTreeMap;

use mainstay_coordinator::{Apply, BasedOn, Change, Operation, PlacementWish, Reconfigure};
use mainstay_protocol::report::RestartWhen;
use mainstay_protocol::room::{Needs, Room};
use mainstay_protocol::{Generation, PlacementName};
use mainstay_resource_graph::{
    Beside, Count, DependsUntil, Escalate, RestartPolicy, Singleton, Strategy, Target, Update,
};

use super::types::{at, node_name, slot, type_name};

/// A `put`, a `delete`, or several behind `apply`; `reconfigure`, `rollback`, `safe-start`.
pub fn operation(line: &str) -> Operation {
    if let Some(operation) = of_one(line) {
        return operation;
    }
    let line = line.strip_prefix("apply ").unwrap_or(line);
    let changes = line.split(" + ").map(change).collect();
    Operation::Apply(Apply {
        changes,
        settings: None,
    })
}

/// `reconfigure web on n1,n2 based 3 {"a":1}`, `rollback web to 2`, `safe-start web@n1`, `move web@n1 to n2`.
fn of_one(line: &str) -> Option<Operation> {
    let (text, config) = match line.find('{') {
        Some(begin) => line.split_at(begin),
        None => (line, ""),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let placement = || PlacementName::new(words[1]).unwrap();
    Some(match words[0] {
        "reconfigure" => Operation::Reconfigure(Reconfigure {
            placement: placement(),
            config: config.to_owned(),
            on: find(&words, "on").map(|nodes| nodes.split(',').map(node_name).collect()),
            based_on: based_on(&words),
        }),
        "rollback" => Operation::Rollback {
            placement: placement(),
            to: number(find(&words, "to")).map(Generation),
            based_on: based_on(&words),
        },
        "move" => Operation::Move {
            instance: at(words[1]),
            to: node_name(find(&words, "to").expect("move web@n1 to n2")),
            by: "ada".to_owned(),
        },
        "safe-start" => Operation::SafeStart {
            instance: at(words[1]),
        },
        _ => return None,
    })
}

fn find<'a>(words: &[&'a str], word: &str) -> Option<&'a str> {
    let place = words.iter().position(|one| *one == word)?;
    words.get(place + 1).copied()
}

fn based_on(words: &[&str]) -> BasedOn {
    match number(find(words, "based")) {
        None => BasedOn::Anything,
        Some(0) => BasedOn::Nothing,
        Some(generation) => BasedOn::Generation(Generation(generation)),
    }
}

fn change(text: &str) -> Change {
    let (text, config) = match text.find('{') {
        Some(begin) => text.split_at(begin),
        None => (text, ""),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let find = |word: &str| find(&words, word);
    let placement = PlacementName::new(words[1]).unwrap();
    let based_on = based_on(&words);
    match words[0] {
        "delete" => Change::Delete {
            placement,
            based_on,
        },
        "put" => Change::Put {
            wish: Box::new(PlacementWish {
                name: placement,
                service_type: type_name(words[2]),
                holds: find("holds").map(slot),
                target: with_company(
                    target(find("on").expect("on NODES, on all, on LABEL=VALUE")),
                    &words,
                ),
                config: config.to_owned(),
                policy: RestartPolicy {
                    restart: find("restart").map(restart),
                    attempts: number(find("attempts")).map(|attempts| attempts as u32),
                    window_ms: number(find("window_ms")),
                    backoff_max_ms: number(find("backoff_ms")),
                    replace_isolated_ms: number(find("isolated_ms")),
                    escalate: match find("escalate") {
                        None | Some("quarantine") => Escalate::Quarantine,
                        Some("move") => Escalate::Move,
                        Some(word) => panic!("no such escalation: {word}"),
                    },
                    watched_from: number(find("watched")).unwrap_or_default() as u32,
                },
                restart_group: find("group").map(|name| name.parse().expect("a name")),
                singleton: number(find("lease_ms")).map(|lease_ms| Singleton {
                    lease_ms,
                    fenced: words.contains(&"fenced"),
                }),
                needs: find("needs").map(needs).unwrap_or_default(),
                minimum: number(find("minimum")).unwrap_or_default() as u32,
                depends_on: find("depends").map(depends_on).unwrap_or_default(),
                update: Update {
                    strategy: find("update").map_or(Update::default().strategy, strategy),
                    rollback: find("rollback") != Some("no"),
                    wait_ms: number(find("wait_ms")).unwrap_or(0),
                },
            }),
            based_on,
        },
        word => panic!("put or delete, not {word}"),
    }
}

fn number(word: Option<&str>) -> Option<u64> {
    word.map(|word| word.parse().unwrap())
}

/// `so-many:3`, or `so-many:3:rack` for three that are spread over racks.
pub fn count(word: &str) -> Option<Count> {
    let rest = word.strip_prefix("so-many:")?;
    let (count, spread) = match rest.split_once(':') {
        Some((count, spread)) => (count, Some(spread.to_owned())),
        None => (rest, None),
    };
    Some(Count {
        spread,
        ..Count::of(count.parse().unwrap())
    })
}

fn target(word: &str) -> Target {
    if word == "all" {
        return Target::All(BTreeMap::new());
    }
    if let Some(count) = count(word) {
        return Target::Count(count);
    }
    match word.split_once('=') {
        Some((label, value)) => Target::All(BTreeMap::from([(label.to_owned(), value.to_owned())])),
        None => Target::Nodes(word.split(',').map(node_name).collect()),
    }
}

/// `least 4,8`, `near db:rack`, `apart db`.
fn with_company(target: Target, words: &[&str]) -> Target {
    let Target::Count(mut count) = target else {
        return target;
    };
    let beside = |word: &str| {
        let others = find(words, word).into_iter().flat_map(|one| one.split(','));
        let others = others.map(|one| {
            let (placement, label) = match one.split_once(':') {
                Some((placement, label)) => (placement, Some(label.to_owned())),
                None => (one, None),
            };
            Beside {
                placement: PlacementName::new(placement).unwrap(),
                label,
            }
        });
        others.collect()
    };
    count.least = find(words, "least").map_or(Room::NONE, room);
    count.affinity = beside("near");
    count.anti_affinity = beside("apart");
    Target::Count(count)
}

/// `4` for four millicores, `4,8` with eight bytes of memory, `4,8,2` with two of disk.
pub fn room(word: &str) -> Room {
    let mut amounts = word.split(',').map(|amount| amount.parse().unwrap());
    let mut next = || amounts.next().unwrap_or_default();
    Room {
        millicores: next(),
        memory_bytes: next(),
        disk_bytes: next(),
    }
}

/// `4,8`, or `4,8:80:443` with ports.
fn needs(word: &str) -> Needs {
    let (amounts, ports) = word.split_once(':').unwrap_or((word, ""));
    let ports = ports.split(':').filter(|port| !port.is_empty());
    Needs {
        room: room(amounts),
        ports: ports.map(|port| port.parse().unwrap()).collect(),
    }
}

fn restart(word: &str) -> RestartWhen {
    match word {
        "always" => RestartWhen::Always,
        "on-failure" => RestartWhen::OnFailure,
        "never" => RestartWhen::Never,
        _ => panic!("no such restart: {word}"),
    }
}

fn depends_on(word: &str) -> BTreeMap<PlacementName, DependsUntil> {
    word.split(',')
        .map(|one| {
            let (name, until) = one.split_once(':').unwrap_or((one, "healthy"));
            let until = match until {
                "healthy" => DependsUntil::Healthy,
                "started" => DependsUntil::Started,
                _ => panic!("no such stage: {until}"),
            };
            (PlacementName::new(name).unwrap(), until)
        })
        .collect()
}

fn strategy(word: &str) -> Strategy {
    match word.split_once(':') {
        Some(("rolling", at_once)) => Strategy::Rolling {
            at_once: at_once.parse().unwrap(),
        },
        None if word == "all" => Strategy::All,
        None if word == "canary" => Strategy::Canary,
        _ => panic!("no such strategy: {word}"),
    }
}
