//! What a hold answers and tells, and that nobody who asks can make it wait.

use std::io::Write;

use mainstay_hold::{Event, How, Phase, Request, Spec, limits};

use crate::held::{Held, PATIENCE, shell, spec, until};

#[test]
fn a_subscriber_hears_of_everything_up_to_the_end() {
    let script = "echo warming up; sleep 0.1; echo ready to serve >&2; sleep 0.1; exit 4";
    let spec = Spec {
        ready_line: Some("ready to serve".to_owned()),
        ..shell(script)
    };
    let held = Held::start(&spec);
    let mut client = held.client();
    let mut event = client.ask(&Request::Subscribe).unwrap();
    let mut phases = Vec::new();
    let mut line_seen_while_running = false;
    let exit = loop {
        match event {
            Event::State(state) => {
                line_seen_while_running |= state.line_seen && state.phase == Phase::Running;
                phases.push(state.phase);
            }
            Event::Exit(exit) => break exit,
            other => panic!("{other:?}"),
        }
        event = client.hear().unwrap();
    };
    assert_eq!(exit.how, How::Code(4));
    assert!(line_seen_while_running, "{phases:?}");
    assert!(phases.is_sorted(), "{phases:?}");
    assert_eq!(phases.last(), Some(&Phase::Ended));
    assert!(client.hear().is_err());
}

#[test]
fn a_process_says_of_itself_that_it_is_ready() {
    let script = "import os, socket, time
address = os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1)
to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
to.sendto(b'STATUS=warming up', address)
to.sendto(b'READY=1\\nSTATUS=serving\\nWATCHDOG=1', address)
time.sleep(1000)";
    let spec = Spec {
        notify: true,
        environment: std::env::vars().collect(),
        ..spec(&["python3", "-c", script])
    };
    let held = Held::start(&spec);
    let state = held.until_state("it is ready", |state| state.ready);
    assert_eq!(state.status, "serving");
    assert!(
        state
            .watchdog_ms
            .is_some_and(|ms| ms < PATIENCE.as_millis() as u64)
    );
}

#[test]
fn usage_counts_everything_that_descends_from_the_process() {
    let script = "python3 -c 'x = bytearray(30 << 20); sum(range(5000000)); import time; time.sleep(1000)' & wait";
    let spec = Spec {
        environment: std::env::vars().collect(),
        ..shell(script)
    };
    let held = Held::start(&spec);
    until("it has used something", || {
        match held.ask(&Request::Usage) {
            Event::Usage {
                cpu_ticks,
                rss_bytes,
                processes,
            } => (cpu_ticks > 2 && rss_bytes > 30 << 20 && processes >= 2).then_some(()),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn bad_requests_are_answered_and_a_kill_ends_it() {
    let mut held = Held::start(&spec(&["sleep", "1000"]));
    held.running();
    let mut stream = held.slot.connect().unwrap();
    stream
        .write_all(b"dance now\nstop step=NOSUCH:1\n")
        .unwrap();
    let mut client = held.client();
    let event = client.ask(&Request::Stop(Vec::new())).unwrap();
    assert!(matches!(event, Event::Error(text) if text.contains("1 to 8 steps")));
    assert_eq!(client.ask(&Request::Kill).unwrap(), Event::Ok);
    let exit = held.ended();
    assert_eq!(exit.how, How::Signal(9));
    assert!(exit.asked && exit.killed);
}

#[test]
fn clients_that_read_nothing_or_say_too_much_do_not_hold_it_up() {
    let held = Held::start(&spec(&["sleep", "1000"]));
    held.running();
    // One asks without ever reading, one sends a line without end, and both are closed at their bounds.
    let mut deaf = held.slot.connect().unwrap();
    let asked = until("it is closed", || {
        deaf.write_all(&b"state\n".repeat(500)).err()
    });
    assert_eq!(asked.kind(), std::io::ErrorKind::BrokenPipe);
    let mut endless = held.slot.connect().unwrap();
    let told = until("it is closed", || {
        endless.write_all(&[b'x'; limits::REQUEST_BYTES_MAX]).err()
    });
    assert_eq!(told.kind(), std::io::ErrorKind::BrokenPipe);
    // More than there may be: the last ones are refused, those before are served.
    let mut clients: Vec<_> = (0..limits::CLIENTS_MAX).map(|_| held.client()).collect();
    for client in &mut clients {
        assert!(matches!(client.ask(&Request::State), Ok(Event::State(_))));
    }
    assert!(held.client().ask(&Request::State).is_err());
    drop(clients);
    until("there is room again", || {
        held.client().ask(&Request::State).ok()
    });
}
