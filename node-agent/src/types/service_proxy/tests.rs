//! The proxy between real sockets: what passes, what is held back, and what is said when nothing comes.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use mainstay_protocol::health::{Health as State, RefusedStart};
use mainstay_service::Value;
use mainstay_service::hosting::StopOutcome;
use mainstay_service::testing::TestService;

use super::*;
use crate::types::site::{self, Site};

struct Proxy {
    service: TestService<ServiceProxy>,
    at: SocketAddr,
}

fn proxy_to(upstream: &str, more: Value) -> Proxy {
    let mut config = json!({ "upstream": upstream, "check_every_ms": 100 });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let service = TestService::<ServiceProxy>::start(config).unwrap();
    let told = service.call("address", json!({})).unwrap();
    let at = told["address"].as_str().unwrap().parse().unwrap();
    Proxy { service, at }
}

/// Answers with the head it saw, as its body.
fn mirror() -> Site {
    Site::new(|head, conversation| {
        let body = head.to_ascii_lowercase();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close, x-private\r\nX-Private: 1\r\nX-Public: 2\r\n\r\n{body}",
            body.len()
        );
        site::say(conversation, &answer);
    })
}

#[test]
fn a_request_reaches_the_upstream_without_what_belongs_to_one_connection() {
    let site = mirror();
    let proxy = proxy_to(&site.url("/base/"), json!({}));
    assert!(proxy.at.ip().is_loopback());
    let (head, body) = site::ask(
        proxy.at,
        "GET /a%20b?c=d HTTP/1.1\r\nHost: shop.example\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n\
         Keep-Alive: 9\r\nProxy-Authorization: secret\r\nX-Forwarded-For: 9.9.9.9\r\nX-Kept: yes\r\n\r\n",
    );
    let seen = String::from_utf8(body).unwrap();
    assert!(
        seen.starts_with("get /base/a%20b?c=d http/1.1\r\n"),
        "{seen}"
    );
    for kept in [
        "x-kept: yes",
        "x-forwarded-for: 9.9.9.9, 127.0.0.1",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
    ] {
        assert!(seen.contains(kept), "{kept} is not in {seen}");
    }
    assert!(seen.contains(&format!("host: {}", site.address)), "{seen}");
    for gone in ["x-mine", "keep-alive", "proxy-authorization", "secret"] {
        assert!(!seen.contains(gone), "{gone} is in {seen}");
    }
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("x-public: 2") && !head.contains("x-private"),
        "{head}"
    );

    let keeps = proxy_to(&site.url(""), json!({ "keep_host": true }));
    let (_, body) = site::get(keeps.at, "/", "shop.example");
    let seen = String::from_utf8(body).unwrap();
    assert!(seen.contains("\r\nhost: shop.example\r\n"), "{seen}");
}

#[test]
fn bodies_stream_both_ways_without_being_kept() {
    const SIZE: usize = 8 * 1024 * 1024;
    let site = Site::new(|head, conversation| {
        assert!(
            head.to_ascii_lowercase()
                .contains("content-length: 8388608"),
            "{head}"
        );
        // The answer begins before the request's body was read.
        site::say(
            conversation,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        );
        let sum: u64 = site::hear(conversation, SIZE)
            .iter()
            .map(|byte| u64::from(*byte))
            .sum();
        let text = sum.to_string();
        site::say(
            conversation,
            &format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()),
        );
    });
    let proxy = proxy_to(&site.url(""), json!({}));
    let mut client = site::converse(TcpStream::connect(proxy.at).unwrap());
    site::say(
        &mut client,
        &format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n"
        ),
    );
    site::say(&mut client, "a");
    assert!(site::head(&mut client).starts_with("HTTP/1.1 200"));
    assert_eq!(site::hear(&mut client, 10), b"5\r\nfirst\r\n");
    site::say(&mut client, &"a".repeat(SIZE - 1));
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains(&(SIZE as u64 * u64::from(b'a')).to_string()),
        "{rest}"
    );
}

#[test]
fn an_upstream_that_is_away_is_told_to_clients_and_in_the_health() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = proxy_to(&format!("http://{address}"), json!({ "check": "/healthy" }));
    assert_eq!(proxy.service.check().health, State::Degraded);
    let (head, body) = site::get(proxy.at, "/", "a");
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains(&address.to_string()) && body.contains("refused"),
        "{body}"
    );
    // It comes, and is noticed.
    let _site = Site::on(TcpListener::bind(address).unwrap(), |_, conversation| {
        site::say(
            conversation,
            "HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n",
        );
    });
    proxy.service.check_until(State::Ok);
    assert!(site::get(proxy.at, "/", "a").0.starts_with("HTTP/1.1 204"));
    let status = proxy.service.status().unwrap();
    assert!(
        status.contains("2 requests so far, 1 could not be forwarded"),
        "{status}"
    );
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_told_as_that() {
    let site = Site::new(|head, conversation| {
        if head.starts_with("GET /fine") {
            site::say(conversation, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        // Until the other side goes.
        let _ = conversation.read(&mut [0]);
    });
    let proxy = proxy_to(
        &site.url(""),
        json!({ "timeout_ms": 300, "check": "/fine" }),
    );
    let (head, body) = site::get(proxy.at, "/slow", "a");
    assert!(head.starts_with("HTTP/1.1 504"), "{head}");
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("did not answer within 300 ms"), "{body}");
    assert!(
        site::get(proxy.at, "/fine", "a")
            .0
            .starts_with("HTTP/1.1 200")
    );
}

#[test]
fn a_change_of_protocol_becomes_a_tunnel() {
    let site = Site::new(|head, conversation| {
        if !head.to_ascii_lowercase().contains("upgrade: echo") {
            site::say(
                conversation,
                "HTTP/1.1 426 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
            return;
        }
        site::say(
            conversation,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n",
        );
        let mut byte = [0];
        while conversation.read(&mut byte).is_ok_and(|count| count == 1) {
            site::say(conversation, &String::from_utf8_lossy(&byte));
        }
    });
    let proxy = proxy_to(&site.url(""), json!({}));
    let mut client = site::converse(TcpStream::connect(proxy.at).unwrap());
    site::say(
        &mut client,
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
    );
    let head = site::head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(
        head.to_ascii_lowercase().contains("upgrade: echo"),
        "{head}"
    );
    for word in ["hello", "there"] {
        site::say(&mut client, word);
        assert_eq!(site::hear(&mut client, 5), word.as_bytes());
    }
    assert!(site::get(proxy.at, "/", "a").0.starts_with("HTTP/1.1 426"));
    // A stop ends the tunnel too.
    assert!(matches!(proxy.service.stop(), StopOutcome::Gone(_)));
    assert_eq!(client.read(&mut [0]).unwrap_or_default(), 0);
}

#[test]
fn a_stop_lets_a_request_finish_and_takes_no_other() {
    let (began, begun) = mpsc::sync_channel(1);
    let (go_on, goes_on) = mpsc::sync_channel(1);
    let goes_on = std::sync::Mutex::new(goes_on);
    let site = Site::new(move |head, conversation| {
        if head.starts_with("GET /slow") {
            began.send(()).unwrap();
            goes_on.lock().unwrap().recv().unwrap();
        }
        site::say(
            conversation,
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone",
        );
    });
    let Proxy { service, at } = proxy_to(&site.url(""), json!({}));
    let asking = std::thread::spawn(move || site::get(at, "/slow", "a"));
    begun.recv().unwrap();
    let stopping = std::thread::spawn(move || service.stop());
    // It listens no more.
    while TcpStream::connect(at).is_ok() {
        std::thread::yield_now();
    }
    go_on.send(()).unwrap();
    let (head, body) = asking.join().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, b"done");
    assert!(matches!(stopping.join().unwrap(), StopOutcome::Gone(_)));
}

#[test]
fn a_port_that_somebody_has_is_refused_for_now_with_who_has_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let config = json!({ "upstream": "http://127.0.0.1:9", "listen": at.to_string() });
    let why = TestService::<ServiceProxy>::start(config.clone())
        .err()
        .unwrap();
    assert_eq!(why.refused, RefusedStart::NotNow);
    assert!(why.text.contains("is busy: process "), "{}", why.text);
    drop(taken);
    TestService::<ServiceProxy>::start(config).unwrap();
}

#[test]
fn what_is_no_request_of_a_proxied_service_is_refused() {
    let site = mirror();
    let proxy = proxy_to(&site.url(""), json!({}));
    let (head, _) = site::ask(
        proxy.at,
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    let (head, _) = site::ask(proxy.at, "nonsense\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    // Told 431, or cut off while it still talks.
    let long = "a".repeat(400_000);
    let (head, _) = site::ask(
        proxy.at,
        &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {long}\r\n\r\n"),
    );
    assert!(
        head.is_empty() || head.starts_with("HTTP/1.1 431"),
        "{head}"
    );
}

#[test]
fn a_proxy_that_could_never_work_is_refused_by_field() {
    for (config, word) in [
        (json!({ "upstream": "https://a/" }), "upstream: "),
        (json!({ "upstream": "http://a/?b" }), "upstream: "),
        (
            json!({ "upstream": "http://a/", "listen": "web:80" }),
            "listen: ",
        ),
        (
            json!({ "upstream": "http://a/", "timeout_ms": 0 }),
            "timeout_ms: ",
        ),
        (
            json!({ "upstream": "http://a/", "check": "health" }),
            "check: ",
        ),
        (json!({ "upstreem": "http://a/" }), "upstreem"),
    ] {
        let why = TestService::<ServiceProxy>::start(config).err().unwrap();
        assert_eq!(why.refused, RefusedStart::Config);
        assert!(why.text.contains(word), "{}", why.text);
    }
}
