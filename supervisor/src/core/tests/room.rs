//! Room: the node keeps its own ledger, and refuses what does not fit.

use mainstay_protocol::room::{Needs, Room};

use super::*;
use crate::file::{encode_record, replay};

fn offering(memory_bytes: u64) -> Identity {
    let mut identity = identity("b1");
    identity.sysinfo.offers = Room {
        memory_bytes,
        ..Room::NONE
    };
    identity
}

fn needing(order: Order, memory_bytes: u64, ports: &[u16]) -> Order {
    let Order::Start(start) = order else {
        panic!("only a Start needs something");
    };
    Order::Start(Start {
        needs: Needs {
            room: Room {
                memory_bytes,
                ..Room::NONE
            },
            ports: ports.iter().copied().collect(),
        },
        ..start
    })
}

/// What the last refusal says.
fn refusal(core: &AgentCore) -> String {
    let records = core.snapshot_records();
    let refused = records.iter().rev().find_map(|record| match record {
        FileRecord::Reported { numbered, .. } => match &numbered.report {
            Report::CommandDone {
                outcome: CommandOutcome::Refused { code, text },
                ..
            } => Some(format!("{code}: {text}")),
            _ => None,
        },
        _ => None,
    });
    refused.expect("something was refused")
}

fn take(core: &mut AgentCore, id: u64, order: Order) -> Vec<String> {
    let output = core.step(0, Input::Command(command(id, order)));
    done(&output.actions)
}

fn sees(core: &mut AgentCore, observation: Observation) -> Vec<String> {
    let output = core.step(0, Input::Observed(observation));
    done(&output.actions)
}

// proves: B8
#[test]
fn a_start_that_does_not_fit_is_refused_with_all_that_is_against_it() {
    let (mut core, _) = AgentCore::new(offering(10), Default::default());
    let web = needing(start("web", "web", 1), 6, &[80]);
    assert_eq!(take(&mut core, 1, web), ["start web:1"]);
    let db = |count| needing(start("db", "db", count), 5, &[80]);
    assert_eq!(take(&mut core, 2, db(1)), [""; 0]);
    assert_eq!(
        refusal(&core),
        "MS-NO-ROOM: memory: 5B needed, 4B free of 10B; port 80 on n1 is web@n1's"
    );
    // What fits beside it starts, also what takes nothing.
    assert_eq!(
        take(&mut core, 3, needing(start("small", "small", 1), 4, &[])),
        ["start small:1"]
    );
    assert_eq!(
        take(&mut core, 4, start("none", "none", 1)),
        ["start none:1"]
    );
    // That incarnation is over; the next one fits when there is room.
    sees(&mut core, started("web", 1));
    take(&mut core, 5, stop("web", 1));
    assert_eq!(take(&mut core, 6, db(2)), [""; 0], "it has not ended yet");
    sees(&mut core, ended("web", 1));
    assert_eq!(take(&mut core, 2, db(1)), [""; 0], "it was refused");
    assert_eq!(take(&mut core, 7, db(3)), ["start db:3"]);
}

// proves: B8
#[test]
fn a_restart_needs_only_its_own_room_and_an_agent_that_ends_forgets_nothing_of_it() {
    let (mut core, output) = AgentCore::new(offering(10), Default::default());
    let mut file: Vec<u8> = output.persist.iter().flat_map(encode_record).collect();
    let mut keep = |output: Output| file.extend(output.persist.iter().flat_map(encode_record));
    keep(core.step(
        0,
        Input::Command(command(1, needing(start("web", "web", 1), 8, &[]))),
    ));
    keep(core.step(0, Input::Observed(started("web", 1))));
    keep(core.step(0, Input::Command(command(2, stop("web", 1)))));
    keep(core.step(
        0,
        Input::Command(command(3, needing(start("web", "web", 2), 9, &[]))),
    ));
    let output = core.step(0, Input::Observed(ended("web", 1)));
    assert_eq!(done(&output.actions), ["start web:2"]);
    keep(output);
    keep(core.step(0, Input::Observed(started("web", 2))));
    // A process lives on; the next life of the agent knows what it takes, offers what it is told, and counts it.
    let Order::Start(lives) = needing(start("web", "web", 2), 9, &[]) else {
        panic!("it is a Start");
    };
    let survivors = [(key("web"), Survivor::Lives(lives))].into();
    let (mut next, _) = AgentCore::adopting(offering(10), replay(&file), survivors);
    assert_eq!(
        take(&mut next, 9, needing(start("db", "db", 1), 2, &[])),
        [""; 0]
    );
    assert_eq!(
        refusal(&next),
        "MS-NO-ROOM: memory: 2B needed, 1B free of 10B"
    );
    assert_eq!(
        take(&mut next, 10, needing(start("db", "db", 2), 1, &[])),
        ["start db:2"]
    );
}
