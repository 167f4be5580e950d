//! What is on disk, in backups and on its way to other stations does not change by accident: another layout needs a new
//! version, and what was written by the one before must be read. `UPDATE=1` writes the file anew, to be reviewed like code.

use std::fmt::Debug;

use mainstay_coordinator::entry::{FORMAT, Outcome, Saw};
use mainstay_protocol::{Leadership, Term, code, limits, record};
use mainstay_resource_graph::{Cause, Change, Delta, Edge, Key, Kind, Relation, Vertex};

use super::*;

const POINT: LogPoint = LogPoint {
    term: 3,
    index: 300,
};

fn members() -> Members {
    Members {
        voters: vec![[1, 2, 3].into(), [1, 2].into()],
        addresses: [(1, "10.0.0.1:7001".to_owned()), (2, String::new())].into(),
    }
}

fn decision() -> Decision {
    let key = Key::Station(StationId(2));
    let saw = Saw {
        key: key.clone(),
        rev: Revision(299),
        text: "Away".to_owned(),
    };
    Decision {
        rule: "restart".to_owned(),
        subject: key,
        saw: vec![saw],
        outcome: Outcome::Declined {
            code: code::WITHIN_BUDGET.clone(),
            text: "not yet".to_owned(),
        },
    }
}

fn entry() -> Entry {
    let (from, to) = (Key::Station(StationId(2)), Key::Cluster);
    let made = mainstay_resource_graph::Record {
        key: from.clone(),
        vertex: Vertex::Configuration(mainstay_resource_graph::Configuration {
            json: "{}".to_owned(),
        }),
        since: Timestamp(7),
        rev: Revision(300),
        cause: Cause::Rule("restart".to_owned()),
    };
    let edge = Edge {
        from: from.clone(),
        relation: Relation::Uses,
        to: to.clone(),
        since: Timestamp(8),
        rev: Revision(300),
    };
    Entry {
        format: FORMAT,
        leadership: Leadership {
            epoch: Epoch(2),
            term: Term(3),
        },
        log_time: Timestamp(9),
        wall_ms: 1_700_000_000_000,
        delta: Delta {
            expected: Revision(299),
            changes: vec![
                Change::Put(Box::new(made)),
                Change::Link(edge),
                Change::Unlink {
                    from: from.clone(),
                    relation: Relation::Uses,
                    to,
                },
                Change::Remove(from),
            ],
        },
        decisions: vec![decision()],
    }
}

fn applied() -> Applied {
    Applied {
        last: Some(POINT),
        members_at: Some(POINT),
        members: members(),
        revision: Revision(300),
        generation: 4,
        log_time: Timestamp(9),
        wall_ms: 1_700_000_000_000,
    }
}

fn event() -> Event {
    Event {
        subject: Key::Cluster,
        kind: "cluster.founded".to_owned(),
        cause: "operator init".to_owned(),
        rule: Some("restart".to_owned()),
        message: "cluster prod is founded".to_owned(),
        data: [("id".to_owned(), "7".to_owned())].into(),
    }
}

fn about() -> About {
    About {
        cluster: ClusterId(uuid::Uuid::from_u128(7)),
        name: ClusterName::new("prod").unwrap(),
        epoch: Epoch(2),
        station: StationId(3),
        revision: Revision(300),
        last: POINT,
        log_time: Timestamp(9),
        wall_ms: 1_700_000_000_000,
        taken_ms: 1_700_000_000_500,
    }
}

/// One line each, with its optional parts filled in; each reads back as itself.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add<R: Record + PartialEq + Debug>(&mut self, record: R) {
        let bytes = record::encode(&record);
        assert_eq!(
            record::decode::<R>(&bytes, limits::DECODE_BYTES_MAX).unwrap(),
            record
        );
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0 += &format!("{} {hex}\n", R::NAME.replace(' ', "-"));
    }

    fn of_the_log(&mut self) {
        let payloads = [
            Payload::Blank,
            Payload::Entry(Arc::new(entry())),
            Payload::Membership(members()),
        ];
        for payload in payloads {
            self.add(LogRecord { term: 3, payload });
        }
        self.add(Vote {
            term: 3,
            station: 2,
            committed: true,
        });
        self.add(POINT);
        self.add(SnapshotPoint {
            last: Some(POINT),
            members_at: Some(POINT),
            members: members(),
            directory: "3-300".to_owned(),
        });
        self.add(SnapshotHead {
            cluster: "prod".to_owned(),
            applied: applied(),
        });
        self.add(SnapshotEnd { records: 12 });
    }

    fn of_the_state(&mut self) {
        self.add(applied());
        self.add(Counters {
            entries: 1,
            stale: 2,
            decisions: 3,
            events: 4,
            vertices: [(Kind::Node as u16, 5)].into(),
            edges: 6,
        });
        self.add(History { bytes: 4096 });
        self.add(Begun { epoch: Epoch(2) });
        self.add(DecisionRow {
            revision: Revision(300),
            number: 1,
            log_time: Timestamp(9),
            wall_ms: 1_700_000_000_000,
            decision: decision(),
        });
        self.add(EventRow {
            revision: Revision(300),
            number: 2,
            log_time: Timestamp(9),
            wall_ms: 1_700_000_000_000,
            event: event(),
        });
    }

    fn of_a_backup(&mut self) {
        self.add(about());
        self.add(BackupEnd {
            bytes: 4096,
            crc: 7,
        });
    }
}

#[test]
fn stored_records_stay_what_they_are() {
    // proves: V8
    let mut lines = Lines::default();
    lines.of_the_log();
    lines.of_the_state();
    lines.of_a_backup();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/records-1.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &lines.0).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    for (now, then) in lines.0.lines().zip(golden.lines()) {
        assert_eq!(now, then, "its layout changed: give it a new version");
    }
    assert_eq!(lines.0, golden);
    let named = |family: &str| golden.lines().any(|line| line.starts_with(family));
    for family in FAMILIES {
        let name = family.replace(' ', "-");
        assert!(named(&format!("{name} ")), "{name} has no sample");
    }
}
