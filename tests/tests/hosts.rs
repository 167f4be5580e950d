//! Machines that are restarted, and switched off, by their owners' commands. A machine is a node's agent here with all
//! that it has begun: what ends it all is a script, as it would be the power controller's.

use std::path::{Path, PathBuf};

use mainstay_tests::daemons::Daemons;
use mainstay_tests::{mainstay_binary, until};
use serde_json::{Value, json};

/// Ends whatever has to do with the node's directory, and says so.
const POWER_OFF: &str = r#"#!/bin/sh
home=$(dirname "$0")
if [ -e "$home/no-power" ]; then
    echo "no such outlet: $MAINSTAY_NODE at ${MAINSTAY_LABEL_OUTLET:-nowhere}" >&2
    exit 3
fi
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    [ "$pid" = "$$" ] && continue
    if grep -aqs -- "$home/$MAINSTAY_NODE" "$process/cmdline" || grep -aqs -- "$home/$MAINSTAY_NODE/" "$process/environ"; then
        kill -9 "$pid"
    fi
done
echo "off $MAINSTAY_NODE" >> "$home/witness"
"#;

/// A node's own agent runs this; nothing of it is left afterwards.
const REBOOT: &str = r#"#!/bin/sh
home=$(dirname "$0")
echo "reboot $MAINSTAY_NODE" >> "$home/witness"
[ -e "$home/hangs" ] && exit 0
exec setsid "$home/power-off"
"#;

fn script(home: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = home.join(name);
    std::fs::write(&path, text).expect("the home is ours");
    let may_be_run = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, may_be_run).expect("the file is ours");
    path
}

fn set(cluster: &Daemons, name: &str, program: &Path) {
    let words = json!([program]).to_string();
    cluster
        .sh(&format!("settings set 'host.{name}={words}'"))
        .ok();
}

fn witness(cluster: &Daemons) -> Vec<String> {
    let text = std::fs::read_to_string(cluster.home().join("witness")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn restart(cluster: &Daemons, node: &str) -> Value {
    cluster.json(&format!("get nodes {node}"))["restart"].clone()
}

fn until_over(cluster: &Daemons, node: &str, state: &str) -> Value {
    let restarted = until(
        &format!("the restart of {node} is over"),
        || restart(cluster, node),
        |restart| restart["state"] != "UnderWay",
    );
    assert_eq!(restarted["state"], state, "{restarted:#}");
    restarted
}

// proves: S21, S23, S25
#[test]
fn a_machine_is_restarted_through_its_agent_then_through_a_peer() {
    let mut cluster = Daemons::start(&mainstay_binary(), 3);
    let home = cluster.home().to_owned();
    let refused = cluster.sh("node restart n3 --yes");
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("host.restart"), "{refused:#?}");
    let relative = cluster.sh(r#"settings set 'host.restart=["reboot"]'"#);
    assert!(relative.stderr.contains("no whole path"), "{relative:#?}");

    let off = script(&home, "power-off", POWER_OFF);
    set(&cluster, "restart", &script(&home, "reboot", REBOOT));
    set(&cluster, "fence", &off);
    cluster
        .sh("settings set host.back=20s host.within=10s")
        .ok();
    let sleeps = "start process --name web --on n3 --config 'command=[\"/bin/sleep\",\"100000\"]'";
    cluster.sh(sleeps).ok();

    // Its own agent can.
    cluster
        .sh("node restart n3 --yes --no-wait --reason 'it hangs'")
        .ok();
    until("it is off", || witness(&cluster), |lines| lines.len() == 2);
    assert_eq!(witness(&cluster), ["reboot n3", "off n3"]);
    cluster.start_agent("n3");
    let back = until_over(&cluster, "n3", "Back");
    assert_eq!(back["why"], "it hangs");
    cluster.until_state("web@n3", "Running");

    // Its own agent says that it will, and nothing comes of it. The first peer fails as well.
    std::fs::write(home.join("hangs"), "").expect("the home is ours");
    std::fs::write(home.join("no-power"), "").expect("the home is ours");
    cluster.sh("settings set host.back=1s host.within=1s").ok();
    cluster.sh("node label n3 outlet=7").ok();
    cluster.sh("node restart n3 --yes --no-wait").ok();
    let failed = until_over(&cluster, "n3", "Failed");
    let text = failed["text"].as_str().unwrap_or_default();
    assert!(text.contains("no such outlet: n3 at 7"), "{failed:#}");
    assert!(text.contains("its agent is here as before"), "{failed:#}");
    let why = cluster.sh("why node/n3").ok().stdout;
    assert!(why.contains("no such outlet"), "{why}");
    let asked = cluster.sh("node restart n3 --yes");
    assert_eq!(asked.code, Some(9), "{asked:#?}");
    assert!(asked.stderr.contains("MS-HOST-NOT-RESTARTED"), "{asked:#?}");

    // A peer switches it off, and it stays so.
    std::fs::remove_file(home.join("no-power")).expect("it is there");
    cluster.sh("node restart n3 --yes --no-wait").ok();
    until_over(&cluster, "n3", "Off");
    let node = cluster.json("get nodes n3");
    assert_eq!(node["state"], "Lost", "{node:#}");
    assert!(
        node["reason"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("it was off, says host.fence on n")),
        "{node:#}"
    );
    assert_eq!(witness(&cluster).last().map(String::as_str), Some("off n3"));
    let decisions = cluster.list("decisions node/n3");
    let steps = decisions.iter().filter(|one| one["rule"] == "restart_host");
    assert!(steps.count() >= 8, "{decisions:#?}");
}

// proves: S23
#[test]
fn a_singleton_that_is_to_be_fenced_starts_elsewhere_only_when_its_machine_was_off() {
    let mut cluster = Daemons::start(&mainstay_binary(), 3);
    let home = cluster.home().to_owned();
    let file = home.join("ledger.json");
    let began = format!(
        "echo began >> {}; exec sleep 100000",
        home.join("witness").display()
    );
    let spec = json!({
        "kind": "Placement",
        "name": "ledger",
        "type": "process",
        "config": {"command": ["/bin/sh", "-c", began]},
        "target": {"count": 1},
        "singleton": {"lease": "3s", "fenced": true},
    });
    std::fs::write(&file, spec.to_string()).expect("the home is ours");
    let apply = format!("apply -f {} --yes", file.display());
    let refused = cluster.sh(&apply);
    assert!(refused.stderr.contains("host.fence"), "{refused:#?}");

    std::fs::write(home.join("no-power"), "").expect("the home is ours");
    set(&cluster, "fence", &script(&home, "power-off", POWER_OFF));
    cluster.sh("settings set host.back=2s lost.closed=3s").ok();
    cluster.sh(&apply).ok();
    until("it runs", || witness(&cluster), |lines| lines.len() == 1);
    let all = cluster.list("get instances ledger");
    let node = all[0]["node"].as_str().expect("it is somewhere").to_owned();

    // The agent alone dies: its hold ends what it has when the lease is over, and still nothing starts elsewhere.
    let at: usize = node.trim_start_matches('n').parse().expect("a number");
    mainstay_tests::signal(cluster.agent_pids()[at - 1], rustix::process::Signal::KILL);
    until(
        "two tries have failed",
        || cluster.list(&format!("decisions node/{node}")),
        |all| {
            let fenced = all.iter().filter(|one| one["rule"] == "fence");
            fenced.count() >= 2
        },
    );
    let waits = cluster.list("get instances ledger");
    let waits = waits.iter().find(|one| one["node"] != node.as_str());
    let waits = waits.expect("another is placed");
    assert_eq!(waits["state"], "Pending", "{waits:#}");
    assert_eq!(waits["reason"]["code"], "MS-LEASE-HELD", "{waits:#}");
    assert!(
        waits["reason"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("switched off")),
        "{waits:#}"
    );
    assert_eq!(witness(&cluster), ["began"]);
    let kept = cluster.sh("settings set 'host.fence=[]'");
    assert_eq!(kept.code, Some(10), "{kept:#?}");

    std::fs::remove_file(home.join("no-power")).expect("it is there");
    until(
        "it runs elsewhere",
        || witness(&cluster),
        |lines| lines.len() == 3,
    );
    let off = format!("off {node}");
    assert_eq!(witness(&cluster), ["began", off.as_str(), "began"]);
    let replayed = cluster.end_and_replay();
    assert!(replayed.entries > 0);
}
