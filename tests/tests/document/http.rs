//! One request on a station's socket, by hand: what is looked at is what stands on the wire, and no client of ours has
//! read it before.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Far above what any answer needs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// As it can be read.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl Answer {
    /// Its content type, without what is said behind it.
    pub fn kind(&self) -> &str {
        let kind = self.headers.get("content-type").map(String::as_str);
        kind.unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{} is no JSON: {error}", self.text());
        })
    }

    /// The data of the first event of a stream.
    #[track_caller]
    pub fn event(&self) -> Value {
        let text = self.text();
        let data = text.lines().find_map(|line| line.strip_prefix("data: "));
        let data = data.unwrap_or_else(|| panic!("an event in {text}"));
        serde_json::from_str(data).expect("its data are JSON")
    }
}

/// Of a stream only what comes first is read.
pub fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answer {
    let mut stream = UnixStream::connect(socket).expect("the station listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: station\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        let length = body.len();
        request.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {length}\r\n"
        ));
    }
    request.push_str("\r\n");
    request.push_str(body.unwrap_or_default());
    stream
        .write_all(request.as_bytes())
        .expect("it can be sent");
    read(&mut BufReader::new(stream))
}

fn read(from: &mut impl BufRead) -> Answer {
    let mut line = || {
        let mut line = String::new();
        from.read_line(&mut line).expect("an answer");
        line.trim_end().to_owned()
    };
    let first = line();
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
    let mut headers = BTreeMap::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut answer = Answer {
        status: status.unwrap_or_else(|| panic!("{first} is the head of an answer")),
        headers,
        body: Vec::new(),
    };
    match answer.kind() {
        "text/event-stream" => first_event(from, &mut answer.body),
        _ => {
            from.read_to_end(&mut answer.body).expect("its body");
        }
    }
    answer
}

fn first_event(from: &mut impl BufRead, into: &mut Vec<u8>) {
    loop {
        let mut line = String::new();
        let read = from.read_line(&mut line).expect("an event");
        assert!(
            read > 0,
            "the stream ended: {}",
            String::from_utf8_lossy(into)
        );
        into.extend(line.as_bytes());
        if line.starts_with("data: ") {
            return;
        }
    }
}
