//! A rule of a user's own in a real station; and rules switched off and on by name.

use mainstay_tests::cluster::signal;
use mainstay_tests::until;
use mainstay_tests::{Cluster, DevOptions, command};
use rustix::process::Signal;

// proves: S21, S24
#[test]
fn a_users_own_rule_acts_until_it_is_switched_off_and_again_when_it_is_on() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        station_bin: Some(command::program("own-rule")),
        ..DevOptions::default()
    });
    cluster.sh("start noisy --on n1").ok();
    cluster.sh("call noisy@n1 emit '{\"n\":1}'").ok();
    cluster.until_restarted("noisy@n1", 1);
    cluster.expect_decision("noisy@n1", "restart_degraded", "OWN-DEGRADED");
    let rule = cluster.json("rule show restart_degraded");
    assert_eq!(
        (&rule["enabled"], &rule["watches"], &rule["did"]),
        (&true.into(), &"instance".into(), &1.into()),
        "{rule:#}"
    );

    cluster
        .sh("rule disable restart_degraded --reason 'we look at it'")
        .ok();
    cluster.sh("call noisy@n1 emit '{\"n\":1}'").ok();
    cluster.until_state("noisy@n1", "Degraded");
    until(
        "that it is switched off is a decision",
        || cluster.decisions("noisy@n1"),
        |all| mainstay_tests::answers::decided(all, "restart_degraded", "MS-RULE-OFF").is_some(),
    );
    // Kept over the station's death, with who and why.
    signal(cluster.station_pid(), Signal::KILL);
    until(
        "the station is back",
        || cluster.sh("rule show restart_degraded").code,
        |code| *code == Some(0),
    );
    let off = cluster.json("rule show restart_degraded");
    assert_eq!(
        (&off["enabled"], &off["off"]["why"]),
        (&false.into(), &"we look at it".into()),
        "{off:#}"
    );
    // Until its agent has come back it is Unknown, whatever the rules are.
    cluster.until_state("noisy@n1", "Degraded");
    let why = cluster.sh("why noisy@n1").ok().stdout;
    assert!(
        why.contains("the rule restart_degraded is switched off")
            && why.contains("mainstay rule enable restart_degraded"),
        "{why}"
    );
    let status = cluster.json("status");
    assert_eq!(status["rules_off"][0], "restart_degraded", "{status:#}");
    assert_eq!(cluster.incarnation("noisy@n1"), 2, "nothing was done to it");

    cluster.sh("rule enable restart_degraded").ok();
    cluster.until_restarted("noisy@n1", 2);
    let refused = cluster.sh("rule disable quarantine").expect_code(10);
    assert!(
        refused.stderr.contains("--i-mean-it") && refused.stderr.contains("crash loop"),
        "{refused:#?}"
    );
    cluster.sh("rule disable quarantine --i-mean-it").ok();
    cluster.sh("rule enable quarantine").ok();
    let unknown = cluster.sh("rule disable restrat").expect_code(3);
    assert!(unknown.stderr.contains("nearest: restart"), "{unknown:#?}");
}

// proves: S21
#[test]
fn a_shipped_rule_that_is_switched_off_leaves_what_it_would_mend_and_says_so() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    cluster.sh("start flaky --on n1").ok();
    cluster.sh("rule disable restart").ok();
    cluster
        .sh("call flaky@n1 panic '{\"text\":\"ouch\"}'")
        .expect_code(9);
    let failed = cluster.until_state("flaky@n1", "Failed");
    assert_eq!(failed["incarnation"], 1, "{failed:#}");
    let why = cluster.json("why flaky@n1");
    assert!(why.to_string().contains("MS-RULE-OFF"), "{why:#}");
    assert!(why["system_will"].is_null(), "{why:#}");
    cluster.sh("rule enable restart").ok();
    cluster.until_restarted("flaky@n1", 1);
}

fn with_own_rules() -> Cluster {
    Cluster::with(&DevOptions {
        nodes: 1,
        station_bin: Some(command::program("own-rule")),
        ..DevOptions::default()
    })
}

// proves: S3, S7, S21
#[test]
fn users_rules_answer_what_instances_ask_and_act_on_what_collectors_bring() {
    let cluster = with_own_rules();
    cluster.sh("start flaky --on n1").ok();
    let asked = cluster
        .sh(r#"call flaky@n1 ask '{"failure":"disk-full","within_ms":60000}'"#)
        .ok();
    assert!(asked.stdout.contains("drop-oldest"), "{}", asked.stdout);

    let spool = cluster.home().join("orders");
    std::fs::create_dir(&spool).expect("a directory");
    cluster
        .sh(&format!(
            "start collector --name orders --on n1 --config path={} record=restart every_ms=50",
            spool.display()
        ))
        .ok();
    until(
        "it has looked",
        || cluster.sh("ask-status orders@n1").code,
        |code| *code == Some(0),
    );
    std::fs::write(spool.join("today"), "flaky\n").expect("it can be written");
    cluster.until_restarted("flaky@n1", 1);
    cluster.until_state("flaky@n1", "Running");
    assert_eq!(cluster.incarnation("flaky@n1"), 2, "once, and not again");
}

// proves: S21
#[test]
fn a_users_procedure_takes_its_steps_over_the_stations_death() {
    let cluster = with_own_rules();
    cluster
        .sh("start flaky --on n1 --no-wait --config refuse=not-now")
        .ok();
    cluster.until_state("flaky@n1", "Quarantined");
    let waits = until(
        "it cools down",
        || cluster.list("get procedures"),
        |all| all.len() == 1,
    );
    assert_eq!(
        (&waits[0]["rule"], &waits[0]["subject"], &waits[0]["text"]),
        (
            &"second_chance".into(),
            &"flaky@n1".into(),
            &"it cools down".into()
        ),
        "{waits:#?}"
    );
    let why = cluster.sh("why flaky@n1").ok().stdout;
    assert!(
        why.contains("(it cools down)") && why.contains("second_chance"),
        "{why}"
    );
    signal(cluster.station_pid(), Signal::KILL);
    until(
        "the station is back",
        || cluster.sh("get procedures").code,
        |code| *code == Some(0),
    );
    until(
        "it is tried once more",
        || cluster.list("get procedures"),
        |all| {
            all.iter()
                .any(|one| one["text"] == "it must run within 30 s")
        },
    );
    // Mended meanwhile: it takes its chance.
    cluster
        .sh("reconfigure flaky --unset refuse --no-wait")
        .ok();
    until(
        "it must stay up",
        || cluster.list("get procedures"),
        |all| {
            all.iter()
                .any(|one| one["text"] == "it must stay up for 20 s")
        },
    );
    let told = cluster.sh("decisions flaky@n1").ok().stdout;
    assert!(told.contains("second_chance"), "{told}");
}

// proves: S21
#[test]
fn a_rule_without_an_end_is_suspended_with_all_of_the_users_and_the_station_goes_on() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        station_bin: Some(command::program("mainstay-cursed")),
        ..DevOptions::default()
    });
    cluster
        .sh("start flaky --name endless --on n1 --no-wait")
        .ok();
    let rules = mainstay_tests::until::until_within(
        std::time::Duration::from_secs(180),
        "the station runs without users' rules",
        || cluster.sh("rule show endless -o json"),
        |run| run.code == Some(0) && !run.json()["suspended"].is_null(),
    )
    .json();
    assert_eq!(rules["enabled"], false, "{rules:#}");
    let why = rules["suspended"].as_str().expect("it says why");
    assert!(
        why.contains("endless did not come to an end 3 times, at last over endless@n1"),
        "{why}"
    );
    let status = cluster.json("status");
    assert!(
        status["problems"].to_string().contains("MS-RULE-SUSPENDED"),
        "{status:#}"
    );
    cluster.until_state("endless@n1", "Running");
    cluster.sh("start greeter --on n1").ok();
}
