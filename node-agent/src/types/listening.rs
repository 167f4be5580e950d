//! Listeners of types that serve: an address in words, and who has it when it is taken.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use mainstay_hold::processes;
use mainstay_service::CannotStart;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// An instance that was just killed lets go of its listener a moment later.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// `HOST:PORT`, numbers only: a name may mean many addresses.
pub(super) fn address(field: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{field}: \"{text}\" is no address to listen on; write one as in 127.0.0.1:8080 or [::1]:8080")
    })
}

/// Port 0 becomes a free one.
pub(super) async fn listen(at: SocketAddr) -> Result<TcpListener, CannotStart> {
    let mut tries = 1;
    let bound = loop {
        match TcpListener::bind(at).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries < TRIES => tries += 1,
            bound => break bound,
        }
        sleep(PAUSE).await;
    };
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => CannotStart::not_now(format!("{at} is busy: {}", whose(at.port()))),
        ErrorKind::AddrNotAvailable => {
            CannotStart::not_here(format!("{at} is no address of this node"))
        }
        ErrorKind::PermissionDenied => {
            CannotStart::not_here(format!("{at} may not be used by the agent's user: {error}"))
        }
        _ => CannotStart::not_now(format!("{at} cannot be listened on: {error}")),
    })
}

/// Who listens there, in words that end a message.
pub(super) fn whose(port: u16) -> String {
    match holder(port) {
        Some(who) => format!("{who} listens on it"),
        None => "somebody listens on it".to_owned(),
    }
}

/// `process 123 (nginx)`, as far as we may look.
fn holder(port: u16) -> Option<String> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    let all = processes::all().into_iter().map(|seen| seen.id.pid);
    all.into_iter()
        .find(|pid| has_one(*pid, &sockets).unwrap_or_default())
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", name.trim())
        })
}

/// Sockets of a table of the kernel that listen on a port, as links to them read.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTENING: &str = "0A";
    let suffix = format!(":{port:04X}");
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let ours = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTENING;
        ours.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
    };
    table.lines().filter_map(socket).collect()
}

fn has_one(pid: u32, sockets: &[String]) -> io::Result<bool> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?;
    Ok(open.flatten().any(|entry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        sockets
            .iter()
            .any(|socket| target.as_os_str() == socket.as_str())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_names_who_has_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let refused = runtime.block_on(listen(at)).unwrap_err();
        let CannotStart::NotNow(text) = refused else {
            panic!("{refused:?}");
        };
        let us = format!("process {} (", std::process::id());
        assert!(text.starts_with(&format!("{at} is busy: {us}")), "{text}");
        drop(taken);
        runtime.block_on(listen(at)).unwrap();
        let nowhere = runtime.block_on(listen("192.0.2.1:80".parse().unwrap()));
        assert!(
            matches!(nowhere, Err(CannotStart::NotHere(_))),
            "{nowhere:?}"
        );
    }

    #[test]
    fn only_an_address_of_numbers_can_be_listened_on() {
        address("listen", "127.0.0.1:0").unwrap();
        address("listen", "[::1]:80").unwrap();
        for bad in [
            "",
            "8080",
            "localhost:80",
            "127.0.0.1",
            ":80",
            "1.2.3.4:99999",
        ] {
            let told = address("listen", bad).unwrap_err();
            assert!(told.starts_with("listen: "), "{told}");
        }
    }
}
