//! Containers of a real agent: what becomes of them when it is killed, and what is bounded on the machine itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use mainstay_protocol::Json;
use mainstay_protocol::report::Report;
use mainstay_protocol::work::WorkAnswer;
use serde_json::{Value, json};

use crate::activities::{Killed, agent, does_with, until};
use crate::station::Cluster;

#[path = "../../../tests/src/containers.rs"]
#[allow(dead_code, reason = "others use more of it")]
mod containers;

use containers::{IMAGE, Podman, way_in};

/// Where the storage is of the agent that is to be killed: this test, started again, is that agent.
const STORAGE: &str = "MAINSTAY_TEST_STORAGE";

fn shell(script: &str, more: &Value) -> Value {
    let mut container = json!({ "image": IMAGE, "command": ["sh", "-c", script] });
    let members = more.as_object().unwrap().clone();
    container.as_object_mut().unwrap().extend(members);
    json!({ "task": { "container": container } })
}

fn answer(cluster: &Cluster, inputs: &Value) -> WorkAnswer {
    let id = does_with(cluster, inputs);
    let worked =
        |report: &Report| matches!(report, Report::Worked { command, .. } if *command == id);
    match cluster.report("what came of it", worked) {
        Report::Worked { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

/// The agent that is killed: a container of its runs, and does not let itself be ended.
fn begin_and_wait(storage: &Path) -> ! {
    let cluster = agent(&way_in(storage));
    let script = "trap '' TERM; while :; do sleep 1; done";
    does_with(&cluster, &shell(script, &json!({})));
    loop {
        std::thread::park();
    }
}

#[test]
fn no_container_outlives_an_agent_that_is_killed() {
    if let Some(storage) = std::env::var_os(STORAGE) {
        begin_and_wait(Path::new(&storage));
    }
    let podman = Podman::new();
    let dir = tempfile::tempdir().unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again
        .args([
            "--exact",
            "workloads::no_container_outlives_an_agent_that_is_killed",
        ])
        .env(STORAGE, podman.directory())
        .env("TMPDIR", dir.path());
    let killed = Killed(again.spawn().unwrap());
    let running = || podman.does(&["ps", "--quiet", "--no-trunc"]);
    let id = until("a container that runs", || {
        Some(running().trim().to_owned()).filter(|id| !id.is_empty())
    });
    let said = podman.does(&["inspect", "--format", "{{.State.Pid}}", &id]);
    let pid: u32 = said.trim().parse().unwrap();
    let process = mainstay_hold::processes::look(pid).unwrap().id;
    assert!(mainstay_hold::processes::lives(process));
    drop(killed);
    until("its end", || podman.containers().is_empty().then_some(()));
    assert!(!mainstay_hold::processes::lives(process));
    // The guard looks once more: podman would make the storage again if it were gone.
    until("the guard's end", || {
        (!is_named(podman.directory())).then_some(())
    });
}

/// By the command line of any process.
fn is_named(path: &Path) -> bool {
    let path = path.to_str().unwrap();
    let all = mainstay_hold::processes::all();
    let mut lines = all
        .iter()
        .filter_map(|seen| fs::read(format!("/proc/{}/cmdline", seen.id.pid)).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(path))
}

#[test]
fn what_runs_on_the_machine_itself_is_bounded_and_leaves_no_group() {
    let cluster = agent(&json!({ "workload": { "engine": "host" } }));
    let limits = json!({ "resources": {
        "cpu": { "limit": "500m" }, "memory": { "limit": "64Mi" }, "ephemeral-storage": { "limit": "1Mi" },
    } });
    let said = answer(
        &cluster,
        &shell("cat /proc/self/cgroup; ulimit -f", &limits),
    );
    let WorkAnswer::Complete { output, .. } = said else {
        panic!("it is not complete: {said:?}")
    };
    let text = |path: &[&str]| {
        let value = output.at(path.iter().copied());
        value.and_then(|value| value.as_text()).unwrap()
    };
    let by = |name: &str| text(&["limits", name, "by"]);
    let storage = by("ephemeral-storage");
    assert_eq!(storage, "rlimit file size, each file: 1048576");
    // Wherever the kernel lets this test make groups; else the limits of a process.
    let result = text(&["result"]);
    for (name, file) in [("cpu", "cpu."), ("memory", "memory.")] {
        let by = by(name);
        let is_grouped = by.starts_with(&format!("cgroup {file}"));
        assert!(is_grouped || by.starts_with("rlimit"), "{by}");
        let group = result.lines().find(|line| line.contains("/mainstay-"));
        assert!(!is_grouped || group.is_some(), "{result}");
    }
    let said = answer(&cluster, &shell("exec tail /dev/zero", &limits));
    let WorkAnswer::Fatal { error } = said else {
        panic!("it is not fatal: {said:?}")
    };
    match by("memory").starts_with("cgroup") {
        true => assert!(
            error.starts_with("ran out of its memory of 64Mi: "),
            "{error}"
        ),
        false => assert!(error.contains("memory exhausted"), "{error}"),
    }
    let full = "dd if=/dev/zero of=full bs=1M count=2 2>/dev/null; exit 6";
    let said = answer(&cluster, &shell(full, &limits));
    let fatal = WorkAnswer::Fatal {
        error: "exited with 6".to_owned(),
    };
    assert_eq!(said, fatal);
    assert_eq!(left_of_groups(), 0);
    assert_eq!(output.member("engine"), Some(Json::text("host")));
}

/// Of this process's agents, whose scratch directories are named after it.
fn left_of_groups() -> usize {
    let mine = format!("-{}-", std::process::id());
    let mut left = 0;
    let mut places = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            left += usize::from(name.starts_with("mainstay-") && name.contains(&mine));
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                places.push(entry.path());
            }
        }
    }
    left
}
