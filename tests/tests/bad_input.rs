//! Whatever the command line offers, given what it cannot take: refused with a code of the contract, in four lines,
//! and the cluster does not notice.

mod grammar;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use grammar::{Attempt, Leaf, attempt, faults, leaves};
use mainstay_tests::{Cluster, DevOptions, Shared};

/// Usage, not found, conflict.
const REFUSED: [i32; 3] = [2, 3, 4];

static SHARED: Shared = Shared::new();

/// One node with a greeter on it.
fn cluster() -> Arc<Cluster> {
    let cluster = SHARED.get(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    cluster.sh("start greeter --on n1").ok();
    cluster
}

/// Nothing is there, nor can it be made.
const NOWHERE: &str = "/dev/null/nothing";

/// Well formed, and of no cluster there is.
const TOKEN: &str = "mst1.agent.0a0a0a0a0a0a.1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b.2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c.0c6f6a346f0e4c0f9e0b2d7f5a3c1b22";

/// A value that the command takes, for everything but what is tried.
fn good(name: &str) -> &'static str {
    match name {
        "TYPE" => "greeter",
        "MESSAGE" => "greet",
        "JSON" => "{\"name\":\"Ada\"}",
        "KIND" => "instances",
        "ID" => "3fa9c2aa",
        "ASKED" => "1048576",
        "GOAL" => "running",
        "REF" => "greeter@n1",
        "PLACEMENT" => "greeter",
        "KEY=VALUE" => "greeting=Hi",
        "NAME=VALUE" => "restart.attempts=4",
        "SETTING" => "backoff.max",
        "NAME" => "billing",
        "NODE" => "n1",
        "LABEL" => "role=web",
        "WHERE" => "node/n1",
        "WHAT" => "cluster",
        "SHELL" => "bash",
        "TOPIC" => "MS-NAME-HELD",
        "RULE" => "restart",
        "ORCHESTRATION" | "RUN" | "ACTIVITY" | "SERVICE" => "no-such",
        "STATION" => "s1",
        "HOST:PORT" => "10.0.0.1:7600",
        "SERVERS" => "nats://10.0.0.1:4222",
        "IDENTITY" => "agent/n1",
        "VERB" => "restart",
        "ARTIFACT" => "urn:ivcap:artifact:5f1d2a3b-0000-0000-0000-00000000000f",
        "FILE" => NOWHERE,
        other => panic!("no good value is known for {other}: give this test one"),
    }
}

/// Values that nothing of this name can be, between bars.
const BAD: [(&str, &str); 47] = [
    ("COUNT", "|-1|three|1.5|10001|💥"),
    ("LABEL-NAME", "|rack=a|ra ck"),
    (
        "REF",
        "|@|greeter@|@n1|greeter@n1@n1|GREETER@n1|greeter@n1\n|gr eeter@n1|nod/n1|node/|/n1|node/n1/n1|\
         instance/greeter|instance/|💥|\u{1b}[31m@n1|../../etc/passwd|type/Greeter|supervisor/|name/x/y/z|placement/@|-",
    ),
    ("TYPE", "|GREETER|gr eeter|type/|node/n1|💥|greeter@n1"),
    ("NODE", "|N1|n 1|node/|n1@n1|type/greeter"),
    ("LABEL", "|=web|-|role|role=|role=a b|rôle=web|role=a,b"),
    ("WHERE", "|greeter@n1|type/greeter|💥|node/|Greeter"),
    ("WHAT", "|greeter@n1|greeter|💥|node/|station/x"),
    ("NAME", "|Name|a b|a/b|💥|-"),
    ("KIND", "|instence|nodez|Nodes|💥|instances/greeter"),
    ("MESSAGE", "|gret|no-such|💥|a/b|../x"),
    ("JSON", "|{|{\"name\":}|[1,2|nope|{\"nam\":\"Ada\"}|7"),
    ("ID", "|no-such|ID WITH SPACE|💥|a/b"),
    (
        "ASKED",
        "|no-such|-1|1.5|99999999999999999999|💥|asked/|parked/1",
    ),
    ("GOAL", "|runing|state=|state=Runing|💥"),
    ("FORMAT", "|jsn|tabel|💥"),
    ("TIME", "|soon|5|-1s|1e9s|99999999999999999999s|💥"),
    ("KEY=VALUE", "|=1|a|a..b=1|.=1"),
    (
        "PLACEMENT",
        "|@|greeter@n1|Greeter|node/n1|gr eeter|💥|../x",
    ),
    ("KEY", "|no-such|a..b|💥"),
    ("GENERATION", "|-1|one|99|99999999999999999999|💥"),
    (
        "NAME=VALUE",
        "|=1|a|restart.attemptz=3|restart.attempts=many|restart=5|💥=1",
    ),
    ("SETTING", "|no-such|restart.attemptz|💥"),
    ("N", "|0|-1|65536|three|💥"),
    ("PROFILE", "|lam|fast"),
    // Of the agent, which takes other things by these names than a command does.
    ("agent --cluster", "|x|-1"),
    ("agent --label", "|=1|a|a=|a=b c"),
    (
        "KEY=AMOUNT",
        "|=1|cores|cores=|cores=-1|memory=4|disk=x|ports=1|💥",
    ),
    ("PID", "|x|-1"),
    ("SHELL", "|bsh|Bash|💥"),
    (
        "TOPIC",
        "|MS-NAME-HOLD|NAME HELD|💥|../../x|instences|instance.no-such",
    ),
    ("RULE", "|RESTART|no-such|a b|💥"),
    ("RUN", "|a b|💥|a/b|~dispose|no-such"),
    ("ACTIVITY", "|a b|💥|a/b|no-such"),
    ("STATE", "|Runing|no-such|💥"),
    ("STATUS", "|done|Failled|💥"),
    ("SERVICE", "|no-such|a b|💥"),
    (
        "STATION",
        "|S1|s|s0|s01|s-1|sx|1|station/|node/n1|s99999999999999999999|💥",
    ),
    ("ADDRESS", "|unix:|unix:s2.sock|/s2.sock|tcp:[::1]:1|💥"),
    ("CLUSTER", "|dev|0c6f6a34|💥"),
    (
        "HOST:PORT",
        "|10.0.0.1|:7600|host:0|host:65536|unix:/s1.sock|💥",
    ),
    ("TOKEN", "|mst1|mst1.agent.aa.bb.cc.dd|💥"),
    ("ROLE", "|Agent|agents|root|💥"),
    (
        "IDENTITY",
        "|n1|agent/|agent/N1|person/ada|person/ada/god|💥",
    ),
    ("VERB", "|restrt|💥|-"),
    (
        "SERVERS",
        "|no-such|http://h|nats://|nats://h,|nats://h:99999|nats://a:b@h|💥",
    ),
    ("ARTIFACT", "|no-such|urn:ivcap:artifact:4|artifact/|💥"),
];

fn bad(name: &str) -> Vec<String> {
    match name {
        "DIR" | "SOCKET" | "PROGRAM" | "PATH" | "FILE" => return vec![NOWHERE.to_owned()],
        // Any filter is one, and so is any text.
        "FILTER" | "TEXT" | "MEDIA-TYPE" => return Vec::new(),
        // Of one that is not there, there are no runs.
        "ORCHESTRATION" => return ["", "a b", "💥", "a/b"].map(str::to_owned).to_vec(),
        _ => {}
    }
    let known = BAD.iter().find(|(known, _)| *known == name);
    let (_, texts) = known.unwrap_or_else(|| panic!("no bad value of {name} is known: add some"));
    let long = "x".repeat(100);
    texts.split('|').map(str::to_owned).chain([long]).collect()
}

/// The command with good values throughout.
fn well_formed(leaf: &Leaf) -> Vec<OsString> {
    let mut words: Vec<OsString> = leaf.path.iter().map(OsString::from).collect();
    let required = leaf.positionals.iter().filter(|one| one.required);
    words.extend(required.map(|one| OsString::from(good(&one.name))));
    match leaf.text().as_str() {
        "start" => words.extend(["--on".into(), "n1".into()]),
        "delete" => words.push("greeter".into()),
        "run complete" => words.extend(["--token", "1"].map(OsString::from)),
        "plan" | "apply" | "orchestration apply" | "activity apply" => {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grammar/hi.yaml");
            words.extend(["-f".into(), file.into()]);
        }
        "service register" => {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grammar/service.yaml");
            words.extend(["-f".into(), file.into()]);
        }
        "reconfigure" => words.push("greeting=Hi".into()),
        "move" => words.extend(["--to", "n2"].map(OsString::from)),
        "chaos delay" | "chaos skew" | "chaos slow-disk" => {
            words.extend(["--by", "500ms"].map(OsString::from));
        }
        "station add" => words.extend(["--at".into(), "unix:/dev/null/s1.sock".into()]),
        "restore" => words.extend(["--dir", NOWHERE].map(OsString::from)),
        "station recover" => words.extend(["--from", NOWHERE, "--to", NOWHERE].map(OsString::from)),
        "station repair" => words.extend(["--dir", NOWHERE, "--to", NOWHERE].map(OsString::from)),
        "init" => words.extend(
            [
                "--name",
                "billing",
                "--listen",
                "10.0.0.1:7600",
                "--dir",
                NOWHERE,
            ]
            .map(OsString::from),
        ),
        "join" => words.extend(["--token", TOKEN, "--dir", NOWHERE].map(OsString::from)),
        "token create" => words.extend(["--role", "agent"].map(OsString::from)),
        "identity revoke" => words.extend(["--reason", "sold", "--yes"].map(OsString::from)),
        "identity group set" => words.extend(["--role", "operator"].map(OsString::from)),
        "wait" => words.extend(["--for".into(), "running".into()]),
        "agent run" => words.extend(daemon(&["--node", "n1", "--station"])),
        "station run" => words.extend(daemon(&["--cluster", "other", "--api"])),
        _ => {}
    }
    words
}

/// A daemon that could not begin even if all else were right: its directory cannot be.
fn daemon(words: &[&str]) -> Vec<OsString> {
    let rest = ["/dev/null/x.sock", "--dir", "/dev/null/nothing"];
    words.iter().chain(&rest).map(OsString::from).collect()
}

/// Tries all of them; fails with everything that was told badly.
#[track_caller]
fn expect_refused(cluster: &Cluster, attempts: &[(Vec<OsString>, Vec<i32>)]) -> Vec<Attempt> {
    let mut wrong = Vec::new();
    let mut done = Vec::new();
    for (words, codes) in attempts {
        let made = attempt(cluster, words);
        wrong.extend(faults(&made, codes));
        done.push(made);
    }
    assert!(
        wrong.is_empty(),
        "{} of {} were not refused well:\n{}",
        wrong.len(),
        attempts.len(),
        wrong.join("\n")
    );
    println!("{} attempts were refused well", attempts.len());
    done
}

#[track_caller]
fn expect_untouched(cluster: &Cluster) {
    let status = cluster.json("status");
    assert_eq!(status["verdict"], "HEALTHY", "{status:#}");
    assert!(cluster.list("parked list").is_empty());
    cluster.sh("check greeter@n1").ok();
    cluster.sh("check supervisor/n1").ok();
    assert_eq!(cluster.incarnation("greeter@n1"), 1);
}

/// Which codes a bad value may end with. Waiting for what is not there yet is no mistake until time is up.
fn codes_for(leaf: &Leaf, name: &str) -> Vec<i32> {
    let mut codes = REFUSED.to_vec();
    if leaf.text() == "call" && name == "JSON" {
        // The service itself says what is wrong with a message.
        codes.push(9);
    }
    codes
}

// acceptance: 12
#[test]
fn every_argument_of_every_command_is_refused_when_it_makes_no_sense() {
    let cluster = cluster();
    let mut attempts = Vec::new();
    for leaf in leaves(&cluster) {
        let whole = well_formed(&leaf);
        for (at, positional) in leaf.positionals.iter().enumerate() {
            let place = leaf.path.len() + at;
            for value in bad(&positional.name) {
                let mut words = whole.clone();
                let value = OsString::from(value);
                match words.get_mut(place).filter(|_| positional.required) {
                    Some(word) => *word = value,
                    None => words.insert(place, value),
                }
                attempts.push((words, codes_for(&leaf, &positional.name)));
            }
            if positional.required {
                // A file may be called anything.
                if positional.name != "FILE" {
                    let mut broken = whole.clone();
                    broken[place] = OsStr::from_bytes(b"\xff\xfe").to_owned();
                    attempts.push((broken, vec![2]));
                }
                let shorter = whole[..place].to_vec();
                attempts.push((shorter, vec![2]));
            }
        }
        let places = leaf.path.len() + leaf.positionals.len();
        let mut longer = whole.clone();
        longer.splice(
            leaf.path.len()..leaf.path.len(),
            std::iter::repeat_n(OsString::from("{}"), places),
        );
        attempts.push((longer, vec![2]));
    }
    assert!(attempts.len() > 300, "{}", attempts.len());
    expect_refused(&cluster, &attempts);
    expect_untouched(&cluster);
}

// acceptance: 12
#[test]
fn every_flag_of_every_command_is_refused_with_a_bad_value_without_one_and_misspelt() {
    let cluster = cluster();
    let mut attempts = Vec::new();
    let mut misspelt = Vec::new();
    for leaf in leaves(&cluster) {
        let whole = well_formed(&leaf);
        let with = |more: &[&str]| -> Vec<OsString> {
            whole
                .iter()
                .cloned()
                .chain(more.iter().map(OsString::from))
                .collect()
        };
        for flag in &leaf.flags {
            let shorter = &flag.long[..flag.long.len() - 1];
            misspelt.push((with(&[shorter]), flag.long.clone()));
            let Some(value) = flag.value.as_deref() else {
                attempts.push((with(&[&format!("{}=yes", flag.long)]), vec![2]));
                continue;
            };
            if !leaf.is_daemon() || value != "FILTER" {
                attempts.push((with(&[&flag.long]), vec![2]));
            }
            let name = match (leaf.text().as_str(), flag.long.as_str()) {
                ("agent run", "--cluster") => "agent --cluster",
                ("agent run", "--label") => "agent --label",
                _ => value,
            };
            for bad in bad(name) {
                let words = with(&[&format!("{}={bad}", flag.long)]);
                attempts.push((words, REFUSED.to_vec()));
            }
        }
    }
    assert!(attempts.len() > 500, "{}", attempts.len());
    expect_refused(&cluster, &attempts);
    let words: Vec<_> = misspelt
        .iter()
        .map(|(words, _)| (words.clone(), vec![2]))
        .collect();
    let told = expect_refused(&cluster, &words);
    for (made, (_, right)) in told.iter().zip(&misspelt) {
        assert!(
            made.stderr.contains(right.as_str()),
            "{right} is near: {made:#?}"
        );
    }
    expect_untouched(&cluster);
}

// acceptance: 12
#[test]
fn a_misspelt_name_of_anything_is_answered_with_the_nearest() {
    let cluster = cluster();
    let near = |line: &str, code: i32, right: &str| {
        let run = cluster.sh(line).expect_code(code);
        assert!(
            run.stderr.contains(right),
            "{line}: {right} is near: {run:#?}"
        );
        assert!(run.stderr.contains("\n  do:  mainstay"), "{run:#?}");
    };
    for command in [
        "describe",
        "why",
        "stop",
        "restart",
        "check",
        "ask-status",
        "clear",
    ] {
        near(&format!("{command} gretter@n1"), 3, "greeter@n1");
    }
    for command in ["describe", "why", "stop", "check"] {
        near(&format!("{command} greter"), 3, "greeter");
    }
    near("describe greeter@n11", 3, "greeter@n1");
    near("call gretter@n1 greet {}", 3, "greeter@n1");
    near("call greeter@n1 gret {}", 3, "greet");
    near("start greter --on n1", 3, "greeter");
    near("start greeter --on m1", 3, "n1");
    near("describe type/greter", 3, "greeter");
    near("describe node/n2", 3, "n1");
    near("describe placement/greter", 3, "greeter");
    near("get instances gretter", 3, "greeter");
    near("get nodes n2", 3, "n1");
    near("chaos kill gretter@n1", 3, "greeter@n1");
    near("check supervisor/n2", 3, "n1");
    near("describe instence/greeter@n1", 2, "instance");
    near("get instence", 2, "instances");
    near("wait greeter@n1 --for healty", 2, "healthy");
    expect_untouched(&cluster);
}

// acceptance: 12
#[test]
fn a_misspelt_command_is_answered_with_the_nearest_and_what_to_do_can_be_done() {
    let cluster = cluster();
    let mut attempts = Vec::new();
    let mut right = Vec::new();
    for leaf in leaves(&cluster) {
        let mut words: Vec<OsString> = leaf.path.iter().map(OsString::from).collect();
        let last = leaf.path.last().expect("a command has a name");
        let (head, tail) = last.split_at(last.len() - 1);
        *words.last_mut().expect("as above") = format!("{head}z{tail}").into();
        // A word behind `graph` is a REF where it is no command, and one behind `order` a service.
        if leaf.path.len() > 1 && ["graph", "order"].contains(&leaf.path[0].as_str()) {
            continue;
        }
        // A word behind `dev` is looked up among what is below it, and there is one thing.
        attempts.push((words, vec![2]));
        right.push(last.clone());
    }
    let made = expect_refused(&cluster, &attempts);
    let mut to_do = BTreeSet::new();
    for (made, right) in made.iter().zip(right) {
        assert!(made.stderr.contains(&right), "{right} is near: {made:#?}");
        to_do.extend(
            made.stderr
                .lines()
                .filter_map(|line| line.strip_prefix("  do:  mainstay "))
                .map(str::to_owned),
        );
    }
    for line in to_do {
        cluster.sh(&line).ok();
    }
    expect_untouched(&cluster);
}

// acceptance: 12
#[test]
fn without_a_server_every_command_that_asks_one_says_so() {
    let cluster = cluster();
    let contexts = cluster.home().join("home/contexts");
    let away = serde_json::json!({ "name": "away", "socket": cluster.home().join("no.sock"), "dev": null });
    std::fs::write(contexts.join("away.json"), away.to_string()).expect("a context");
    let mut attempts = Vec::new();
    let needs_none = [
        "completion",
        "explain",
        "new service",
        "init",
        "join",
        "restore",
        "station recover",
        "station repair",
        // What is kept on this machine is told, and asked for, without anybody.
        "cert list",
        "cert rotate",
        "debug bundle",
        "doctor",
        "bootstrap",
        // They read what is to be kept first.
        "secret set",
        "artifact put",
    ];
    for leaf in leaves(&cluster).iter().filter(|leaf| !leaf.is_daemon()) {
        if needs_none.contains(&leaf.text().as_str()) {
            continue;
        }
        let mut words = well_formed(leaf);
        words.extend(["--context", "away", "--timeout", "1s"].map(OsString::from));
        if leaf.path[0] == "chaos" {
            // Else it is refused before anybody is asked: it is no dev cluster.
            words.push("--i-mean-it".into());
        }
        let codes = if leaf.text() == "version" {
            vec![0, 6]
        } else {
            vec![6]
        };
        attempts.push((words, codes));
    }
    let (version, asking): (Vec<_>, Vec<_>) = attempts
        .into_iter()
        .partition(|(_, codes)| codes.contains(&0));
    expect_refused(&cluster, &asking);
    for (words, _) in version {
        let made = attempt(&cluster, &words);
        assert!(
            !made.stdout.is_empty(),
            "its own version is known without a server: {made:#?}"
        );
    }
}
