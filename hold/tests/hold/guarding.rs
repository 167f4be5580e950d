//! The guard: what carries its mark ends with whoever started it, and nothing else.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use mainstay_hold::{GUARD_VARIABLE, processes};
use rustix::process::Signal;

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

/// It has two containers, one of them with the mark; asked to remove one it does so, and writes down what it was asked.
const ENGINE: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$@" >>asked
case "$2 $3" in
    "ps --all") [ "$7" = "label=mainstay.guard=m" ] && cat ours ;;
    "rm --force") echo "$4 $5" >>removed; : >ours ;;
esac
"#;

#[test]
fn containers_with_a_mark_are_removed_by_their_engine() {
    let dir = tempfile::tempdir().unwrap();
    let engine = dir.path().join("engine");
    fs::write(&engine, ENGINE).unwrap();
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.path().join("ours"), "1a2b\n").unwrap();
    let mut guard = Command::new(env!("CARGO_BIN_EXE_mainstay-hold"))
        .args(["guard", "--mark", "m", "--engine", "2"])
        .arg(&engine)
        .arg("--own")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(guard.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "guards\n");
    assert!(!dir.path().join("asked").exists(), "it waits first");
    drop(guard.stdin.take());
    assert!(guard.wait().unwrap().success());
    let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
    assert_eq!(read("removed"), "--volumes 1a2b\n");
    let asked = read("asked");
    assert!(
        asked.starts_with("--own ps --all --quiet --no-trunc --filter label="),
        "{asked}"
    );
}

// regresses: with both bounds of it the same, the kernel kills and does not say why.
#[test]
fn a_command_that_uses_its_processor_time_up_is_ended_by_the_signal_that_says_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay-hold"));
    let busy = ["sh", "-c", "while :; do :; done"];
    let command = command.args(["within", "--limit", "cpu-seconds=1", "--"]);
    let status = command.args(busy).status().unwrap();
    assert_eq!(status.signal(), Some(Signal::XCPU.as_raw()), "{status}");
}

#[test]
fn a_command_runs_within_what_it_is_given_and_what_cannot_be_run_is_told() {
    let within = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay-hold"));
        let output = command.arg("within").args(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let limit = [
        "--limit",
        "file-bytes=512",
        "--",
        "sh",
        "-c",
        "ulimit -f; echo $0",
        "$(x)",
    ];
    let ran = within(&limit);
    assert_eq!(ran, (Some(0), "1\n$(x)\n".to_owned(), String::new()));
    for (words, code, why) in [
        (
            &["--", "/no/such"][..],
            127,
            "running /no/such: No such file or directory",
        ),
        (&["--", "/etc"], 126, "running /etc: Permission denied"),
        (
            &["--limit", "moons=1", "--", "true"],
            126,
            "limiting its moons: ",
        ),
        (
            &["--group", "/no/group", "--", "true"],
            127,
            "entering the control group /no/group: ",
        ),
    ] {
        let (ended, said, told) = within(words);
        assert_eq!((ended, said.as_str()), (Some(code), ""), "{words:?}");
        assert!(told.starts_with(why), "{told}");
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
