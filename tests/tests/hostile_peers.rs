//! Peers that send anything at all to a real station's two sockets, and an honest client that must not notice.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mainstay_protocol::frame::{FRAME_VERSION, HEADER_BYTES};
use mainstay_protocol::handshake::MAGIC;
use mainstay_tests::daemons::Daemons;
use mainstay_tests::until::until_within;
use mainstay_tests::{mainstay_binary, until};

/// Peers of each kind, at each socket.
const PEERS: usize = 16;
/// Above the time that a peer has to introduce itself.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Bytes without rhyme or reason, the same in each run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// A handshake's beginning that promises so many bytes.
fn introduction(length: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1u16.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

/// A frame's header that promises so many bytes.
fn header(length: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[0] = FRAME_VERSION;
    bytes[HEADER_BYTES - 4..].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// What is sent to the session socket.
fn to_sessions(seed: u64) -> Vec<Vec<u8>> {
    let with = |mut head: Vec<u8>, tail: Vec<u8>| {
        head.extend(tail);
        head
    };
    vec![
        Vec::new(),
        noise(seed, 1),
        noise(seed, 100_000),
        introduction(u32::MAX),
        with(introduction(64), noise(seed, 64)),
        with(introduction(64), noise(seed, 63)),
        with(introduction(0), header(u32::MAX)),
        with(introduction(0), header(1_000)),
        header(8),
        MAGIC[..5].to_vec(),
    ]
}

/// What is sent to the API's socket.
fn to_api(seed: u64) -> Vec<Vec<u8>> {
    let head = |text: &str| text.replace('\n', "\r\n").into_bytes();
    let mut endless = head("GET /v1/status HTTP/1.1\nhost: x\n");
    endless.extend(head(&format!("x: {}\n", "y".repeat(500_000))));
    let mut body = head("POST /v1/start HTTP/1.1\nhost: x\ncontent-length: 600\n\n");
    body.extend(noise(seed, 600));
    vec![
        Vec::new(),
        noise(seed, 100_000),
        head("GET /v1/status HTTP/1.1\n"),
        head("POST /v1/start HTTP/1.1\nhost: x\ncontent-length: 99999999999\n\n{"),
        head("POST /v1/start HTTP/1.1\nhost: x\ncontent-length: 50\n\n{\"type\":"),
        head("POST /v1/start HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n\nfffffffffffff\n"),
        head("BREW /coffee HTTP/1.1\nhost: x\n\n"),
        head("GET /v1/instances/%ff/%00?cursor=%%% HTTP/1.1\nhost: x\n\n"),
        head(
            "GET /v1/events?after=18446744073709551615 HTTP/1.1\nhost: x\naccept: text/event-stream\n\n",
        ),
        endless,
        body,
    ]
}

/// Sends in pieces, and then one of: hangs up, says no more and stays, or reads to the end.
fn send(socket: &Path, bytes: &[u8], at: usize, held: &mut Vec<UnixStream>) {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return;
    };
    stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("a timeout can be set");
    let piece = [1 + bytes.len() / 4, 7 + bytes.len() / 100, usize::MAX][at % 3];
    for part in bytes.chunks(piece.min(bytes.len().max(1))) {
        // The station may hang up on us at any byte: that is what it should do.
        if stream.write_all(part).is_err() {
            break;
        }
    }
    match at % 4 {
        0 | 1 => held.push(stream),
        2 => {
            let shut = stream.shutdown(std::net::Shutdown::Write);
            let timeout = stream.set_read_timeout(Some(Duration::from_millis(200)));
            if shut.is_ok() && timeout.is_ok() {
                // Whatever it answers, or that it does not.
                let _ = stream.read(&mut [0; 4096]);
            }
        }
        _ => {}
    }
}

/// Open files of a process, as the kernel counts them.
fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .count()
}

const HONEST_CALLS_MIN: u64 = 4;

// acceptance: 12
#[test]
fn garbage_on_both_sockets_ends_its_own_connections_and_an_honest_client_goes_on() {
    let cluster = Daemons::start(&mainstay_binary(), 2);
    cluster.sh("start greeter --on n1,n2").ok();
    let station = cluster.station_pid();
    let quiet = open_files(station);
    let over = AtomicBool::new(false);
    let (asked, held) = thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let mut asked = 0u64;
            // The attack may be over sooner than that; what stays of it is beside them all the same.
            while !over.load(Ordering::Relaxed) || asked < HONEST_CALLS_MIN {
                let run =
                    cluster.sh("call greeter@n1 greet '{\"name\":\"Ada\"}' --timeout 5s -o json");
                asked += 1;
                assert_eq!(
                    run.ok().json()["answer"]["count"],
                    asked,
                    "each is heard once"
                );
            }
            asked
        });
        let hostile: Vec<_> = [
            (
                cluster.session_socket(),
                to_sessions as fn(u64) -> Vec<Vec<u8>>,
            ),
            (cluster.api_socket(), to_api),
        ]
        .into_iter()
        .map(|(socket, kinds)| scope.spawn(move || attack(&socket, kinds)))
        .collect();
        let held: Vec<UnixStream> = hostile
            .into_iter()
            .flat_map(|one| one.join().expect("an attacker does not panic"))
            .collect();
        over.store(true, Ordering::Relaxed);
        (honest.join().expect("an honest client is served"), held)
    });
    println!("{asked} honest calls beside {} peers that stay", held.len());
    until_within(
        FORGOTTEN,
        "peers that stay and say nothing sensible are forgotten on the session socket",
        || sessions_of(&cluster.session_socket()),
        // Each of the two agents has its session and what belongs to it for what is long.
        |open| *open <= 4,
    );
    drop(held);
    until(
        "no connection is left behind",
        || open_files(station),
        |open| *open <= quiet + 2,
    );
    assert_eq!(cluster.station_pid(), station);
    assert!(!cluster.log("station.log").contains("panicked"));
    assert_eq!(cluster.json("status")["verdict"], "HEALTHY");
    assert!(cluster.list("parked list").is_empty());
    for node in ["n1", "n2"] {
        cluster.sh(&format!("check supervisor/{node}")).ok();
        cluster.sh(&format!("restart greeter@{node}")).ok();
    }
}

fn attack(socket: &Path, kinds: fn(u64) -> Vec<Vec<u8>>) -> Vec<UnixStream> {
    let mut held = Vec::new();
    for at in 0..PEERS {
        for (kind, bytes) in kinds(at as u64).iter().enumerate() {
            send(socket, bytes, at + kind, &mut held);
        }
    }
    held
}

/// Connections that the station still has on a socket, as the kernel lists them.
fn sessions_of(socket: &Path) -> usize {
    let path: PathBuf = socket.to_owned();
    let table = fs::read_to_string("/proc/net/unix").expect("the kernel lists sockets");
    let name = path.to_string_lossy().into_owned();
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // State 03 is connected; the listener itself is 01.
        .filter(|fields| fields.len() == 8 && fields[7] == name && fields[5] == "03")
        .count()
}

/// A peer so slow that its introduction would take an hour.
#[test]
fn a_peer_that_introduces_itself_a_byte_at_a_time_is_hung_up_on() {
    // acceptance: 12
    let cluster = Daemons::start(&mainstay_binary(), 1);
    let mut slow = UnixStream::connect(cluster.session_socket()).expect("it listens");
    let bytes = introduction(16 * 1024);
    let mut sent = 0;
    until_within(
        FORGOTTEN,
        "the station hangs up",
        || {
            sent += 1;
            let byte = bytes.get(sent).copied().unwrap_or(0);
            slow.write_all(&[byte]).is_err()
        },
        |gone| *gone,
    );
    assert!(sent < 16 * 1024, "before all was said");
    assert_eq!(cluster.json("status")["verdict"], "HEALTHY");
}
