//! How processes end, and that nothing is left of them.

use std::fs;
use std::time::{Duration, Instant};

use mainstay_hold::{Event, How, Limits, Phase, ProcessId, Request, Spec, Step, processes};
use rustix::process::Signal;

use crate::held::{Held, PATIENCE, launch, said, shell, spec, until};

fn steps(steps: &[(&str, u64)]) -> Request {
    let step = |(signal, wait_ms): &(&str, u64)| Step {
        signal: (*signal).to_owned(),
        wait_ms: *wait_ms,
    };
    Request::Stop(steps.iter().map(step).collect())
}

/// The pids that a script wrote into a file, one a line.
fn noted(path: &str, lines: usize) -> Vec<ProcessId> {
    until("the script's notes", || {
        let text = fs::read_to_string(path).ok()?;
        let pids: Vec<u32> = text
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect();
        (pids.len() == lines).then(|| {
            pids.into_iter()
                .map(|pid| processes::look(pid).expect("it lives").id)
                .collect()
        })
    })
}

#[test]
fn an_exit_code_and_the_last_words_are_kept() {
    // proves: S10
    // acceptance: 1
    for code in [0, 1, 77] {
        let mut held = Held::start(&shell(&format!("echo done; echo oh no >&2; exit {code}")));
        let exit = held.ended();
        assert_eq!(exit.how, How::Code(code));
        assert_eq!(exit.stderr_tail, "oh no\n");
        assert!(!exit.asked && !exit.killed && exit.leftovers == 0);
        assert_eq!(
            (exit.instance.as_str(), exit.incarnation.as_str()),
            ("web@n1", "0-1-1")
        );
        let log = held.log();
        assert!(
            log.contains(" out done\n") && log.contains(" err oh no\n"),
            "{log}"
        );
    }
}

#[test]
fn a_signal_from_outside_is_told_from_an_exit() {
    // acceptance: 1
    for (signal, number) in [(Signal::KILL, 9), (Signal::SEGV, 11), (Signal::TERM, 15)] {
        let mut held = Held::start(&spec(&["sleep", "1000"]));
        held.signal(signal);
        let exit = held.ended();
        assert_eq!(exit.how, How::Signal(number));
        assert!(!exit.asked && !exit.killed);
    }
}

#[test]
fn a_stop_asks_waits_and_kills_what_ignores_it() {
    // acceptance: 1
    let mut held = Held::start(&shell(
        "trap '' TERM INT; echo up; while :; do sleep 1; done",
    ));
    until("the trap is set", || {
        held.log().contains(" up").then_some(())
    });
    let began = Instant::now();
    assert_eq!(
        held.ask(&steps(&[("TERM", 200), ("INT", 200), ("KILL", 0)])),
        Event::Ok
    );
    assert_eq!(held.state().phase, Phase::Stopping);
    let exit = held.ended();
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_eq!(exit.how, How::Signal(9));
    assert!(exit.asked && exit.killed);
    assert_eq!(held.left(), []);
}

#[test]
fn a_stop_that_is_obeyed_needs_no_kill_also_when_the_process_was_stopped() {
    // acceptance: 1
    let mut held = Held::start(&shell(
        "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done",
    ));
    until("the trap is set", || {
        held.log().contains(" up").then_some(())
    });
    let process = held.running();
    held.signal(Signal::STOP);
    until("it is stopped", || {
        (processes::look(process.pid)?.state == 'T').then_some(())
    });
    held.ask(&steps(&[("TERM", 15_000), ("KILL", 0)]));
    let exit = held.ended();
    assert_eq!(exit.how, How::Code(3));
    assert!(exit.asked && !exit.killed);
    assert!(held.log().contains(" out bye\n"));
}

#[test]
fn children_that_a_process_leaves_are_killed_and_reaped() {
    // acceptance: 1
    let dir = tempfile::tempdir().unwrap();
    let notes = Held::notes(&dir);
    // A child; a grandchild whose parent is gone; one in a session of its own that closed everything and forgot
    // its environment.
    let script = format!(
        "sleep 1000 & echo $! >> {notes}
         (sleep 1000 & echo $! >> {notes})
         setsid env -i sh -c 'echo $$ >> {notes}; exec sleep 1000' <&- >&- 2>&- &
         while [ $(wc -l < {notes}) -lt 3 ]; do sleep 0.01; done
         echo $$ >> {notes}; read never; sleep 1000"
    );
    let mut held = Held::start_in(dir, &shell(&script));
    let all = noted(&Held::notes(held.directory()), 4);
    held.signal(Signal::KILL);
    let exit = held.ended();
    assert_eq!(exit.how, How::Signal(9));
    assert!(exit.leftovers >= 3, "{exit:?}");
    for process in all {
        assert!(!processes::lives(process), "{process} is left");
    }
    assert!(held.slot.lock().unwrap().is_some(), "the name is free");
}

#[test]
fn a_process_that_ends_and_leaves_a_daemon_takes_it_along() {
    // acceptance: 1
    let dir = tempfile::tempdir().unwrap();
    let notes = Held::notes(&dir);
    let script = format!(
        "setsid sh -c 'echo $$ >> {notes}; exec sleep 1000' & while [ ! -s {notes} ]; do sleep 0.01; done; read x; exit 0"
    );
    let mut held = Held::start_in(dir, &shell(&script));
    let exit = held.ended();
    assert_eq!((exit.how, exit.leftovers), (How::Code(0), 1));
    assert_eq!(held.left(), []);
}

#[test]
fn a_hold_that_is_killed_takes_its_process_along_and_the_rest_can_be_cleared() {
    // acceptance: 1
    let dir = tempfile::tempdir().unwrap();
    let notes = Held::notes(&dir);
    let script = format!(
        "setsid sleep 1000 & echo $! >> {notes}; sleep 1000 & echo $! >> {notes}; echo $$ >> {notes}; sleep 1000; :"
    );
    let mut held = Held::start_in(dir, &shell(&script));
    let all = noted(&Held::notes(held.directory()), 3);
    let state = held.state();
    held.hold.kill().unwrap();
    held.hold.wait().unwrap();
    let main = all[2];
    until("the process follows its hold", || {
        (!processes::lives(main)).then_some(())
    });
    assert_eq!(held.slot.exit().unwrap(), None);
    // What descended from it still has the name.
    assert!(processes::lives(all[0]) && held.slot.lock().unwrap().is_none());
    assert_eq!(
        processes::clear(held.slot.path(), Some(state.hold), PATIENCE),
        []
    );
    assert!(all.iter().all(|process| !processes::lives(*process)));
    until("the name is free", || held.slot.lock().unwrap());
}

#[test]
fn running_out_of_the_memory_that_a_limit_leaves_is_told_as_that() {
    // acceptance: 1
    let hungry = "x = []\nwhile True: x.append(bytearray(1 << 20))";
    let mut spec = spec(&["python3", "-c", hungry]);
    spec.environment = std::env::vars().collect();
    spec.limits = Limits {
        address_space_bytes: Some(200 << 20),
        core_bytes: Some(0),
        ..Limits::default()
    };
    let mut held = Held::start(&spec);
    let exit = held.ended();
    let out = How::OutOfMemory {
        signal: None,
        code: Some(1),
    };
    assert_eq!(exit.how, out, "{exit:?}");
    assert!(exit.stderr_tail.contains("MemoryError"));
}

#[test]
fn limits_are_those_of_the_spec() {
    let script = "ulimit -n; ulimit -c; ulimit -t; umask; pwd; echo $GREETING; env | grep -c CARGO";
    let spec = Spec {
        limits: Limits {
            open_files: Some(77),
            core_bytes: Some(0),
            cpu_seconds: Some(600),
            ..Limits::default()
        },
        umask: Some(0o027),
        directory: Some("/usr".to_owned()),
        environment: vec![
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("GREETING".to_owned(), "good day".to_owned()),
        ],
        ..shell(script)
    };
    let mut held = Held::start(&spec);
    held.ended();
    let log = held.log();
    let lines: Vec<&str> = log
        .lines()
        .map(|line| line.split_once(" out ").unwrap().1)
        .collect();
    assert_eq!(lines, ["77", "0", "600", "0027", "/usr", "good day", "0"]);
}

#[test]
fn a_process_that_burns_its_time_is_ended_by_the_kernel() {
    let mut spec = shell("while :; do :; done");
    spec.limits.cpu_seconds = Some(1);
    spec.limits.core_bytes = Some(0);
    let mut held = Held::start(&spec);
    // SIGXCPU at the soft limit, SIGKILL at the hard one: they are the same here.
    let exit = held.ended();
    assert!(matches!(exit.how, How::Signal(9 | 24)), "{exit:?}");
}

#[test]
fn how_it_ended_is_there_for_an_agent_that_was_away() {
    // proves: S26
    // acceptance: 2
    let mut held = Held::start(&shell("read x; echo late >&2; exit 5"));
    // Nobody listened.
    let exit = held.ended();
    assert_eq!(exit.how, How::Code(5));
    assert_eq!(held.slot.state().unwrap().unwrap().phase, Phase::Ended);
    // The next one begins without it.
    held.slot.write_spec(&spec(&["sleep", "1000"])).unwrap();
    let (hold, up) = launch(&held.slot);
    held.hold = hold;
    assert_eq!(said(&up).0, "up");
    assert_eq!(held.slot.exit().unwrap(), None);
}

#[test]
fn a_slot_whose_directory_is_gone_lets_nothing_live() {
    let mut held = Held::start(&spec(&["sleep", "1000"]));
    let process = held.running();
    fs::remove_dir_all(held.slot.path()).unwrap();
    until("the process is gone", || {
        (!processes::lives(process)).then_some(())
    });
    until("the hold is gone", || held.hold.try_wait().unwrap());
}
