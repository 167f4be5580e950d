//! Golden samples: bytes of every revision, kept in `golden/`, decode and re-encode byte for byte.
//!
//! `UPDATE=1 cargo test -p mainstay-protocol --test golden` writes samples that are missing. It never writes over
//! one: a sample that differs is a changed layout, which needs a new revision (or, before a release, its file
//! deleted by hand, where the review sees it).
#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

mod samples;

use std::collections::BTreeSet;
use std::path::PathBuf;

use mainstay_protocol::revision;
use samples::messages;

fn folder() -> PathBuf {
    let revision = revision::current().revision.to_string();
    [env!("CARGO_MANIFEST_DIR"), "golden", &revision]
        .iter()
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|line| {
            line.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                + "\n"
        })
        .collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

// proves: V8
// case: interfaces 30
#[test]
fn golden_samples_decode_and_re_encode_byte_for_byte() {
    let write_missing = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    for sample in samples::all() {
        let path = folder().join(format!("{}.hex", sample.name));
        if !path.exists() && write_missing {
            std::fs::write(&path, to_hex(&sample.bytes)).unwrap();
        }
        let Ok(text) = std::fs::read_to_string(&path) else {
            panic!("no golden sample {}: run with UPDATE=1", sample.name);
        };
        let golden = from_hex(&text);
        assert_eq!(
            to_hex(&sample.bytes),
            to_hex(&golden),
            "{} is not written as its golden sample any more: append a revision to HISTORY and keep reading the old one",
            sample.name
        );
        assert_eq!((sample.again)(&golden), golden, "{}", sample.name);
    }
}

#[test]
fn every_golden_file_belongs_to_a_sample() {
    let names: BTreeSet<String> = samples::all()
        .into_iter()
        .map(|sample| sample.name)
        .collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".hex").unwrap_or(&file);
        assert!(
            names.contains(name),
            "golden file {file} belongs to no sample"
        );
    }
}

// case: interfaces 37
#[test]
fn a_layout_that_changes_needs_a_new_revision() {
    let mut samples: Vec<_> = samples::all();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    let layout = samples.iter().fold(revision::SEED, |hash, sample| {
        let hash = revision::hash(hash, sample.name.as_bytes());
        let hash = revision::hash(hash, &(sample.bytes.len() as u64).to_be_bytes());
        revision::hash(hash, &sample.bytes)
    });
    let stored = revision::current().layout;
    assert!(
        layout == stored,
        "the layout's hash is {layout:#018x}, HISTORY in src/revision.rs says {stored:#018x} for revision {}: \
         append a revision with the new hash",
        revision::current().revision
    );
}

#[test]
fn every_variant_has_its_sample() {
    fn check<T>(list: &[&str], values: &[T], of: impl Fn(&T) -> &'static str) {
        let covered: BTreeSet<&str> = values.iter().map(of).collect();
        let all: BTreeSet<&str> = list.iter().copied().collect();
        assert_eq!(covered, all);
    }
    check(
        messages::REPORTS,
        &messages::reports(),
        messages::report_variant,
    );
    check(
        messages::OUTCOMES,
        &messages::outcomes(),
        messages::outcome_variant,
    );
    check(
        messages::ORDERS,
        &messages::orders(),
        messages::order_variant,
    );
    check(messages::ASKS, &messages::asks(), messages::ask_variant);
    check(
        messages::TARGETS,
        &messages::targets(),
        messages::target_variant,
    );
    check(
        messages::ANSWERS,
        &messages::answers(),
        messages::answer_variant,
    );
    let agent: Vec<_> = messages::agent_messages()
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    check(messages::AGENT_MESSAGES, &agent, messages::agent_variant);
    let station: Vec<_> = messages::station_messages()
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    check(
        messages::STATION_MESSAGES,
        &station,
        messages::station_variant,
    );
}

#[test]
fn revisions_rise_and_the_newest_is_spoken() {
    assert!(revision::HISTORY.is_sorted_by(|a, b| a.revision < b.revision));
    assert!(revision::SPEAKS_MIN <= revision::current().revision);
}
