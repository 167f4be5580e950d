//! What instances say of their own accord in a real cluster: resources, questions, announcements, records.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::thread;

use mainstay_tests::{Cluster, DevOptions, Shared, until};
use serde_json::{Value, json};

static SHARED: Shared = Shared::new();

fn cluster() -> Arc<Cluster> {
    SHARED.get(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    })
}

// proves: S5, S6, S7
#[test]
fn a_resource_is_had_by_one_or_shared_and_free_when_its_user_is_gone() {
    let cluster = cluster();
    cluster.sh("start flaky --name holder --on n1").ok();
    cluster.sh("start flaky --name rival --on n2").ok();
    let disk = r#"'{"kind":"disk","name":"sda"}'"#;
    cluster.sh(&format!("call holder@n1 acquire {disk}")).ok();
    let refused = cluster.sh(&format!("call rival@n2 acquire {disk}"));
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("disk/sda is used by holder@n1"),
        "{}",
        refused.stderr
    );
    let tape = r#"'{"kind":"tape","name":"st0"}'"#;
    let refused = cluster.sh(&format!("call rival@n2 acquire {tape}"));
    assert!(
        refused.stderr.contains("only disk, database, not tape"),
        "{}",
        refused.stderr
    );

    let listed = cluster.list("get resources");
    let disk_row = listed
        .iter()
        .find(|one| one["name"] == "sda")
        .expect("it is listed");
    assert_eq!(
        (&disk_row["kind"], &disk_row["state"], &disk_row["used_by"]),
        (&json!("disk"), &json!("alone"), &json!(["holder@n1"])),
    );
    let holder = cluster.instance("holder@n1").expect("it is known");
    assert_eq!(holder["uses"], json!(["resource/disk/sda"]));
    let graph = cluster.sh("graph holder@n1").ok().stdout;
    assert!(
        graph.contains("Uses") && graph.contains("resource/disk/sda"),
        "{graph}"
    );

    let before = cluster.incarnation("holder@n1");
    cluster.sh("chaos kill holder@n1").ok();
    cluster.until_restarted("holder@n1", before);
    cluster.expect_decision("holder@n1", "release", "MS-RESOURCES-FREED");
    cluster.sh(&format!("call rival@n2 share {disk}")).ok();
    cluster.sh(&format!("call holder@n1 share {disk}")).ok();
    let shared = cluster.json("describe resource/disk/sda")["value"].clone();
    assert_eq!(
        shared["used_by"],
        json!(["holder@n1", "rival@n2"]),
        "{shared:#}"
    );
    for user in ["holder@n1", "rival@n2"] {
        cluster.sh(&format!("call {user} release {disk}")).ok();
    }
    cluster.sh("describe resource/disk/sda").expect_code(3);
}

/// The question that an instance waits with.
fn question(cluster: &Cluster, instance: &str) -> Value {
    let asked = until(
        "it asks",
        || cluster.list("get asked"),
        |asked| asked.iter().any(|one| one["instance"] == instance),
    );
    let mut asked = asked.into_iter();
    asked
        .find(|one| one["instance"] == instance)
        .expect("it was just there")
}

// proves: S7
#[test]
fn a_question_is_seen_explained_and_answered_by_hand() {
    let cluster = cluster();
    cluster.sh("start flaky --name asker --on n1").ok();
    let asks = Arc::clone(&cluster);
    let asking = thread::spawn(move || {
        asks.sh(r#"call asker@n1 ask '{"failure":"disk-full","within_ms":600000}' --timeout 60s"#)
    });
    let asked = question(&cluster, "asker@n1");
    assert_eq!(asked["failure"], "disk-full");
    let why = cluster.sh("why asker@n1").ok().stdout;
    let id = asked["id"].as_str().expect("an id").to_owned();
    assert!(
        why.contains("MS-ASKED") && why.contains(&format!("mainstay answer {id}")),
        "{why}"
    );
    cluster.sh("answer 1 true").expect_code(3);
    cluster.sh(&format!("answer {id} {{")).expect_code(2);
    let said = cluster.sh(&format!(r#"answer {id} '{{"drop":3}}'"#)).ok();
    assert!(
        said.stdout.contains("disk-full of asker@n1 is answered"),
        "{}",
        said.stdout
    );
    let answer = asking.join().expect("it was not broken off").ok();
    assert!(answer.stdout.contains("\"drop\": 3"), "{}", answer.stdout);
    cluster.sh(&format!("answer {id} true")).expect_code(3);
}

// proves: S7
#[test]
fn a_question_nobody_answers_is_a_failure_with_its_name() {
    let cluster = cluster();
    cluster.sh("start flaky --name unheard --on n2").ok();
    let before = cluster.incarnation("unheard@n2");
    cluster.sh(r#"call unheard@n2 ask '{"failure":"no-advice","within_ms":300}'"#);
    cluster.until_restarted("unheard@n2", before);
    let failed = cluster.list("events --since 10m");
    let told = |event: &Value| {
        event["message"]
            .as_str()
            .is_some_and(|it| it.contains("no-advice"))
    };
    assert!(failed.iter().any(told), "{failed:#?}");
}

// proves: S7
#[test]
fn an_announced_stop_is_told_with_its_end() {
    let cluster = cluster();
    cluster.sh("start flaky --name leaver --on n1").ok();
    cluster
        .sh(r#"call leaver@n1 announce '{"why":"the month is over"}'"#)
        .ok();
    cluster.until_state("leaver@n1", "Stopped");
    let why = cluster.sh("why leaver@n1").ok().stdout;
    assert!(why.contains("about to stop: the month is over"), "{why}");
}

// proves: S3
#[test]
fn what_is_written_into_a_followed_file_becomes_an_event() {
    let cluster = cluster();
    let log = cluster.home().join("followed.log");
    let append = |text: &str| {
        let file = OpenOptions::new().create(true).append(true).open(&log);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("it can be written");
    };
    append("before\n");
    cluster
        .sh(&format!(
            "start collector --name tail --on n1 --config path={} record=smart every_ms=50 'only=disk (?<disk>\\w+) fails'",
            log.display()
        ))
        .ok();
    until(
        "it follows the file",
        || cluster.sh("ask-status tail@n1").stdout,
        |status| status.contains("1 files followed"),
    );
    append("disk sdb fails\nnothing of note\n");
    let events = until(
        "the record is an event",
        || cluster.list("events --since 10m"),
        |events| {
            events
                .iter()
                .any(|event| event["type"] == "collected.record")
        },
    );
    let event = events
        .iter()
        .find(|event| event["type"] == "collected.record")
        .expect("it was just there");
    let body: Value =
        serde_json::from_str(event["data"]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        (&body["disk"], &body["line"]),
        (&json!("sdb"), &json!("disk sdb fails"))
    );
    until(
        "it is forgotten",
        || cluster.list("get collected"),
        |rows| rows.is_empty(),
    );
}
