//! The kill matrix with real processes: agent, hold and station killed -9 in the course of a start, a stop, a restart, a
//! change, an adoption, an end that nobody saw. `sim/tests/kill_matrix.rs` knows every persistence point by name and tries
//! each; here files are watched from outside, and the kill follows a write, or falls somewhere into the course.
//!
//! A few deaths in every run, all of them in `make soak`. `MAINSTAY_SEED` repeats a run's order and moments.

mod matrix;

use matrix::course::Course;
use matrix::survives_kills;

// acceptance: issue 3, line 7
// proves: S4, S9
#[test]
fn soak_a_start_survives_kill_9_of_agent_hold_and_station() {
    survives_kills(Course::Start);
}

// acceptance: issue 3, line 7
// proves: S4, S9
#[test]
fn soak_a_stop_survives_kill_9_of_agent_hold_and_station() {
    survives_kills(Course::Stop);
}

// acceptance: issue 3, line 7
// proves: S4, S12
#[test]
fn soak_a_restart_survives_kill_9_of_agent_hold_and_station() {
    survives_kills(Course::Restart);
}

// acceptance: issue 3, line 7
// proves: S19
#[test]
fn soak_a_change_in_place_and_one_by_restart_survive_kill_9_of_agent_hold_and_station() {
    survives_kills(Course::Reconfigure);
}

// acceptance: issue 3, line 7
// proves: S26
#[test]
fn soak_an_adoption_survives_kill_9_of_agent_hold_and_station() {
    survives_kills(Course::Adoption);
}

// acceptance: issue 3, line 7
// proves: S22, S26
#[test]
fn soak_an_exit_while_its_agent_was_away_is_told_once_over_kill_9_of_agent_hold_and_station() {
    survives_kills(Course::ExitInTheGap);
}
