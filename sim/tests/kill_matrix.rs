//! The kill matrix: station and agent killed at each point at which they write, in the course of a start, a stop, a change
//! in place and by restart, a change that is no good, a deletion. After each death everything comes about all the same.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_coordinator::{
    Apply, BasedOn, Change, Operation, PlacementWish, Reconfigure, StartOn, StartPlacement,
};
use mainstay_protocol::{InstanceKey, PlacementName, StationId};
use mainstay_resource_graph::{
    DependsUntil, Graph, Kind, RestartPolicy, Target, Update, View, ViewExt,
};
use mainstay_sim::matrix::{Course, Kill, run};
use mainstay_sim::membership::Change as MemberChange;
use mainstay_sim::plan::{BAD_CONFIG, BAD_START, OUTSIDE};

/// Of a failing course's last happenings.
const LINES_SHOWN: usize = 120;

fn at(reference: &str) -> InstanceKey {
    let (placement, node) = reference.split_once('@').unwrap();
    InstanceKey::new(node.parse().unwrap(), placement.parse().unwrap())
}

fn start(service_type: &str, placement: &str) -> Operation {
    Operation::Start(StartPlacement {
        service_type: service_type.parse().unwrap(),
        name: placement.parse().unwrap(),
        holds: None,
        on: StartOn::Nodes(["n1".parse().unwrap(), "n2".parse().unwrap()].into()),
        config: String::new(),
    })
}

fn put(service_type: &str, placement: &str, behind: Option<&str>) -> Change {
    let behind = behind.map(|on| (on.parse().unwrap(), DependsUntil::Healthy));
    Change::Put {
        wish: Box::new(PlacementWish {
            name: placement.parse().unwrap(),
            service_type: service_type.parse().unwrap(),
            holds: None,
            target: Target::All(BTreeMap::new()),
            config: r#"{"size":1}"#.to_owned(),
            policy: RestartPolicy::default(),
            restart_group: None,
            singleton: None,
            needs: Default::default(),
            minimum: 0,
            depends_on: behind.into_iter().collect(),
            update: Update::default(),
        }),
        based_on: BasedOn::Anything,
    }
}

fn delete(placement: &str) -> Change {
    Change::Delete {
        placement: placement.parse().unwrap(),
        based_on: BasedOn::Anything,
    }
}

fn apply(changes: Vec<Change>) -> Operation {
    Operation::Apply(Apply {
        changes,
        settings: None,
    })
}

fn reconfigure(placement: &str, config: &str) -> Operation {
    Operation::Reconfigure(Reconfigure {
        placement: placement.parse().unwrap(),
        config: config.to_owned(),
        on: None,
        based_on: BasedOn::Anything,
    })
}

/// Every instance of it runs, and with this configuration.
fn all_run(graph: &Graph, placement: &str, config: &str) -> Result<(), String> {
    let placement: PlacementName = placement.parse().unwrap();
    let instances = graph.instances_of(&placement);
    if instances.len() != 2 {
        return Err(format!("{placement} has {} instances", instances.len()));
    }
    for key in instances {
        let instance = graph.instance(&key).unwrap();
        let hash = instance.ran_with.clone().ok_or("it never ran")?;
        let key_of = mainstay_resource_graph::Key::Configuration(hash);
        let json = graph.configuration(&key_of).unwrap_or_default();
        if !instance.is_as_wanted() || json != config {
            return Err(format!("{key} is {:?} with {json}", instance.state));
        }
    }
    Ok(())
}

/// Runs the course as it is, then with every death there is in it.
fn survives_every_death(course: &Course) {
    let kind = run(course, None, false);
    if let Some(violation) = &kind.violation {
        let again = run(course, None, true);
        show(&again.trace);
        panic!("{}: without any death: {violation}", course.name);
    }
    let kills = kind.writes.kills();
    println!("{}: {:?}, {} deaths", course.name, kind.writes, kills.len());
    let mut failed: Vec<(Kill, String)> = Vec::new();
    for kill in kills {
        let ran = run(course, Some(kill), false);
        assert!(ran.killed, "{}: {kill:?} was never reached", course.name);
        if let Some(violation) = ran.violation {
            failed.push((kill, violation.to_string()));
        }
    }
    if let Some((first, _)) = failed.first() {
        show(&run(course, Some(*first), true).trace);
        for (kill, text) in &failed {
            let text: String = text.chars().take(400).collect();
            println!("{kill:?}: {text}");
        }
        panic!("{}: {} deaths did harm", course.name, failed.len());
    }
}

fn show(trace: &[String]) {
    for line in trace.iter().rev().take(LINES_SHOWN).rev() {
        println!("{line}");
    }
}

// acceptance: issue 3, line 7
#[test]
fn a_start_a_stop_and_a_restart_survive_every_death() {
    survives_every_death(&Course {
        name: "start, stop, restart",
        stations: 1,
        groups: vec![
            vec![start("greeter", "web")],
            vec![Operation::Stop {
                instance: at("web@n1"),
            }],
            vec![
                start("greeter", "web"),
                Operation::Restart {
                    instance: at("web@n2"),
                },
            ],
        ],
        changes: vec![],
        ends: |graph| all_run(graph, "web", "{}"),
    });
}

/// Whichever of three it is, at whatever it writes: votes and the log of who follows, too.
// proves: S17
#[test]
fn a_start_and_a_stop_survive_every_death_of_one_of_three_stations() {
    survives_every_death(&Course {
        name: "start, stop, three stations",
        stations: 3,
        groups: vec![
            vec![start("greeter", "web")],
            vec![Operation::Stop {
                instance: at("web@n1"),
            }],
            vec![start("greeter", "web")],
        ],
        changes: vec![],
        ends: |graph| all_run(graph, "web", "{}"),
    });
}

// proves: S17
#[test]
fn a_group_that_grows_and_shrinks_survives_every_death_of_one_of_its_stations() {
    let [one, two] = [1, 2].map(StationId);
    survives_every_death(&Course {
        name: "grow, shrink",
        stations: 1,
        groups: vec![vec![start("greeter", "web")]],
        changes: vec![
            MemberChange::Add(two),
            MemberChange::Add(StationId(3)),
            MemberChange::Remove(one),
        ],
        ends: |graph| all_run(graph, "web", "{}"),
    });
}

// acceptance: issue 3, line 7
#[test]
fn a_change_taken_while_it_runs_survives_every_death() {
    survives_every_death(&Course {
        name: "change in place",
        stations: 1,
        groups: vec![
            vec![apply(vec![put("flaky", "base", None)])],
            vec![reconfigure("base", r#"{"size":2}"#)],
        ],
        changes: vec![],
        ends: |graph| all_run(graph, "base", r#"{"size":2}"#),
    });
}

// acceptance: issue 3, line 7
#[test]
fn a_change_by_restart_survives_every_death() {
    survives_every_death(&Course {
        name: "change by restart",
        stations: 1,
        groups: vec![
            vec![apply(vec![put("daemon", "base", None)])],
            vec![reconfigure("base", r#"{"size":2}"#)],
        ],
        changes: vec![],
        ends: |graph| all_run(graph, "base", r#"{"size":2}"#),
    });
}

// acceptance: issue 3, line 7
#[test]
fn a_change_that_is_no_good_is_taken_back_over_every_death() {
    for (service_type, bad) in [
        ("flaky", BAD_CONFIG),
        ("flaky", BAD_START),
        ("daemon", BAD_CONFIG),
        ("daemon", BAD_START),
    ] {
        survives_every_death(&Course {
            name: "change taken back",
            stations: 1,
            groups: vec![
                vec![apply(vec![put(service_type, "base", None)])],
                vec![reconfigure(
                    "base",
                    &format!(r#"{{"size":2,"bad":"{bad}"}}"#),
                )],
            ],
            changes: vec![],
            ends: |graph| all_run(graph, "base", r#"{"size":1}"#),
        });
    }
}

// acceptance: issue 3, line 7
#[test]
fn what_outlives_its_agent_is_taken_over_and_stopped_over_every_death() {
    survives_every_death(&Course {
        name: "adoption",
        stations: 1,
        groups: vec![
            vec![start(OUTSIDE, "vault")],
            vec![reconfigure("vault", r#"{"size":2}"#)],
            vec![Operation::Restart {
                instance: at("vault@n1"),
            }],
            vec![Operation::Stop {
                instance: at("vault@n2"),
            }],
            vec![start(OUTSIDE, "vault")],
        ],
        changes: vec![],
        ends: |graph| all_run(graph, "vault", r#"{"size":2}"#),
    });
}

// acceptance: issue 3, line 7
#[test]
fn a_deletion_in_the_order_of_dependence_survives_every_death() {
    survives_every_death(&Course {
        name: "deletion",
        stations: 1,
        groups: vec![
            vec![apply(vec![
                put("daemon", "base", None),
                put("flaky", "tail", Some("base")),
            ])],
            vec![apply(vec![delete("base"), delete("tail")])],
        ],
        changes: vec![],
        ends: |graph| match graph.count(Kind::Placement) + graph.count(Kind::Instance) {
            0 => Ok(()),
            left => Err(format!("{left} placements and instances are left")),
        },
    });
}
