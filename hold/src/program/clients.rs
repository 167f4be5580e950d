//! Those who ask: an agent, its successor, somebody who looks. Only of our own user, or root. None of them can make
//! the hold wait: what one does not read is bounded, and then it is closed.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_hold::{Event, Request, limits};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::process::getuid;

pub struct Clients {
    listener: UnixListener,
    all: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    heard: Vec<u8>,
    unsaid: Vec<u8>,
    subscribed: bool,
    closed: bool,
}

impl Clients {
    /// The directory is the hold's own, and the working directory: a relative path is short enough for a socket.
    pub fn listen(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            all: Vec::new(),
        })
    }

    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// What to wait for of each.
    pub fn waits(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.all.iter().map(|client| {
            let mut flags = PollFlags::IN;
            if !client.unsaid.is_empty() {
                flags |= PollFlags::OUT;
            }
            (client.stream.as_fd(), flags)
        })
    }

    pub fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let ours = getuid();
            let known =
                socket_peercred(&stream).is_ok_and(|peer| peer.uid == ours || peer.uid.is_root());
            // Closed by being dropped.
            if known && self.all.len() < limits::CLIENTS_MAX && stream.set_nonblocking(true).is_ok()
            {
                self.all.push(Client {
                    stream,
                    heard: Vec::new(),
                    unsaid: Vec::new(),
                    subscribed: false,
                    closed: false,
                });
            }
        }
    }

    /// What this client asks for; or what is wrong with it.
    pub fn requests(&mut self, of: usize) -> Vec<Result<Request, String>> {
        let Some(client) = self.all.get_mut(of) else {
            return Vec::new();
        };
        client.hear();
        let mut requests = Vec::new();
        while let Some(at) = client.heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = client.heard.drain(..=at).collect();
            let line = String::from_utf8_lossy(&line[..at]);
            requests.push(Request::from_line(&line).map_err(|error| error.to_string()));
        }
        client.closed |= client.heard.len() > limits::REQUEST_BYTES_MAX;
        requests
    }

    pub fn subscribe(&mut self, client: usize) {
        if let Some(client) = self.all.get_mut(client) {
            client.subscribed = true;
        }
    }

    pub fn answer(&mut self, client: usize, event: &Event) {
        if let Some(client) = self.all.get_mut(client) {
            client.say(&event.to_line());
        }
    }

    pub fn tell(&mut self, event: &Event) {
        if self.all.iter().any(|client| client.subscribed) {
            let line = event.to_line();
            for client in self.all.iter_mut().filter(|client| client.subscribed) {
                client.say(&line);
            }
        }
    }

    pub fn flush(&mut self) {
        for client in &mut self.all {
            client.flush();
        }
        self.all.retain(|client| !client.closed);
    }

    /// The last word to everybody; true if some subscriber has taken it whole.
    pub fn farewell(&mut self, event: &Event, within: Duration) -> bool {
        self.tell(event);
        let began = Instant::now();
        self.flush();
        while self.all.iter().any(|client| !client.unsaid.is_empty()) && began.elapsed() < within {
            let mut waits: Vec<PollFd<'_>> = self
                .all
                .iter()
                .filter(|client| !client.unsaid.is_empty())
                .map(|client| PollFd::new(&client.stream, PollFlags::OUT))
                .collect();
            let pause = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 50_000_000,
            };
            let _ = poll(&mut waits, Some(&pause));
            drop(waits);
            self.flush();
        }
        self.all
            .iter()
            .any(|client| client.subscribed && client.unsaid.is_empty())
    }
}

impl Client {
    fn hear(&mut self) {
        let mut bytes = [0; limits::REQUEST_BYTES_MAX];
        // One buffer a turn: a client that never stops talking has no more of us than the others.
        match self.stream.read(&mut bytes) {
            Ok(0) => self.closed = true,
            Ok(count) => self.heard.extend_from_slice(&bytes[..count]),
            Err(error) => self.closed |= error.kind() != ErrorKind::WouldBlock,
        }
    }

    fn say(&mut self, line: &str) {
        self.unsaid.extend_from_slice(line.as_bytes());
        self.unsaid.push(b'\n');
        self.flush();
        self.closed |= self.unsaid.len() > limits::CLIENT_BACKLOG_BYTES_MAX;
    }

    fn flush(&mut self) {
        while !self.unsaid.is_empty() && !self.closed {
            match self.stream.write(&self.unsaid) {
                Ok(count) => drop(self.unsaid.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.closed = true,
            }
        }
    }
}
