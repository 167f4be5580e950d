//! The file's encoding.

use mainstay_protocol::report::Report;
use mainstay_protocol::room::Room;
use mainstay_protocol::{Epoch, Term};
use proptest::prelude::*;

use super::*;

fn head() -> FileRecord {
    FileRecord::Head {
        node: NodeName::new("n1").unwrap(),
        boot_id: BootId("boot".to_owned()),
        node_id: None,
    }
}

#[test]
fn what_is_written_is_read() {
    let mut bytes = encode_record(&head());
    bytes.extend(encode_record(&FileRecord::Leads(Leadership::default())));
    let recovered = replay(&bytes);
    assert_eq!(recovered.valid_len, bytes.len() as u64);
    assert!(!recovered.torn && !recovered.damaged);
}

#[test]
fn a_length_beyond_the_bound_is_damage_and_not_a_wait_for_more() {
    let mut bytes = encode_record(&head());
    bytes.extend([0xff; 8]);
    let recovered = replay(&bytes);
    assert!(recovered.damaged && !recovered.torn);
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(replay(&[]), Recovered::default());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let recovered = replay(&bytes);
        prop_assert!(recovered.valid_len <= bytes.len() as u64);
    }

    #[test]
    fn any_bytes_behind_a_head_leave_the_head(
        tail in proptest::collection::vec(any::<u8>(), 1..300),
    ) {
        let mut bytes = encode_record(&head());
        let whole = bytes.len() as u64;
        bytes.extend(tail);
        let recovered = replay(&bytes);
        prop_assert_eq!(recovered.valid_len, whole);
        prop_assert!(recovered.torn || recovered.damaged);
    }
}

/// Another one does not compile without a name, and so is noticed here.
fn name_of(record: &FileRecord) -> &'static str {
    match record {
        FileRecord::Head { .. } => "head",
        FileRecord::Joined { .. } => "joined",
        FileRecord::Leads(_) => "leads",
        FileRecord::Opened { .. } => "opened",
        FileRecord::Begun { .. } => "begun",
        FileRecord::Reported { .. } => "reported",
        FileRecord::Acknowledged { .. } => "acknowledged",
        FileRecord::Floor { .. } => "floor",
        FileRecord::Life(Life::Began) => "life-began",
        FileRecord::Life(Life::EndedInOrder) => "life-ended",
        FileRecord::Took { .. } => "took",
    }
}

fn one_of_each() -> [FileRecord; 11] {
    let instance = InstanceKey::new(NodeName::new("n1").unwrap(), "web".parse().unwrap());
    let incarnation = Incarnation::default().next();
    let node_id = NodeId(uuid::Uuid::from_u128(7));
    let report = Report::Announced {
        instance: instance.clone(),
        incarnation,
        why: "bye".to_owned(),
    };
    [
        FileRecord::Head {
            node: NodeName::new("n1").unwrap(),
            boot_id: BootId("boot".to_owned()),
            node_id: Some(node_id),
        },
        FileRecord::Joined {
            node_id,
            node_epoch: NodeEpoch(3),
            first: Sequence(300),
        },
        FileRecord::Leads(Leadership {
            epoch: Epoch(2),
            term: Term(3),
        }),
        FileRecord::Opened {
            command: CommandId(300),
            order: OpenOrder::Reconfigure,
            instance: instance.clone(),
            incarnation,
        },
        FileRecord::Begun {
            instance: instance.clone(),
            incarnation,
            name: SlotName::new("web").unwrap(),
            command: Some(CommandId(300)),
            came: Came::Started,
            needs: Needs {
                room: Room {
                    millicores: 300,
                    memory_bytes: 300,
                    disk_bytes: 300,
                },
                ports: [300].into(),
            },
        },
        FileRecord::Reported {
            numbered: Numbered {
                sequence: Sequence(300),
                report,
            },
            replaces: Some(Sequence(299)),
        },
        FileRecord::Acknowledged {
            up_to: Sequence(300),
        },
        FileRecord::Floor {
            instance: instance.clone(),
            incarnation,
        },
        FileRecord::Life(Life::Began),
        FileRecord::Life(Life::EndedInOrder),
        FileRecord::Took {
            command: CommandId(300),
            instance,
            incarnation,
            step: StepKey::new("r1".parse().unwrap(), "a".parse().unwrap()),
        },
    ]
}

/// What an agent of an earlier build wrote is read by the next: another layout needs a new version. `UPDATE=1` writes the
/// file anew, to be reviewed like code.
#[test]
fn the_agents_records_stay_what_they_are() {
    // proves: V8
    let records = one_of_each();
    let mut lines = String::new();
    for record in &records {
        let bytes = record::encode(record);
        let read = record::decode::<FileRecord>(&bytes, RECORD_BYTES_MAX);
        assert_eq!(read.as_ref(), Ok(record));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines += &format!("{} {hex}\n", name_of(record));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/agent-file-1.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &lines).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    for (now, then) in lines.lines().zip(golden.lines()) {
        assert_eq!(now, then, "its layout changed: give it a new version");
    }
    assert_eq!(lines, golden);
}
