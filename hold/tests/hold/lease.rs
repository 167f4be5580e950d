//! Leases: what is not prolonged ends, whoever is dead or stopped, and nothing makes that later.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use mainstay_hold::{
    Event, How, Lease, Phase, Request, Slot, Spec, Step, boot_clock, exit_code, limits, processes,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::held::{Held, PROGRAM, launch, shell, spec, until};

/// Longer than any test waits: what such a step comes before does not happen by itself.
const LONG_MS: u64 = 600_000;
/// Ignores what it can, and says so.
const STUBBORN: &str = "trap '' TERM INT; echo up; while :; do sleep 1; done";

fn steps(texts: &[String]) -> Vec<Step> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn leased(spec: Spec, ms: u64, texts: &[String]) -> Spec {
    let lease = Lease {
        until_ms: boot_clock::now_ms() + ms,
        steps: steps(texts),
    };
    Spec {
        lease: Some(lease),
        ..spec
    }
}

fn until_ms(spec: &Spec) -> u64 {
    spec.lease.as_ref().unwrap().until_ms
}

fn term(wait_ms: u64) -> String {
    format!("TERM:{wait_ms}")
}

/// Its trap is set.
fn stubborn(spec: &Spec) -> Held {
    let held = Held::start(spec);
    until("the trap is set", || {
        held.log().contains(" out up\n").then_some(())
    });
    held
}

fn stop_within(ms: u64) -> Request {
    Request::Stop(steps(&[term(ms), "KILL:0".to_owned()]))
}

fn run_out(held: &Held) {
    held.until_state("the lease has run out", |state| {
        state.phase == Phase::Stopping
            && state
                .lease_until_ms
                .is_some_and(|at| at <= boot_clock::now_ms())
    });
}

/// Somebody who has asked for everything and takes nothing any more.
struct StoppedAgent(Child);

impl StoppedAgent {
    fn of(held: &Held) -> Self {
        let child = Command::new(PROGRAM)
            .args(["ask", "--slot"])
            .arg(held.slot.path())
            .arg("subscribe")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let agent = Self(child.unwrap());
        kill_process(Pid::from_child(&agent.0), Signal::STOP).unwrap();
        agent
    }
}

impl Drop for StoppedAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_lease_that_is_not_prolonged_ends_the_process_also_while_its_agent_is_stopped() {
    let spec = leased(spec(&["sleep", "1000"]), 1_000, &[term(LONG_MS)]);
    let mut held = Held::start(&spec);
    let _agent = StoppedAgent::of(&held);
    let exit = held.ended();
    assert!(boot_clock::now_ms() >= until_ms(&spec));
    assert_eq!(exit.how, How::Signal(15));
    assert!(
        exit.lease_ran_out && !exit.asked && !exit.killed,
        "{exit:?}"
    );
    let state = held.slot.state().unwrap().unwrap();
    assert_eq!(state.lease_until_ms, Some(until_ms(&spec)));
}

#[test]
fn a_hold_wakes_for_the_end_of_a_lease() {
    let spec = leased(spec(&["sleep", "1000"]), 300, &[term(LONG_MS)]);
    let mut held = Held::start(&spec);
    let exit = held.ended();
    // Nothing else happens; without a timer it would be seen with the first tick.
    assert!(exit.ran_ms < limits::TICK_MS * 3 / 4, "{exit:?}");
}

#[test]
fn a_process_lives_as_long_as_its_lease_is_prolonged() {
    let spec = leased(spec(&["sleep", "1000"]), 3_000, &[term(LONG_MS)]);
    let mut held = Held::start(&spec);
    let process = held.running();
    let mut client = held.client();
    let mut last_ms = until_ms(&spec);
    while boot_clock::now_ms() < until_ms(&spec) + 500 {
        last_ms = boot_clock::now_ms() + 3_000;
        let prolonged = client.ask(&Request::Lease { until_ms: last_ms });
        assert_eq!(prolonged.unwrap(), Event::Ok);
        // tidy: waits because that is how often it is prolonged
        sleep(Duration::from_millis(200));
    }
    assert!(processes::lives(process));
    assert_eq!(held.state().lease_until_ms, Some(last_ms));
    assert_eq!(held.state().phase, Phase::Running);
    let exit = held.ended();
    assert!(boot_clock::now_ms() >= last_ms);
    assert!(exit.lease_ran_out, "{exit:?}");
}

#[test]
fn a_process_that_ignores_the_end_of_its_lease_is_killed_and_what_it_left_too() {
    let script = format!("setsid sleep 1000 & {STUBBORN}");
    let spec = leased(shell(&script), 2_000, &[term(150), "INT:150".to_owned()]);
    let mut held = Held::start(&spec);
    let exit = held.ended();
    assert!(boot_clock::now_ms() >= until_ms(&spec) + 300);
    assert_eq!(exit.how, How::Signal(9));
    assert!(exit.lease_ran_out && exit.killed && !exit.asked, "{exit:?}");
    assert_eq!(held.left(), []);
}

#[test]
fn a_prolongation_that_comes_too_late_is_refused_and_changes_nothing() {
    let spec = leased(shell(STUBBORN), 2_000, &[term(4_000)]);
    let mut held = stubborn(&spec);
    run_out(&held);
    let until_later = Request::Lease {
        until_ms: boot_clock::now_ms() + LONG_MS,
    };
    let refused = held.ask(&until_later);
    assert!(
        matches!(&refused, Event::Error(text) if text.contains("the lease has run out")),
        "{refused:?}"
    );
    assert_eq!(held.state().lease_until_ms, Some(until_ms(&spec)));
    let exit = held.ended();
    assert_eq!(exit.how, How::Signal(9));
    assert!(exit.lease_ran_out && exit.killed, "{exit:?}");
}

#[test]
fn a_hold_that_was_stopped_does_not_take_a_prolongation_that_it_reads_too_late() {
    let spec = leased(shell(STUBBORN), 2_000, &[term(LONG_MS)]);
    let held = stubborn(&spec);
    let hold = Pid::from_child(&held.hold);
    let mut client = held.client();
    client.ask(&Request::State).unwrap();
    kill_process(hold, Signal::STOP).unwrap();
    let mut stream = held.slot.connect().unwrap();
    let line = Request::Lease { until_ms: u64::MAX }.to_line();
    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    until("the lease is over", || {
        (boot_clock::now_ms() > until_ms(&spec)).then_some(())
    });
    kill_process(hold, Signal::CONT).unwrap();
    run_out(&held);
    assert_eq!(held.state().lease_until_ms, Some(until_ms(&spec)));
}

#[test]
fn a_prolongation_never_shortens() {
    let spec = leased(spec(&["sleep", "1000"]), LONG_MS, &[term(0)]);
    let held = Held::start(&spec);
    held.running();
    let first_ms = until_ms(&spec);
    for (asked_ms, expected_ms) in [
        (0, first_ms),
        (first_ms - 1, first_ms),
        (first_ms + 5, first_ms + 5),
        (first_ms, first_ms + 5),
    ] {
        let prolonged = held.ask(&Request::Lease { until_ms: asked_ms });
        assert_eq!(prolonged, Event::Ok);
        assert_eq!(held.state().lease_until_ms, Some(expected_ms));
    }
    let by_hand = Command::new(PROGRAM)
        .args(["ask", "--slot"])
        .arg(held.slot.path())
        .args(["lease", &format!("until-ms={}", first_ms + 9)])
        .output()
        .unwrap();
    assert_eq!(by_hand.stdout, b"ok\n");
    assert_eq!(held.state().lease_until_ms, Some(first_ms + 9));
    assert_eq!(held.state().phase, Phase::Running);
}

#[test]
fn a_stop_under_way_is_not_slowed_by_the_end_of_the_lease() {
    let spec = leased(shell(STUBBORN), 2_000, &[term(LONG_MS)]);
    let mut held = stubborn(&spec);
    let left_ms = until_ms(&spec).saturating_sub(boot_clock::now_ms());
    assert_eq!(held.ask(&stop_within(left_ms + 500)), Event::Ok);
    let exit = held.ended();
    assert_eq!(exit.how, How::Signal(9));
    assert!(exit.lease_ran_out && exit.asked && exit.killed, "{exit:?}");
}

#[test]
fn a_slow_stop_does_not_outlast_the_lease_whether_it_comes_before_or_after_its_end() {
    for asks_before in [true, false] {
        let spec = leased(shell(STUBBORN), 2_000, &[term(2_000)]);
        let mut held = stubborn(&spec);
        if !asks_before {
            run_out(&held);
        }
        assert_eq!(held.ask(&stop_within(LONG_MS)), Event::Ok);
        let exit = held.ended();
        assert!(boot_clock::now_ms() >= until_ms(&spec) + 2_000);
        assert_eq!(exit.how, How::Signal(9));
        assert!(exit.lease_ran_out && exit.asked, "{exit:?}");
    }
}

#[test]
fn a_kill_is_not_kept_waiting_by_the_ladder_of_a_lease() {
    let spec = leased(shell(STUBBORN), 2_000, &[term(LONG_MS)]);
    let mut held = stubborn(&spec);
    run_out(&held);
    assert_eq!(held.ask(&Request::Kill), Event::Ok);
    let exit = held.ended();
    assert_eq!(exit.how, How::Signal(9));
    assert!(exit.lease_ran_out && exit.asked, "{exit:?}");
}

#[test]
fn a_process_without_a_lease_has_none_to_prolong() {
    let mut held = Held::start(&spec(&["sleep", "1000"]));
    held.running();
    let refused = held.ask(&Request::Lease { until_ms: u64::MAX });
    assert!(
        matches!(&refused, Event::Error(text) if text.contains("no lease")),
        "{refused:?}"
    );
    assert_eq!(held.state().lease_until_ms, None);
    held.ask(&Request::Kill);
    assert!(!held.ended().lease_ran_out);
}

#[test]
fn a_program_does_not_run_for_a_moment_on_a_lease_that_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Held::notes(&dir);
    // A signal that ends nothing: it is the start that is refused.
    let spec = leased(
        shell(&format!("echo ran > {notes}; sleep 1000")),
        0,
        &[format!("CONT:{LONG_MS}")],
    );
    let mut held = Held::start_in(dir, &spec);
    let exit = held.ended();
    assert!(exit.lease_ran_out, "{exit:?}");
    match exit.how {
        How::NotStarted { doing, text, .. } => {
            assert_eq!(doing, "beginning within its lease");
            assert_eq!(text, "the lease has run out");
        }
        other => panic!("{other:?}"),
    }
    assert!(!fs::exists(Held::notes(held.directory())).unwrap());
}

#[test]
fn a_lease_that_could_not_be_ended_is_refused_before_there_is_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let slot = Slot::make(&dir.path().join("web")).unwrap();
    let spec = leased(spec(&["sleep", "1000"]), LONG_MS, &["SIGTERM:1".to_owned()]);
    slot.write_spec(&spec).unwrap();
    let (mut hold, line) = launch(&slot);
    let code = hold.wait().unwrap().code();
    assert_eq!(code, Some(i32::from(exit_code::USAGE)));
    assert!(line.contains("SIGTERM"), "{line}");
}
