//! One GET, and what its answer says: its status, and where its body is about health, what that warns of.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Take};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What follows is not looked at.
const ANSWER_BYTES_MAX: u64 = 8 * 1024;
/// Behind the status line. Whoever is slower, or never ends, has answered all the same.
const REST_WITHIN: Duration = Duration::from_millis(250);
/// It becomes a reason, which is a line.
const WARNING_CHARS_MAX: usize = 400;
/// Says more than its status (draft-inadarei-api-health-check).
const HEALTH_JSON: &str = "application/health+json";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    /// Why its sender is not quite well, by its own words.
    pub warning: Option<String>,
}

pub(super) async fn get(address: &str, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: mainstay\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await?;
    let mut stream = stream.take(ANSWER_BYTES_MAX);
    let mut read = Vec::new();
    while !read.contains(&b'\n') && stream.read_buf(&mut read).await? > 0 {}
    let status = status(&read).ok_or_else(|| io::Error::other("what it says is not HTTP"))?;
    // The status counts by itself, as it does where there is nothing about health.
    let warning = match timeout(REST_WITHIN, health_body(&mut stream, read)).await {
        Ok(Ok(Some(body))) => warning(&body),
        Ok(Ok(None) | Err(_)) | Err(_) => None,
    };
    Ok(Answer { status, warning })
}

fn status(read: &[u8]) -> Option<u16> {
    let head = String::from_utf8_lossy(read);
    let mut words = head.split_ascii_whitespace();
    words.next().filter(|word| word.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

/// The body, if it is about health; others are not waited for.
async fn health_body(
    stream: &mut Take<TcpStream>,
    mut read: Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    let head_bytes = loop {
        let end = read
            .windows(END_OF_HEAD.len())
            .position(|bytes| bytes == END_OF_HEAD);
        match end {
            Some(end) => break end + END_OF_HEAD.len(),
            None if stream.read_buf(&mut read).await? == 0 => return Ok(None),
            None => {}
        }
    };
    let head = String::from_utf8_lossy(&read[..head_bytes]).into_owned();
    let is_health = header(&head, "content-type")
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(HEALTH_JSON));
    if !is_health {
        return Ok(None);
    }
    let mut body = read.split_off(head_bytes);
    let length: usize = header(&head, "content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(usize::MAX);
    while body.len() < length && stream.read_buf(&mut body).await? > 0 {}
    Ok(Some(body))
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let named = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut found = named.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.next().map(|(_, value)| value.trim())
}

/// What it warns of; none where all is well, and where nothing is said that can be read.
fn warning(body: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let text = |key: &str| said.get(key).and_then(Value::as_str);
    let status = text("status").filter(|status| ["warn", "fail"].contains(status))?;
    let words = text("output").unwrap_or_default().split_whitespace();
    let line = words.collect::<Vec<_>>().join(" ");
    Some(match line.is_empty() {
        true => format!("it says \"{status}\" of itself, and not why"),
        false => line.chars().take(WARNING_CHARS_MAX).collect(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What is made of this answer. Its sender keeps the connection, as some do whatever they are asked.
    async fn answered(says: String) -> Answer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(says.as_bytes()).await.unwrap();
            stream
        };
        let (answer, _open) = tokio::join!(get(&address, "/health"), server);
        answer.unwrap()
    }

    fn about_health(body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-Type: Application/health+json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    #[tokio::test]
    async fn a_body_about_health_says_what_its_sender_warns_of() {
        let warns = answered(about_health(r#"{"status":"warn","output":"no\ndatabase"}"#));
        assert_eq!(warns.await.warning.as_deref(), Some("no database"));
        let silent = answered(about_health(r#"{"status":"fail"}"#));
        assert_eq!(
            silent.await.warning.as_deref(),
            Some("it says \"fail\" of itself, and not why")
        );
        let long = "x".repeat(2 * WARNING_CHARS_MAX);
        let long = answered(about_health(&format!(
            r#"{{"status":"warn","output":"{long}"}}"#
        )));
        assert_eq!(
            long.await.warning.map(|text| text.len()),
            Some(WARNING_CHARS_MAX)
        );
    }

    #[tokio::test]
    async fn anything_else_counts_by_its_status_alone() {
        for says in [
            about_health(r#"{"status":"pass","output":"fine"}"#),
            about_health("not JSON"),
            about_health(r#"["warn"]"#),
            "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"warn\"}".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Type: application/health+json\r\n\r\n{\"stat".to_owned(),
            "HTTP/1.1 200 OK\r\nX-Never-Ends".to_owned(),
        ] {
            let answer = answered(says.clone()).await;
            let well = Answer {
                status: 200,
                warning: None,
            };
            assert_eq!(answer, well, "{says:?}");
        }
    }
}
