//! The provider `workload`, with real containers.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mainstay_protocol::work::Work;
use tokio::sync::oneshot;

use super::*;
use crate::types::containers::{IMAGE, OPTIONS, Podman};

const MODEL: &str = "model";
/// Longer than anything here takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

fn in_podman(podman: &Podman) -> Agent {
    Agent::start(json!({ "activities": { MODEL: { "*": podman.way() } } })).unwrap()
}

fn on_host() -> Agent {
    let way = json!({ "workload": { "engine": "host" } });
    Agent::start(json!({ "activities": { MODEL: { "*": way } } })).unwrap()
}

/// A shell's words in the image, with more of the container.
fn shell(script: &str, more: Value) -> Value {
    let mut container = json!({ "image": IMAGE, "command": ["sh", "-c"], "args": [script] });
    let members = more.as_object().unwrap().clone();
    container.as_object_mut().unwrap().extend(members);
    json!({ "container": container })
}

fn does(agent: &Agent, task: Value) -> Processed {
    agent.does(MODEL, "container", json!({ "task": task }))
}

fn output(processed: &Processed) -> Value {
    let output = processed.output();
    let output = output.unwrap_or_else(|| panic!("it is not complete: {processed:?}"));
    serde_json::from_str(output.as_str()).unwrap()
}

fn is_fatal(processed: &Processed, words: &[&str]) {
    let error = processed.error().expect("it failed");
    assert_eq!(*processed, Processed::fatal(error));
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

fn is_retried(processed: &Processed, word: &str) {
    let error = processed.error().expect("it failed");
    assert_eq!(*processed, Processed::retry(error));
    assert!(error.contains(word), "{error}");
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what}");
        // tidy: waits because the condition is asked again
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_container_leaves_its_files_and_its_words_behind() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let script = "printf 'one\\ntwo\\n\\n' >/tmp/y; echo $A >/tmp/link-to; ln -s link-to /tmp/z; pwd; echo oh >&2";
    let mut task = shell(
        script,
        json!({
            "env": [{ "name": "A", "value": "b c" }], "workingDir": "/etc",
            "resources": {
                "cpu": { "request": "100m", "limit": "500m" }, "memory": { "limit": "64Mi" },
                "ephemeral-storage": { "limit": "1G" },
            },
        }),
    );
    task["outputs"] = json!({ "parameters": [
        { "name": "y", "path": "/tmp/y" }, { "name": "z", "path": "/tmp/z" },
        { "name": "d", "path": "/tmp/missing", "default": "no" },
    ] });
    let said = agent.does_work((MODEL, "container"), json!({ "task": task }), |work| {
        work.time_ms = Some(60_000);
    });
    let wanted = json!({
        "exitCode": 0, "result": "/etc", "engine": "podman",
        "parameters": { "y": "one\ntwo\n", "z": "b c", "d": "no" },
        "limits": {
            "cpu": { "request": "100m", "limit": "500m", "by": "podman: 500 thousandths of one" },
            "memory": { "limit": "64Mi", "by": "podman: 67108864 bytes, no swap" },
            "ephemeral-storage": { "limit": "1G", "by": "looked at every 2000 ms, and killed; and at its end" },
            "time": output(&said)["limits"]["time"],
        },
    });
    assert_eq!(output(&said), wanted);
    let time = &wanted["limits"]["time"]["limit"];
    assert!(time.as_str().unwrap().starts_with("58"), "{time}");
    assert!(podman.containers().is_empty(), "it is gone");
}

#[test]
fn a_script_is_a_file_that_its_command_is_given() {
    let script = |agent: &Agent| {
        let source = "echo \"$# $A\" '$(x)' \"{{y}}\"\ntouch \"$0\" 2>/dev/null && echo changed";
        let script = json!({
            "image": IMAGE, "command": ["sh"], "env": [{ "name": "A", "value": "b" }],
            "source": { "parts": [source, { "input": "rest" }] },
        });
        let inputs = json!({ "task": { "script": script }, "rest": "; exit 0" });
        output(&agent.does(MODEL, "script", inputs))
    };
    let podman = Podman::new();
    let said = script(&in_podman(&podman));
    assert_eq!(said["result"], "0 b $(x) {{y}}");
    let said = script(&on_host());
    assert_eq!(said["result"], "0 b $(x) {{y}}\nchanged");
    assert_eq!(said["engine"], "host");
}

// What is joined arrives as it was: nobody expands it on its way.
#[test]
fn hostile_words_arrive_as_they_were_written() {
    let hostile = "'\"; touch /pwned\n$(touch /pwned) `touch /pwned` {{inputs.parameters.x}} {\"input\":\"b\"} \\ ü --help";
    let words = |agent: &Agent| {
        let container = json!({
            "image": IMAGE, "command": ["sh", "-c", r#"printf '%s\n' "$@" "$E"; test ! -e /pwned"#, "zero"],
            "args": [{ "parts": ["x-", { "input": "h" }] }, { "parts": [{ "input": "n" }] }],
            "env": [{ "name": "E", "value": { "parts": [{ "input": "h" }, "="] } }],
        });
        let task = json!({ "container": container });
        let inputs = json!({ "task": task, "h": hostile, "n": { "a": ["$(x)"] } });
        output(&agent.does(MODEL, "container", inputs))["result"].clone()
    };
    let wanted = format!("x-{hostile}\n{}\n{hostile}=", r#"{"a":["$(x)"]}"#);
    let podman = Podman::new();
    assert_eq!(words(&in_podman(&podman)), wanted);
    assert_eq!(words(&on_host()), wanted);
}

#[test]
fn a_word_that_looks_like_a_list_is_a_program_all_the_same() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let container = json!({ "image": IMAGE, "command": [r#"["echo","pwned"]"#] });
    let said = does(&agent, json!({ "container": container }));
    is_fatal(&said, &["exited with 127: "]);
}

#[test]
fn what_the_work_says_is_fatal_and_what_the_engine_says_an_attempt() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let runs = |script: &str, more: Value| does(&agent, shell(script, more));
    let said = runs(
        "echo a >&2; echo b >&2; echo c >&2; echo d >&2; exit 3",
        json!({}),
    );
    assert_eq!(said, Processed::fatal("exited with 3: b | c | d"));
    assert_eq!(
        runs("exit 125", json!({})),
        Processed::fatal("exited with 125")
    );
    assert_eq!(runs("kill -9 $$; exit 1", json!({})).output(), None);
    let none = json!({ "container": { "image": IMAGE, "command": ["nosuch"] } });
    is_fatal(&does(&agent, none), &["exited with 127: ", "nosuch"]);
    let directory = json!({ "container": { "image": IMAGE, "command": ["/etc"] } });
    is_fatal(
        &does(&agent, directory),
        &["exited with 126: ", "permission denied"],
    );
    let unknown = json!({ "container": { "image": "nobody.invalid/x:1", "command": ["true"] } });
    is_retried(
        &does(&agent, unknown),
        "engine: Error: nobody.invalid/x:1: image not known",
    );
    assert!(podman.containers().is_empty());
}

#[test]
fn outputs_that_are_not_there_or_too_long_are_named() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let with = |script: &str, path: &str| {
        let mut task = shell(script, json!({}));
        task["outputs"] = json!({ "parameters": [{ "name": "y", "path": path }] });
        does(&agent, task)
    };
    is_fatal(
        &with("true", "/tmp/y"),
        &["its output parameter y: /tmp/y is not there"],
    );
    is_fatal(
        &with("true", "/tmp"),
        &["its output parameter y: /tmp is no file"],
    );
    is_fatal(&with("printf '\\377' >/y", "/y"), &["/y is not UTF-8"]);
    let zeros =
        |megabytes: &str| format!("dd if=/dev/zero of=/y bs=1k count={megabytes} 2>/dev/null");
    is_fatal(
        &with(&zeros("20"), "/y"),
        &["its outputs have ", "y of 20480"],
    );
    is_fatal(
        &with(&zeros("2000"), "/y"),
        &["its output parameter y: /y has more than the 16384"],
    );
    let large = "mkdir /d; dd if=/dev/zero of=/d/x bs=1k count=2000 2>/dev/null";
    is_fatal(
        &with(large, "/d"),
        &["its output parameter y: /d is no file"],
    );
    // On the machine, a link leads to the machine's own files.
    let passwd = with("ln -s /../../../etc/passwd /y; echo own >/etc/passwd", "/y");
    assert_eq!(output(&passwd)["parameters"]["y"], "own");
}

#[test]
fn a_long_result_is_its_end() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end; echo talk >&2";
    let said = output(&does(&agent, shell(script, json!({}))));
    let result = said["result"].as_str().unwrap();
    assert!(
        result.len() == 4_096 && result.ends_with("x\nend"),
        "{}",
        result.len()
    );
}

#[test]
fn a_container_that_needs_more_than_its_memory_is_killed_and_says_so() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let limited = json!({ "resources": { "memory": { "limit": "32Mi" } } });
    let whole = does(&agent, shell("exec tail /dev/zero", limited.clone()));
    is_fatal(&whole, &["ran out of its memory of 32Mi: exited with 137"]);
    let child = does(
        &agent,
        shell("tail /dev/zero; echo so >&2; exit 5", limited),
    );
    is_fatal(&child, &["ran out of its memory of 32Mi: exited with 5: "]);
    // What conmon leaves is not left anywhere.
    assert!(!Path::new("/oom").exists());
}

#[test]
fn a_container_that_writes_more_than_its_storage_is_killed_and_says_so() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let script = "dd if=/dev/zero of=/y bs=1M count=8 2>/dev/null; sleep 1000";
    let said = does(
        &agent,
        shell(
            script,
            json!({ "resources": { "ephemeral-storage": { "limit": "4Mi" } } }),
        ),
    );
    is_fatal(
        &said,
        &[
            "wrote 83",
            " bytes, more than its ephemeral-storage of 4Mi, and was killed",
        ],
    );
    assert!(podman.containers().is_empty());
}

// regresses: what ended before the first look was complete.
#[test]
fn a_container_that_ends_beyond_its_storage_is_not_complete() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let writes = |megabytes: u64| {
        let script = format!("dd if=/dev/zero of=/y bs=1M count={megabytes} 2>/dev/null");
        let limited = json!({ "resources": { "ephemeral-storage": { "limit": "2Mi" } } });
        does(&agent, shell(&script, limited))
    };
    is_fatal(
        &writes(4),
        &["wrote 41", " bytes, more than its ephemeral-storage of 2Mi"],
    );
    assert_eq!(output(&writes(1))["exitCode"], 0);
    assert!(podman.containers().is_empty());
}

#[test]
fn a_container_that_takes_too_long_is_killed() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let task = shell("trap '' TERM; while :; do sleep 1; done", json!({}));
    let in_time = |work: &mut Work| work.time_ms = Some(10_000);
    thread::scope(|scope| {
        let call =
            scope.spawn(|| agent.does_work((MODEL, "container"), json!({ "task": task }), in_time));
        until("a container", || {
            (!podman.containers().is_empty()).then_some(())
        });
        let said = call.join().unwrap();
        is_retried(&said, "did not finish within 8");
        assert!(podman.containers().is_empty());
    });
}

// proves: O11
#[test]
fn a_container_that_is_taken_back_is_gone_when_that_is_told() {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let task = shell("trap '' TERM; while :; do sleep 1; done", json!({}));
    let (take_back, taken_back) = oneshot::channel::<()>();
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            let inputs = json!({ "task": task });
            agent.does_work_until((MODEL, "container"), inputs, async {
                taken_back.await.unwrap();
            })
        });
        until("a container that runs", || running(&podman));
        take_back.send(()).unwrap();
        assert_eq!(call.join().unwrap(), Processed::retry("it was taken back"));
        assert!(podman.containers().is_empty(), "it goes on");
    });
}

/// Begins a container that does not let itself be ended, and does this to its instance: when that is told to be over, the
/// container is gone.
fn ends_amid_a_call(end: impl FnOnce(&Agent)) {
    let podman = Podman::new();
    let agent = in_podman(&podman);
    let task = shell("trap '' TERM; while :; do sleep 1; done", json!({}));
    thread::scope(|scope| {
        let call = scope.spawn(|| does(&agent, task));
        until("a container that runs", || running(&podman));
        end(&agent);
        assert!(podman.containers().is_empty(), "it outlived its instance");
        assert_eq!(call.join().unwrap(), Processed::retry("its instance ended"));
    });
}

fn running(podman: &Podman) -> Option<String> {
    let said = podman.does(&["ps", "--quiet", "--no-trunc"]);
    Some(said.trim().to_owned()).filter(|id| !id.is_empty())
}

#[test]
fn an_instance_has_stopped_when_none_of_its_containers_is_left() {
    ends_amid_a_call(|agent| {
        agent.stop();
    });
}

#[test]
fn a_killed_instance_is_over_when_none_of_its_containers_is_left() {
    ends_amid_a_call(|agent| {
        agent.kill();
    });
}

#[test]
fn what_an_earlier_life_and_an_earlier_attempt_left_is_removed_and_nothing_else() {
    let podman = Podman::new();
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "activities": { MODEL: { "*": podman.way() } } });
    let begin = || Agent::start_in(dir.path(), config.clone()).unwrap();
    // The labels and the name that its containers have are said by one of them.
    let agent = begin();
    let (owner, name) = thread::scope(|scope| {
        scope.spawn(|| does(&agent, shell("sleep 1000", json!({}))));
        let id = until("a container that runs", || running(&podman));
        let format = "{{.Name}} {{index .Config.Labels \"mainstay.owner\"}}";
        let said = podman.does(&["inspect", "--format", format, &id]);
        agent.stop();
        let (name, owner) = said.trim().split_once(' ').unwrap();
        (owner.to_owned(), name.to_owned())
    });
    let leaves = |more: &[&str]| {
        let words = [
            &["run", "--detach", "--stop-timeout", "0"],
            &OPTIONS[..],
            more,
            &[IMAGE, "sleep", "1000"],
        ];
        podman.does(&words.concat()).trim().to_owned()
    };
    let other = leaves(&["--label", "mainstay.owner=w@n1 /elsewhere"]);
    leaves(&["--label", &format!("mainstay.owner={owner}")]);
    assert_eq!(podman.containers().len(), 2);
    let agent = begin();
    assert_eq!(podman.containers(), [other.as_str()]);
    leaves(&["--name", &name]);
    let said = does(&agent, shell("echo own", json!({})));
    assert_eq!(output(&said)["result"], "own");
    assert_eq!(podman.containers(), [other]);
}

#[test]
fn an_engine_that_does_not_answer_keeps_its_instance_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |way: Value| {
        let config = json!({ "activities": { MODEL: { "*": { "workload": way } } } });
        Agent::start(config).err().expect("it does not start")
    };
    let runtime = dir.path().join("no-runtime");
    let arguments = ["--runtime", runtime.to_str().unwrap()];
    let why = refused(json!({ "engine": "podman", "arguments": arguments }));
    assert_eq!(why.refused, RefusedStart::NotNow);
    for word in ["no-runtime", "install podman, or say engine: host"] {
        assert!(why.text.contains(word), "{}", why.text);
    }
    let why = refused(json!({ "arguments": ["--no-such-option"] }));
    for word in ["podman: ", "docker: ", "install podman or docker"] {
        assert!(why.text.contains(word), "{}", why.text);
    }
}

#[test]
fn the_host_runs_what_it_has_itself() {
    let agent = on_host();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("y");
    let task = |command: Value, more: Value| {
        let mut container = json!({ "image": "none:1", "command": command });
        container
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "container": container, "outputs": { "parameters": [{ "name": "y", "path": path }] } })
    };
    let script = "echo $A >$0; pwd";
    let more = json!({ "env": [{ "name": "A", "value": "b" }], "workingDir": "/etc" });
    let said = does(&agent, task(json!(["sh", "-c", script, path]), more));
    let wanted = json!({ "exitCode": 0, "result": "/etc", "parameters": { "y": "b" }, "limits": {}, "engine": "host" });
    assert_eq!(output(&said), wanted);
    // Of an earlier attempt nothing is taken.
    until("another tick", || {
        let now = fs::metadata(&path).unwrap().modified().unwrap().elapsed();
        now.ok().filter(|age| *age > Duration::from_millis(100))
    });
    let said = does(&agent, task(json!(["true"]), json!({})));
    is_fatal(
        &said,
        &["its output parameter y: ", "older than this attempt"],
    );
    let runs = |command: Value, more: Value| does(&agent, task(command, more));
    is_fatal(
        &runs(json!(["sh", "-c", "echo no >&2; exit 7"]), json!({})),
        &["exited with 7: no"],
    );
    is_fatal(
        &runs(json!(["/no/such"]), json!({})),
        &["/no/such cannot be run"],
    );
    is_fatal(&runs(json!([]), json!({})), &["it has no command"]);
    fs::remove_file(&path).unwrap();
    let link = format!("ln -s /proc/self/environ {}", path.display());
    is_fatal(
        &runs(json!(["sh", "-c", link]), json!({})),
        &["its output parameter y: ", "leads to /proc/", "is refused"],
    );
    let nowhere = json!({ "workingDir": "/no/where" });
    is_fatal(
        &runs(json!(["true"]), nowhere),
        &["its workingDir /no/where is not there"],
    );
}

#[test]
fn a_task_that_nobody_understands_is_fatal() {
    let agent = on_host();
    let said = agent.does(MODEL, "container", json!({}));
    assert_eq!(said, Processed::fatal("its input task is missing"));
    let said = does(
        &agent,
        shell(
            "true",
            json!({ "resources": { "cpu": { "limit": "much" } } }),
        ),
    );
    is_fatal(
        &said,
        &["task.container.resources.cpu.limit: \"much\" is no quantity"],
    );
    let guard = json!({ "env": [{ "name": "MAINSTAY_GUARD", "value": "x" }] });
    is_fatal(
        &does(&agent, shell("true", guard)),
        &["MAINSTAY_GUARD is not yours to set"],
    );
}
