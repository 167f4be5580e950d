//! Configurations changed in a real cluster: what is typed wrong is refused, what is good reaches every instance, and
//! what is no good is taken back.

use mainstay_tests::daemons::Daemons;
use mainstay_tests::until;
use serde_json::Value;

fn placement(cluster: &Daemons, name: &str) -> Value {
    let all = cluster.list("get placements");
    let one = all.into_iter().find(|one| one["name"] == name);
    one.unwrap_or_else(|| panic!("there is no placement {name}"))
}

fn instance(cluster: &Daemons, reference: &str) -> Value {
    let all = cluster.list("get instances");
    let one = all.into_iter().find(|one| one["ref"] == reference);
    one.unwrap_or_else(|| panic!("there is no instance {reference}"))
}

// proves: S7, S19
// acceptance: issue 3, line 4
#[test]
fn a_service_that_can_takes_another_configuration_while_it_runs() {
    let cluster = Daemons::start(&mainstay_tests::mainstay_binary(), 1);
    cluster.sh("start greeter --on n1").ok();
    let greet = r#"call greeter@n1 greet '{"name":"Ada"}'"#;
    assert!(cluster.sh(greet).ok().stdout.contains("Hello, Ada!"));
    cluster.sh("reconfigure greeter greeting=Ahoy").ok();
    let answer = cluster.sh(greet).ok().stdout;
    assert!(answer.contains("Ahoy, Ada!"), "{answer}");
    assert!(answer.contains('2'), "it has counted on: {answer}");
    let now = instance(&cluster, "greeter@n1");
    assert_eq!(now["incarnation"], 1, "it went on: {now:#}");
    assert_eq!(now["config"]["greeting"], "Ahoy", "{now:#}");
    assert_eq!(now["config_wanted"], Value::Null, "{now:#}");

    // This it takes with a restart only, and says so.
    let witness = cluster.home().join("witness");
    let with = format!("reconfigure greeter witness={}", witness.display());
    cluster.sh(&with).ok();
    let now = instance(&cluster, "greeter@n1");
    assert_eq!(now["incarnation"], 2, "{now:#}");
    assert_eq!(now["config"]["greeting"], "Ahoy", "{now:#}");
}

// proves: S19, S20
// acceptance: issue 3, line 5
#[test]
fn what_falls_over_right_after_its_start_is_taken_back() {
    let cluster = Daemons::start(&mainstay_tests::mainstay_binary(), 1);
    cluster
        .sh(r#"start process --name brief --on n1 --config 'command=["sleep","98761"]'"#)
        .ok();
    let bad = cluster
        .sh(r#"reconfigure brief 'command=["sh","-c","echo no good >&2; sleep 0.3; exit 7"]'"#)
        .expect_code(9);
    assert!(bad.stderr.contains("no good"), "{bad:#?}");
    until(
        "the old one runs again",
        || instance(&cluster, "brief@n1"),
        |now| now["config"]["command"][0] == "sleep" && now["state"] == "Running",
    );
    let history = cluster.sh("placement history brief").ok().stdout;
    assert!(history.contains("exit"), "{history}");
}

// proves: S15, S19
// case: services 16, 23, 59
// acceptance: issue 3, line 4, 5
#[test]
fn a_reconfigured_service_runs_with_the_new_one_and_a_bad_one_is_taken_back() {
    let cluster = Daemons::start(&mainstay_tests::mainstay_binary(), 1);
    let wrong = cluster
        .sh("start flaky --on n1 --config start_mss=5")
        .expect_code(2);
    assert!(
        wrong.stderr.contains("start_mss") && wrong.stderr.contains("nearest: start_ms"),
        "{wrong:#?}"
    );
    cluster.sh("start flaky --on n1 --config start_ms=5").ok();
    cluster.sh("reconfigure flaky start_ms=7").ok();
    let good = instance(&cluster, "flaky@n1");
    assert_eq!(good["config"]["start_ms"], 7, "{good:#}");
    assert_eq!(good["config_wanted"], Value::Null, "{good:#}");
    assert_eq!(good["incarnation"], 2, "the old one is gone: {good:#}");

    let bad = cluster
        .sh("reconfigure flaky 'refuse=not-now: the disk is away'")
        .expect_code(9);
    assert!(bad.stderr.contains("the disk is away"), "{bad:#?}");
    cluster.sh("wait flaky@n1 --for healthy").ok();
    let back = instance(&cluster, "flaky@n1");
    assert_eq!(back["config"]["refuse"], Value::Null, "{back:#}");
    assert_eq!(back["config"]["start_ms"], 7, "{back:#}");
    let shown = placement(&cluster, "flaky");
    assert_eq!(shown["rolled_back"]["code"], "MS-ROLLED-BACK", "{shown:#}");
    let why = cluster.sh("why flaky").ok().stdout;
    assert!(why.contains("the disk is away"), "{why}");
    let history = cluster.sh("placement history flaky").ok().stdout;
    assert!(history.contains("the disk is away"), "{history}");

    cluster.sh("placement rollback flaky --to 1").ok();
    let first = instance(&cluster, "flaky@n1");
    assert_eq!(first["config"]["start_ms"], 5, "{first:#}");
    cluster.sh("start flaky --on n1 --safe-mode").ok();
    cluster.sh("delete flaky").ok();
    assert!(cluster.list("get placements").is_empty());
    assert!(cluster.list("get names").is_empty());
}
