//! The file's encoding.

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
