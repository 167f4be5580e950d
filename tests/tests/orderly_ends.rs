//! Agents that are asked to end, again and again: nothing that runs on them has failed.

use std::path::Path;

use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions, answers, until};
use rustix::process::Signal;
use serde_json::Value;

/// More than the restarts that a failing service has within its window.
const ENDS: usize = 7;

fn one_node(extra: &[&str]) -> DevOptions {
    DevOptions {
        nodes: 1,
        extra: extra.iter().map(ToString::to_string).collect(),
        ..DevOptions::default()
    }
}

/// Waits until it runs again, in another process of its agent.
fn runs_again(cluster: &Cluster, reference: &str, before: &Value) -> Value {
    let instance = until(
        &format!("{reference} runs again"),
        || cluster.instance(reference),
        |instance| {
            instance.as_ref().is_some_and(|instance| {
                instance["state"] == "Running" && instance["incarnation"] != before["incarnation"]
            })
        },
    );
    instance.expect("the condition holds for something only")
}

fn codes(decisions: &[Value]) -> Vec<&str> {
    decisions
        .iter()
        .filter(|decision| decision["rule"] == "restart" || decision["rule"] == "quarantine")
        .flat_map(|decision| [&decision["did"]["code"], &decision["declined"]["code"]])
        .filter_map(Value::as_str)
        .collect()
}

// proves: S12
#[test]
fn an_agent_that_is_ended_in_order_seven_times_in_a_row_costs_its_instances_nothing() {
    let cluster = Cluster::with(&one_node(&[]));
    cluster.sh("start greeter --on n1").ok();
    let mut greeter = cluster.until_state("greeter@n1", "Running");
    for _ in 0..ENDS {
        signal(cluster.agent_pid("n1"), Signal::TERM);
        greeter = runs_again(&cluster, "greeter@n1", &greeter);
        assert_eq!(greeter["attempts"], 0, "{greeter:#}");
    }
    let decisions = cluster.decisions("greeter@n1");
    assert_eq!(codes(&decisions), ["MS-AGENT-STOPPED"; ENDS]);
    assert!(
        answers::decided(&decisions, "restart", "MS-AGENT-STOPPED").is_some(),
        "{decisions:#?}"
    );

    // A kill is told apart: the last to begin may have been what ended it, and is counted.
    signal(cluster.agent_pid("n1"), Signal::KILL);
    greeter = runs_again(&cluster, "greeter@n1", &greeter);
    assert_eq!(greeter["attempts"], 1, "{greeter:#}");
    let ended = cluster.json("events --since 1m").to_string();
    assert!(
        ended.contains("the agent process that hosted it ended"),
        "{ended}"
    );
}

// proves: S12, S26
#[test]
fn rounds_of_a_kept_dev_cluster_leave_actors_and_processes_running_and_uncounted() {
    let directory = tempfile::Builder::new()
        .prefix("ms")
        .tempdir()
        .expect("a temporary directory");
    let data = directory.path().join("data");
    let round = |data: &Path| {
        let data = data.to_str().expect("a temporary path is text");
        Cluster::with(&one_node(&["--keep", "--dir", data]))
    };
    let mut cluster = round(&data);
    cluster.sh("start greeter --on n1").ok();
    let command = r#"command=["sleep","1000"]"#;
    cluster
        .run(&[
            "start", "process", "--name", "web", "--on", "n1", "--config", command,
        ])
        .ok();
    let mut seen = ["greeter@n1", "web@n1"].map(|it| cluster.until_state(it, "Running"));
    for _ in 0..3 {
        assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
        cluster = round(&data);
        seen = ["greeter@n1", "web@n1"].map(|it| {
            let before = seen.iter().find(|instance| instance["ref"] == it);
            runs_again(&cluster, it, before.expect("both were seen before"))
        });
        for instance in &seen {
            assert_eq!(instance["attempts"], 0, "{instance:#}");
        }
    }
    for reference in ["greeter@n1", "web@n1"] {
        let decisions = cluster.decisions(reference);
        assert_eq!(codes(&decisions), ["MS-AGENT-STOPPED"; 3], "{reference}");
    }
}
