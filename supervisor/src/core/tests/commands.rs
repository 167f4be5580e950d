//! Commands: once each, never stale, never two holders of a name.

use super::*;

// case: services 11
#[test]
fn a_start_is_done_once_it_has_started() {
    let mut agent = Agent::new();
    assert_eq!(
        done(&agent.command(1, start("web", "web", 1))),
        ["start web:1"]
    );
    assert_eq!(agent.outbox(), [""; 0]);
    agent.seen(started("web", 1));
    assert_eq!(agent.outbox(), ["started web:1", "command_done 1 Done"]);
}

// proves: S12
// case: services 13
#[test]
fn a_repeated_command_is_neither_done_nor_answered_twice() {
    let mut agent = Agent::new();
    agent.command(1, start("web", "web", 1));
    assert_eq!(done(&agent.command(1, start("web", "web", 1))), [""; 0]);
    agent.seen(started("web", 1));
    assert_eq!(done(&agent.command(1, start("web", "web", 1))), [""; 0]);
    assert_eq!(agent.outbox(), ["started web:1", "command_done 1 Done"]);
}

// case: services 29
#[test]
fn an_observation_made_twice_is_one_report() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.seen(started("web", 1));
    agent.seen(failed("web", 1, Presence::Gone));
    agent.seen(failed("web", 1, Presence::Gone));
    agent.seen(ended("web", 1));
    assert_eq!(
        agent.outbox(),
        [
            "started web:1",
            "command_done 1 Done",
            "failed web:1 Panic Gone"
        ]
    );
}

// case: services 14
#[test]
fn a_name_that_is_held_is_refused_with_its_holder_and_free_after_its_end() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    assert_eq!(done(&agent.command(2, start("other", "web", 1))), [""; 0]);
    assert_eq!(
        agent.outbox()[2..],
        [
            "name_taken other:1 web",
            "command_done 2 MS-NAME-HELD-ON-NODE"
        ]
    );
    agent.seen(failed("web", 1, Presence::Gone));
    assert_eq!(done(&agent.command(3, start("other", "web", 1))), [""; 0]);
    assert_eq!(agent.outbox().last().unwrap(), "command_done 3 Stale");
    assert_eq!(
        done(&agent.command(4, start("other", "web", 2))),
        ["start other:2"]
    );
}

#[test]
fn a_name_taken_by_a_stranger_frees_ours_again() {
    let mut agent = Agent::new();
    agent.command(1, start("web", "web", 1));
    agent.seen(Observation::Seen(Report::NameTaken {
        instance: key("web"),
        incarnation: incarnation(1),
        name: SlotName::new("web").unwrap(),
        holder: None,
    }));
    assert_eq!(
        agent.outbox(),
        [
            "name_taken web:1 nobody",
            "command_done 1 MS-NAME-HELD-ON-NODE"
        ]
    );
    assert_eq!(
        done(&agent.command(2, start("web", "web", 2))),
        ["start web:2"]
    );
}

// case: services 17
#[test]
fn a_stop_is_done_once_it_is_gone() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    assert_eq!(done(&agent.command(2, stop("web", 1))), ["stop web:1"]);
    assert_eq!(agent.outbox().len(), 2);
    agent.seen(ended("web", 1));
    assert_eq!(
        agent.outbox()[2..],
        ["ended web:1 Asked", "command_done 2 Done"]
    );
}

// case: services 21
#[test]
fn a_stop_of_nothing_says_so_and_raises_the_floor() {
    let mut agent = Agent::new();
    agent.command(1, stop("web", 3));
    assert_eq!(agent.outbox(), ["command_done 1 NotRunning"]);
    assert_eq!(done(&agent.command(2, start("web", "web", 3))), [""; 0]);
    assert_eq!(agent.outbox()[1..], ["command_done 2 Stale"]);
    assert_eq!(
        done(&agent.command(3, start("web", "web", 4))),
        ["start web:4"]
    );
}

#[test]
fn a_finished_incarnation_is_not_started_again() {
    let mut agent = Agent::new();
    agent.run_web(1, 2);
    agent.seen(failed("web", 2, Presence::Gone));
    for (command, count) in [(2, 2), (3, 1)] {
        assert_eq!(
            done(&agent.command(command, start("web", "web", count))),
            [""; 0]
        );
    }
    assert_eq!(
        agent.outbox()[3..],
        ["command_done 2 Stale", "command_done 3 Stale"]
    );
}

#[test]
fn a_stop_of_an_older_incarnation_leaves_the_newer_alone() {
    let mut agent = Agent::new();
    agent.run_web(1, 5);
    assert_eq!(done(&agent.command(2, stop("web", 4))), [""; 0]);
    assert_eq!(agent.outbox()[2..], ["command_done 2 NotRunning"]);
}

// case: services 19
#[test]
fn a_stop_during_the_start_ends_both() {
    let mut agent = Agent::new();
    agent.command(1, start("web", "web", 1));
    assert_eq!(done(&agent.command(2, stop("web", 1))), ["stop web:1"]);
    agent.seen(ended("web", 1));
    assert_eq!(
        agent.outbox(),
        [
            "ended web:1 Asked",
            "command_done 1 Done",
            "command_done 2 Done"
        ]
    );
}

// case: services 19
#[test]
fn a_start_during_the_stop_waits_until_the_old_one_is_gone() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.command(2, stop("web", 1));
    assert_eq!(done(&agent.command(3, start("web", "web", 2))), [""; 0]);
    assert_eq!(done(&agent.seen(ended("web", 1))), ["start web:2"]);
    agent.seen(started("web", 2));
    assert_eq!(
        agent.outbox()[4..],
        ["started web:2", "command_done 3 Done"]
    );
}

#[test]
fn a_start_beside_its_living_elder_is_refused() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    assert_eq!(done(&agent.command(2, start("web", "web", 2))), [""; 0]);
    assert_eq!(
        agent.outbox()[2..],
        [
            "name_taken web:2 web",
            "command_done 2 MS-NAME-HELD-ON-NODE"
        ]
    );
}

#[test]
fn a_stop_reaches_the_start_that_waits() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.command(2, stop("web", 1));
    agent.command(3, start("web", "web", 2));
    agent.command(4, stop("web", 2));
    assert_eq!(done(&agent.seen(ended("web", 1))), [""; 0]);
    assert_eq!(
        agent.outbox()[2..],
        [
            "command_done 3 Stale",
            "ended web:1 Asked",
            "command_done 2 Done",
            "command_done 4 Done",
        ]
    );
}

#[test]
fn a_harder_stop_goes_to_the_host_too() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.command(2, stop("web", 1));
    assert_eq!(done(&agent.command(3, stop("web", 1))), ["stop web:1"]);
}

// acceptance: 8
#[test]
fn what_will_not_end_keeps_its_name_and_has_no_twin() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.command(2, stop("web", 1));
    agent.command(3, start("web", "web", 2));
    agent.seen(will_not_end("web", 1));
    assert_eq!(done(&agent.command(4, start("web", "web", 3))), [""; 0]);
    assert_eq!(done(&agent.command(5, start("other", "web", 1))), [""; 0]);
    assert_eq!(
        agent.outbox()[2..],
        [
            "command_done 2 WillNotEnd",
            "name_taken web:2 web",
            "command_done 3 MS-NAME-HELD-ON-NODE",
            "name_taken web:3 web",
            "command_done 4 MS-NAME-HELD-ON-NODE",
            "name_taken other:1 web",
            "command_done 5 MS-NAME-HELD-ON-NODE",
        ]
    );
}

#[test]
fn what_ends_after_all_is_reported_and_frees_its_name() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.command(2, stop("web", 1));
    agent.seen(will_not_end("web", 1));
    agent.seen(ended("web", 1));
    assert_eq!(agent.outbox()[3..], ["ended web:1 Asked"]);
    assert_eq!(
        done(&agent.command(3, start("other", "web", 1))),
        ["start other:1"]
    );
}

#[test]
fn a_start_that_was_refused_by_the_service_is_done_and_its_name_free() {
    let mut agent = Agent::new();
    agent.command(1, start("web", "web", 1));
    agent.seen(could_not_start("web", 1));
    assert_eq!(
        agent.outbox(),
        ["could_not_start web:1", "command_done 1 Done"]
    );
    assert_eq!(
        done(&agent.command(2, start("web", "web", 2))),
        ["start web:2"]
    );
}

#[test]
fn a_failure_said_by_a_living_instance_is_said_once_and_holds_the_name() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.seen(failed("web", 1, Presence::Living));
    agent.seen(failed("web", 1, Presence::Living));
    assert_eq!(agent.outbox()[2..], ["failed web:1 Panic Living"]);
    assert_eq!(done(&agent.command(2, start("other", "web", 1))), [""; 0]);
    agent.command(3, stop("web", 1));
    agent.seen(ended("web", 1));
    assert_eq!(
        agent.outbox()[5..],
        ["ended web:1 Asked", "command_done 3 Done"]
    );
}

// proves: S12
#[test]
fn a_deposed_leader_is_neither_obeyed_nor_answered() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    agent.step(Input::Command(Command {
        leadership: leadership(2),
        ..command(2, stop("other", 1))
    }));
    assert_eq!(done(&agent.command(3, stop("web", 1))), [""; 0]);
    assert_eq!(done(&agent.command(4, start("third", "third", 1))), [""; 0]);
    assert_eq!(agent.outbox()[3..], [""; 0]);
    let resent = Command {
        leadership: leadership(2),
        ..command(3, stop("web", 1))
    };
    assert_eq!(done(&agent.step(Input::Command(resent))), ["stop web:1"]);
    let actions = agent.up(1, 0);
    assert!(
        matches!(&actions[..], [Action::CloseSession { .. }]),
        "{actions:?}"
    );
}

#[test]
fn the_digest_says_what_lives_and_how_deep_the_floors_are() {
    let mut agent = Agent::new();
    agent.run_web(1, 4);
    agent.seen(health("web", 4, Health::Degraded));
    agent.command(2, stop("old", 2));
    let digest = agent.core.node_up().digest;
    let web = &digest[&key("web")];
    assert_eq!(web.floor, incarnation(4));
    let live = web.live.as_ref().unwrap();
    assert_eq!(
        (live.incarnation, live.health),
        (incarnation(4), Health::Degraded)
    );
    assert_eq!(
        digest[&key("old")],
        DigestEntry {
            floor: incarnation(3),
            live: None
        }
    );
}
