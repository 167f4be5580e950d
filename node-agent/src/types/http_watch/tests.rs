//! Watching a real listener that answers whatever a URL can answer.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Mutex;

use mainstay_protocol::health::{Health as State, RefusedStart};
use mainstay_service::Value;
use mainstay_service::testing::TestService;

use super::*;
use crate::types::site::{self, Site};

/// Answers every question with the same bytes, then closes; with nothing, it stays silent.
struct Same {
    site: Site,
    answer: Arc<Mutex<String>>,
}

impl Same {
    fn answering(answer: &str) -> Self {
        let answer = Arc::new(Mutex::new(answer.to_owned()));
        let says = Arc::clone(&answer);
        let site = Site::new(move |_, conversation| {
            let answer = says.lock().unwrap().clone();
            site::say(conversation, &answer);
            if answer.is_empty() {
                // Until the other side goes.
                let _ = conversation.read(&mut [0]);
            }
        });
        Self { site, answer }
    }

    fn say(&self, answer: &str) {
        *self.answer.lock().unwrap() = answer.to_owned();
    }

    fn watch(&self, expect: Value) -> TestService<HttpWatch> {
        let url = self.site.url("/health");
        let config = json!({ "url": url, "expect": expect, "every_ms": 100, "timeout_ms": 300 });
        TestService::<HttpWatch>::start(config).unwrap()
    }
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well";

#[test]
fn what_an_outside_url_answers_is_the_health() {
    let site = Same::answering(FINE);
    let watch = site.watch(json!({}));
    assert_eq!(watch.check().health, State::Ok);
    for (answer, words) in [
        (
            "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            "answered 503, not 200 to 299",
        ),
        (
            "HTTP/1.1 302 There\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "answered 302",
        ),
        ("hello\r\n\r\n", "does not speak HTTP"),
        ("", "did not answer within 300 ms"),
    ] {
        site.say(answer);
        let checked = watch.check_until(State::Degraded);
        assert!(checked.detail.contains(words), "{}", checked.detail);
        assert!(checked.detail.contains("/health"), "{}", checked.detail);
        site.say(FINE);
        watch.check_until(State::Ok);
    }
    let status = watch.status().unwrap();
    assert!(status.contains("answered 200, "), "{status}");
}

#[test]
fn an_answer_must_have_its_status_and_its_text() {
    let site = Same::answering("HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nnot found");
    let watch = site.watch(json!({ "status": [404, 410], "text": "found" }));
    assert_eq!(watch.check().health, State::Ok);
    site.say("HTTP/1.1 410 No\r\nContent-Length: 4\r\n\r\ngone");
    let told = watch.call("ask", json!({})).unwrap();
    assert_eq!(told["health"], "degraded");
    assert!(
        told["text"].as_str().unwrap().contains("without \"found\""),
        "{told}"
    );
    site.say(FINE);
    let told = watch.call("ask", json!({})).unwrap();
    assert!(
        told["text"].as_str().unwrap().contains("not 404 or 410"),
        "{told}"
    );
}

#[test]
fn an_endless_answer_takes_neither_memory_nor_forever() {
    let body = "x".repeat(2 * BODY_BYTES_MAX);
    let site = Same::answering(&format!("HTTP/1.1 200 OK\r\n\r\n{body}needle"));
    let watch = site.watch(json!({ "text": "needle" }));
    let checked = watch.check();
    assert!(
        checked.detail.contains("within its first 256 KiB"),
        "{}",
        checked.detail
    );
}

#[test]
fn what_is_down_is_no_failure_of_the_watch_itself() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = json!({ "url": format!("http://{free}/"), "every_ms": 100 });
    let watch = TestService::<HttpWatch>::start(config).unwrap();
    let checked = watch.check();
    assert_eq!(checked.health, State::Degraded);
    assert!(
        checked.detail.contains("cannot be reached"),
        "{}",
        checked.detail
    );
}

#[test]
fn a_watch_that_could_never_work_is_refused_by_field() {
    for (config, word) in [
        (
            json!({ "url": "https://a.example/" }),
            "url: \"https://a.example/\" needs TLS",
        ),
        (json!({ "url": "http://a/", "every_ms": 1 }), "every_ms"),
        (json!({ "url": "http://a/", "timeout_ms": 0 }), "timeout_ms"),
        (
            json!({ "url": "http://a/", "expect": { "status": [100] } }),
            "expect.status",
        ),
        (
            json!({ "url": "http://a/", "expect": { "body": "x" } }),
            "body",
        ),
        (json!({}), "url"),
    ] {
        let why = TestService::<HttpWatch>::start(config)
            .err()
            .expect("it is refused");
        assert_eq!(why.refused, RefusedStart::Config);
        assert!(why.text.contains(word), "{}", why.text);
    }
}
