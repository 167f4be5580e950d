//! For tests: an outside HTTP service that does whatever a test wants, one thread a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Longer than any test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Site {
    pub(super) address: SocketAddr,
}

/// A connection with what was read ahead.
pub(super) type Conversation = BufReader<TcpStream>;

impl Site {
    /// The handler gets each request's head, and the connection to read its body from and write the answer to.
    pub(super) fn new(handler: impl Fn(&str, &mut Conversation) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), handler)
    }

    pub(super) fn on(
        listener: TcpListener,
        handler: impl Fn(&str, &mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let handler = Arc::clone(&handler);
                let mut conversation = converse(stream.unwrap());
                thread::spawn(move || {
                    let head = head(&mut conversation);
                    if !head.is_empty() {
                        handler(&head, &mut conversation);
                    }
                });
            }
        });
        Self { address }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub(super) fn converse(stream: TcpStream) -> Conversation {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

/// Up to the empty line; nothing, if the other side went before.
pub(super) fn head(from: &mut Conversation) -> String {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        match from.read_line(&mut line) {
            Ok(0) | Err(_) => return String::new(),
            Ok(_) if line == "\r\n" => return head,
            Ok(_) => head.push_str(&line),
        }
    }
}

/// Whoever has gone by now does not need it.
pub(super) fn say(to: &mut Conversation, text: &str) {
    let _ = to.get_mut().write_all(text.as_bytes());
}

pub(super) fn hear(from: &mut Conversation, bytes: usize) -> Vec<u8> {
    let mut heard = vec![0; bytes];
    from.read_exact(&mut heard).unwrap();
    heard
}

/// Sends a request on a connection of its own, and returns the answer's head and body.
pub(super) fn ask(at: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut conversation = converse(TcpStream::connect(at).unwrap());
    say(&mut conversation, request);
    let head = head(&mut conversation);
    let mut body = Vec::new();
    // One that is cut off is as long as it is.
    let _ = conversation.read_to_end(&mut body);
    (head, body)
}

pub(super) fn get(at: SocketAddr, path: &str, host: &str) -> (String, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    ask(at, &request)
}
