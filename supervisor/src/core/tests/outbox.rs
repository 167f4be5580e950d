//! Reports: in order, within the credits, until they are committed.

use super::*;

fn agent_with_reports() -> Agent {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent
}

// proves: S12
// case: services 48
#[test]
fn reports_wait_without_a_session_and_are_sent_once_there_is_one() {
    let mut agent = agent_with_reports();
    assert_eq!(numbers(&agent.up(1, 0)), [1, 2]);
    assert_eq!(numbers(&agent.step(Input::Tick)), [0; 0]);
    assert_eq!(numbers(&agent.seen(failed("web", 1, Presence::Gone))), [3]);
}

#[test]
fn what_is_not_committed_is_sent_again_in_the_next_session() {
    let mut agent = agent_with_reports();
    agent.up(1, 0);
    agent.step(Input::SessionDown);
    assert_eq!(
        numbers(&agent.seen(failed("web", 1, Presence::Gone))),
        [0; 0]
    );
    assert_eq!(numbers(&agent.up(1, 1)), [2, 3]);
    assert_eq!(
        agent.outbox(),
        ["command_done 1 Done", "failed web:1 Panic Gone"]
    );
}

// case: services 50
#[test]
fn what_is_swallowed_again_and_again_is_sent_until_it_is_acknowledged() {
    let mut agent = agent_with_reports();
    for _ in 0..5 {
        assert_eq!(numbers(&agent.up(1, 0)), [1, 2]);
        agent.step(Input::SessionDown);
    }
    agent.up(1, 0);
    agent.acknowledge(2);
    agent.step(Input::SessionDown);
    assert_eq!(numbers(&agent.up(1, 2)), [0; 0]);
}

#[test]
fn an_acknowledgement_frees_room_for_more() {
    let mut agent = Agent::new();
    agent.step(Input::SessionUp(Welcome {
        credits: 3,
        ..welcome(1, 0)
    }));
    let mut sent = Vec::new();
    for count in 1..4 {
        agent.command(count, start("web", "web", count));
        sent.extend(numbers(&agent.seen(could_not_start("web", count))));
    }
    assert_eq!(sent, [1, 2, 3]);
    assert_eq!(numbers(&agent.acknowledge(2)), [4, 5]);
    assert_eq!(numbers(&agent.acknowledge(5)), [6]);
    assert_eq!(agent.core.outbox_depth(), 1);
}

#[test]
fn an_acknowledgement_of_another_epoch_or_of_what_was_not_sent_takes_nothing_away() {
    let mut agent = agent_with_reports();
    agent.acknowledge(2);
    assert_eq!(agent.core.outbox_depth(), 2);
    agent.up(1, 0);
    agent.step(Input::SessionDown);
    agent.seen(failed("web", 1, Presence::Gone));
    agent.step(Input::Acknowledged(Acknowledged {
        node_epoch: NodeEpoch(2),
        up_to: Sequence(2),
    }));
    assert_eq!(agent.core.outbox_depth(), 3);
    agent.acknowledge(1_000);
    assert_eq!(agent.outbox(), ["failed web:1 Panic Gone"]);
}

#[test]
fn an_unsent_health_report_gives_way_to_the_newer_one() {
    let mut agent = agent_with_reports();
    agent.up(1, 0);
    agent.step(Input::SessionDown);
    agent.seen(health("web", 1, Health::Ok));
    agent.seen(health("web", 1, Health::Degraded));
    assert_eq!(agent.outbox()[2..], ["health_changed web:1 degraded"]);
    assert_eq!(numbers(&agent.up(1, 0)), [1, 2, 4]);
    agent.seen(health("web", 1, Health::Ok));
    assert_eq!(
        agent.outbox()[2..],
        ["health_changed web:1 degraded", "health_changed web:1 ok"]
    );
}

#[test]
fn life_cycle_reports_never_give_way() {
    let mut agent = Agent::new();
    for count in 1..4 {
        agent.run_web(count, count);
        agent.seen(failed("web", count, Presence::Gone));
    }
    assert_eq!(agent.core.outbox_depth(), 9);
}

#[test]
fn a_new_epoch_numbers_what_waits_from_one() {
    let mut agent = agent_with_reports();
    agent.up(1, 0);
    agent.acknowledge(1);
    agent.step(Input::SessionDown);
    agent.seen(failed("web", 1, Presence::Gone));
    assert_eq!(numbers(&agent.up(2, 0)), [1, 2]);
    assert_eq!(agent.core.node_up().node_epoch, Some(NodeEpoch(2)));
    // The answer moved with its report: a repeat is still known.
    assert_eq!(agent.command(1, start("web", "web", 1)), []);
    let acknowledged = Acknowledged {
        node_epoch: NodeEpoch(2),
        up_to: Sequence(2),
    };
    agent.step(Input::Acknowledged(acknowledged));
    assert_eq!(agent.core.outbox_depth(), 0);
}

#[test]
fn a_watermark_beyond_what_was_given_out_is_not_given_out_again() {
    let mut agent = agent_with_reports();
    agent.up(1, 0);
    agent.step(Input::SessionDown);
    agent.up(1, 10);
    assert_eq!(agent.core.outbox_depth(), 0);
    assert_eq!(numbers(&agent.seen(failed("web", 1, Presence::Gone))), [11]);
}

#[test]
fn a_frame_holds_no_more_than_it_may() {
    let mut agent = Agent::new();
    for count in 1..=60 {
        agent.command(count, start("web", "web", count));
        agent.seen(Observation::Seen(Report::CouldNotStart {
            instance: key("web"),
            incarnation: incarnation(count),
            refused: RefusedStart::NotNow,
            text: "x".repeat(100_000),
        }));
    }
    let actions = agent.up(1, 0);
    assert_eq!(numbers(&actions), (1..=120).collect::<Vec<_>>());
    for action in &actions {
        let Action::Send(reports) = action else {
            panic!("{action:?}")
        };
        let frame = mainstay_protocol::session::AgentMessage::Reports(reports.clone()).to_frame();
        assert!(frame.body.len() <= limits::CONTROL_FRAME_BYTES_MAX);
        assert!(reports.reports.len() <= limits::REPORTS_PER_FRAME_MAX);
    }
}

/// Fills the outbox with ends, leaving `web` alive.
fn full_agent() -> Agent {
    let mut agent = agent_with_reports();
    let mut count = 1;
    while agent.core.outbox_depth() < limits::OUTBOX_REPORTS_MAX as u64 {
        agent.command(1_000 + count, start("flaky", "flaky", count));
        agent.seen(could_not_start("flaky", count));
        count += 1;
    }
    agent
}

#[test]
fn a_full_outbox_takes_no_start_but_every_stop() {
    let mut agent = full_agent();
    assert_eq!(done(&agent.command(2, start("new", "new", 1))), [""; 0]);
    assert_eq!(
        agent.outbox().last().unwrap(),
        "command_done 2 MS-OVERLOADED"
    );
    assert_eq!(done(&agent.command(3, stop("web", 1))), ["stop web:1"]);
    agent.seen(ended("web", 1));
    assert_eq!(agent.outbox().last().unwrap(), "command_done 3 Done");
}

#[test]
fn beyond_its_reserve_a_full_outbox_leaves_commands_to_be_repeated() {
    let mut agent = full_agent();
    for id in 0..10 * limits::OUTBOX_ANSWERS_MAX as u64 {
        agent.command(1_000_000 + id, start("new", "new", 1));
        agent.command(2_000_000 + id, stop("gone", 1));
    }
    let bound = limits::OUTBOX_REPORTS_MAX + limits::OUTBOX_ANSWERS_MAX;
    assert_eq!(agent.core.outbox_depth(), bound as u64);
    assert_eq!(
        done(&agent.command(4_000_000, start("gone", "gone", 1))),
        [""; 0]
    );
}

#[test]
fn health_without_room_is_said_when_there_is_some() {
    let mut agent = full_agent();
    agent.seen(health("web", 1, Health::Degraded));
    agent.seen(health("web", 1, Health::Failed));
    agent.seen(Observation::Seen(Report::SupervisorChanged {
        incarnation: 2,
        watches: 1,
        why: String::new(),
    }));
    assert_eq!(agent.core.outbox_depth(), limits::OUTBOX_REPORTS_MAX as u64);
    agent.up(1, 0);
    agent.acknowledge(100);
    let outbox = agent.outbox();
    assert_eq!(
        outbox[outbox.len() - 2..],
        ["supervisor_changed 2", "health_changed web:1 failed"]
    );
}

#[test]
fn a_settled_command_leaves_the_ledger() {
    let mut agent = agent_with_reports();
    agent.up(1, 0);
    agent.acknowledge(2);
    assert_eq!(agent.core.state.ledger.len(), 0);
    // A repeat that was under way all the time is judged anew: it starts nothing.
    assert_eq!(done(&agent.command(1, start("web", "web", 1))), [""; 0]);
}

#[test]
fn the_oldest_floors_go_when_there_are_too_many() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    let many = limits::FLOORS_KEPT_MAX as u64 + 10;
    agent.up(1, 0);
    for id in 2..many {
        agent.command(id, stop(&format!("p{id}"), id));
        agent.acknowledge(id + 10);
    }
    let digest = agent.core.digest();
    assert_eq!(digest.len(), limits::FLOORS_KEPT_MAX);
    assert!(digest.contains_key(&key("web")));
    assert!(!digest.contains_key(&key("p2")));
}
