//! Logs of instances that are no processes: what each said, in a log of its own, over its restarts and its agent's.

use std::fs;
use std::process::Stdio;

use mainstay_tests::{Cluster, DevOptions, command, until};

// proves: S7
#[test]
fn an_actors_words_are_in_its_own_log_with_its_last_ones_and_followed_over_restarts() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    cluster.sh("start greeter --on n1").ok();
    cluster.sh("start flaky --on n1").ok();
    let log = |reference: &str| cluster.sh(&format!("logs {reference}")).ok().stdout;
    assert_eq!(log("greeter@n1"), "", "it has said nothing yet");
    cluster.greet("greeter@n1");
    let text = log("greeter@n1");
    assert!(text.contains(" info greets "), "{text}");
    assert_eq!(text.lines().count(), 1, "nobody else's words: {text}");
    cluster.sh("ask-status greeter@n1").ok();
    let lines = cluster.list("logs greeter@n1");
    assert_eq!(lines[1]["stream"], "info", "{lines:#?}");
    let status = lines[1]["text"].as_str().unwrap_or_default();
    assert!(status.contains("1 greetings so far"), "{lines:#?}");

    let heard = cluster.home().join("follower");
    let mut following = command::command(&mainstay_tests::mainstay_binary(), cluster.home())
        .args(["logs", "flaky@n1", "-f"])
        .stdout(fs::File::create(&heard).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let heard = || fs::read_to_string(&heard).unwrap_or_default();
    let panics = |text: &str| {
        let body = format!(r#"{{"text": "{text}"}}"#);
        cluster.run(&["call", "flaky@n1", "panic", &body]);
    };
    panics("out-of-cheese");
    cluster.until_restarted("flaky@n1", 1);
    until("its last words are followed", heard, |text| {
        text.contains("panic=out-of-cheese")
    });
    let previous = cluster.sh("logs flaky@n1 --previous").ok().stdout;
    assert!(previous.contains(" warn panicked "), "{previous}");
    // The whole agent, so that nothing is said in order.
    cluster.sh("chaos kill node/n1").ok();
    cluster.until_restarted("flaky@n1", 2);
    cluster.sh("ask-status flaky@n1").ok();
    until("the next life is followed", heard, |text| {
        text.contains(" info status ")
    });
    following.kill().unwrap();
    following.wait().unwrap();
    let text = log("greeter@n1");
    assert!(
        !text.contains("greets"),
        "an incarnation has its own: {text}"
    );
    let text = cluster.sh("logs greeter@n1 --previous").ok().stdout;
    assert!(text.contains(" info greets "), "{text}");
}
