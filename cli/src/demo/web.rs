//! The web page: what was found, drawn anew every second; and whether it is well, which depends on the database.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::ask;

/// A browser that says nothing is let go.
const HEAD_WITHIN: Duration = Duration::from_secs(2);
const HEAD_BYTES_MAX: u64 = 16 * 1024;

pub(super) fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("the page is http://{}/", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        // A thread each: browsers hold connections open that they do not use.
        thread::Builder::new().spawn(move || {
            // A browser that goes away comes again.
            let _ = answer(&stream);
        })?;
    }
    Ok(())
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(HEAD_WITHIN))?;
    let mut head = BufReader::new(stream.take(HEAD_BYTES_MAX));
    let mut request = String::new();
    head.read_line(&mut request)?;
    // The rest of the head says nothing of interest, and unread it would reset the connection.
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, kind, body) = match (path, ask("list")) {
        ("/health", Ok(_)) => ("200 OK", "text/plain", "the database answers\n".to_owned()),
        ("/health", Err(error)) => (
            "503 Service Unavailable",
            "text/plain",
            format!("{error}\n"),
        ),
        ("/", found) => ("200 OK", "text/html", page(found)),
        _ => (
            "404 Not Found",
            "text/plain",
            "there is / and /health\n".to_owned(),
        ),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn page(found: io::Result<Vec<String>>) -> String {
    let body = match found {
        Ok(lines) => {
            let rows: String = lines
                .iter()
                .map(|line| {
                    let cells = line
                        .split(' ')
                        .map(|word| format!("<td>{}</td>", escaped(word)));
                    format!("<tr>{}</tr>\n", cells.collect::<String>())
                })
                .collect();
            format!(
                "<table>\n<tr><th>number</th><th>prime</th><th>found by</th></tr>\n{rows}</table>\n"
            )
        }
        Err(error) => format!(
            "<p class=\"bad\">{}</p>\n<p>Ask <code>mainstay why web</code>.</p>\n",
            escaped(&error.to_string())
        ),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"1\">\
         <title>Mainstay demo</title>\n<style>body{{font-family:sans-serif;margin:3em}} td,th{{padding:.2em 1em;\
         text-align:left}} .bad{{color:#a00}}</style></head>\n<body><h1>Primes, found by a worker, kept by a database</h1>\n\
         {body}<p>Break something: <code>mainstay chaos kill db@n1</code>, <code>mainstay stop db</code>; \
         then <code>mainstay why web</code>.</p></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_found_or_what_is_in_the_way() {
        let shown = page(Ok(vec!["3 5 <b>@n2".to_owned()]));
        assert!(shown.contains("<td>5</td><td>&lt;b>@n2</td>"), "{shown}");
        let down = page(Err(io::Error::other("nobody & nothing")));
        assert!(down.contains("nobody &amp; nothing"), "{down}");
    }
}
