//! The guard: what carries its mark ends with whoever started it, and nothing else.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use mainstay_hold::{GUARD_VARIABLE, processes};

use crate::held::until;

fn sleeper(mark: &str) -> Child {
    let script = "trap '' TERM; while :; do sleep 1000; done";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).env(GUARD_VARIABLE, mark);
    command.spawn().unwrap()
}

#[test]
fn what_carries_a_mark_ends_with_whoever_started_its_guard() {
    let mark = format!("test-{}", std::process::id());
    let mut guard = Command::new(env!("CARGO_BIN_EXE_mainstay-hold"))
        .args(["guard", "--mark", &mark])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let output = guard.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut said).unwrap();
    assert_eq!(said, "guards\n");
    let (mut ours, mut other) = (sleeper(&mark), sleeper(&format!("{mark}0")));
    // It is a process of its own name, with its environment, a moment after it was begun.
    let own = until("the mark", || {
        let marked = processes::marked(GUARD_VARIABLE, mark.as_ref());
        marked.iter().find(|id| id.pid == ours.id()).copied()
    });
    assert!(processes::lives(own));
    // The kernel does the same when its parent ends.
    drop(guard.stdin.take());
    assert!(guard.wait().unwrap().success());
    assert!(!processes::lives(own));
    ours.wait().unwrap();
    assert!(other.try_wait().unwrap().is_none(), "it is somebody else's");
    other.kill().unwrap();
    other.wait().unwrap();
    // Its child has the mark of the other.
    for id in processes::marked(GUARD_VARIABLE, format!("{mark}0").as_ref()) {
        processes::signal(id, rustix::process::Signal::KILL);
    }
}

#[test]
fn a_guard_that_nobody_can_hear_is_alone_already() {
    let mark = format!("unheard-{}", std::process::id());
    let mut ours = sleeper(&mark);
    let is_ours = |id: &&processes::ProcessId| id.pid == ours.id();
    until("the mark", || {
        let marked = processes::marked(GUARD_VARIABLE, mark.as_ref());
        marked.iter().find(is_ours).copied()
    });
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut guard = Command::new(env!("CARGO_BIN_EXE_mainstay-hold"))
        .args(["guard", "--mark", &mark])
        .stdin(Stdio::piped())
        .stdout(full)
        .spawn()
        .unwrap();
    // Its input stays open: to wait for it in the ordinary way would close that.
    let ended = until("its end", || guard.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    assert!(ours.try_wait().unwrap().is_some(), "it goes on");
}
