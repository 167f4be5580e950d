//! Following real files, directories and fifos.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use mainstay_protocol::health::{Health as State, RefusedStart};
use mainstay_protocol::report::Report;
use mainstay_service::testing::TestService;
use mainstay_service::{Value, json};
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::*;

type Collecting = TestService<Collector>;

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn follow(path: &Path, more: &Value) -> Collecting {
    let mut config = json!({ "path": path, "every_ms": 20 });
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    Collecting::start(config).unwrap()
}

/// The next record's name and body.
fn record(collecting: &Collecting) -> (String, Value) {
    match collecting.said() {
        Report::Recorded { name, body, .. } => (name, serde_json::from_str(&body).unwrap()),
        other => panic!("a record is wanted, not {other:?}"),
    }
}

fn lines(collecting: &Collecting, count: usize) -> Vec<String> {
    let line = |_| record(collecting).1["line"].as_str().unwrap().to_owned();
    (0..count).map(line).collect()
}

/// It has had its first look: what is written from now on is new to it.
fn looked(collecting: &Collecting) {
    while !collecting.status().unwrap().contains("1 files followed") {
        std::thread::yield_now();
    }
}

// proves: S3
#[test]
fn a_file_is_followed_from_its_end_through_replacement_and_truncation() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("log");
    append(&file, "old\n");
    let collecting = follow(&file, &json!({}));
    looked(&collecting);
    append(&file, "one\ntw");
    let (name, body) = record(&collecting);
    assert_eq!(name, "line");
    assert_eq!(body, json!({ "file": file, "line": "one" }));
    append(&file, "o\n");
    assert_eq!(lines(&collecting, 1), ["two"]);
    // Its inode may be used again.
    fs::remove_file(&file).unwrap();
    append(&file, "three, and longer than what was there\n");
    assert_eq!(
        lines(&collecting, 1),
        ["three, and longer than what was there"]
    );
    // Shorter than what was read: begun anew.
    fs::write(&file, "4\n").unwrap();
    assert_eq!(lines(&collecting, 1), ["4"]);
}

#[test]
fn the_files_of_a_directory_are_followed_also_those_that_come_later() {
    let home = TempDir::new().unwrap();
    append(&home.path().join("a"), "first\n");
    let collecting = follow(
        home.path(),
        &json!({ "from": "beginning", "record": "order" }),
    );
    assert_eq!(
        record(&collecting),
        ("order".to_owned(), json!({ "file": "a", "line": "first" }))
    );
    append(&home.path().join("b"), "second\n");
    assert_eq!(
        record(&collecting).1,
        json!({ "file": "b", "line": "second" })
    );
}

#[test]
fn a_fifo_is_read_while_writers_come_and_go() {
    let home = TempDir::new().unwrap();
    let fifo = home.path().join("fifo");
    mkfifoat(CWD, &fifo, Mode::from_raw_mode(0o600)).unwrap();
    let collecting = follow(&fifo, &json!({}));
    for line in ["one", "two"] {
        append(&fifo, &format!("{line}\n"));
        assert_eq!(lines(&collecting, 1), [line]);
    }
    append(&fifo, "ha");
    append(&fifo, "lf\n");
    assert_eq!(lines(&collecting, 1), ["half"]);
}

#[test]
fn only_what_is_asked_for_becomes_a_record_with_its_groups() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("log");
    append(&file, "disk sda ok\ndisk sdb FAILING 93\nnoise\n");
    let only = r"disk (?<disk>\w+) FAILING (?<percent>\d+)";
    let collecting = follow(&file, &json!({ "from": "beginning", "only": only }));
    let body = record(&collecting).1;
    assert_eq!(
        (&body["disk"], &body["percent"]),
        (&json!("sdb"), &json!("93"))
    );
    while !collecting.status().unwrap().contains("2 lines passed over") {
        std::thread::yield_now();
    }
}

#[test]
fn lines_of_json_become_records_and_what_is_none_says_so() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("log");
    append(&file, "{\"free\":7}\nnot json\n");
    let collecting = follow(&file, &json!({ "from": "beginning", "format": "json" }));
    assert_eq!(record(&collecting).1["json"], json!({ "free": 7 }));
    let body = record(&collecting).1;
    assert_eq!(body["line"], "not json");
    assert!(body["error"].is_string(), "{body}");
}

#[test]
fn a_long_line_is_cut_and_says_so() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("log");
    append(&file, &format!("{}\nnext\n", "\u{1}".repeat(40_000)));
    let collecting = follow(&file, &json!({ "from": "beginning" }));
    // In pieces of 16 KiB, each with its beginning.
    for _ in 0..3 {
        assert_eq!(record(&collecting).1["cut"], true);
    }
    assert_eq!(lines(&collecting, 1), ["next"]);
}

#[test]
fn a_next_life_goes_on_where_the_last_one_was() {
    let home = TempDir::new().unwrap();
    let (file, kept) = (home.path().join("log"), home.path().join("kept"));
    append(&file, "one\n");
    let config = json!({ "path": file, "every_ms": 20, "from": "beginning" });
    let first = Collecting::start_in(&kept, config.clone()).unwrap();
    assert_eq!(lines(&first, 1), ["one"]);
    let followed = kept.join("followed.json");
    while !fs::read_to_string(&followed).is_ok_and(|text| text.contains("\"offset\":4")) {
        std::thread::yield_now();
    }
    first.kill();
    append(&file, "two\n");
    let second = Collecting::start_in(&kept, config.clone()).unwrap();
    assert_eq!(lines(&second, 1), ["two"]);
    // Nothing is written behind this.
    while !fs::read_to_string(&followed).is_ok_and(|text| text.contains("\"offset\":8")) {
        std::thread::yield_now();
    }
    second.stop();
    fs::write(&followed, "{").unwrap();
    let refused = Collecting::start_in(&kept, config).err().unwrap();
    assert_eq!(refused.refused, RefusedStart::NotNow);
    assert!(
        refused.text.contains("remove it to begin anew"),
        "{refused:?}"
    );
}

#[test]
fn what_is_not_there_is_waited_for_and_said() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("later");
    let collecting = follow(&file, &json!({}));
    let checked = collecting.check_until(State::Degraded);
    assert!(checked.detail.contains("No such file"), "{checked:?}");
    append(&file, "here\n");
    collecting.check_until(State::Ok);
    append(&file, "more\n");
    assert_eq!(lines(&collecting, 2), ["here", "more"]);
}

#[test]
fn what_cannot_be_is_refused_with_its_field() {
    for (config, field) in [
        (json!({ "path": "relative" }), "path"),
        (json!({ "path": "/tmp", "only": "(" }), "only"),
        (json!({ "path": "/tmp", "only": "(?<line>x)" }), "only"),
        (json!({ "path": "/tmp", "every_ms": 1 }), "every_ms"),
        (json!({ "path": "/tmp", "record": "Not A Name" }), "record"),
    ] {
        let refused = Collecting::start(config).err().unwrap();
        assert_eq!(refused.refused, RefusedStart::Config);
        assert!(refused.text.starts_with(field), "{refused:?}");
    }
}

#[test]
fn what_came_while_nobody_looked_after_a_missing_path_is_read_by_the_next_life() {
    let home = TempDir::new().unwrap();
    let (file, kept) = (home.path().join("later"), home.path().join("kept"));
    let config = json!({ "path": file, "every_ms": 20 });
    let first = Collecting::start_in(&kept, config.clone()).unwrap();
    first.check_until(State::Degraded);
    first.stop();
    append(&file, "precious\n");
    let second = Collecting::start_in(&kept, config).unwrap();
    assert_eq!(lines(&second, 1), ["precious"]);
    second.stop();
    // Of another path there is nothing to go on with: it is begun where it is said.
    let other = home.path().join("other");
    append(&other, "old\n");
    let third = Collecting::start_in(&kept, json!({ "path": other, "every_ms": 20 })).unwrap();
    looked(&third);
    append(&other, "new\n");
    assert_eq!(lines(&third, 1), ["new"]);
}

#[test]
fn a_busy_file_leaves_room_for_the_others() {
    let home = TempDir::new().unwrap();
    append(&home.path().join("a"), &"busy\n".repeat(500));
    append(&home.path().join("b"), "quiet\n");
    let collecting = follow(home.path(), &json!({ "from": "beginning" }));
    assert!(lines(&collecting, 32).contains(&"quiet".to_owned()));
}

#[test]
fn what_never_ends_is_refused_and_too_many_files_are_said() {
    let endless = follow(Path::new("/dev/zero"), &json!({ "from": "beginning" }));
    let checked = endless.check_until(State::Degraded);
    assert!(
        checked
            .detail
            .contains("neither a file nor a directory nor a fifo"),
        "{checked:?}"
    );
    let home = TempDir::new().unwrap();
    for number in 0..1030 {
        append(&home.path().join(format!("f{number:04}")), "x\n");
    }
    let many = follow(home.path(), &json!({}));
    let checked = many.check_until(State::Degraded);
    assert!(checked.detail.contains("1030 files"), "{checked:?}");
}
