//! What hostile bytes can make a decoder allocate, measured at the allocator. One test, alone in its binary.
#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]
#![allow(
    unsafe_code,
    reason = "an allocator that counts can only be written with unsafe"
)]

mod samples;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use mainstay_protocol::frame::{Channel, Frame, FrameDecoder};
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::session::{AgentMessage, StationMessage};
use mainstay_protocol::{codec, limits};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counters touch no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was held at a time, beyond what was held before.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed).saturating_sub(before)
}

/// serde makes room for at most 1 MiB of list elements on a claim alone; lists nest twice in our bodies.
const CLAIMED_MAX: usize = 3 * 1024 * 1024;

// case: interfaces 31
#[test]
fn claims_of_huge_lengths_allocate_within_bounds() {
    // Lengths of 2^28 and of 2^63 - 1, as the codec writes them.
    let claims: [&[u8]; 2] = [
        &[0xfc, 0, 0, 0, 0x10],
        &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ];
    for sample in samples::messages::samples() {
        let frame = samples::messages::only_frame(&sample.bytes);
        for (at, claim) in (0..frame.body.len()).flat_map(|at| claims.map(|claim| (at, claim))) {
            let mut body = frame.body.clone();
            body.splice(at..=at, claim.iter().copied());
            let frame = Frame {
                body,
                ..frame.clone()
            };
            let peak = peak_of(|| {
                let _outcome = AgentMessage::from_frame(&frame);
                let _outcome = StationMessage::from_frame(&frame);
            });
            assert!(peak < CLAIMED_MAX, "{} at {at}: {peak} bytes", sample.name);
        }
        for at in 48..52 {
            // A length of the frame.
            let mut bytes = sample.bytes.clone();
            bytes[at] = 0xff;
            let peak = peak_of(|| {
                let mut decoder = FrameDecoder::new(Channel::Control);
                decoder.push(&bytes);
                let _outcome = decoder.next();
            });
            assert!(peak < 16 * 1024, "{}: {peak} bytes", sample.name);
        }
    }
    let bytes = codec::encode(&u64::MAX);
    let peak = peak_of(|| {
        let _outcome = codec::decode::<String>(&bytes, limits::DECODE_BYTES_MAX);
        let _outcome = codec::decode::<Vec<Vec<u64>>>(&bytes, limits::DECODE_BYTES_MAX);
    });
    assert!(peak < CLAIMED_MAX, "{peak} bytes");
    let mut bytes = samples::full_handshake().encode().unwrap();
    bytes[10..14].fill(0xff);
    let peak = peak_of(|| {
        let _outcome = Handshake::decode(&bytes);
    });
    assert!(peak < 1024, "{peak} bytes");
}
