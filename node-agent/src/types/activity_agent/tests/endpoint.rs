//! The provider `http`, with a server that answers whatever a server can answer.

use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_protocol::Json;

use super::http::ANSWER_BYTES_MAX;
use super::*;
use crate::types::site::{self, Site};

/// What was asked: heads and bodies.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Answers every question with the same bytes, then closes.
struct Same {
    site: Site,
    asked: Asked,
}

impl Same {
    fn answering(answer: String) -> Self {
        let asked = Asked::default();
        let keeps = Arc::clone(&asked);
        let site = Site::new(move |head, conversation| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = lengths
                .next()
                .map_or(0, |(_, length)| length.parse().unwrap());
            let body = String::from_utf8(site::hear(conversation, length)).unwrap();
            keeps.lock().unwrap().push((head.to_owned(), body));
            site::say(conversation, &answer);
            if answer.is_empty() {
                // Until the other side goes.
                let _ = conversation.read(&mut [0]);
            }
        });
        Self { site, asked }
    }

    fn way(&self) -> Value {
        json!({ "http": { "url": self.site.url("/do") } })
    }

    fn agent(&self) -> Agent {
        agent(&[("x", self.way())])
    }
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What comes of one call that is answered with this, and where it was posted to.
fn did(answer: String) -> (Processed, String) {
    let same = Same::answering(answer);
    let said = same.agent().does(WHO, "x", json!({}));
    (said, same.site.url("/do"))
}

/// Answered so, this comes of a call; `URL` is where it was posted to.
fn comes_to(cases: &[(&str, &str, Processed)]) {
    for (status, body, wanted) in cases {
        let (said, url) = did(answer(status, body));
        let shown = format!("{said:?}").replace(&url, "URL");
        assert_eq!(shown, format!("{wanted:?}"), "{status} {body}");
    }
}

// proves: O4, O5
#[test]
fn each_answer_is_a_result() {
    let ms = Duration::from_millis;
    let complete = Processed::complete(());
    comes_to(&[
        ("201 Made", "fine", complete.clone()),
        (
            "201 Made",
            r#"{"result":1,"outputs":{"x":1},"delta":{"set":{"k":2}}}"#,
            Processed::complete(json!({ "x": 1 })).set_context("k", 2),
        ),
        ("200 OK", "", complete.clone()),
        (
            "200 OK",
            r#"{"x":1}"#,
            Processed::complete(json!({ "x": 1 })),
        ),
        ("200 OK", r#"{"result":"wait"}"#, Processed::wait()),
        (
            "200 OK",
            r#"{"result":"schedule","waitMillis":70,"delta":{"set":{"n":1}}}"#,
            Processed::again_after(ms(70)).set_scratch("n", 1),
        ),
        (
            "200 OK",
            r#"{"result":"fatal","error":"never"}"#,
            Processed::fatal("never"),
        ),
        ("202 Later", "", Processed::wait()),
        ("202 Later", "soon", Processed::wait()),
        ("202 Later", r#"{"ticket":7}"#, Processed::wait()),
        (
            "202 Later",
            r#"{"result":2,"waitMillis":70}"#,
            Processed::again_after(ms(70)),
        ),
    ]);
    let (said, _) = did("HTTP/1.1 204 Fine\r\n\r\n".to_owned());
    assert_eq!(said, complete);
}

// proves: O5
#[test]
fn what_may_pass_is_tried_again() {
    for status in ["401", "403", "408", "421", "423", "425"] {
        let said = Processed::retry(format!("URL answered {status}"));
        comes_to(&[(format!("{status} No").as_str(), "", said)]);
    }
}

// proves: O5
#[test]
fn each_answer_that_is_a_failure_is_one_for_good_or_for_now() {
    let retry = |why: &str| Processed::retry(format!("URL {why}"));
    let fatal = |why: &str| Processed::fatal(format!("URL {why}"));
    comes_to(&[
        (
            "409 No",
            "",
            retry("answered 409: it is being done already"),
        ),
        ("429 No", "", retry("answered 429")),
        ("503 No", "", retry("answered 503")),
        ("404 No", "not yet", retry("answered 404: not yet")),
        ("500 No", "boom", retry("answered 500: boom")),
        ("502 No", "", retry("answered 502")),
        (
            "400 No",
            r#"{"detail":"no such cell"}"#,
            fatal(r#"answered 400: {"detail":"no such cell"}"#),
        ),
        (
            "422 No",
            "no such cell",
            fatal("answered 422: no such cell"),
        ),
        (
            "301 Gone",
            "",
            fatal("answered 301, and redirects are not followed"),
        ),
        (
            "308 Gone",
            "",
            fatal("answered 308, and redirects are not followed"),
        ),
        (
            "302 Found",
            "",
            retry("answered 302, and redirects are not followed"),
        ),
        (
            "303 Other",
            "",
            retry("answered 303, and redirects are not followed"),
        ),
        (
            "206 Part",
            "",
            retry("answered 206: which says nothing of an activity"),
        ),
        (
            "500 No",
            r#"{"result":"fatal","error":"never"}"#,
            Processed::fatal("never"),
        ),
        (
            "400 No",
            r#"{"result":"retry","error":"later"}"#,
            Processed::retry("later"),
        ),
        (
            "500 No",
            r#"{"result":1}"#,
            retry(r#"answered 500: and yet it said complete: {"result":1}"#),
        ),
    ]);
}

#[test]
fn a_server_that_says_when_is_asked_then() {
    for status in ["429", "503"] {
        let head = format!("HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
        let (said, url) = did(head);
        let why = format!("{url} answered {status}");
        assert_eq!(said, Processed::retry_after(why, Duration::from_secs(7)));
    }
    // A body that says retry, and not when, leaves that to the header; one that says when, does not.
    for (wait, after) in [("", 7_000), (r#","waitMillis":70"#, 70)] {
        let body = format!(r#"{{"result":"retry","error":"e"{wait}}}"#);
        let length = body.len();
        let (said, _) = did(format!(
            "HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let wanted = Processed::retry_after("e", Duration::from_millis(after));
        assert_eq!(said, wanted);
    }
    // A date is no number of seconds.
    let date = "HTTP/1.1 503 No\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n";
    let (said, url) = did(date.to_owned());
    assert_eq!(said, Processed::retry(format!("{url} answered 503")));
}

// case: orchestrations 44
#[test]
fn what_nobody_understands_is_an_attempt() {
    let body = "x".repeat(ANSWER_BYTES_MAX + 1);
    for (says, word) in [
        (
            answer("200 OK", r#"{"result":"done"}"#),
            "the result \"done\"",
        ),
        (
            answer("200 OK", r#"{"result":1,"outputs":[]}"#),
            "[] as outputs",
        ),
        (answer("404 No", r#"{"result":9}"#), "the result 9"),
        (answer("200 OK", r#"{"result"#), "no JSON"),
        (answer("200 OK", &body), "with more than 262144 bytes"),
        (answer("200 OK", "done\n{}"), "a line that begins with {"),
        ("hello\r\n\r\n".to_owned(), "does not speak HTTP"),
        (
            "HTTP/1.1 200 OK\r\n".to_owned(),
            "broke off its answer: connection closed",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_owned(),
            "broke off its answer",
        ),
    ] {
        let (said, _) = did(says);
        let error = said.error().unwrap();
        assert!(error.contains(word), "{error}");
        assert_eq!(said, Processed::retry(error));
    }
}

#[test]
fn a_redirect_is_not_followed_and_says_where_it_leads() {
    let there = Same::answering(answer("200 OK", ""));
    let location = there.site.url("/there");
    let here = Same::answering(format!(
        "HTTP/1.1 307 There\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ));
    let said = here.agent().does(WHO, "x", json!({}));
    let error = said.error().unwrap();
    assert!(
        error.contains(&format!("it has moved to {location}")),
        "{error}"
    );
    assert_eq!(said, Processed::fatal(error));
    assert!(there.asked.lock().unwrap().is_empty());
}

#[test]
fn who_does_not_answer_or_is_not_there_is_asked_again() {
    let silent = Same::answering(String::new());
    let agent = silent.agent();
    let said = agent.does_work((WHO, "x"), json!({}), |work| work.time_ms = Some(200));
    let url = silent.site.url("/do");
    let late = Processed::retry(format!("{url} did not answer within 100 ms"));
    assert_eq!(said, late);

    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let said = super::agent(&[("x", json!({ "http": { "url": url } }))]).does(WHO, "x", json!({}));
    let error = said.error().unwrap();
    assert!(error.contains("cannot be reached"), "{error}");
    assert_eq!(said, Processed::retry(error));
}

// proves: O4
// case: orchestrations 30
#[test]
fn a_server_is_told_all_of_a_call_and_what_it_answers_is_kept_as_it_was_written() {
    let written =
        r#"{"big":18446744073709551617,"exact":9007199254740993,"text":"日本 \"🌍\" $(x)"}"#;
    let same = Same::answering(answer("200 OK", written));
    let mut way = same.way();
    way["http"]["headers"] = json!({ "Authorization": "secret://token", "X-Team": "blue" });
    let secrets = [("secret://token", "Bearer hunter2\n")];
    let config = json!({ "activities": { WHO: { "x": way } } });
    let agent = Agent::start_with_secrets(&secrets, config.clone()).unwrap();
    let said = agent.does_work((WHO, "x"), json!({}), |work| {
        work.inputs = Json::parse(written).unwrap();
        work.discriminator = Some("deploy".to_owned());
    });
    assert_eq!(said.output().unwrap().as_str(), written);
    // The reference is shown, never what it stands for.
    assert_eq!(agent.config()["activities"], config["activities"]);
    let asked = same.asked.lock().unwrap();
    let (head, body) = &asked[0];
    assert!(head.starts_with("POST /do HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    for line in [
        "content-type: application/json\r\n",
        "idempotency-key: test/x/deploy\r\n",
        "authorization: bearer hunter2\r\n",
        "x-team: blue\r\n",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    let body = Json::parse(body).unwrap();
    assert_eq!(body.member("inputs").unwrap().as_str(), written);
    assert_eq!(
        body.member("idempotencyKey"),
        Some(Json::text("test/x/deploy"))
    );
    assert_eq!(body.member("timeMillis").unwrap().as_str(), "null");
}

#[test]
fn a_secret_that_is_not_there_or_fits_no_header_is_refused_for_now() {
    let headers = json!({ "Authorization": "secret://token" });
    let way = json!({ "http": { "url": "http://127.0.0.1:9/", "headers": headers } });
    let config = json!({ "activities": { WHO: { "x": way } } });
    let why = Agent::start(config.clone()).err().unwrap();
    assert_eq!(why.refused, RefusedStart::NotNow);
    assert!(why.text.contains("secret://token"), "{}", why.text);
    let secrets = [("secret://token", "hunter2\nhunter3")];
    let why = Agent::start_with_secrets(&secrets, config).err().unwrap();
    assert_eq!(why.refused, RefusedStart::NotNow);
    assert!(
        why.text.contains("cannot stand in a header"),
        "{}",
        why.text
    );
    assert!(!why.text.contains("hunter"), "{}", why.text);
}

#[test]
fn a_discriminator_that_would_be_another_header_is_never_sent() {
    let same = Same::answering(answer("200 OK", ""));
    let said = same.agent().does_work((WHO, "x"), json!({}), |work| {
        work.discriminator = Some("a\r\nX-Evil: 1".to_owned());
    });
    let wanted = Processed::fatal("its idempotency key cannot stand in a header");
    assert_eq!(said, wanted);
    assert!(same.asked.lock().unwrap().is_empty());
}
