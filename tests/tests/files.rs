//! Files as a person keeps them: planned, applied, changed, applied again, refused where they are wrong or stale, deleted.

use std::fs;
use std::path::PathBuf;

use mainstay_tests::{Cluster, DevOptions};

fn two_nodes() -> DevOptions {
    DevOptions {
        nodes: 2,
        ..DevOptions::default()
    }
}

/// Two placements in YAML, and the one that stands on them in TOML.
const BASE: &str = "\
kind: Placement
name: db
type: noisy
target: { nodes: [n1] }
---
kind: Placement
name: queue
type: flaky
target: { nodes: [n2] }
config: { start_ms: 300 }
depends_on: [ { placement: db } ]
";

fn web(greeting: &str) -> String {
    format!(
        "[[placement]]\nname = \"web\"\ntype = \"greeter\"\ntarget.all = {{}}\nconfig.greeting = \"{greeting}\"\n\
         depends_on = [{{ placement = \"db\" }}, {{ placement = \"queue\", until = \"started\" }}]\n"
    )
}

struct Deploy {
    dir: PathBuf,
}

impl Deploy {
    fn new(cluster: &Cluster, name: &str) -> Self {
        let dir = cluster.home().join(name);
        fs::create_dir(&dir).expect("the directory is new");
        Self { dir }
    }

    fn write(&self, file: &str, text: &str) -> String {
        let path = self.dir.join(file);
        fs::write(&path, text).expect("the file can be written");
        path.to_string_lossy().into_owned()
    }

    fn path(&self) -> String {
        self.dir.to_string_lossy().into_owned()
    }
}

// acceptance: 5
// proves: U3, S15, S19
#[test]
fn a_deployment_is_planned_applied_changed_and_deleted_from_its_files() {
    let cluster = Cluster::with(&two_nodes());
    let deploy = Deploy::new(&cluster, "deploy");
    deploy.write("base.yaml", BASE);
    deploy.write("web.toml", &web("hello"));
    let dir = deploy.path();

    let plan = cluster
        .sh(&format!("plan -f {dir} --exit-code"))
        .expect_code(11);
    let at = |text: &str| {
        plan.stdout
            .find(text)
            .unwrap_or_else(|| panic!("{text:?} in {plan:#?}"))
    };
    assert!(at("+ create placement/db") < at("+ create placement/queue"));
    assert!(at("+ create placement/queue") < at("+ create placement/web"));
    assert!(plan.stdout.contains("start web@n2"), "{plan:#?}");
    assert_eq!(
        cluster.json("get placements"),
        serde_json::json!([]),
        "a plan changes nothing"
    );

    let applied = cluster.sh(&format!("apply -f {dir} -o json")).ok();
    let came = applied.json();
    assert_eq!(came.as_array().map(Vec::len), Some(3), "{came:#}");
    assert_eq!(cluster.state("web@n1"), "Running");
    assert_eq!(cluster.state("web@n2"), "Running");
    let since = |reference: &str| {
        let instance = cluster.instance(reference).expect("it runs");
        instance["since"]
            .as_str()
            .expect("it has a time")
            .to_owned()
    };
    assert!(since("db@n1") <= since("queue@n2"), "in order");
    assert!(since("queue@n2") <= since("web@n1"), "in order");

    let again = cluster.sh(&format!("apply -f {dir}")).ok();
    assert!(again.stderr.contains("nothing to do"), "{again:#?}");
    assert_eq!(again.stdout, "");
    cluster.sh(&format!("plan -f {dir} --exit-code")).ok();

    deploy.write("web.toml", &web("good day"));
    let plan = cluster.sh(&format!("plan -f {dir}")).ok();
    assert!(
        plan.stdout
            .contains("config.greeting: \"hello\" -> \"good day\""),
        "{plan:#?}"
    );
    assert!(plan.stdout.contains("reconfigure web@n1"), "{plan:#?}");
    cluster.sh(&format!("apply -f {dir}")).ok();
    for reference in ["web@n1", "web@n2"] {
        let instance = cluster.instance(reference).expect("it runs");
        assert_eq!(instance["config"]["greeting"], "good day", "{instance:#}");
        assert_eq!(instance["config_wanted"], serde_json::Value::Null);
    }

    cluster.sh("delete db").expect_code(10);
    let deleted = cluster.sh(&format!("delete -f {dir}")).ok();
    assert!(
        deleted.stderr.contains("- delete placement/web"),
        "{deleted:#?}"
    );
    assert_eq!(cluster.json("get placements"), serde_json::json!([]));
    let again = cluster.sh(&format!("delete -f {dir}")).ok();
    assert!(again.stderr.contains("nothing to do"), "{again:#?}");
}

// acceptance: 4
// proves: S19
#[test]
fn a_plan_that_was_kept_is_refused_once_somebody_changed_what_it_touches() {
    let cluster = Cluster::with(&two_nodes());
    let deploy = Deploy::new(&cluster, "kept");
    let file = deploy.write(
        "a.yaml",
        "kind: Placement\nname: kept\ntype: noisy\ntarget: { nodes: [n1] }\npolicy: { attempts: 3 }\n",
    );
    let kept = deploy.dir.join("kept.plan").to_string_lossy().into_owned();
    cluster.sh(&format!("plan -f {file} --out {kept}")).ok();
    cluster.sh(&format!("apply --plan {kept}")).ok();
    assert_eq!(cluster.state("kept@n1"), "Running");

    let text = "kind: Placement\nname: kept\ntype: noisy\ntarget: { nodes: [n1] }\npolicy: { attempts: 4 }\n";
    fs::write(&file, text).expect("the file can be written");
    cluster.sh(&format!("plan -f {file} --out {kept}")).ok();
    let other = deploy.write("b.yaml", &text.replace("attempts: 4", "attempts: 9"));
    cluster.sh(&format!("apply -f {other}")).ok();
    let stale = cluster.sh(&format!("apply --plan {kept}")).expect_code(4);
    assert!(
        stale.stderr.contains("MS-STALE-PLAN")
            && stale.stderr.contains("placement/kept was at 1 and is at 2")
            && stale.stderr.contains("policy.attempts became 9"),
        "{stale:#?}"
    );
    let placement = cluster.json("get placements kept");
    assert_eq!(placement["policy"]["attempts"], 9, "{placement:#}");
    assert_eq!(placement["generation"], 2);
    cluster.sh(&format!("delete -f {file}")).ok();
}

// acceptance: 4
// proves: S15
#[test]
fn everything_wrong_with_files_is_told_at_its_place_and_nothing_is_changed() {
    let cluster = Cluster::with(&two_nodes());
    let deploy = Deploy::new(&cluster, "wrong");
    let yaml = deploy.write(
        "a.yaml",
        "kind: Placement\nname: fine\ntype: noisy\ntarget: { nodes: [n1] }\n---\n\
         kind: Placement\nname: bad\ntype: noisy\ntarget: { nodes: [n1] }\npolcy: {}\n",
    );
    let json = deploy.write(
        "b.json",
        "{\"kind\": \"Placement\", \"name\": \"x\",\n \"type\": 7}\n",
    );
    let wrong = cluster
        .sh(&format!("apply -f {}", deploy.path()))
        .expect_code(2);
    for said in [
        format!("{yaml}:10:1: polcy: Placement has no field \"polcy\" (nearest: policy)"),
        format!("{json}:2:10: type: wants a service type: write \"7\", in quotes"),
        "MS-BAD-SPEC".to_owned(),
    ] {
        assert!(wrong.stderr.contains(&said), "{said}: {wrong:#?}");
    }

    deploy.write("b.json", "[]");
    let only_the_cluster_knows = "kind: Placement\nname: fine\ntype: noisi\ntarget:\n  nodes:\n    - n1\n    - n7\n\
         depends_on: [ { placement: nobody } ]\n";
    deploy.write("a.yaml", only_the_cluster_knows);
    let wrong = cluster.sh(&format!("plan -f {yaml}")).expect_code(2);
    for said in [
        format!("{yaml}:3:7: type: no node has the type \"noisi\" (nearest: noisy)"),
        format!("{yaml}:7:7: target.nodes[1]: the node \"n7\" is not known (nearest: n1, n2)"),
        format!("{yaml}:8:28: depends_on[0].placement: the placement \"nobody\" is neither"),
    ] {
        assert!(wrong.stderr.contains(&said), "{said}: {wrong:#?}");
    }
    assert_eq!(cluster.json("get placements"), serde_json::json!([]));
}

// proves: S15, U3
#[test]
fn settings_are_read_tried_changed_and_refused() {
    let cluster = Cluster::with(&two_nodes());
    let before = cluster.json("settings get");
    assert_eq!(before["restart"]["attempts"], 5, "{before:#}");
    let tried = cluster.sh("settings validate restart.attempts=7").ok();
    assert!(
        tried.stdout.contains("restart.attempts: 5 -> 7"),
        "{tried:#?}"
    );
    let refused = cluster
        .sh("settings set silence=1s check.intervall=3s")
        .expect_code(2);
    assert!(
        refused
            .stderr
            .contains("silence: wants a time from 2s to 1h")
            && refused.stderr.contains("nearest: interval"),
        "{refused:#?}"
    );
    cluster
        .sh("settings set restart.attempts=7 backoff.max=30s")
        .ok();
    let after = cluster.json("settings get");
    assert_eq!(after["restart"]["attempts"], 7, "{after:#}");
    assert_eq!(after["backoff"]["max"], "30s");
    assert_eq!(after["silence"], before["silence"]);

    let deploy = Deploy::new(&cluster, "settings");
    let file = deploy.write(
        "s.yaml",
        "kind: Settings\nrestart: { attempts: 5 }\nbackoff: { max: 60s }\n",
    );
    let plan = cluster
        .sh(&format!("plan -f {file} --exit-code"))
        .expect_code(11);
    assert!(
        plan.stdout.contains("restart.attempts: 7 -> 5"),
        "{plan:#?}"
    );
    cluster.sh(&format!("apply -f {file}")).ok();
    assert_eq!(cluster.json("settings get"), before);
    cluster.sh("settings get backof").expect_code(3);
}
