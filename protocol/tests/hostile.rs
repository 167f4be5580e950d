//! Bytes nobody meant: arbitrary, mutated, cut. Decoders say what is wrong, never panic, and never deliver what
//! was not sent.
#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

mod samples;

use mainstay_protocol::codec;
use mainstay_protocol::frame::{
    Channel, Frame, FrameDecoder, FrameError, HEADER_BYTES, encode_frame,
};
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::limits;
use mainstay_protocol::record;
use mainstay_protocol::session::{AgentMessage, StationMessage, kinds};
use proptest::collection::vec;
use proptest::prelude::*;
use samples::{Note, messages};

/// Takes out everything, reads it as both sides would, and says how it ended.
fn drain(decoder: &mut FrameDecoder) -> (Vec<Frame>, Option<FrameError>) {
    let mut frames = Vec::new();
    while let Some(next) = decoder.next() {
        match next {
            Ok(frame) => {
                read_as_anyone(&frame);
                frames.push(frame);
            }
            Err(error) => {
                assert_eq!(
                    decoder.next(),
                    Some(Err(error.clone())),
                    "a broken stream stays broken"
                );
                assert_eq!(decoder.buffered_bytes(), 0);
                return (frames, Some(error));
            }
        }
    }
    (frames, None)
}

/// Every outcome is fine but a panic; what is read can be written.
fn read_as_anyone(frame: &Frame) {
    if let Ok(mainstay_protocol::session::Received::Message(message)) =
        AgentMessage::from_frame(frame)
    {
        message.to_frame();
    }
    if let Ok(mainstay_protocol::session::Received::Message(message)) =
        StationMessage::from_frame(frame)
    {
        message.to_frame();
    }
}

fn stream() -> (Vec<Frame>, Vec<u8>) {
    let mut frames = Vec::new();
    let mut bytes = Vec::new();
    for sample in messages::samples() {
        frames.push(messages::only_frame(&sample.bytes));
        bytes.extend(sample.bytes);
    }
    (frames, bytes)
}

#[test]
fn frames_are_the_same_however_the_stream_is_cut() {
    let (frames, bytes) = stream();
    for cut in 0..=bytes.len() {
        let mut decoder = FrameDecoder::new(Channel::Control);
        let (head, tail) = bytes.split_at(cut);
        decoder.push(head);
        let (mut got, none) = drain(&mut decoder);
        assert_eq!(none, None);
        decoder.push(tail);
        let (rest, none) = drain(&mut decoder);
        assert_eq!(none, None);
        got.extend(rest);
        assert!(got == frames, "cut at {cut}");
    }
}

#[test]
fn frames_arrive_byte_by_byte() {
    let (frames, bytes) = stream();
    let mut decoder = FrameDecoder::new(Channel::Control);
    let mut got = Vec::new();
    for byte in bytes {
        decoder.push(&[byte]);
        let (more, none) = drain(&mut decoder);
        assert_eq!(none, None);
        got.extend(more);
    }
    assert_eq!(got, frames);
}

// case: interfaces 31
#[test]
fn a_frame_that_says_it_is_too_big_is_refused_before_its_body_comes() {
    let mut frame = Frame::of(&mainstay_protocol::session::Heartbeat::default());
    frame.body = vec![0; limits::CONTROL_FRAME_BYTES_MAX + 1];
    let mut bytes = Vec::new();
    encode_frame(&frame, Channel::Bulk, &mut bytes).unwrap();
    assert!(encode_frame(&frame, Channel::Control, &mut Vec::new()).is_err());
    let mut decoder = FrameDecoder::new(Channel::Control);
    decoder.push(&bytes[..HEADER_BYTES]);
    let error = decoder.next().unwrap().unwrap_err();
    assert_eq!(
        error,
        FrameError::TooBig {
            kind: kinds::HEARTBEAT,
            bytes: limits::CONTROL_FRAME_BYTES_MAX + 1,
            limit: limits::CONTROL_FRAME_BYTES_MAX
        }
    );
}

#[test]
fn a_damaged_frame_and_an_unknown_frame_version_are_fatal() {
    let sample = messages::samples().remove(0).bytes;
    let mut damaged = sample.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut decoder = FrameDecoder::new(Channel::Control);
    decoder.push(&damaged);
    decoder.push(&sample);
    let (frames, error) = drain(&mut decoder);
    assert_eq!(frames, []);
    assert!(
        matches!(error, Some(FrameError::Checksum { .. })),
        "{error:?}"
    );

    let mut decoder = FrameDecoder::new(Channel::Control);
    decoder.push(&[2]);
    let (_, error) = drain(&mut decoder);
    assert_eq!(error, Some(FrameError::Version { version: 2 }));
}

/// Some bytes of a list changed, some taken out, some put in.
fn mutate(bytes: &mut Vec<u8>, changes: &[(u8, usize, u8)]) {
    for (what, place, byte) in changes {
        if bytes.is_empty() {
            return;
        }
        let place = place % bytes.len();
        match what {
            0 => bytes[place] = *byte,
            1 => bytes[place] ^= 1 << (byte % 8),
            2 => drop(bytes.remove(place)),
            3 => bytes.insert(place, *byte),
            4 => bytes.truncate(place),
            _ => unreachable!("changes are 0 to 4"),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(u8, usize, u8)>> {
    vec((0u8..5, any::<usize>(), any::<u8>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    // case: interfaces 31
    #[test]
    fn arbitrary_bytes_are_no_frames_and_no_panic(mut bytes in vec(any::<u8>(), 0..400), begins_well: bool) {
        if let (Some(first), true) = (bytes.first_mut(), begins_well) {
            *first = 1;
        }
        let mut decoder = FrameDecoder::new(Channel::Control);
        decoder.push(&bytes);
        let (frames, _) = drain(&mut decoder);
        prop_assert_eq!(frames, []);
    }

    #[test]
    fn a_mutated_stream_delivers_nothing_that_was_not_sent(changes in changes()) {
        let (sent, mut bytes) = stream();
        mutate(&mut bytes, &changes);
        let mut decoder = FrameDecoder::new(Channel::Control);
        decoder.push(&bytes);
        let (got, _) = drain(&mut decoder);
        prop_assert!(got.iter().all(|frame| sent.contains(frame)));
    }

    #[test]
    fn a_mutated_body_in_a_whole_frame_is_read_or_refused(
        pick: prop::sample::Index, changes in changes(), version in 0u16..4, compat in 0u16..4,
    ) {
        let all = messages::samples();
        let mut frame = messages::only_frame(&pick.get(&all).bytes);
        mutate(&mut frame.body, &changes);
        frame.body_version = version;
        frame.compat = compat;
        read_as_anyone(&messages::only_frame(&messages::bytes(&frame)));
    }

    #[test]
    fn an_arbitrary_body_of_any_kind_is_read_or_refused(
        body in vec(any::<u8>(), 0..300), kind in prop::sample::select(vec![1u16, 2, 3, 4, 101, 102, 103, 104, 105, 106, 201]),
        codec in 0u8..3,
    ) {
        let frame = Frame { kind, body_version: 1, compat: 1, codec, request_id: 0, trace: [0; 24], term: 0, body };
        read_as_anyone(&frame);
    }

    #[test]
    fn arbitrary_bytes_are_no_handshake_and_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Handshake::decode(&bytes).is_err());
    }

    #[test]
    fn a_mutated_handshake_is_read_or_refused(changes in changes()) {
        let mut bytes = samples::full_handshake().encode().unwrap();
        mutate(&mut bytes, &changes);
        if let Ok(read) = Handshake::decode(&bytes) {
            let again = read.encode().unwrap();
            prop_assert_eq!(Handshake::decode(&again), Ok(read));
        }
    }

    #[test]
    fn a_mutated_record_is_read_or_refused(changes in changes()) {
        let note = Note { number: 300, text: "kept".to_owned() };
        let mut bytes = record::encode(&note);
        mutate(&mut bytes, &changes);
        let _outcome = record::decode::<Note>(&bytes, 1024);
    }

    #[test]
    fn arbitrary_bytes_of_any_shape_pass_the_codec_without_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _outcome = codec::decode::<Vec<(String, Vec<Option<u64>>)>>(&bytes, 1024);
        let _outcome = codec::decode::<std::collections::BTreeMap<String, Vec<u8>>>(&bytes, 1024);
        let _outcome = codec::decode::<mainstay_protocol::report::Report>(&bytes, 1024);
    }
}
