//! A whole cluster from one file, on machines with networks of their own.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use mainstay_tests::until::until_within;
use mainstay_tests::{Machines, Run, command, mainstay_binary, outside, until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Far above what five machines need on a busy one.
const WHOLE_WITHIN: Duration = Duration::from_secs(240);

/// The file, kept where the workstation is: the last machine.
fn file(machines: &Machines, workstation: usize, listed: &[Value]) -> String {
    let named = json!({
        "kind": "Cluster",
        "name": "prod",
        "binary": mainstay_binary(),
        "dir": machines.dir_of_name("{name}"),
        // Else, where systemd runs, the daemons would be its own and outside of the machines.
        "daemons": "setsid",
        "via": machines.via(),
        "machines": listed,
    });
    let path = machines.dir(workstation).join("cluster.json");
    fs::write(&path, named.to_string()).expect("the file can be written");
    path.display().to_string()
}

fn machine(n: usize, roles: &[&str]) -> Value {
    json!({"name": format!("m{n}"), "address": format!("10.0.0.{n}"), "roles": roles})
}

/// Three stations and two agents.
fn five() -> Vec<Value> {
    let stations = (1..=3).map(|n| machine(n, &["station"]));
    stations
        .chain((4..=5).map(|n| machine(n, &["agent"])))
        .collect()
}

#[track_caller]
fn expect_whole(machines: &Machines, workstation: usize) {
    let are = |all: &[Value], key: &str, names: &[&str], state: &str| {
        let found = all.iter().filter(|one| one["state"] == state);
        let found: Vec<&str> = found.filter_map(|one| one[key].as_str()).collect();
        found == names && all.len() == names.len()
    };
    machines.until_list(workstation, "get stations", |all| {
        are(all, "id", &["s1", "s2", "s3"], "Running")
    });
    machines.until_list(workstation, "get nodes", |all| {
        are(all, "name", &["m4", "m5"], "Online")
    });
}

#[track_caller]
fn expect_nothing_to_do(machines: &Machines, workstation: usize, file: &str) {
    let again = machines.sh(workstation, &format!("bootstrap {file}")).ok();
    assert!(again.stdout.starts_with("nothing to do"), "{again:#?}");
    let steps = machines
        .sh(workstation, &format!("bootstrap {file} -o json"))
        .ok();
    assert_eq!(steps.json()["steps"], 0, "{steps:#?}");
}

// proves: S16, U1
#[test]
fn a_cluster_comes_to_be_from_one_file_and_again_there_is_nothing_to_do() {
    let machines = Machines::new(6);
    let file = file(&machines, 6, &five());
    let home = machines.dir_of_name("");
    let made = std::thread::scope(|scope| {
        let made = scope.spawn(|| machines.sh(6, &format!("bootstrap {file} --as ada")));
        until_within(
            WHOLE_WITHIN,
            "it ends, and nobody saw a token among the arguments of a process",
            || {
                let all = outside::processes();
                let ours = all.iter().filter(|one| one.arguments.contains(&home));
                let seen: Vec<String> = ours
                    .filter(|one| one.arguments.contains("mst1."))
                    .map(|one| one.arguments.clone())
                    .collect();
                assert_eq!(seen, [] as [&str; 0]);
                made.is_finished()
            },
            |finished| *finished,
        );
        made.join().expect("it was run")
    });
    let made: Run = made.ok();
    assert!(!made.stderr.contains("mst1."), "{made:#?}");
    assert!(
        made.stdout.contains("3 stations Running, 2 nodes Online"),
        "{made:#?}"
    );

    // The workstation is none of the machines, and knows the cluster.
    expect_whole(&machines, 6);
    let who = machines.sh(6, "identity whoami").ok();
    assert_eq!(who.stdout, "ada (admin)\n");
    machines.sh(6, "start greeter --all").ok();
    expect_nothing_to_do(&machines, 6, &file);

    // A station and an agent that ended are started, and nothing else is done.
    for (machine, daemon) in [(2, "station"), (5, "agent")] {
        let dir = machines.dir(machine).join(daemon).display().to_string();
        let mut all = outside::processes().into_iter();
        let found = all.find(|one| one.arguments.trim_end_matches('\0').ends_with(&dir));
        let found = found.unwrap_or_else(|| panic!("no {daemon} runs on m{machine}"));
        mainstay_tests::signal(found.pid, Signal::KILL);
    }
    let mended = machines.sh(6, &format!("bootstrap {file} -o json")).ok();
    assert_eq!(mended.json()["steps"], 4, "{mended:#?}");
    expect_whole(&machines, 6);

    // The same machines are not another cluster's, and each says so.
    let other = fs::read_to_string(&file)
        .expect("it was written")
        .replace("prod", "other");
    fs::write(&file, other).expect("it can be written");
    let refused = machines.sh(6, &format!("bootstrap {file}")).expect_code(4);
    let told = refused.stderr.matches("of another cluster, prod").count();
    assert_eq!(
        told, 6,
        "a line each, and the first in the sum: {refused:#?}"
    );
}

// proves: S16
#[test]
fn killed_in_the_middle_it_goes_on_where_it_stopped() {
    let mut machines = Machines::new(6);
    let file = file(&machines, 6, &five());
    machines.start(6, &format!("bootstrap {file}"));
    until(
        "the second station has joined",
        || machines.log(6, "bootstrap"),
        |log| log.contains("m2: start the station"),
    );
    machines.signal(6, "bootstrap", Signal::KILL);
    let run = machines.sh(6, &format!("bootstrap {file}")).ok();
    assert!(!run.stderr.contains("found cluster"), "{run:#?}");
    assert!(!run.stderr.contains("m2: join"), "{run:#?}");
    expect_whole(&machines, 6);
    expect_nothing_to_do(&machines, 6, &file);
}

// proves: S16
#[test]
fn machines_out_of_reach_are_all_told_before_anything_is_changed() {
    let machines = Machines::new(2);
    let listed = [
        machine(1, &["station"]),
        machine(7, &["agent"]),
        machine(8, &["agent"]),
    ];
    let file = file(&machines, 2, &listed);
    let run = machines.sh(2, &format!("bootstrap {file}")).expect_code(6);
    for name in ["m7", "m8"] {
        let told = format!("{name}: it cannot be reached: ");
        assert!(run.stderr.contains(&told), "{run:#?}");
    }
    assert!(run.stderr.contains("MS-MACHINE-UNREACHABLE"), "{run:#?}");
    assert!(!machines.dir(1).join("station").exists(), "{run:#?}");
}

// proves: S16
#[test]
fn the_commands_of_a_dry_run_do_by_hand_what_bootstrap_does() {
    let machines = Machines::new(3);
    let listed = [machine(1, &["station"]), machine(2, &["agent"])];
    let file = file(&machines, 3, &listed);
    let shown = machines
        .sh(3, &format!("bootstrap {file} --dry-run --as ada -o json"))
        .ok();
    assert!(!machines.dir(1).join("station").exists(), "{shown:#?}");
    let mut token = String::new();
    for step in shown.json().as_array().expect("a list of steps") {
        let typed = step["command"].as_str().expect("a command");
        let typed = typed.replace("TOKEN-OF-THE-STEP-BEFORE", &token);
        let program = mainstay_binary();
        let beside = program.parent().expect("it is in a directory").display();
        let typed = format!("PATH={beside}:$PATH\n{typed}");
        let mut shell = machines.command(3, "sh".as_ref());
        let output = shell.args(["-c", &typed]).stdin(Stdio::null()).output();
        let output = output.expect("a shell can be run");
        assert!(output.status.success(), "{typed}: {output:?}");
        if let Ok(made) = serde_json::from_slice::<Value>(&output.stdout) {
            token = made["token"].as_str().unwrap_or_default().to_owned();
        }
    }
    expect_nothing_to_do(&machines, 3, &file);
    assert_eq!(
        machines.sh(3, "identity whoami").ok().stdout,
        "ada (admin)\n"
    );
}

// proves: S16
#[test]
fn everything_wrong_with_a_file_is_told_at_once_with_its_place() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("cluster.toml");
    let text = "kind = \"Cluster\"\nname = \"prod\"\nbinry = \"x\"\nvia = [\"ssh\", \"root@m1\"]\n\n\
                [[machines]]\nname = \"m1\"\naddress = \"10.0.0.1:99999\"\n\n\
                [[machines]]\nname = \"m1\"\naddress = \"10.0.0.2\"\nroles = [\"agnet\"]\n";
    fs::write(&path, text).expect("it can be written");
    let path = path.display().to_string();
    let run = command::run(home.path(), &["bootstrap", &path]).expect_code(2);
    for said in [
        ":3:1: binry: Cluster has no field \"binry\" (nearest: binary",
        ":4:7: via: it leads to the same machine for all 2",
        ":8:11: machines[0].address: \"10.0.0.1:99999\" is no address",
        ":11:8: machines[1].name: \"m1\" is there twice",
        ":13:10: machines[1].roles[0]: wants station or agent, not \"agnet\" (nearest: agent)",
        "machines: none of them is a station",
    ] {
        assert!(run.stderr.contains(said), "{said}: {run:#?}");
    }
    assert!(run.stderr.contains("MS-BAD-SPEC"), "{run:#?}");
    // What `apply` reads is told where it belongs, and so is the other way round.
    let other = home.path().join("hi.yaml");
    fs::write(&other, "kind: Placement\nname: hi\n").expect("it can be written");
    let other = other.display().to_string();
    let run = command::run(home.path(), &["bootstrap", &other]).expect_code(2);
    assert!(run.stderr.contains("mainstay apply -f"), "{run:#?}");
    let run = command::run(home.path(), &["plan", "-f", &path]).expect_code(2);
    assert!(run.stderr.contains("mainstay bootstrap"), "{run:#?}");
}
