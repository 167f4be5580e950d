//! Sites on real listeners, asked as a browser asks.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use mainstay_protocol::health::{Health as State, RefusedStart};
use mainstay_service::Value;
use mainstay_service::hosting::StopOutcome;
use mainstay_service::testing::TestService;
use tempfile::TempDir;

use super::*;
use crate::types::site as outside;

struct Served {
    service: TestService<AppServer>,
    at: SocketAddr,
}

fn artifact() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("docs")).unwrap();
    for (path, text) in [
        ("index.html", "<h1>front</h1>"),
        ("404.html", "<h1>lost</h1>"),
        ("app.js", "0123456789"),
        ("docs/index.html", "docs"),
    ] {
        fs::write(dir.path().join(path), text).unwrap();
    }
    dir
}

fn serve(artifact: &Path, more: Value) -> Served {
    let mut config = json!({ "artifact": artifact });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let service = TestService::<AppServer>::start(config).unwrap();
    let told = service.call("address", json!({})).unwrap();
    let at = told["address"].as_str().unwrap().parse().unwrap();
    Served { service, at }
}

/// An address that is free just now, so that no two tests share a listener.
fn an_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn ask(at: SocketAddr, method: &str, path: &str, headers: &str) -> (String, String) {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n");
    let (head, body) = outside::ask(at, &request);
    (head.to_ascii_lowercase(), String::from_utf8(body).unwrap())
}

fn header(head: &str, name: &str) -> String {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
        .to_owned()
}

#[test]
fn files_are_served_with_their_types_and_versions() {
    let artifact = artifact();
    let served = serve(artifact.path(), json!({ "listen": an_address() }));
    assert!(served.at.ip().is_loopback());
    let (head, body) = ask(served.at, "GET", "/", "");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "<h1>front</h1>");
    assert_eq!(header(&head, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&head, "x-content-type-options"), "nosniff");
    let (head, body) = ask(served.at, "HEAD", "/app.js", "");
    assert_eq!(
        (header(&head, "content-length").as_str(), body.as_str()),
        ("10", "")
    );
    let (head, _) = ask(served.at, "GET", "/docs", "");
    assert!(head.starts_with("http/1.1 308"), "{head}");
    assert_eq!(header(&head, "location"), "/docs/");
    let (head, _) = ask(served.at, "POST", "/", "Content-Length: 0\r\n");
    assert!(head.starts_with("http/1.1 405"), "{head}");
    assert_eq!(header(&head, "allow"), "get, head");

    let (head, _) = ask(served.at, "GET", "/app.js", "");
    let (tag, date) = (header(&head, "etag"), header(&head, "last-modified"));
    let (head, body) = ask(
        served.at,
        "GET",
        "/app.js",
        &format!("If-None-Match: {tag}\r\n"),
    );
    assert!(
        head.starts_with("http/1.1 304") && body.is_empty(),
        "{head}"
    );
    let date = date.replace("gmt", "GMT");
    let since = format!("If-Modified-Since: {}\r\n", capitalised(&date));
    let (head, _) = ask(served.at, "GET", "/app.js", &since);
    assert!(head.starts_with("http/1.1 304"), "{head}");
    fs::write(artifact.path().join("app.js"), "changed!").unwrap();
    let (head, body) = ask(
        served.at,
        "GET",
        "/app.js",
        &format!("If-None-Match: {tag}\r\n"),
    );
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "changed!");
}

/// As the date was before it was put into small letters with the rest of the head.
fn capitalised(date: &str) -> String {
    date.split(' ')
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn parts_of_files_are_served_as_asked() {
    let artifact = artifact();
    let served = serve(artifact.path(), json!({ "listen": an_address() }));
    for (range, status, body) in [
        ("bytes=2-4", "206", "234"),
        ("bytes=-3", "206", "789"),
        ("bytes=7-", "206", "789"),
        ("bytes=0-0,5-6", "200", "0123456789"),
    ] {
        let (head, got) = ask(served.at, "GET", "/app.js", &format!("Range: {range}\r\n"));
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{range}: {head}"
        );
        assert_eq!(got, body, "{range}");
    }
    let (head, _) = ask(served.at, "GET", "/app.js", "Range: bytes=2-4\r\n");
    assert_eq!(header(&head, "content-range"), "bytes 2-4/10");
    let (head, _) = ask(served.at, "GET", "/app.js", "Range: bytes=10-\r\n");
    assert!(head.starts_with("http/1.1 416"), "{head}");
    assert_eq!(header(&head, "content-range"), "bytes */10");
    let (head, _) = ask(served.at, "HEAD", "/app.js", "Range: bytes=2-4\r\n");
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[test]
fn what_is_not_there_is_the_artifacts_own_page() {
    let artifact = artifact();
    let served = serve(
        artifact.path(),
        json!({ "listen": an_address(), "404": "404.html" }),
    );
    for path in [
        "/missing",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc",
    ] {
        let (head, body) = ask(served.at, "GET", path, "");
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
        assert_eq!(body, "<h1>lost</h1>", "{path}");
        assert_eq!(header(&head, "content-type"), "text/html; charset=utf-8");
    }
    assert!(
        ask(served.at, "GET", "/%zz", "")
            .0
            .starts_with("http/1.1 400")
    );
    let plain = serve(artifact.path(), json!({ "listen": an_address() }));
    assert!(
        ask(plain.at, "GET", "/missing", "")
            .1
            .contains("no such file")
    );
}

#[test]
fn sites_share_a_listener_and_a_taken_host_is_refused_with_who_has_it() {
    let (one, two) = (artifact(), artifact());
    fs::write(two.path().join("index.html"), "two").unwrap();
    let listen = an_address();
    let first = serve(
        one.path(),
        json!({ "listen": listen, "host": "One.Example" }),
    );
    let second = serve(
        two.path(),
        json!({ "listen": listen, "host": "two.example" }),
    );
    assert_eq!(first.at, second.at);
    assert_eq!(
        outside::get(first.at, "/", "one.example").1,
        b"<h1>front</h1>"
    );
    assert_eq!(outside::get(first.at, "/", "TWO.example.:99").1, b"two");
    let (head, body) = outside::get(first.at, "/", "three.example");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("three.example"));

    let taken = json!({ "artifact": two.path(), "listen": listen, "host": "one.example" });
    let why = TestService::<AppServer>::start(taken.clone())
        .err()
        .unwrap();
    assert_eq!(why.refused, RefusedStart::NotNow);
    assert!(
        why.text.contains("the host one.example on") && why.text.contains("taken by app-server@n1"),
        "{}",
        why.text
    );
    // Also one that was killed lets go of its host.
    second.service.kill();
    let (head, _) = outside::get(first.at, "/", "two.example");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert!(matches!(first.service.stop(), StopOutcome::Gone(_)));
    std::net::TcpStream::connect(first.at).unwrap_err();
    let again = TestService::<AppServer>::start(taken).unwrap();
    assert_eq!(again.check().health, State::Ok);
}

#[test]
fn an_artifact_that_goes_away_is_a_failure_and_one_that_is_replaced_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["old", "new"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("index.html"), name).unwrap();
    }
    fs::rename(at("old"), at("live")).unwrap();
    let served = serve(&at("live"), json!({ "listen": an_address() }));
    assert_eq!(ask(served.at, "GET", "/", "").1, "old");
    fs::rename(at("live"), at("past")).unwrap();
    let checked = served.service.check_until(State::Failed);
    assert!(
        checked.detail.contains("live cannot be served"),
        "{}",
        checked.detail
    );
    fs::rename(at("new"), at("live")).unwrap();
    served.service.check_until(State::Ok);
    assert_eq!(ask(served.at, "GET", "/", "").1, "new");
}

#[test]
fn a_large_file_is_sent_whole_and_one_that_shrinks_meanwhile_is_broken_off() {
    let artifact = artifact();
    let large: String = (0..400_000)
        .map(|n| char::from(b'a' + (n % 26) as u8))
        .collect();
    fs::write(artifact.path().join("large.txt"), &large).unwrap();
    let served = serve(artifact.path(), json!({ "listen": an_address() }));
    assert_eq!(ask(served.at, "GET", "/large.txt", "").1, large);
    let (_, part) = ask(
        served.at,
        "GET",
        "/large.txt",
        "Range: bytes=100000-299999\r\n",
    );
    assert_eq!(part, large[100_000..300_000]);

    // Larger than all buffers on the way, so that it is not sent before it was made shorter.
    let huge = artifact.path().join("huge.bin");
    let file = fs::File::create(&huge).unwrap();
    file.set_len(256 * 1024 * 1024).unwrap();
    let mut client = outside::converse(std::net::TcpStream::connect(served.at).unwrap());
    outside::say(
        &mut client,
        "GET /huge.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert!(outside::head(&mut client).starts_with("HTTP/1.1 200"));
    file.set_len(1).unwrap();
    let mut got = Vec::new();
    let _ = std::io::Read::read_to_end(&mut client, &mut got);
    assert!(
        got.len() < 256 * 1024 * 1024,
        "it ended before it was whole"
    );
}

#[test]
fn a_site_that_could_never_be_served_is_refused_by_field() {
    let artifact = artifact();
    let path = artifact.path();
    for (config, refused, word) in [
        (
            json!({ "artifact": "site" }),
            RefusedStart::Config,
            "artifact: ",
        ),
        (
            json!({ "artifact": path, "listen": "web:80" }),
            RefusedStart::Config,
            "listen: ",
        ),
        (
            json!({ "artifact": path, "host": "a b" }),
            RefusedStart::Config,
            "host: ",
        ),
        (
            json!({ "artifact": path, "404": "%zz" }),
            RefusedStart::Config,
            "404: ",
        ),
        (
            json!({ "artifact": path, "hosts": "a" }),
            RefusedStart::Config,
            "hosts",
        ),
        (
            json!({ "artifact": path.join("missing") }),
            RefusedStart::NotHere,
            "cannot be served",
        ),
        (
            json!({ "artifact": path.join("app.js") }),
            RefusedStart::NotHere,
            "no directory",
        ),
        (
            json!({ "artifact": path, "404": "lost.html" }),
            RefusedStart::NotHere,
            "has no file lost.html",
        ),
        (
            json!({ "artifact": path, "404": "../x" }),
            RefusedStart::NotHere,
            "has no file ../x",
        ),
    ] {
        let why = TestService::<AppServer>::start(config).err().unwrap();
        assert_eq!(why.refused, refused, "{}", why.text);
        assert!(why.text.contains(word), "{}", why.text);
    }
}
