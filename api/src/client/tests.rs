//! Requests to several stations of which some are gone, silent or without a leader.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay_protocol::code::{self, Code};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use uuid::Uuid;

use super::Client;
use crate::problem::Problem;

/// Sockets of stations that are none.
struct Fakes {
    directory: PathBuf,
}

impl Drop for Fakes {
    fn drop(&mut self) {
        // A test that failed is told by itself.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// How often a station was asked for something, its health aside.
type Asked = Arc<AtomicUsize>;

impl Fakes {
    fn new() -> Self {
        let short = Uuid::new_v4().simple().to_string()[..8].to_owned();
        let directory = std::env::temp_dir().join(format!("ms-{short}"));
        fs::create_dir(&directory).unwrap();
        Self { directory }
    }

    fn gone(&self) -> PathBuf {
        self.directory.join("gone.sock")
    }

    /// Takes what connects, and says nothing; as long as what is returned is kept.
    fn silent(&self) -> (PathBuf, UnixListener) {
        let socket = self.directory.join("silent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        (socket, listener)
    }

    /// Says the same to everything, with a status; or, where there is none, breaks off.
    fn saying(&self, name: &str, status: Option<u16>, body: Value) -> (PathBuf, Asked) {
        let socket = self.directory.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Asked::default();
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let health = answer(stream, status, &body).await;
                count.fetch_add(usize::from(!health), Ordering::SeqCst);
            }
        });
        (socket, asked)
    }

    fn refusing(&self, name: &str, code: Code) -> (PathBuf, Asked) {
        let problem = Problem::new(code, "ask", "not now");
        let body = serde_json::to_value(&problem).unwrap();
        self.saying(name, Some(problem.status), body)
    }
}

/// Whether it was its health that it was asked for, which is always well.
async fn answer(mut stream: UnixStream, status: Option<u16>, body: &Value) -> bool {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            break;
        }
    }
    let health = request.starts_with(b"GET /healthz");
    let said = match (health, status) {
        (true, _) => Some((200, Value::Null)),
        (false, status) => status.map(|status| (status, body.clone())),
    };
    if let Some((status, body)) = said {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // Nobody may be there any more.
        let _ = stream.write_all((head + &body).as_bytes()).await;
    }
    health
}

fn count(asked: &Asked) -> usize {
    asked.load(Ordering::SeqCst)
}

fn of(sockets: &[&PathBuf]) -> Client {
    Client::of(sockets.iter().copied().cloned().collect()).with_timeout(Duration::from_secs(2))
}

#[tokio::test]
async fn who_is_gone_is_passed_over_and_who_answered_is_asked_first() {
    let fakes = Fakes::new();
    let (second, seconds) = fakes.saying("s2", Some(200), json!("second"));
    let (third, thirds) = fakes.saying("s3", Some(200), json!("third"));
    let client = of(&[&fakes.gone(), &second, &third]);
    assert_eq!(client.get::<String>("/x").await.unwrap(), "second");
    let said: String = client.post("/x", &json!({})).await.unwrap();
    assert_eq!(said, "second");
    fs::remove_file(&second).unwrap();
    assert_eq!(client.clone().get::<String>("/x").await.unwrap(), "third");
    assert_eq!(client.get::<String>("/x").await.unwrap(), "third");
    assert_eq!((count(&seconds), count(&thirds)), (2, 2));
}

#[tokio::test]
async fn a_silent_station_is_left_before_anything_that_matters_is_sent_to_it() {
    let fakes = Fakes::new();
    let (silent, _listener) = fakes.silent();
    let (second, seconds) = fakes.saying("s2", Some(200), json!("second"));
    assert_eq!(
        of(&[&silent, &second]).get::<String>("/x").await.unwrap(),
        "second"
    );
    let said: String = of(&[&silent, &second])
        .post("/x", &json!({}))
        .await
        .unwrap();
    assert_eq!(said, "second");
    assert_eq!(count(&seconds), 2);
}

#[tokio::test]
async fn a_change_that_was_sent_is_tried_nowhere_else_and_a_read_is() {
    let fakes = Fakes::new();
    let (breaking, _) = fakes.saying("s1", None, Value::Null);
    let (second, seconds) = fakes.saying("s2", Some(200), json!("second"));
    let client = of(&[&breaking, &second]);
    let problem = client.post::<_, Value>("/x", &json!({})).await.unwrap_err();
    assert_eq!(problem.code, code::NO_SERVER);
    assert!(problem.why.contains("broke"), "{problem}");
    assert!(!problem.why.starts_with(super::NOBODY_ANSWERS), "{problem}");
    assert_eq!(count(&seconds), 0);
    assert_eq!(
        of(&[&breaking, &second]).get::<String>("/x").await.unwrap(),
        "second"
    );
}

#[tokio::test]
async fn a_refusal_that_promises_nothing_was_done_goes_on_to_the_next() {
    let fakes = Fakes::new();
    for (name, refusal) in [("a", code::NO_QUORUM), ("b", code::OVERLOADED)] {
        let (first, firsts) = fakes.refusing(name, refusal);
        let (second, seconds) = fakes.saying(&format!("{name}2"), Some(200), json!("second"));
        let said: String = of(&[&first, &second]).post("/x", &json!({})).await.unwrap();
        assert_eq!(said, "second");
        assert_eq!((count(&firsts), count(&seconds)), (1, 1));
    }
    // This one promises nothing: it is asked again, until time is up, and nobody else is.
    let (first, firsts) = fakes.refusing("c", code::NO_SERVER);
    let (second, seconds) = fakes.saying("c2", Some(200), json!("second"));
    let client = of(&[&first, &second]).with_timeout(Duration::from_millis(350));
    let problem = client.post::<_, Value>("/x", &json!({})).await.unwrap_err();
    assert_eq!(problem.why, "not now");
    assert!(count(&firsts) > 1);
    assert_eq!(count(&seconds), 0);
    // Any other refusal is an answer.
    let (first, _) = fakes.refusing("d", code::NAME_HELD);
    let problem = of(&[&first, &second])
        .post::<_, Value>("/x", &json!({}))
        .await
        .unwrap_err();
    assert_eq!((problem.code, count(&seconds)), (code::NAME_HELD, 0));
}

#[tokio::test]
async fn where_nobody_answers_every_socket_is_named() {
    let fakes = Fakes::new();
    let (silent, _listener) = fakes.silent();
    let client = of(&[&fakes.gone(), &silent]).with_timeout(Duration::from_millis(200));
    for problem in [
        client.get::<Value>("/x").await.unwrap_err(),
        client.post::<_, Value>("/x", &json!({})).await.unwrap_err(),
        client.changes().await.unwrap_err(),
    ] {
        assert_eq!(problem.code, code::NO_SERVER, "{problem}");
        // Nothing was sent that could have been done.
        assert!(problem.why.starts_with(super::NOBODY_ANSWERS), "{problem}");
        for socket in ["gone.sock", "silent.sock says nothing"] {
            assert!(problem.why.contains(socket), "{problem}");
        }
    }
    let none = Client::of(Vec::new()).get::<Value>("/x").await.unwrap_err();
    assert_eq!(none.code, code::NO_SERVER);
}
