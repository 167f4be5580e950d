//! Secrets on their way to services: in a file for their process alone, and nowhere else. The witness is the file system.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mainstay_tests::answers::pid_of;
use mainstay_tests::command::command;
use mainstay_tests::{Cluster, DevOptions, mainstay_binary, outside, signal, until};
use rustix::process::Signal;
use serde_json::{Value, json};

const VALUE: &str = "a-very-hidden-word";

fn cluster() -> Cluster {
    Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    })
}

/// `mainstay secret set NAME`, with the value on the standard input.
fn set(cluster: &Cluster, name: &str, value: &str) -> String {
    let mut setting = command(&mainstay_binary(), cluster.home())
        .args(["secret", "set", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let mut stdin = setting.stdin.take().expect("it is piped");
    stdin.write_all(value.as_bytes()).expect("it reads");
    drop(stdin);
    let output = setting.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    [output.stdout, output.stderr]
        .map(|said| String::from_utf8_lossy(&said).into_owned())
        .concat()
}

/// Says where its secret is, and lives on.
fn reader() -> Value {
    json!({
        "command": ["/bin/sh", "-c", "echo at=$KEY; exec sleep 100000"],
        "env": { "KEY": "secret://db" },
        "ready": { "line": "at=" },
    })
}

/// Where a process was told that its secret is.
fn file_of(pid: u32) -> PathBuf {
    let environment = fs::read(format!("/proc/{pid}/environ")).expect("it lives");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let told = environment
        .split('\0')
        .find_map(|one| one.strip_prefix("KEY="));
    PathBuf::from(told.unwrap_or_else(|| panic!("it has no KEY: {environment}")))
}

fn is_in_memory(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/mounts").expect("there are mounts");
    let of_path = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(at, _)| path.starts_with(at))
        .max_by_key(|(at, _)| at.len());
    of_path.is_some_and(|(_, kind)| kind == "tmpfs" || kind == "ramfs")
}

fn is_gone(path: &Path) {
    until(
        &format!("{} is gone", path.display()),
        || path.exists(),
        |there| !there,
    );
}

#[test]
fn a_process_finds_its_secret_in_a_file_of_its_own_that_goes_with_it() {
    // proves: U1
    let cluster = cluster();
    set(&cluster, "db", VALUE);
    cluster.start_process("web", &reader(), &[]).ok();
    let web = cluster.until_state("web@n1", "Running");
    assert_eq!(web["config"]["env"]["KEY"], "secret://db", "{web:#}");
    let pid = pid_of(&web);
    let file = file_of(pid);
    assert_eq!(fs::read_to_string(&file).unwrap(), VALUE);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o400);
    assert!(is_in_memory(&file), "{}", file.display());

    // Killed, it is given it anew; stopped, nothing of it is left.
    signal(pid, Signal::KILL);
    let again = cluster.until_restarted("web@n1", 1);
    assert_eq!(fs::read_to_string(file_of(pid_of(&again))).unwrap(), VALUE);
    cluster.sh("stop web").ok();
    cluster.until_state("web@n1", "Stopped");
    is_gone(&file);

    nowhere_else(&cluster);
}

/// In no file of the cluster, no answer and no log: data, logs, sockets and contexts all lie below its home.
fn nowhere_else(cluster: &Cluster) {
    let holds = |bytes: &[u8]| {
        let needle = VALUE.as_bytes();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    for path in outside::files_below(cluster.home()) {
        // Sockets cannot be read, and files go while we look.
        let bytes = fs::read(&path).unwrap_or_default();
        assert!(!holds(&bytes), "{} has it", path.display());
    }
    for look in [
        "secret list -o json",
        "describe web",
        "describe secret/db -o json",
        "events --since 1h -o json",
        "decisions -o json",
        "get configurations -o json",
        "why web@n1",
    ] {
        let run = cluster.sh(look).ok();
        let said = [run.stdout, run.stderr].concat();
        assert!(!holds(said.as_bytes()), "{look}: {said}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_refused_with_the_nearest_name() {
    // proves: U1
    let cluster = cluster();
    set(&cluster, "database", VALUE);
    let mut config = reader();
    config["env"]["KEY"] = json!("secret://databse");
    let refused = cluster.start_process("web", &config, &[]).expect_code(2);
    for part in ["env.KEY", "databse", "database"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(cluster.instance("web@n1").is_none());

    // A file is the node's: the start fails, and says which.
    config["env"]["KEY"] = json!("file:///nowhere/at-all");
    cluster.start_process("web", &config, &[]).expect_code(9);
    cluster.expect_root("web@n1", "file:///nowhere/at-all");
}

#[test]
fn another_value_is_given_at_the_next_start_and_it_is_said_to_whom() {
    // proves: U1
    let cluster = cluster();
    set(&cluster, "db", "before");
    cluster.start_process("web", &reader(), &[]).ok();
    let web = cluster.until_state("web@n1", "Running");
    let said = set(&cluster, "db", VALUE);
    assert!(
        said.contains("web@n1 is given it at the next start"),
        "{said}"
    );
    let db = || cluster.sh("secret list -o json").ok().json()[0].clone();
    assert_eq!(db()["used_by"], json!(["web@n1"]));
    assert_eq!(db()["outdated"], json!(["web@n1"]));
    assert_eq!(fs::read_to_string(file_of(pid_of(&web))).unwrap(), "before");

    cluster.sh("restart web").ok();
    let again = cluster.until_state("web@n1", "Running");
    assert_ne!(pid_of(&again), pid_of(&web));
    assert_eq!(fs::read_to_string(file_of(pid_of(&again))).unwrap(), VALUE);
    assert_eq!(db()["outdated"], json!([]));
}

#[test]
fn a_process_keeps_its_secret_over_its_agents_death_and_what_is_left_behind_is_swept() {
    // proves: U1
    let mut cluster = cluster();
    set(&cluster, "db", VALUE);
    cluster.start_process("web", &reader(), &[]).ok();
    cluster.start_process("brief", &reader(), &[]).ok();
    let web = pid_of(&cluster.until_state("web@n1", "Running"));
    let brief = pid_of(&cluster.until_state("brief@n1", "Running"));
    let (kept, swept) = (file_of(web), file_of(brief));
    cluster.sh("stop brief").ok();
    is_gone(&swept);
    // As an agent that was killed leaves it.
    let left = swept.parent().expect("it is in its slot's directory");
    fs::create_dir(left).unwrap();
    fs::write(&swept, VALUE).unwrap();

    signal(cluster.agent_pid("n1"), Signal::KILL);
    is_gone(left);
    let web_again = cluster.until_state("web@n1", "Running");
    assert_eq!(pid_of(&web_again), web, "it outlived its agent");
    assert_eq!(fs::read_to_string(&kept).unwrap(), VALUE);

    let root = left.parent().expect("all are in one").to_owned();
    cluster.interrupt();
    is_gone(&root);
}

/// Keeps what it was started with, and says at its end what it is given then.
const KEEPER: &str = r#"#!/bin/sh
case "$1" in
meta-data) cat <<'XML'
<resource-agent name="Keeper" version="1.0">
<parameters><parameter name="dir"><content type="string"/></parameter>
<parameter name="key"><content type="string"/></parameter>
<parameter name="word"><content type="string"/></parameter></parameters>
<actions><action name="start" timeout="10s"/><action name="stop" timeout="10s"/>
<action name="monitor" timeout="10s" interval="10s"/></actions>
</resource-agent>
XML
;;
start) echo "$OCF_RESKEY_key" >"$OCF_RESKEY_dir/at" && cat "$OCF_RESKEY_key" >"$OCF_RESKEY_dir/began" ;;
stop) if [ -f "$OCF_RESKEY_dir/began" ]; then
    echo "$(cat "$OCF_RESKEY_dir/began") ended with $(cat "$OCF_RESKEY_key")" >>"$OCF_RESKEY_dir/ended"
    rm "$OCF_RESKEY_dir/began"
fi ;;
monitor) [ -f "$OCF_RESKEY_dir/began" ] || exit 7 ;;
*) exit 3 ;;
esac
"#;

#[test]
fn what_a_script_was_started_with_stays_until_that_is_stopped() {
    // proves: U1
    let cluster = cluster();
    let dir = cluster.home().join("keeper");
    let scripts = dir.join("resource.d/test");
    fs::create_dir_all(&scripts).unwrap();
    let script = scripts.join("Keeper");
    fs::write(&script, KEEPER).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    let file = || PathBuf::from(read("at").trim());
    let shown = dir.display();

    set(&cluster, "db", "first");
    cluster
        .sh(&format!(
            "start ocf --name keeper --on n1 --config agent=test:Keeper ocf_root={shown} params.dir={shown} params.key=secret://db"
        ))
        .ok();
    assert_eq!(read("began"), "first");
    assert!(is_in_memory(&file()), "{}", file().display());

    // The agent is killed, and there is another value by now: whoever runs keeps what it was given.
    set(&cluster, "db", "second");
    signal(cluster.agent_pid("n1"), Signal::KILL);
    until(
        "its next incarnation took it as it is",
        || cluster.sh("ask-status keeper@n1").stdout,
        |text| text.contains("it ran already"),
    );
    assert_eq!(fs::read_to_string(file()).unwrap(), "first");

    // Another configuration: what ran is ended with its own, the next has what there is now.
    cluster.sh("reconfigure keeper params.word=other").ok();
    assert_eq!(read("ended"), "first ended with first\n");
    assert_eq!(read("began"), "second");

    cluster.sh("stop keeper").ok();
    cluster.until_state("keeper@n1", "Stopped");
    assert_eq!(
        read("ended").lines().last(),
        Some("second ended with second")
    );
    is_gone(&file());
}
