//! As much of HTTP as a page needs that shows something to one's own browser.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A browser that says nothing is let go.
const HEAD_WITHIN: Duration = Duration::from_secs(2);
const HEAD_BYTES_MAX: u64 = 16 * 1024;
const CONNECTIONS_MAX: usize = 64;

pub(super) struct Answer {
    pub status: &'static str,
    pub kind: &'static str,
    pub body: String,
}

/// Answers each path with what `answer` says.
pub(super) fn serve(
    listener: &TcpListener,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> io::Result<()> {
    let answer = Arc::new(answer);
    for stream in listener.incoming() {
        let stream = stream?;
        // One for each connection that is open, and this one.
        if Arc::strong_count(&answer) > CONNECTIONS_MAX {
            eprintln!("refused a connection: {CONNECTIONS_MAX} are open");
            continue;
        }
        let answer = Arc::clone(&answer);
        // A thread each: browsers hold connections open that they do not use.
        thread::Builder::new().spawn(move || {
            // A browser that goes away comes again.
            let _ = serve_one(&stream, &*answer);
        })?;
    }
    Ok(())
}

fn serve_one(mut stream: &TcpStream, answer: &dyn Fn(&str) -> Answer) -> io::Result<()> {
    stream.set_read_timeout(Some(HEAD_WITHIN))?;
    stream.set_write_timeout(Some(HEAD_WITHIN))?;
    let mut head = BufReader::new(stream.take(HEAD_BYTES_MAX));
    let mut request = String::new();
    if head.read_line(&mut request)? == 0 {
        // Somebody only looked whether anybody listens.
        return Ok(());
    }
    // The rest of the head says nothing of interest, and unread it would reset the connection.
    let mut line = String::new();
    while head.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        line.clear();
    }
    let Answer { status, kind, body } = match request.split_whitespace().collect::<Vec<_>>()[..] {
        ["GET" | "HEAD", target, _] => answer(target.split('?').next().unwrap_or(target)),
        [_, _, version] if version.starts_with("HTTP/") => text(
            "405 Method Not Allowed",
            "this page can only be looked at: use GET\n",
        ),
        _ => text("400 Bad Request", "this is not HTTP\n"),
    };
    let length = body.len();
    let sent = if request.starts_with("HEAD ") {
        ""
    } else {
        &body
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{sent}"
    );
    stream.write_all(answer.as_bytes())
}

pub(super) fn text(status: &'static str, body: &str) -> Answer {
    Answer {
        status,
        kind: "text/plain",
        body: body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use super::*;

    #[test]
    fn a_page_is_answered_and_nonsense_is_told_what_it_is() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, |path| text("200 OK", path)));
        for (request, begins, ends) in [
            (
                "GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n",
                "HTTP/1.1 200 OK",
                "\r\n\r\n/x",
            ),
            (
                "HEAD /x HTTP/1.1\r\n\r\n",
                "HTTP/1.1 200 OK",
                "close\r\n\r\n",
            ),
            ("POST / HTTP/1.1\r\n\r\n", "HTTP/1.1 405", "use GET\n"),
            ("hello\r\n\r\n", "HTTP/1.1 400", "not HTTP\n"),
            ("", "", ""),
        ] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with(begins) && answer.ends_with(ends),
                "{answer}"
            );
        }
    }
}
