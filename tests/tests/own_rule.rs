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
