//! The leader core: bounds, answers, proposals that are lost, terms that end.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_coordinator::{Effect, Event, LogEvent, Operation, ProposalId, record};
use mainstay_protocol::report::LiveState;
use mainstay_protocol::{Leadership, Sequence, Term, code, limits};
use mainstay_resource_graph::{Cause, InstanceState, Kind, NodeState, View, ViewExt};

use crate::harness::work::verb;
use crate::harness::{Mode, World, at, node_name, start};

fn running() -> World {
    let mut world = World::new();
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.started("web@n1");
    world
}

// proves: S22
#[test]
fn a_report_is_acknowledged_only_when_its_effects_are_committed() {
    let mut world = running();
    world.hold();
    world.seen.clear();
    world.panics("web@n1", "boom");
    assert_eq!(world.seen, [], "neither acknowledged nor acted on");
    world.release();
    let kinds: Vec<&str> = world
        .seen
        .iter()
        .map(|effect| match effect {
            Effect::Applied(_) => "applied",
            Effect::Send { .. } => "send",
            Effect::Acknowledge { .. } => "acknowledge",
            Effect::Welcome { .. }
            | Effect::Deny { .. }
            | Effect::Guard { .. }
            | Effect::Watch { .. }
            | Effect::Look(_)
            | Effect::AskHost(_)
            | Effect::Reply { .. } => "other",
        })
        .collect();
    assert_eq!(kinds, ["applied", "send", "acknowledge"]);
}

// proves: S22
// case: services 51
#[test]
fn a_report_and_its_effects_are_one_entry() {
    let mut world = running();
    let entries = world.entries.len();
    world.panics("web@n1", "boom");
    assert_eq!(world.entries.len(), entries + 1);
    let rules: Vec<&str> = world.entries[entries]
        .decisions
        .iter()
        .map(|one| one.rule.as_str())
        .collect();
    assert_eq!(rules, ["restart"]);
}

// case: services 15
// acceptance: 3
#[test]
fn two_starts_of_one_name_in_one_batch_make_one_instance_and_two_definite_answers() {
    let mut world = World::new();
    world.up("n1");
    world.hold();
    let first = world.ask(start("greeter", "alpha", "n1", None, ""));
    let second = world.ask(start("twin", "beta", "n1", None, ""));
    let third = world.ask(start("greeter", "alpha", "n1", None, ""));
    world.run();
    world.release();
    for ticket in [first, second, third] {
        assert!(
            world.answers[&ticket].is_ok(),
            "{:?}",
            world.answers[&ticket]
        );
    }
    assert_eq!(world.state("alpha@n1"), InstanceState::Starting);
    assert_eq!(world.state("beta@n1"), InstanceState::Blocked);
    assert_eq!(world.received("alpha@n1"), ["start 1"]);
    assert_eq!(world.received("beta@n1"), [""; 0]);
}

// case: services 13, 21
#[test]
fn an_operation_says_whether_it_changed_anything_itself() {
    let mut world = running();
    world.hold();
    let nothing = world.ask(start("flaky", "web", "n1", None, ""));
    let something = world.ask(start("flaky", "other", "n1", None, ""));
    world.run();
    world.release();
    assert!(!world.answers[&nothing].as_ref().unwrap().changed);
    assert!(world.answers[&something].as_ref().unwrap().changed);
}

/// A lost proposal that turns up must not answer for one that came after it.
// proves: S22
#[test]
fn nothing_is_acknowledged_on_behalf_of_another_proposal() {
    let mut world = running();
    world.hold();
    world.ask(Operation::Stop {
        instance: at("web@n1"),
    });
    world.run();
    world.lose();
    let later = world.ask(start("noisy", "other", "n1", None, ""));
    world.run();
    world.arrive_late();
    let known = world
        .graph()
        .record(&mainstay_resource_graph::Key::Instance(at("other@n1")))
        .is_some();
    assert_eq!(
        world.answers.contains_key(&later),
        known,
        "answered if and only if it is committed"
    );
    world.release();
    assert!(world.answers[&later].is_ok());
    assert_eq!(world.state("other@n1"), InstanceState::Starting);
    assert_eq!(world.received("web@n1"), ["start 1", "stop 1"]);
}

/// Word of a proposal that came late, of this leadership or an older one, says nothing of the one in flight.
// proves: S22
#[test]
fn only_the_proposal_in_flight_can_be_lost() {
    let mut world = running();
    world.hold();
    world.stop_in_line("web@n1");
    let lost = world.log.held[0].proposal();
    world.lose();
    world.run();
    let in_flight = world.log.held[0].proposal();
    assert_ne!(lost, in_flight);
    let of_an_older_term = ProposalId {
        leadership: Leadership {
            term: Term(0),
            ..in_flight.leadership
        },
        ..in_flight
    };
    for stale in [lost, of_an_older_term] {
        world.say_lost(stale);
        world.run();
        assert_eq!(world.log.held.len(), 1, "{stale:?} was not in flight");
    }
    world.say_lost(in_flight);
    world.run();
    assert_eq!(
        world.log.held.len(),
        2,
        "this one was, and its events go again"
    );
    world.release();
    assert_eq!(world.received("web@n1"), ["start 1", "stop 1"]);
}

// proves: S17
#[test]
fn callers_of_a_leader_that_goes_are_told_whether_it_may_yet_take_effect() {
    let mut world = running();
    world.hold();
    let in_flight = world.ask(Operation::Stop {
        instance: at("web@n1"),
    });
    world.run();
    let in_line = world.ask(start("noisy", "other", "n1", None, ""));
    world.fail_over_with_sessions();
    let refused = |ticket| world.answers[ticket].as_ref().unwrap_err();
    let (in_flight, in_line) = (refused(&in_flight), refused(&in_line));
    assert_eq!(in_flight.code, code::ANSWER_LOST);
    assert!(in_flight.text.contains("it may yet"), "{}", in_flight.text);
    assert_eq!(in_line.code, code::NO_QUORUM);
    assert!(in_line.text.contains("try again"), "{}", in_line.text);
    assert_eq!(world.state("web@n1"), InstanceState::Running);
}

/// It stands in line again after the word that it is lost, and the log may commit it all the same.
// proves: S17
#[test]
fn what_was_lost_and_waits_for_another_proposal_may_yet_take_effect() {
    let mut world = running();
    world.hold();
    let asked = world.ask(Operation::Stop {
        instance: at("web@n1"),
    });
    world.run();
    world.lose();
    world.fail_over_with_sessions();
    let refusal = world.answers[&asked].as_ref().unwrap_err();
    assert_eq!(refusal.code, code::ANSWER_LOST, "{}", refusal.text);
}

#[test]
fn who_does_not_lead_takes_nothing() {
    let mut world = running();
    world.core.log_event(LogEvent::Following, world.now);
    let event = Event::operator(
        Operation::Stop {
            instance: at("web@n1"),
        },
        "ada",
    );
    let refusal = world.core.enqueue(event, None).unwrap_err();
    assert_eq!(refusal.code, code::NO_QUORUM);
    assert_eq!(world.core.wake_at(world.now), None);
}

#[test]
fn a_full_inbox_refuses_operations_but_no_agent_that_introduces_itself() {
    let mut world = running();
    world.hold();
    world.stop_in_line("web@n1");
    let mut refusal = None;
    for _ in 0..=limits::INBOX_EVENTS_MAX {
        let event = Event::operator(
            Operation::Clear {
                instance: at("web@n1"),
            },
            "ada",
        );
        if let Err(full) = world.core.enqueue(event, None) {
            refusal = Some(full);
            break;
        }
    }
    assert_eq!(refusal.unwrap().code, code::OVERLOADED);
    assert!(world.core.inbox_depth() <= limits::INBOX_EVENTS_MAX);
    world.up("n2");
    world.release();
    assert_eq!(world.core.inbox_depth(), 0);
    assert_eq!(world.graph().keys(Kind::Node).len(), 2);
}

// proves: S23
#[test]
fn a_second_agent_of_a_node_is_refused_while_the_first_is_heard() {
    let mut world = running();
    world.gone("n1");
    world.scripted("n1").address = "unix:/run/n1.sock".to_owned();
    world.up("n1");
    let mut other = world.scripted("n1").clone();
    other.restart(true);
    let up = Event::NodeUp {
        up: Box::new(other.node_up()),
        minted: other.minted(),
    };
    let refusal = world.core.enqueue(up.clone(), None).unwrap_err();
    assert_eq!(refusal.code, code::NODE_ID_IN_USE);
    assert!(refusal.text.contains("/run/n1.sock"), "{}", refusal.text);
    world.gone("n1");
    world.core.enqueue(up, None).unwrap();
}

// Regresses: a session's first words that came in behind those of the next one voided the node's file.
// proves: S23
#[test]
fn an_introduction_that_was_overtaken_by_a_later_one_is_refused() {
    let mut world = World::new();
    let overtaken = Event::NodeUp {
        up: Box::new(world.scripted("n1").node_up()),
        minted: world.scripted("n1").minted(),
    };
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.started("web@n1");
    let refusal = world.core.enqueue(overtaken, None).unwrap_err();
    assert_eq!(refusal.code, code::NODE_ID_IN_USE);
    world.run();
    assert_eq!(world.state("web@n1"), InstanceState::Running);
}

// Regresses: what was to be taken in and had ended stayed unknown for ever if its session ended before the answer.
// proves: S23
#[test]
fn what_ended_before_it_was_taken_in_is_started_again_also_over_another_session() {
    let web = at("web@n1");
    let mut world = World::new();
    world.up("n1");
    world.gone("n1");
    world.runs_stray(&web, 3);
    world.up("n1");
    let found = world.scripted("n1").live(&web).unwrap().incarnation;
    world.hold();
    world.ask(start("flaky", "web", "n1", None, ""));
    world.run();
    world.gone("n1");
    world.scripted("n1").set_live(&web, found, None);
    world.scripted("n1").answers = true;
    world.release();
    let was = LiveState::Starting;
    assert_eq!(world.state("web@n1"), InstanceState::Unknown { was });
    world.up("n1");
    world.send_what_is_left("n1");
    assert_eq!(world.state("web@n1"), InstanceState::Starting);
    assert!(world.incarnation("web@n1") > found);
}

// case: services 52
// proves: S22
#[test]
fn a_burst_is_taken_in_bounded_batches_and_every_one_of_it_counts() {
    let mut world = running();
    world.hold();
    world.stop_in_line("web@n1");
    world.full_passes = false;
    for number in 0..1500 {
        world.ask(start("noisy", &format!("p{number}"), "n1", None, ""));
    }
    let entries = world.entries.len();
    world.release();
    assert_eq!(world.graph().keys(Kind::Instance).len(), 1501);
    assert_eq!(world.answers.len(), 1502);
    assert!(
        world.entries.len() >= entries + 4,
        "1500 events do not fit one batch"
    );
    let largest = world
        .entries
        .iter()
        .map(|entry| entry.decisions.len())
        .max()
        .unwrap();
    assert!(
        largest <= limits::BATCH_EVENTS_MAX,
        "{largest} decisions in one entry"
    );
}

/// Ten thousand ends at once: each step is bounded, and what is left over is judged in the next.
// proves: S12, S21
#[test]
fn a_mass_failure_is_judged_in_bounded_steps() {
    let mut world = World::new();
    world.up("n1");
    world.hold();
    world.full_passes = false;
    for number in 0..1200 {
        world.ask(start("noisy", &format!("p{number}"), "n1", None, ""));
    }
    world.run();
    world.release();
    world.starts_all("n1");
    world.agent_restarts("n1", false);
    let keys: BTreeSet<_> = world.graph().keys(Kind::Instance).into_iter().collect();
    for key in &keys {
        assert_eq!(world.times("node_return", key), 1, "{key}");
    }
    world.full_passes = true;
    world.fail_over_with_sessions();
    let largest = world
        .entries
        .iter()
        .map(|entry| entry.decisions.len())
        .max()
        .unwrap();
    assert!(
        largest <= limits::BATCH_EVENTS_MAX,
        "{largest} decisions in one entry"
    );
    assert!(
        world
            .entries
            .iter()
            .any(|entry| entry.decisions.len() > 400),
        "it was a mass"
    );
}

// proves: S17
#[test]
fn log_time_never_goes_back_and_names_each_entry() {
    let mut world = running();
    for _ in 0..3 {
        world.panics("web@n1", "boom");
        world.fail_over_with_sessions();
        world.wait_ms(3000);
        if world.state("web@n1") == InstanceState::Starting {
            world.started("web@n1");
        }
    }
    let times: Vec<_> = world.entries.iter().map(|entry| entry.log_time).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}

/// Case 53 of a log that grows is the store's; here: what does not change anything makes no entry.
// proves: S22
#[test]
fn repeats_and_heartbeats_make_no_entries() {
    let mut world = running();
    world.panics("web@n1", "boom");
    let entries = world.entries.len();
    for _ in 0..10 {
        world.send_again("n1");
    }
    assert_eq!(world.entries.len(), entries);
    assert_eq!(world.log.mode, Mode::CommitAtOnce);
}

/// Commands that nobody answered survive any number of leaders, and reach the node once each.
// proves: S9
// case: services 41
#[test]
fn the_next_leader_sends_what_is_unanswered() {
    let mut world = World::new();
    world.up("n1");
    world.scripted("n1").deaf = true;
    world.start("flaky", "web", "n1").unwrap();
    for _ in 0..3 {
        world.fail_over_with_sessions();
    }
    assert_eq!(world.received("web@n1"), [""; 0]);
    world.scripted("n1").deaf = false;
    world.fail_over_with_sessions();
    assert_eq!(world.received("web@n1"), ["start 1"]);
    world.started("web@n1");
    assert_eq!(world.open_commands().len(), 0);
    assert_eq!(world.state("web@n1"), InstanceState::Running);
}

// proves: S22
// case: services 51
#[test]
fn a_number_of_an_outbox_counts_once_and_gaps_are_allowed() {
    let world = running();
    let mut txn = world.graph().begin(world.log_now(), Cause::Start);
    let node = node_name("n1");
    let epoch = record::outbox(&txn, &node).unwrap().node_epoch;
    let newest = record::outbox(&txn, &node).unwrap().watermark;
    let mut take =
        |epoch, ahead| record::take_sequence(&mut txn, &node, epoch, Sequence(newest.0 + ahead));
    assert!(!take(epoch, 0), "it has taken effect");
    assert!(take(epoch, 1));
    assert!(!take(epoch, 1), "a repeat");
    assert!(take(epoch, 5), "a gap");
    assert!(!take(epoch, 4), "what is behind the watermark");
    assert!(!take(epoch.next(), 9), "another life of the file");
}

/// Its command's time came before the judgement that was made while it was away.
// proves: S9
#[test]
fn deadlines_of_an_entry_that_turns_up_late_are_not_missed() {
    let mut world = running();
    world.hold();
    world.ask(start("noisy", "other", "n1", None, ""));
    world.run();
    world.wait_ms(5000);
    world.lose();
    world.run();
    world.arrive_late();
    world.release();
    world.wait_ms(100);
    let open = world.open_commands();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].1.sends, 2, "it was due after two seconds");
}

fn welcomes(world: &World) -> usize {
    let welcome = |effect: &&Effect| matches!(effect, Effect::Welcome { .. });
    world.seen.iter().filter(welcome).count()
}

/// What the first welcome would let pass would look lost to the second NodeUp, which was written before it.
// proves: S4, S9
#[test]
fn an_agent_that_introduces_itself_twice_is_welcomed_once() {
    // The second one in line behind the first, and both in one batch.
    for together in [false, true] {
        let mut world = running();
        world.gone("n1");
        world.scripted("n1").restart(false);
        world.hold();
        if together {
            // Something else is in flight, and both wait behind it.
            world.ask(start("noisy", "other", "n1", None, ""));
            world.run();
        }
        world.seen.clear();
        world.up("n1");
        world.up("n1");
        world.release();
        assert_eq!(welcomes(&world), 1, "together: {together}");
        let incarnation = world.incarnation("web@n1").count;
        assert_eq!(incarnation, 2);
        assert_eq!(world.received("web@n1"), ["start 1", "start 2"]);
    }
}

// proves: S23
#[test]
fn a_leader_that_stood_still_waits_longer_for_a_while() {
    let mut world = running();
    let state = |world: &World| world.graph().node(&node_name("n1")).unwrap().state;
    world.core.stood_still(Duration::from_secs(2), world.now);
    world.scripted("n1").muted = true;
    // What it did not hear then is excused, and two seconds more are waited.
    world.wait_ms(6_900);
    assert_eq!(state(&world), NodeState::Online);
    world.wait_ms(200);
    assert_eq!(state(&world), NodeState::Suspect);

    world.up("n1");
    world.wait_ms(60_000);
    world.scripted("n1").muted = true;
    world.wait_ms(3_900);
    assert_eq!(state(&world), NodeState::Suspect);
}

/// Log time goes on from the newest entry: where nothing else is written, the deadline alone would be none the nearer.
#[test]
fn a_deadline_comes_nearer_also_where_nothing_is_written_and_leaders_change() {
    let hour = Duration::from_secs(3600);
    let mut world = World::new();
    world.up("n1");
    world.start("worker", "w", "n1").unwrap();
    world.started("w@n1");
    for line in [
        r#"activity {"type":"a","provider":"p"}"#,
        r#"orchestration {"type":"t","activities":[{"id":"a","type":"a"}]}"#,
        "run r1 t",
        "works r1/a again 7200s",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(verb(&mut world, &words), "{line}");
    }
    let due = world.core.log_time() + 2 * hour;
    let entries = world.entries.len();
    world.wait(hour + hour / 2);
    let written = world.entries.len() - entries;
    assert!((1..100).contains(&written), "{written} of nothing else");
    world.fail_over();
    let left = due.since(world.core.log_time());
    let minute = Duration::from_secs(60);
    assert!(left > hour / 2 - minute, "it would come early: {left:?}");
    let late = left.saturating_sub(hour / 2);
    assert!(late <= 2 * hour / 16, "it comes late by {late:?}");
}
