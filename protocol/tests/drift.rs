//! Builds of different ages: newer tails are skipped, what is too new is answered, unknown fields are ignored.
#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

mod samples;

use mainstay_protocol::code;
use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::frame::Frame;
use mainstay_protocol::handshake::{
    Channel, Handshake, HandshakeError, Interface, PREFIX_BYTES, Role, agree,
};
use mainstay_protocol::record::{self, RecordError};
use mainstay_protocol::request::{Answer, Ask, Request};
use mainstay_protocol::session::{AgentMessage, Received, StationMessage, Unsupported, kinds};
use mainstay_protocol::versioned::{OpenError, Versioned};
use mainstay_protocol::{ClusterId, CommandId, Epoch, Leadership};
use proptest::collection::vec;
use proptest::prelude::*;
use samples::{Note, messages};
use uuid::Uuid;

fn newer(mut frame: Frame, tail: &[u8], by: u16) -> Frame {
    frame.body_version += by;
    frame.body.extend(tail);
    frame
}

// case: services 61
#[test]
fn a_request_of_a_newer_build_is_read_without_its_tail_and_answered() {
    let request = Request {
        deadline_ms: 5_000,
        ask: Ask::SupervisorCheck,
    };
    let sent = Frame::of(&request).with_request_id(7);
    let received = StationMessage::from_frame(&newer(sent, b"a field of tomorrow", 1)).unwrap();
    let Received::Message(StationMessage::Request {
        request_id,
        request: read,
    }) = received
    else {
        panic!("not a request: {received:?}");
    };
    assert_eq!((request_id, &read), (7, &request));
    // Re-encoded at this build's version it is what this build would have sent.
    assert_eq!(Frame::of(&read), Frame::of(&request));
    let answer = AgentMessage::Answer {
        request_id,
        answer: Answer::Done {
            text: "fine".to_owned(),
        },
    };
    assert_eq!(answer.to_frame().request_id, 7);
}

// case: services 61
#[test]
fn a_request_that_needs_a_newer_reader_is_answered_unsupported() {
    let mut frame = newer(messages_request(), b"", 1);
    frame.compat = 2;
    let received = StationMessage::from_frame(&frame).unwrap();
    let answer = Some(Unsupported {
        kind: kinds::REQUEST,
        known: Some(1),
    });
    assert_eq!(
        received,
        Received::Unsupported {
            request_id: 9,
            answer
        }
    );
}

// case: interfaces 32
#[test]
fn an_unknown_kind_is_answered_and_not_fatal() {
    let mut frame = messages_request();
    frame.kind = 60_000;
    let answer = Some(Unsupported {
        kind: 60_000,
        known: None,
    });
    let unsupported = Received::Unsupported {
        request_id: 9,
        answer,
    };
    assert_eq!(StationMessage::from_frame(&frame), Ok(unsupported));
    // A message of the other direction is as unknown as any.
    assert!(matches!(
        AgentMessage::from_frame(&messages_request()),
        Ok(Received::Unsupported { .. })
    ));
}

#[test]
fn an_unsupported_too_new_to_read_is_not_answered() {
    let what = Unsupported {
        kind: 1,
        known: None,
    };
    let mut frame = newer(Frame::of(&what), b"", 1);
    frame.compat = 2;
    let received = AgentMessage::from_frame(&frame).unwrap();
    assert_eq!(
        received,
        Received::Unsupported {
            request_id: 0,
            answer: None
        }
    );
}

#[test]
fn a_part_inside_a_body_has_versions_of_its_own() {
    // What `Command` looks like to the codec.
    let order = messages::orders().remove(0);
    let mut part = Versioned::of(&order);
    part.version += 1;
    part.bytes.extend(b"tail");
    let leadership = Leadership::default();
    let bytes = mainstay_protocol::codec::encode(&(CommandId(1), leadership, &part));
    let command: Command = mainstay_protocol::codec::decode(&bytes, 4096).unwrap();
    assert_eq!(command.order, order);

    part.compat = 2;
    let error = part.open::<Order>(4096).unwrap_err();
    assert_eq!(
        error.to_string(),
        "order: needs a reader of version 2, this build reads up to 1"
    );
}

#[test]
fn a_bad_body_says_its_kind_and_why() {
    let mut frame = messages_request();
    frame.body.truncate(1);
    let error = StationMessage::from_frame(&frame).unwrap_err().to_string();
    assert_eq!(error, "frame of kind 105: request: the bytes end too early");
    let mut frame = messages_request();
    frame.codec = 9;
    let error = StationMessage::from_frame(&frame).unwrap_err().to_string();
    assert_eq!(
        error,
        "frame of kind 105: request: codec 9 is not known here"
    );
}

#[test]
fn a_record_says_what_it_is_before_it_is_read() {
    let note = Note {
        number: 1,
        text: "a".to_owned(),
    };
    let mut bytes = record::encode(&note);
    assert_eq!(record::header(&bytes).unwrap().0.family, 0xfff0);
    bytes[1] ^= 1;
    let error = record::decode::<Note>(&bytes, 64).unwrap_err();
    assert!(
        matches!(error, RecordError::OtherFamily { found: 0xfff1, .. }),
        "{error}"
    );
    bytes[1] ^= 1;
    bytes[3] = 1;
    let error = record::decode::<Note>(&bytes, 64).unwrap_err();
    assert!(
        matches!(
            error,
            RecordError::Body(OpenError::TooOld { version: 1, .. })
        ),
        "{error}"
    );
    bytes[3] = 3;
    bytes.push(0xaa);
    assert_eq!(record::decode::<Note>(&bytes, 64), Ok(note));
}

fn messages_request() -> Frame {
    Frame::of(&Request {
        deadline_ms: 1,
        ask: Ask::SupervisorStatus,
    })
    .with_request_id(9)
}

fn with_field(bytes: &[u8], at: usize, field: u16, value: &[u8]) -> Vec<u8> {
    // Where fields begin.
    let mut places = vec![PREFIX_BYTES];
    let mut place = PREFIX_BYTES;
    while place < bytes.len() {
        place += 4 + usize::from(u16::from_be_bytes([bytes[place + 2], bytes[place + 3]]));
        places.push(place);
    }
    let mut out = bytes.to_vec();
    let mut inserted = field.to_be_bytes().to_vec();
    inserted.extend((value.len() as u16).to_be_bytes());
    inserted.extend(value);
    let place = places[at % places.len()];
    out.splice(place..place, inserted);
    let length = (out.len() - PREFIX_BYTES) as u32;
    out[10..14].copy_from_slice(&length.to_be_bytes());
    out
}

#[test]
fn a_handshake_with_a_field_twice_or_missing_is_refused() {
    let bytes = samples::full_handshake().encode().unwrap();
    let error = Handshake::decode(&with_field(&bytes, 0, 6, b"again")).unwrap_err();
    assert_eq!(error.to_string(), "handshake field 6: there twice");
    let mut empty = bytes[..PREFIX_BYTES].to_vec();
    empty[10..14].fill(0);
    assert_eq!(
        Handshake::decode(&empty),
        Err(HandshakeError::Missing { what: "epoch" })
    );
    let mut huge = bytes;
    huge[10..14].fill(0xff);
    assert!(matches!(
        Handshake::needed(&huge[..PREFIX_BYTES]),
        Err(HandshakeError::TooBig { .. })
    ));
    assert_eq!(Handshake::needed(b"GET / HT"), Err(HandshakeError::Magic));
}

#[test]
fn needed_counts_down_to_a_whole_handshake() {
    let bytes = samples::full_handshake().encode().unwrap();
    for at in 0..=bytes.len() {
        let whole = if at < PREFIX_BYTES {
            PREFIX_BYTES
        } else {
            bytes.len()
        };
        assert_eq!(Handshake::needed(&bytes[..at]), Ok(whole - at));
    }
}

fn speaking(min: u32, max: u32, digest: u8) -> Handshake {
    let mut handshake = Handshake::new(Role::Agent, Channel::Control, "test");
    handshake.interfaces = vec![Interface {
        id: "control".to_owned(),
        digest: vec![digest],
        speaks_min: min,
        speaks_max: max,
    }];
    handshake
}

#[test]
fn the_older_revision_is_spoken() {
    let agreed = agree(&speaking(1, 3, 3), &speaking(2, 5, 5)).unwrap();
    assert_eq!(agreed.revisions["control"], 3);
}

#[test]
fn no_shared_revision_is_a_version_mismatch_that_says_who_is_older() {
    let refused = agree(&speaking(4, 5, 5), &speaking(1, 3, 3)).unwrap_err();
    assert_eq!(refused.code, code::VERSION_MISMATCH);
    assert_eq!(
        refused.text,
        "of interface \"control\" the older build speaks revisions 1 to 3 and the newer 4 to 5; update the older"
    );
}

// case: interfaces 11
#[test]
fn equal_revisions_with_different_histories_are_a_mismatch() {
    let refused = agree(&speaking(1, 3, 1), &speaking(1, 3, 2)).unwrap_err();
    assert_eq!(refused.code, code::VERSION_MISMATCH);
    assert!(
        refused.text.contains("different histories"),
        "{}",
        refused.text
    );
}

#[test]
fn another_cluster_is_refused_and_a_first_contact_is_not() {
    let mut ours = speaking(1, 1, 0);
    let mut theirs = speaking(1, 1, 0);
    ours.cluster = Some(ClusterId(Uuid::from_u128(1)));
    assert_eq!(agree(&ours, &theirs).unwrap().cluster, None);
    theirs.cluster = Some(ClusterId(Uuid::from_u128(2)));
    assert_eq!(agree(&ours, &theirs).unwrap_err().code, code::WRONG_CLUSTER);
    theirs.cluster = ours.cluster;
    assert_eq!(agree(&ours, &theirs).unwrap().cluster, ours.cluster);
}

fn any_handshake() -> impl Strategy<Value = Handshake> {
    let interface = ("control|queue|x", vec(any::<u8>(), 0..2), 0u32..4, 0u32..4);
    (
        prop::option::of(0u128..2),
        any::<u64>(),
        vec(interface, 0..4),
        prop::collection::btree_set("[a-z]{1,8}", 0..3),
        prop::sample::select(vec![Channel::Control, Channel::Bulk]),
        prop::sample::select(vec![Role::Agent, Role::Station, Role::Cli]),
    )
        .prop_map(|(cluster, epoch, interfaces, features, channel, role)| {
            let mut handshake = Handshake::new(role, channel, "any");
            handshake.cluster = cluster.map(|id| ClusterId(Uuid::from_u128(id)));
            handshake.epoch = Epoch(epoch);
            handshake.interfaces.clear();
            for (id, digest, a, b) in interfaces {
                if handshake.interfaces.iter().all(|other| other.id != id) {
                    handshake.interfaces.push(Interface {
                        id,
                        digest,
                        speaks_min: a.min(b),
                        speaks_max: a.max(b),
                    });
                }
            }
            handshake.features = features;
            handshake
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    // case: interfaces 38
    #[test]
    fn unknown_fields_of_a_handshake_are_ignored(
        handshake in any_handshake(),
        fields in vec((any::<usize>(), 13u16.., vec(any::<u8>(), 0..40)), 0..10),
    ) {
        let plain = handshake.encode().unwrap();
        let mut bytes = plain.clone();
        for (at, field, value) in &fields {
            bytes = with_field(&bytes, *at, *field, value);
        }
        let read = Handshake::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &handshake);
        // Kept out: a relay would otherwise vouch for what it does not understand.
        prop_assert_eq!(read.encode().unwrap(), plain);
    }

    #[test]
    fn both_sides_compute_the_same_verdict(a in any_handshake(), b in any_handshake()) {
        prop_assert_eq!(agree(&a, &b), agree(&b, &a));
    }

    // case: services 61
    #[test]
    fn a_newer_tail_of_any_message_is_skipped(
        pick: prop::sample::Index, tail in vec(any::<u8>(), 0..100), by in 1u16..1000,
    ) {
        let agent = messages::agent_messages();
        let (_, message) = pick.get(&agent);
        let read = AgentMessage::from_frame(&newer(message.to_frame(), &tail, by));
        prop_assert_eq!(read, Ok(Received::Message(message.clone())));
        let station = messages::station_messages();
        let (_, message) = pick.get(&station);
        let read = StationMessage::from_frame(&newer(message.to_frame(), &tail, by));
        prop_assert_eq!(read, Ok(Received::Message(message.clone())));
    }
}
