//! People of a cluster and what each may do, with homes of their own, over the network of a dev cluster.

use std::path::Path;

use mainstay_tests::{Cluster, DevOptions, Run, command};

/// Somebody with a home of their own, whom a token let in.
struct Person {
    home: tempfile::TempDir,
}

impl Person {
    fn joins(cluster: &Cluster, role: &str, name: &str) -> Self {
        let made = cluster
            .sh(&format!("token create --role {role} --name {name}"))
            .ok();
        let line = made.stdout.trim().to_owned();
        let words = line.strip_prefix("mainstay ").expect("a line to paste");
        let home = tempfile::Builder::new()
            .prefix("ms")
            .tempdir()
            .expect("a temporary directory");
        let person = Self { home };
        person.sh(words).ok();
        person
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn sh(&self, line: &str) -> Run {
        let words: Vec<&str> = line.split_whitespace().collect();
        command::run(self.home(), &words)
    }
}

#[test]
fn a_group_lets_its_members_do_more_as_long_as_they_are_in_it() {
    // proves: U1
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    let ada = Person::joins(&cluster, "reader", "ada");
    ada.sh("status").ok();
    let refused = ada.sh("start greeter --on n1").expect_code(5);
    assert!(
        refused.stderr.contains("needs an operator") && refused.stderr.contains("ada (reader)"),
        "{}",
        refused.stderr
    );
    // Nor does she let herself in.
    ada.sh("identity group set ops --role admin --member ada")
        .expect_code(5);

    cluster
        .sh("identity group set ops --role operator --member ada --member bo")
        .ok();
    let who = ada.sh("identity whoami").ok();
    assert_eq!(who.stdout, "ada (operator by group ops)\n");
    ada.sh("can-i start greeter@n1").ok();
    ada.sh("start greeter --on n1").ok();
    ada.sh("token create --role agent").expect_code(5);
    let events = cluster.sh("events --since 1h").ok().stdout;
    assert!(
        events.contains("ada (reader; operator by ops)"),
        "who did it, and as what: {events}"
    );
    assert!(events.contains("the group ops is operator"), "{events}");

    // Without her in it, at once.
    cluster
        .sh("identity group set ops --role operator --member bo")
        .ok();
    ada.sh("stop greeter@n1").expect_code(5);
    let list = cluster.sh("identity group list -o json").ok().json();
    assert_eq!(list[0]["members"], serde_json::json!(["bo"]));
    cluster.sh("identity group remove ops").ok();
    cluster.sh("identity group remove opps").expect_code(3);
    assert_eq!(
        cluster.sh("identity group list -o json").ok().json(),
        serde_json::json!([])
    );

    // Whoever was taken back is let in by no group.
    cluster
        .sh("identity group set ops --role admin --member ada")
        .ok();
    cluster
        .sh("identity revoke person/ada/reader --reason left --yes")
        .ok();
    ada.sh("status").expect_code(5);
    let list = cluster.sh("identity group list -o json").ok().json();
    assert_eq!(list[0]["members"], serde_json::json!([]));
}
