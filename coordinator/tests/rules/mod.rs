//! Every shipped rule: it fires, it does not fire just under its limit, it fires once, it survives a change of leader,
//! and it is explained.

mod care;
mod peers;
mod stories;
mod updates;
mod words;
mod work;

use std::collections::BTreeSet;

use mainstay_coordinator::{Decision, Outcome, Rules};
use mainstay_protocol::code;
use mainstay_resource_graph::Key;

use crate::harness::{World, key, rules_of, why_lines};

/// A rule and the last straw that makes it decide.
pub struct Story {
    rule: &'static str,
    subject: fn(&World) -> Key,
    /// Everything short of it.
    under: fn() -> World,
    straw: fn(&mut World),
    /// What it says: a code, or a declined one.
    says: code::Code,
    declines: bool,
    /// What else it must have seen.
    saw: &'static [&'static str],
    /// Whom to ask why, and what must be in the answer.
    why: (&'static str, &'static str),
}

impl Story {
    /// Its decisions about the subject with its outcome.
    fn told<'w>(&'w self, world: &'w World) -> impl Iterator<Item = &'w Decision> {
        let subject = (self.subject)(world);
        world.decisions().filter(move |decision| {
            let (declined, code) = match &decision.outcome {
                Outcome::Did { code, .. } => (false, code),
                Outcome::Declined { code, .. } => (true, code),
            };
            decision.rule == self.rule
                && decision.subject == subject
                && declined == self.declines
                && *code == self.says
        })
    }

    fn times(&self, world: &World) -> usize {
        self.told(world).count()
    }

    fn fires(&self) {
        let mut world = (self.under)();
        let before = self.times(&world);
        (self.straw)(&mut world);
        assert_eq!(self.times(&world), before + 1, "{}", self.rule);
    }

    fn does_not_fire_just_under(&self) {
        let mut world = (self.under)();
        let before = self.times(&world);
        world.run();
        world.fail_over_with_sessions();
        assert_eq!(
            self.times(&world),
            before,
            "{} fired without its last straw",
            self.rule
        );
        (self.straw)(&mut world);
        self.wait_for(&mut world, before + 1);
    }

    fn fires_once(&self) {
        let mut world = (self.under)();
        (self.straw)(&mut world);
        let times = self.times(&world);
        world.run();
        for node in world.connected() {
            world.send_again(&node);
        }
        assert_eq!(
            self.times(&world),
            times,
            "{} fired again on a repeated report",
            self.rule
        );
    }

    /// Before it: it fires under the next leader. After it: the next leader does not repeat it.
    fn survives_a_change_of_leader(&self) {
        let mut world = (self.under)();
        let before = self.times(&world);
        world.fail_over_with_sessions();
        (self.straw)(&mut world);
        self.wait_for(&mut world, before + 1);
        world.fail_over_with_sessions();
        assert_eq!(self.times(&world), before + 1, "{} fired again", self.rule);
    }

    /// Log time stands still while nobody leads, so a deadline may be later by as much.
    fn wait_for(&self, world: &mut World, times: usize) {
        for _ in 0..400 {
            if self.times(world) == times {
                return;
            }
            world.wait_ms(100);
        }
        panic!(
            "{} fired {} times, not {times}",
            self.rule,
            self.times(world)
        );
    }

    fn is_explained(&self) {
        let mut world = (self.under)();
        (self.straw)(&mut world);
        let decision = self.told(&world).last().expect("it fired");
        let (Outcome::Did { text, .. } | Outcome::Declined { text, .. }) = &decision.outcome;
        assert!(!text.is_empty());
        assert!(
            code::ALL
                .iter()
                .any(|(known, _)| known == decision.outcome.code())
        );
        assert_eq!(decision.saw[0].key, decision.subject);
        for wanted in self.saw {
            let seen = decision
                .saw
                .iter()
                .any(|saw| saw.key == key(wanted) && !saw.text.is_empty());
            assert!(
                seen,
                "{} did not see {wanted}: {:#?}",
                self.rule, decision.saw
            );
        }
        let (reference, phrase) = self.why;
        let asked = if reference.is_empty() {
            decision.subject.clone()
        } else {
            key(reference)
        };
        let lines = why_lines(&world, &asked);
        assert!(
            lines.iter().any(|line| line.contains(phrase)),
            "no \"{phrase}\" in {lines:#?}"
        );
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* mod $name {
            use super::stories;

            // proves: S12, S20
            #[test]
            fn it_fires() {
                stories::$name().fires();
            }

            // proves: S20
            #[test]
            fn it_does_not_fire_just_under_its_limit() {
                stories::$name().does_not_fire_just_under();
            }

            // proves: S22
            #[test]
            fn it_fires_once() {
                stories::$name().fires_once();
            }

            // proves: S17, S24
            #[test]
            fn it_survives_a_change_of_leader() {
                stories::$name().survives_a_change_of_leader();
            }

            // proves: S24
            #[test]
            fn it_is_explained() {
                stories::$name().is_explained();
            }
        })*

        fn all() -> Vec<Story> {
            vec![$(stories::$name()),*]
        }
    };
}

rules! {
    drain;
    moves;
    placement_maintenance;
    maintenance;
    node_lost;
    storm_brake;
    singleton_lease;
    guard_spread;
    restart_host;
    fence;
    node_suspect;
    isolation;
    supervisor_lost;
    watch_spread;
    unseen;
    unseen_is_seen_again;
    place;
    node_return;
    node_return_after_a_stop;
    could_not_start;
    quarantine;
    restart_at_once;
    restart_after_backoff;
    restart_waits;
    restart_with_its_agent;
    restart_declines_a_clean_end;
    start_deadline;
    unresponsive;
    stop_by_wish;
    stop_of_what_failed;
    stop_escalate;
    stop_escalate_gives_up;
    start;
    start_waits_for_its_node;
    start_waits_for_its_type;
    name_conflict;
    name_conflict_ends;
    command_resend;
    place_leaves;
    retire;
    reconfigure;
    dependency_gate;
    dependency_gate_opens;
    stop_in_reverse_order;
    rolling_update;
    rolling_update_goes_back;
    stray;
    stray_is_taken_in;
    asked;
    asked_by_what_is_gone;
    release;
    restart_group;
    procedure_over;
    hand_out;
    hand_out_finds_no_input;
    step_due;
    step_lost;
    undo;
    undo_ends;
    undo_fails;
    run_over;
    artifact_left;
}

#[test]
fn every_shipped_rule_has_a_story() {
    let told: BTreeSet<&str> = all().iter().map(|story| story.rule).collect();
    let shipped: BTreeSet<&str> = rules_of(&Rules::shipped()).into_iter().collect();
    assert_eq!(told, shipped);
}
