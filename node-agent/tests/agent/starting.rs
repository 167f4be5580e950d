//! Starts: those that work, those that are refused, those that take too long.

use mainstay_protocol::code;
use mainstay_protocol::health::RefusedStart;
use mainstay_protocol::report::{CommandOutcome, Report};

use crate::station::{Cluster, instance};

#[test]
fn a_start_is_reported_with_the_configuration_in_use() {
    // proves: S8
    // case: services 11
    let cluster = Cluster::new();
    let command = cluster.start("greeter", "greeter", 1, "{}");
    let Report::Started {
        version,
        config,
        process,
        ..
    } = cluster.started("greeter", 1)
    else {
        unreachable!()
    };
    assert_eq!(version, "1.0.0");
    assert_eq!(config, r#"{"greeting":"Hello"}"#);
    assert_eq!(process[0].pid, std::process::id());
    assert_eq!(cluster.outcome(command), CommandOutcome::Done);
}

#[test]
fn an_agent_says_what_it_provides() {
    let cluster = Cluster::new();
    let node_up = cluster.wait("node up", |heard| heard.node_ups.first().cloned());
    let types: Vec<_> = node_up
        .provides
        .iter()
        .map(|t| (t.name.as_str(), t.holds.is_some()))
        .collect();
    for expected in [
        ("flaky", false),
        ("greeter", true),
        ("noisy", false),
        ("ocf", false),
        ("process", false),
        ("http-watch", false),
        ("service-proxy", false),
        ("app-server", false),
        ("activity-agent", false),
        ("systemd", false),
    ] {
        assert!(
            types.contains(&expected),
            "{expected:?} is not in {types:?}"
        );
    }
    let flaky = node_up.provides.iter().find(|t| t.name.as_str() == "flaky");
    let flaky: Vec<_> = flaky
        .unwrap()
        .messages
        .iter()
        .map(|m| m.name.as_str())
        .collect();
    for name in ["panic", "end", "fail", "hang", "slow", "leak"] {
        assert!(flaky.contains(&name), "{name} is not in {flaky:?}");
    }
    assert_eq!(node_up.sysinfo.labels["role"], "web");
    assert!(node_up.sysinfo.memory_bytes > 0 && !node_up.boot_id.0.is_empty());
    let offers = node_up.sysinfo.offers;
    assert_eq!(offers.millicores, u64::from(node_up.sysinfo.cores) * 1000);
    assert_eq!(offers.memory_bytes, node_up.sysinfo.memory_bytes);
    assert!(offers.disk_bytes > 0);
}

#[test]
fn a_start_that_is_refused_is_reported_with_its_reason() {
    // proves: S8
    // case: services 22
    let cluster = Cluster::new();
    let cases = [
        (
            "a",
            "flaky",
            r#"{"refuse":"config: no such port"}"#,
            RefusedStart::Config,
            "no such port",
        ),
        (
            "b",
            "flaky",
            r#"{"refuse":"not-now: the disk is away"}"#,
            RefusedStart::NotNow,
            "the disk is away",
        ),
        (
            "c",
            "flaky",
            r#"{"refuse":"panic: out of luck"}"#,
            RefusedStart::Panic,
            "out of luck at ",
        ),
        (
            "d",
            "greeter",
            r#"{"greting":"Hi"}"#,
            RefusedStart::Config,
            "unknown field `greting`",
        ),
        (
            "e",
            "greeter",
            r#"{"greeting":7}"#,
            RefusedStart::Config,
            "invalid type",
        ),
        ("f", "grabber", "{}", RefusedStart::NoSuchType, "grabber"),
    ];
    for (placement, service_type, config, why, words) in cases {
        let command = cluster.start(service_type, placement, 1, config);
        let report = cluster.report(placement, |report| {
            matches!(report, Report::CouldNotStart { instance: i, .. } if *i == instance(placement))
        });
        let Report::CouldNotStart { refused, text, .. } = report else {
            unreachable!()
        };
        assert_eq!(refused, why, "{text}");
        assert!(text.contains(words), "{text}");
        assert_eq!(cluster.outcome(command), CommandOutcome::Done);
    }
    // The others are unaffected, and the names are free again.
    cluster.start("flaky", "a", 2, "{}");
    cluster.started("a", 2);
}

#[test]
fn a_start_beyond_its_deadline_is_broken_off() {
    let cluster = Cluster::new();
    cluster.start_as("flaky", "slow", 1, r#"{"start_ms":60000}"#, "slow", 200);
    let report = cluster.report("the missed deadline", |report| {
        matches!(
            report,
            Report::CouldNotStart {
                refused: RefusedStart::Deadline,
                ..
            }
        )
    });
    let Report::CouldNotStart { text, .. } = report else {
        unreachable!()
    };
    assert!(text.contains("200 ms"), "{text}");
    cluster.start_as("flaky", "slow", 2, r#"{"start_ms":10}"#, "slow", 5_000);
    cluster.started("slow", 2);
}

#[test]
fn a_stop_during_a_start_ends_it() {
    let cluster = Cluster::new();
    let start = cluster.start_as("flaky", "slow", 1, r#"{"start_ms":60000}"#, "slow", 60_000);
    let stop = cluster.stop("slow", 1, 5_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    assert_eq!(cluster.outcome(start), CommandOutcome::Done);
    cluster.report("the end", |report| matches!(report, Report::Ended { .. }));
}

#[test]
fn a_name_that_somebody_else_locked_on_the_node_is_taken() {
    // proves: S8
    let cluster = Cluster::new();
    let slot = cluster.path("agent").join("slots/web");
    std::fs::create_dir(&slot).unwrap();
    let lock = std::fs::File::create(slot.join("lock")).unwrap();
    lock.lock().unwrap();
    let start = cluster.start_as("flaky", "one", 1, "{}", "web", 1_000);
    let report = cluster.report("name taken", |report| {
        matches!(report, Report::NameTaken { .. })
    });
    let Report::NameTaken { name, holder, .. } = report else {
        unreachable!()
    };
    assert_eq!((name.as_str(), holder), ("web", None));
    let CommandOutcome::Refused { code, .. } = cluster.outcome(start) else {
        panic!("it was not refused")
    };
    assert_eq!(code, code::NAME_HELD_ON_NODE);
    drop(lock);
    cluster.start_as("flaky", "one", 2, "{}", "web", 1_000);
    cluster.started("one", 2);
    // And it holds the name itself now.
    let lock = std::fs::File::open(slot.join("lock")).unwrap();
    assert!(lock.try_lock().is_err());
    let stop = cluster.stop("one", 2, 1_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    lock.try_lock().unwrap();
}
