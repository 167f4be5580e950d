//! The kill matrix of runs: with a run at each point at which something of it is committed, whoever has to do with it is killed
//! -9, and once more while all of them go on. A ledger outside of the cluster says what was begun and what was done: nothing is
//! lost, what is complete is not begun again, and each run ends as it should.

mod commit_points;

use commit_points::{Victim, survives};

// case: orchestrations 34, 40, 49, 56
// proves: O7
#[test]
fn runs_at_every_commit_point_survive_kill_9_of_the_station() {
    survives(Victim::Station);
}

// case: orchestrations 34, 40, 49, 56
// proves: O7
#[test]
fn runs_at_every_commit_point_survive_kill_9_of_the_leader_of_three() {
    survives(Victim::Leader);
}

// case: orchestrations 46, 56
// proves: O7
#[test]
fn runs_at_every_commit_point_survive_kill_9_of_the_agents_that_work() {
    survives(Victim::Agent);
}

// case: orchestrations 44, 46, 56
// proves: O5, O7
#[test]
fn runs_at_every_commit_point_survive_kill_9_of_their_scripts() {
    survives(Victim::Script);
}
