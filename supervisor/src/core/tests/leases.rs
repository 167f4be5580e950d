//! Starts with a lease: only after a renewal that was asked for when they had come.

use mainstay_protocol::command::Lease;

use super::*;

const EPOCH: Epoch = Epoch(1);

fn leased(count: u64) -> Order {
    match start("db", "db", count) {
        Order::Start(start) => Order::Start(Start {
            lease: Some(Lease {
                ms: 5_000,
                stop_ms: 1_000,
                epoch: EPOCH,
                revision: Revision(count),
            }),
            ..start
        }),
        other => other,
    }
}

fn renewed(from_ms: u64) -> Input {
    let epoch = EPOCH;
    Input::Renewed { from_ms, epoch }
}

/// One with a session, at 1000 ms.
fn connected() -> Agent {
    let mut agent = Agent::new();
    agent.step_at(1_000, Input::SessionUp(welcome(1, 0)));
    agent
}

fn gives(agent: &mut Agent, now_ms: u64, id: u64, order: Order) -> Vec<String> {
    done(&agent.step_at(now_ms, Input::Command(command(id, order))))
}

// proves: S23
#[test]
fn a_start_with_a_lease_waits_for_a_renewal_that_was_asked_for_after_it_came() {
    let mut agent = connected();
    assert_eq!(gives(&mut agent, 1_000, 1, leased(1)), ["renew"]);
    assert_eq!(
        done(&agent.step_at(1_010, renewed(999))),
        ["renewed 999"],
        "it was asked for before"
    );
    assert_eq!(
        done(&agent.step_at(1_010, renewed(1_000))),
        ["renewed 1000", "start db:1"]
    );
    assert_eq!(
        done(&agent.step_at(1_020, renewed(1_005))),
        ["renewed 1005"]
    );
}

// proves: S23
#[test]
fn a_start_of_a_session_that_ended_never_takes_effect() {
    let mut agent = connected();
    gives(&mut agent, 1_000, 1, leased(1));
    agent.step_at(1_100, Input::SessionDown);
    assert_eq!(done(&agent.step_at(1_200, renewed(1_100))), [""; 0]);
    agent.step_at(1_300, Input::SessionUp(welcome(1, 0)));
    assert_eq!(
        done(&agent.step_at(1_400, renewed(1_300))),
        ["renewed 1300"]
    );
    let mut cut_off = Agent::new();
    assert_eq!(gives(&mut cut_off, 1_000, 1, leased(1)), [""; 0]);
    assert_eq!(cut_off.outbox(), [""; 0], "it comes again");
}

#[test]
fn what_is_repeated_overtaken_or_stopped_meanwhile_is_answered_once() {
    let mut agent = connected();
    gives(&mut agent, 1_000, 1, leased(1));
    assert_eq!(gives(&mut agent, 1_500, 1, leased(1)), ["renew"]);
    gives(&mut agent, 1_600, 2, leased(2));
    assert_eq!(agent.outbox(), ["command_done 1 Stale"]);
    gives(&mut agent, 1_700, 3, leased(1));
    assert_eq!(
        agent.outbox(),
        ["command_done 1 Stale", "command_done 3 Stale"]
    );
    gives(&mut agent, 1_800, 4, stop("db", 2));
    assert_eq!(
        done(&agent.step_at(2_000, renewed(1_900))),
        ["renewed 1900"],
        "it was stopped before it began"
    );
    assert_eq!(gives(&mut agent, 2_100, 5, leased(2)), [""; 0]);
    let last = agent.outbox().pop();
    assert_eq!(last.as_deref(), Some("command_done 5 Stale"));
}

#[test]
fn a_renewal_of_another_epoch_or_of_a_time_to_come_begins_nothing() {
    let mut agent = connected();
    gives(&mut agent, 1_000, 1, leased(1));
    let epoch = Epoch(2);
    let from_ms = 1_000;
    agent.step_at(1_010, Input::Renewed { from_ms, epoch });
    assert_eq!(done(&agent.step_at(1_010, renewed(1_011))), [""; 0]);
    assert_eq!(
        done(&agent.step_at(1_011, renewed(1_011))),
        ["renewed 1011", "start db:1"]
    );
}
