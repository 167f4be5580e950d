//! Tasks that read what they are given the names of, on the machine and in real containers.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_protocol::health::RefusedStart;
use mainstay_service::testing::TestService;
use mainstay_service::{Processed, Value};

use super::*;
use crate::types::activity_agent::ActivityAgent;
use crate::types::containers::{IMAGE, Podman};
use crate::types::site as outside;

type Proxy = TestService<DataProxy>;
type Worker = TestService<ActivityAgent>;

const DATA: &str = "urn:ivcap:artifact:00000000-0000-0000-0000-000000000001";
const OTHER: &str = "urn:ivcap:artifact:00000000-0000-0000-0000-000000000002";
/// Longer than what is read at a time.
const LINES: usize = 30_000;

/// All of them are on one node, and it has one data-proxy.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn worker(way: &Value) -> Worker {
    let lines: String = (0..LINES).map(|line| format!("{line}\n")).collect();
    let artifacts: [(&str, &[u8]); 2] = [(DATA, lines.as_bytes()), (OTHER, b"secret")];
    let config = json!({ "activities": { "model": { "*": way } } });
    Worker::start_with_artifacts(&artifacts, config).unwrap()
}

fn on_host() -> Worker {
    worker(&json!({ "workload": { "engine": "host" } }))
}

/// A shell's words, given `DATA`.
fn runs(worker: &Worker, script: &str) -> Processed {
    let container =
        json!({ "image": IMAGE, "command": ["sh", "-c"], "args": [script, "sh", DATA] });
    let inputs = json!({ "task": { "container": container } });
    worker.does("model", "container", inputs)
}

fn result(processed: &Processed) -> String {
    let output = processed.output();
    let output = output.unwrap_or_else(|| panic!("it is not complete: {processed:?}"));
    let output: Value = serde_json::from_str(output.as_str()).unwrap();
    output["result"].as_str().unwrap().to_owned()
}

fn ask(at: &str, request: &str, path: &str) -> (String, String) {
    let (host, token) = at.trim_start_matches("http://").split_once('/').unwrap();
    let host: SocketAddr = host.parse().unwrap();
    let request =
        format!("{request} /{token}{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (head, body) = outside::ask(host, &request);
    (head, String::from_utf8(body).unwrap())
}

// proves: M5
#[test]
fn a_task_reads_what_it_is_given_the_name_of_and_nothing_else_as_long_as_it_lives() {
    let _alone = alone();
    let (proxy, worker) = (Proxy::start(json!({})).unwrap(), on_host());
    let script = format!(
        r#"code() {{ curl -s -o /dev/null -w '%{{http_code}} ' "$@"; }}
        curl -sf $MAINSTAY_DATA_URL/artifacts/$1 | md5sum | cut -c1-8
        curl -sf -r 0-3 $MAINSTAY_DATA_URL/artifacts/$1
        curl -sf $MAINSTAY_DATA_URL; echo
        code $MAINSTAY_DATA_URL/artifacts/{OTHER}
        code $(echo $MAINSTAY_DATA_URL/artifacts/$1 | sed 's/urn:/urn%3A/')
        code $MAINSTAY_DATA_URL/artifacts/nonsense
        code $MAINSTAY_DATA_URL/../artifacts/$1
        code -X DELETE $MAINSTAY_DATA_URL/artifacts/$1
        code ${{MAINSTAY_DATA_URL%????}}0000/artifacts/$1
        echo; echo $MAINSTAY_DATA_URL"#
    );
    // What it may read stands in its inputs: the script names another artifact, and so could read that.
    let script = script.replace(OTHER, &OTHER.replacen("artifact", "arti''fact", 1));
    let said = result(&runs(&worker, &script));
    let lines: Vec<&str> = said.lines().collect();
    let [sum, "0", "1", listed, codes, url] = lines[..] else {
        panic!("{said}");
    };
    assert_eq!(sum.len(), 8, "{said}");
    assert_eq!(listed, format!(r#"{{"artifacts":["{DATA}"]}}"#));
    assert_eq!(codes.trim(), "403 200 404 403 405 403");
    let told = proxy.call("address", json!({})).unwrap();
    assert_eq!(told["granted"], 0, "it is over");
    let (head, body) = ask(url, "GET", &format!("/artifacts/{DATA}"));
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    assert!(body.contains("the task is over"), "{body}");
    let status = proxy.status().unwrap();
    assert!(
        status.contains("0 have something granted, 10 requests"),
        "{status}"
    );
}

// proves: M5
#[test]
fn a_container_without_a_network_reads_through_a_socket() {
    let _alone = alone();
    let podman = Podman::new();
    let mut way = podman.way();
    let options = way["workload"]["options"].as_array_mut().unwrap();
    // The machine's own programs: the image has none that asks through a socket.
    for directory in ["/usr", "/lib", "/lib64"] {
        options.extend([
            json!("--volume"),
            json!(format!("{directory}:{directory}:ro")),
        ]);
    }
    let (_proxy, worker) = (Proxy::start(json!({})).unwrap(), worker(&way));
    let script = "/usr/bin/curl -sf --unix-socket $MAINSTAY_DATA_SOCKET $MAINSTAY_DATA_URL/artifacts/$1 | tail -n 1";
    let last = LINES - 1;
    assert_eq!(result(&runs(&worker, script)), last.to_string());
}

#[test]
fn where_containers_reach_it_is_told_to_them() {
    let _alone = alone();
    let podman = Podman::new();
    let config = json!({ "containers_reach": "host.containers.internal:7710" });
    let (_proxy, worker) = (Proxy::start(config).unwrap(), worker(&podman.way()));
    let said = result(&runs(
        &worker,
        "echo $MAINSTAY_DATA_URL; echo socket: $MAINSTAY_DATA_SOCKET",
    ));
    let (url, socket) = said.split_once('\n').unwrap();
    assert!(
        url.starts_with("http://host.containers.internal:7710/"),
        "{said}"
    );
    assert_eq!(socket, "socket:");
}

#[test]
fn without_a_data_proxy_an_attempt_says_what_to_do_and_one_that_comes_back_is_found() {
    let _alone = alone();
    let worker = on_host();
    let said = runs(&worker, "true");
    let error = said.error().unwrap();
    assert_eq!(said, Processed::retry(error));
    assert!(
        error.contains("mainstay start data-proxy --on n1"),
        "{error}"
    );
    let first = Proxy::start(json!({})).unwrap();
    result(&runs(&worker, "true"));
    first.stop();
    assert!(runs(&worker, "true").error().is_some());
    let _second = Proxy::start(json!({})).unwrap();
    result(&runs(&worker, "true"));
}

#[test]
fn a_program_is_told_where_to_read_and_does_without_it_where_there_is_nothing() {
    let _alone = alone();
    let script = r#"printf '{"url":"%s"}' "$MAINSTAY_DATA_URL""#;
    let way = json!({ "process": { "command": ["/bin/sh", "-c", script] } });
    let worker = worker(&way);
    let url = |inputs: Value| {
        let said = worker.does("model", "x", inputs);
        let output = said.output().unwrap_or_else(|| panic!("{said:?}"));
        let url = output.member("url").unwrap();
        url.as_text().unwrap().to_owned()
    };
    assert_eq!(url(json!({ "data": DATA })), "");
    let _proxy = Proxy::start(json!({})).unwrap();
    assert_eq!(url(json!({ "data": "nothing" })), "");
    assert!(url(json!({ "data": DATA })).starts_with("http://127.0.0.1:"));
}

#[test]
fn a_configuration_that_could_never_work_is_refused() {
    for (config, word) in [
        (json!({ "listen": "here" }), "listen: \"here\""),
        (
            json!({ "containers_reach": "host" }),
            "containers_reach: \"host\"",
        ),
        (json!({ "containers_reach": "a b:1" }), "containers_reach"),
        (json!({ "containers_reach": "a:b" }), "containers_reach"),
        (json!({ "containers_reach": "a:0" }), "containers_reach"),
        (json!({ "containers_reach": "a:b:1" }), "containers_reach"),
    ] {
        let why = Proxy::start(config).err().expect("it is refused");
        assert_eq!(why.refused, RefusedStart::Config);
        assert!(why.text.contains(word), "{}", why.text);
    }
}
