//! Actions with real scripts: every way to end, and nothing left of any of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use mainstay_hold::processes;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    dir: TempDir,
    runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            runtime,
        }
    }

    /// A shell script; `$D` is the bench's directory.
    fn script(&self, lines: &str) -> Action {
        let path = self.dir.path().join("script");
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let variables = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("D", self.dir.path().display().to_string()),
        ];
        Action {
            program: path,
            arguments: Vec::new(),
            environment: variables.map(|(key, value)| (key.to_owned(), value)).into(),
            directory: None,
            input: None,
            deadline: Some(PATIENCE),
            leftovers: Leftovers::Killed,
            output: Kept::Whole,
            log: None,
        }
    }

    fn run(&self, action: Action) -> Ran {
        self.runtime.block_on(run(action, ()))
    }

    /// Pids that the script wrote down, one a line.
    fn pids(&self, file: &str, count: usize) -> Vec<u32> {
        let path = self.dir.path().join(file);
        until(|| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
            (pids.len() >= count && text.ends_with('\n')).then_some(pids)
        })
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain");
        // tidy: waits because the condition is asked again
        thread::sleep(Duration::from_millis(5));
    }
}

fn lives(pid: u32) -> bool {
    processes::look(pid).is_some_and(|seen| seen.state != 'Z')
}

#[test]
fn an_action_ends_with_its_code_and_its_words() {
    let bench = Bench::new();
    let ran = bench.run(bench.script("echo out; echo err >&2; exit 7"));
    assert!(matches!(ran.how, How::Exited(7)), "{ran:?}");
    assert_eq!(
        (ran.stdout.as_slice(), ran.stderr.as_str()),
        (&b"out\n"[..], "err\n")
    );
    let ran = bench.run(bench.script("kill -9 $$"));
    assert!(matches!(ran.how, How::Signalled(9)), "{ran:?}");
}

#[test]
fn an_action_inherits_nothing_but_what_it_is_given() {
    let bench = Bench::new();
    let mut action = bench.script("");
    action.program = "/usr/bin/env".into();
    action.environment = [("GIVEN".to_owned(), "yes".to_owned())].into();
    let ran = bench.run(action);
    let text = String::from_utf8(ran.stdout).unwrap();
    let mut names: Vec<&str> = text
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["GIVEN", "MAINSTAY_ACTION"]);
    let ran = bench.run(bench.script("pwd; readlink /proc/$$/fd/0; ulimit -c"));
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "/\n/dev/null\n0\n");
}

#[test]
fn an_action_that_hangs_is_killed_with_all_that_it_forked() {
    let bench = Bench::new();
    let mut action = bench.script(
        "trap '' TERM\n\
         sleep 1000 & echo $! >>$D/pids\n\
         setsid sh -c 'trap \"\" TERM; echo $$ >>$D/pids; while :; do sleep 1000; done' &\n\
         while :; do sleep 1000; done",
    );
    action.deadline = Some(Duration::from_millis(400));
    let ran = bench.run(action);
    assert!(matches!(ran.how, How::Deadline(_)), "{ran:?}");
    assert!(ran.how.to_string().contains("within 400 ms"), "{}", ran.how);
    assert!(
        ran.took < Duration::from_secs(5) && ran.stuck == 0,
        "{ran:?}"
    );
    for pid in bench.pids("pids", 2) {
        assert!(!lives(pid), "{pid} outlived its action");
    }
}

#[test]
fn an_action_that_is_asked_to_end_may_clean_up() {
    let bench = Bench::new();
    let mut action = bench.script("trap 'echo bye >$D/bye; exit 1' TERM; sleep 1000 & wait");
    action.deadline = Some(Duration::from_millis(300));
    let ran = bench.run(action);
    assert!(matches!(ran.how, How::Deadline(_)), "{ran:?}");
    assert_eq!(
        fs::read_to_string(bench.dir.path().join("bye")).unwrap(),
        "bye\n"
    );
}

#[test]
fn an_action_that_floods_is_killed_and_takes_no_memory() {
    let bench = Bench::new();
    for stream in ["1", "2"] {
        let ran = bench.run(bench.script(&format!("yes >&{stream}")));
        assert!(matches!(ran.how, How::Flood), "{:?}", ran.how);
        assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
        assert!(ran.stdout.len() <= OUTPUT_BYTES_MAX);
        assert!(ran.stderr.len() <= limits::EVIDENCE_BYTES_MAX);
    }
}

#[test]
fn an_action_that_swarms_is_killed_to_the_last() {
    let bench = Bench::new();
    let count = PROCESSES_MAX + 10;
    let ran = bench.run(bench.script(&format!(
        "i=0; while [ $i -lt {count} ]; do sleep 1000 & echo $! >>$D/pids; i=$((i+1)); done; wait"
    )));
    assert!(matches!(ran.how, How::Swarm(_)), "{:?}", ran.how);
    for pid in bench.pids("pids", PROCESSES_MAX) {
        assert!(!lives(pid), "{pid} outlived its action");
    }
}

#[test]
fn what_outlives_an_action_is_killed_unless_a_success_may_leave_it() {
    let bench = Bench::new();
    let leave = |code: i32| {
        format!("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >$D/daemon; exit {code}")
    };
    let daemon = || bench.pids("daemon", 1)[0];
    let ran = bench.run(bench.script(&leave(0)));
    assert!(
        matches!(ran.how, How::Exited(0)) && ran.cleared == 1,
        "{ran:?}"
    );
    assert!(!lives(daemon()));

    let keeps = |code| Action {
        leftovers: Leftovers::KeptAfterSuccess,
        ..bench.script(&leave(code))
    };
    let ran = bench.run(keeps(1));
    assert!(ran.cleared == 1 && !lives(daemon()), "{ran:?}");
    let ran = bench.run(keeps(0));
    let kept = daemon();
    assert!(ran.cleared == 0 && lives(kept), "{ran:?}");
    // And no later action takes it for its own.
    bench.run(bench.script("true"));
    let id = processes::look(kept).unwrap().id;
    assert!(processes::lives(id));
    assert!(processes::signal(id, Signal::KILL));
}

#[test]
fn an_action_that_nobody_waits_for_is_ended_before_what_it_holds_is_let_go() {
    let bench = Bench::new();
    let action = bench.script("echo $$ >$D/pid; setsid sleep 1000 & echo $! >$D/child; sleep 1000");
    let (held, mut let_go) = oneshot::channel::<()>();
    let waiting = bench.runtime.spawn(run(action, held));
    let pid = bench.pids("pid", 1)[0];
    let child = bench.pids("child", 1)[0];
    assert!(
        let_go
            .try_recv()
            .is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
    );
    waiting.abort();
    bench.runtime.block_on(async {
        let _ = timeout(PATIENCE, let_go).await.expect("it is let go");
    });
    assert!(!lives(pid) && !lives(child));
}

#[test]
fn an_action_is_given_its_input_and_its_directory() {
    let bench = Bench::new();
    let mut action = bench.script("pwd; wc -c");
    action.directory = Some(fs::canonicalize(bench.dir.path()).unwrap());
    // More than a pipe holds.
    action.input = Some(vec![b'x'; 300_000]);
    let wanted = format!("{}\n300000\n", action.directory.as_ref().unwrap().display());
    let ran = bench.run(action);
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), wanted);
}

#[test]
fn an_action_that_does_not_read_its_input_is_none_the_worse_for_it() {
    let bench = Bench::new();
    let mut action = bench.script("exec <&-; echo done");
    action.input = Some(vec![b'x'; 300_000]);
    let ran = bench.run(action);
    assert!(matches!(ran.how, How::Exited(0)), "{ran:?}");
    assert_eq!(ran.stdout, b"done\n");
    // And one that writes as much as it reads does not wait for us while we wait for it.
    let mut action = bench.script("cat");
    action.input = Some(vec![b'y'; 300_000]);
    let ran = bench.run(action);
    assert_eq!(ran.stdout.len(), 300_000, "{:?}", ran.how);
}

#[test]
fn an_action_without_a_deadline_goes_on_until_it_ends() {
    let bench = Bench::new();
    let waits = bench.script("while [ ! -e $D/go ]; do sleep 0.01; done; echo went");
    let go = bench.dir.path().join("go");
    let endless = Action {
        deadline: None,
        ..waits.clone()
    };
    // The same with a deadline, begun later, is over before it may end: that is longer than several censuses.
    let timed = Action {
        deadline: Some(Duration::from_millis(1_500)),
        ..waits
    };
    let running = bench.runtime.spawn(run(endless, ()));
    let ran = bench.run(timed);
    assert!(matches!(ran.how, How::Deadline(_)), "{ran:?}");
    assert!(!running.is_finished());
    fs::write(go, "").unwrap();
    let ran = bench.runtime.block_on(running).unwrap();
    assert!(matches!(ran.how, How::Exited(0)), "{ran:?}");
    assert_eq!(ran.stdout, b"went\n");
}

#[test]
fn what_an_action_tells_a_log_is_no_flood() {
    let bench = Bench::new();
    let much = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo done";
    let mut action = bench.script(much);
    action.log = Some(Heard {
        within: Span::none(),
        by: "test".to_owned(),
    });
    let ran = bench.run(action);
    assert!(matches!(ran.how, How::Exited(0)), "{:?}", ran.how);
    assert_eq!(ran.stdout, b"done\n");
    assert!(ran.stderr.len() <= limits::EVIDENCE_BYTES_MAX);
}

#[test]
fn of_what_is_told_and_never_whole_the_end_is_kept() {
    let bench = Bench::new();
    let much = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done";
    let mut action = bench.script(much);
    action.output = Kept::End(7);
    action.log = Some(Heard {
        within: Span::none(),
        by: "test".to_owned(),
    });
    let ran = bench.run(action);
    assert!(matches!(ran.how, How::Exited(0)), "{:?}", ran.how);
    assert_eq!(ran.stdout, b"x\ndone\n");
}

#[test]
fn what_is_written_last_counts_too() {
    let bench = Bench::new();
    // So much may still be in the pipe when it has ended.
    let ran = bench.run(bench.script(&format!("head -c {} /dev/zero", OUTPUT_BYTES_MAX + 1)));
    assert!(matches!(ran.how, How::Flood), "{:?}", ran.how);
    let ran = bench.run(bench.script(&format!("head -c {OUTPUT_BYTES_MAX} /dev/zero")));
    assert!(matches!(ran.how, How::Exited(0)), "{:?}", ran.how);
    assert_eq!(ran.stdout.len(), OUTPUT_BYTES_MAX);
}

#[test]
fn what_cannot_be_run_says_why() {
    let bench = Bench::new();
    let mut action = bench.script("");
    action.program = bench.dir.path().join("missing");
    let ran = bench.run(action);
    assert!(
        matches!(&ran.how, How::CannotRun(error) if error.kind() == io::ErrorKind::NotFound),
        "{ran:?}"
    );
    assert!(!Path::new("missing").exists());
}
