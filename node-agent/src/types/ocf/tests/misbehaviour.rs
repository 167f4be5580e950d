//! Scripts that hang, flood, fork, cannot be run or must not be: ended, refused and explained, and nothing of them is
//! left.

use super::*;

#[test]
fn a_monitor_that_hangs_is_ended_and_told_while_checks_are_answered_at_once() {
    let bench = Bench::new();
    let service = bench
        .start(&json!({ "timeouts": { "monitor_ms": 300 } }))
        .unwrap();
    bench.executable("do.monitor", "#!/bin/sh\nsetsid sleep 1000 & sleep 1000\n");
    let checked = service.check_until(State::Failed);
    assert!(
        checked.detail.contains("did not finish within 300 ms"),
        "{}",
        checked.detail
    );
    assert!(checked.took < Duration::from_millis(250), "{checked:?}");
    bench.forget("do.monitor");
    service.check_until(State::Ok);
    assert!(matches!(service.stop(), StopOutcome::Gone(_)));
}

#[test]
fn a_monitor_that_floods_is_ended_and_told() {
    let bench = Bench::new();
    let service = bench.start(&json!({})).unwrap();
    bench.executable("do.monitor", "#!/bin/sh\nexec yes\n");
    let checked = service.check_until(State::Failed);
    assert!(
        checked.detail.contains("wrote more than"),
        "{}",
        checked.detail
    );
}

#[test]
fn a_stop_does_not_wait_for_a_monitor_that_hangs() {
    let bench = Bench::new();
    let service = bench.start(&json!({})).unwrap();
    let hangs = format!(
        "#!/bin/sh\ntouch {}\nsleep 1000\n",
        bench.path("hangs").display()
    );
    bench.executable("do.monitor", &hangs);
    while !bench.path("hangs").exists() {
        std::thread::yield_now();
    }
    let began = Instant::now();
    assert!(matches!(service.stop(), StopOutcome::Gone(_)));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(!bench.path("state").exists(), "its stop was run");
}

// acceptance: 6
#[test]
fn scripts_that_cannot_or_must_not_be_run_are_refused_and_explained() {
    let bench = Bench::new();
    let refused = |agent: &str, more: Value| {
        let mut more = more;
        more["agent"] = json!(agent);
        let why = bench.refused(&more);
        (why.refused, why.text)
    };
    let at = |name: &str| bench.path(name).display().to_string();

    bench.executable("open", "#!/bin/sh\n");
    fs::set_permissions(bench.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    bench.executable("no-interpreter", "#!/no/such/shell\n");
    bench.executable("no-script", "\u{1}\u{2}");
    bench.write("plain", "#!/bin/sh\n");
    bench.executable("mute", "#!/bin/sh\nexit 0\n");
    bench.executable("unhappy", "#!/bin/sh\nexit 5\n");
    for (agent, kind, word) in [
        (at("open"), RefusedStart::NotHere, "everybody may write to"),
        (
            at("no-interpreter"),
            RefusedStart::NotHere,
            "its interpreter /no/such/shell is not there",
        ),
        (
            at("no-script"),
            RefusedStart::NotHere,
            "neither a program nor a script",
        ),
        (at("plain"), RefusedStart::NotHere, "chmod +x"),
        (
            at("missing"),
            RefusedStart::NotHere,
            "there is no resource agent",
        ),
        (
            "heartbeat:Dumy".to_owned(),
            RefusedStart::NotHere,
            "there is no resource agent",
        ),
        ("Dummy".to_owned(), RefusedStart::Config, "PROVIDER:TYPE"),
        (at("mute"), RefusedStart::NotHere, "meta-data of"),
        (
            at("unhappy"),
            RefusedStart::NotHere,
            "not installed on this node (OCF code 5)",
        ),
    ] {
        let (refused, text) = refused(&agent, json!({}));
        assert_eq!(refused, kind, "{text}");
        assert!(text.contains(word), "{text}");
    }

    // A script that becomes everybody's while it runs is not run again, not even to look.
    let service = bench.start(&json!({})).unwrap();
    fs::set_permissions(bench.path("Obedient"), fs::Permissions::from_mode(0o757)).unwrap();
    let checked = service.check_until(State::Failed);
    assert!(
        checked.detail.contains("everybody may write to"),
        "{}",
        checked.detail
    );
}

#[test]
fn a_start_that_hangs_leaves_nothing_and_is_tried_again() {
    let bench = Bench::new();
    let pid = bench.path("pid");
    bench.executable(
        "do.start",
        &format!(
            "#!/bin/sh\nsetsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >{}\nsleep 1000\n",
            pid.display()
        ),
    );
    let why = bench.refused(&json!({ "timeouts": { "start_ms": 300 } }));
    assert_eq!(why.refused, RefusedStart::NotNow);
    assert!(
        why.text.contains("start of") && why.text.contains("did not finish within 300 ms"),
        "{}",
        why.text
    );
    let pid: u32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let left = mainstay_hold::processes::look(pid).filter(|seen| seen.state != 'Z');
    assert!(left.is_none(), "{left:?}");
}

#[test]
fn what_a_start_daemonises_lives_until_stop_ends_it() {
    let bench = Bench::new();
    let pid = bench.path("pid");
    bench.executable(
        "do.start",
        &format!(
            "#!/bin/sh\nsetsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >{}\n",
            pid.display()
        ),
    );
    bench.executable(
        "do.stop",
        &format!("#!/bin/sh\nkill -9 $(cat {})\n", pid.display()),
    );
    let service = bench.start(&json!({})).unwrap();
    let pid: u32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let lives = || mainstay_hold::processes::look(pid).is_some_and(|seen| seen.state != 'Z');
    // Monitors come and go meanwhile.
    let before = bench.log().len();
    while bench.log().len() < before + 3 {
        std::thread::yield_now();
    }
    assert!(lives());
    assert!(matches!(service.stop(), StopOutcome::Gone(_)));
    // Its script kills it and does not wait for that, which takes a moment.
    let began = Instant::now();
    while lives() {
        assert!(began.elapsed() < Duration::from_secs(20), "it lives on");
        std::thread::yield_now();
    }
}
