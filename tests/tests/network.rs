//! Machines with addresses of their own, in network namespaces: a cluster comes to be by the commands that the README has, and
//! whoever has no business there is told so.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mainstay_api::Client;
use mainstay_api::types::{Hidden, JoinRequest};
use mainstay_identity::{JoinToken, Keep, NodeKey, hex, tls};

use mainstay_tests::machines::with_clock;
use mainstay_tests::{Machines, Run, outside, until};
use rustix::process::Signal;
use serde_json::Value;

fn code(run: &Run) -> &str {
    let last = run.stderr.lines().rfind(|line| line.contains("MS-"));
    let words = last.unwrap_or_default().split_whitespace();
    words
        .into_iter()
        .find(|word| word.starts_with("MS-"))
        .unwrap_or("none")
}

// proves: S16, S17, S18, U1
// case: services 3
#[test]
fn three_stations_and_five_agents_come_to_be_on_machines_of_their_own() {
    let mut machines = Machines::new(5);
    machines.init(1, "prod");
    let again = format!(
        "init --name other --listen {} {}",
        machines.station_address(1),
        machines.data(1, "station")
    );
    let refused = machines.sh(1, &again).expect_code(4);
    assert!(
        refused.stderr.contains("station/s1 of cluster prod"),
        "{refused:#?}"
    );

    machines.add_station(2);
    machines.add_station(3);
    machines.until_running(1, 3);
    for machine in 1..=5 {
        machines.add_agent(machine);
    }
    machines.until_online(2, 5);
    machines.sh(3, "start greeter --all").ok();
    let reply = machines
        .sh(2, "call greeter@n5 greet '{\"name\": \"Ada\"}'")
        .ok();
    assert!(reply.stdout.contains("Ada"), "{reply:#?}");

    // Services do not notice that the leader goes, and everybody finds the next one.
    let before = machines.list(2, "get instances");
    machines.signal(1, "station", Signal::KILL);
    until(
        "another station decides",
        || machines.sh(2, "stop greeter@n4"),
        |run| run.code == Some(0),
    );
    machines.until_online(3, 5);
    let after = machines.list(3, "get instances");
    let incarnations = |all: &[Value]| -> Vec<Value> {
        let kept = all.iter().filter(|one| one["node"] != "n4");
        kept.map(|one| one["incarnation"].clone()).collect()
    };
    assert_eq!(incarnations(&before), incarnations(&after));
}

// proves: U1
#[test]
fn whoever_has_no_business_here_is_told_so_within_seconds() {
    let mut machines = Machines::new(3);
    machines.init(1, "prod");
    machines.init(2, "other");
    let token = |machines: &Machines, machine: usize, more: &str| {
        let made = machines.sh(
            machine,
            &format!("token create --role agent {more} -o json"),
        );
        made.ok().json()["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    };
    let show = |machines: &Machines, before: &[String], token: &str, dir: &str| {
        let at = machines.station_address(1);
        let dir = machines.data(3, dir);
        let begun = Instant::now();
        let line = format!("join {at} --token {token} --node n3 {dir}");
        let run = machines.run(3, before, &line);
        assert!(begun.elapsed() < Duration::from_secs(5), "{run:#?}");
        run
    };

    let good = token(&machines, 1, "");
    show(&machines, &[], &good, "first").ok();
    show(&machines, &[], &good, "first").ok();
    let used = show(&machines, &[], &good, "second").expect_code(5);
    assert_eq!(code(&used), "MS-TOKEN-USED", "{used:#?}");

    // A node's certificate speaks of that node alone.
    let dir = machines.data(3, "first");
    machines.start(3, &format!("agent run {dir} --node n9"));
    until(
        "the agent is told that its certificate is another's",
        || machines.log(3, "agent"),
        |log| log.contains("its certificate is of agent/n3"),
    );
    assert!(machines.list(1, "get nodes").is_empty());

    let taken = token(&machines, 1, "");
    let taken = show(&machines, &[], &taken, "third").expect_code(4);
    assert_eq!(code(&taken), "MS-NAME-TAKEN", "{taken:#?}");

    let short = token(&machines, 1, "--for 1s");
    machines.until_list(1, "token list", |all| {
        all.iter().any(|one| one["state"] == "expired")
    });
    let expired = show(&machines, &[], &short, "fourth").expect_code(5);
    assert_eq!(code(&expired), "MS-TOKEN-EXPIRED", "{expired:#?}");

    let foreign = token(&machines, 2, "");
    let foreign = show(&machines, &[], &foreign, "fifth").expect_code(4);
    assert_eq!(code(&foreign), "MS-WRONG-CLUSTER", "{foreign:#?}");

    let back = token(&machines, 1, "");
    let id = back.split('.').nth(2).expect("a token has an id");
    machines.sh(1, &format!("token revoke {id}")).ok();
    let revoked = show(&machines, &[], &back, "sixth").expect_code(5);
    assert_eq!(code(&revoked), "MS-TOKEN-REVOKED", "{revoked:#?}");

    for skew in ["+2h", "-2h", "+10d", "-10d"] {
        let fresh = token(&machines, 1, "--node n3");
        let skewed = show(&machines, &with_clock(skew), &fresh, "seventh").expect_code(5);
        assert_eq!(code(&skewed), "MS-CLOCK", "{skew}: {skewed:#?}");
    }
    let cut = show(&machines, &[], &good[..good.len() - 3], "eighth").expect_code(2);
    assert!(!cut.stderr.contains(&good[20..60]), "{cut:#?}");
}

// proves: U1
#[test]
fn whoever_lists_processes_sees_no_token() {
    let mut machines = Machines::new(2);
    machines.init(1, "prod");
    let made = machines.sh(1, "token create --role agent -o json").ok();
    let made = made.json();
    let token = made["token"].as_str().expect("a token");
    let dir = machines.data(2, "agent");
    // It asks for ever, since nobody is there.
    machines.start(
        2,
        &format!("join 10.0.0.9:7600 --token {token} --node n2 {dir}"),
    );
    let dir = machines.dir(2).join("agent").display().to_string();
    until(
        "it runs without the token among its arguments",
        outside::processes,
        |all| {
            let those = all.iter().filter(|one| one.arguments.contains(&dir));
            let seen: Vec<bool> = those.map(|one| one.arguments.contains(token)).collect();
            !seen.is_empty() && !seen.contains(&true)
        },
    );
}

// proves: U1
#[test]
fn nothing_answers_in_plaintext_and_a_stranger_learns_nothing() {
    let mut machines = Machines::new(2);
    machines.init(1, "prod");
    let listening = machines
        .command(1, "ss".as_ref())
        .args(["-Hltn"])
        .output()
        .expect("`ss` lists what listens: install iproute2");
    let listening = String::from_utf8_lossy(&listening.stdout).into_owned();
    assert_eq!(listening.lines().count(), 1, "{listening}");
    assert!(
        listening.contains(&machines.station_address(1)),
        "{listening}"
    );

    for said in [
        "GET /v1/status HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n",
        "MAINSTAY",
    ] {
        let script = format!(
            "exec 3<>/dev/tcp/{}/7600; printf '{said}' >&3; timeout 20 cat <&3",
            machines.address(1)
        );
        let mut shell = machines.command(2, "bash".as_ref());
        let answer = shell.args(["-c", &script]).stdin(Stdio::null()).output();
        let answer = answer.expect("a shell can be run");
        // It came to the door: the station closed, also while it still spoke, or said nothing until the time was over.
        let (code, signal) = (answer.status.code(), answer.status.signal());
        let closed = signal == Some(Signal::PIPE.as_raw());
        assert!(matches!(code, Some(0 | 124)) || closed, "{answer:?}");
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(
            !text.contains("HTTP") && !text.contains("cluster"),
            "{text:?}"
        );
    }
    // Whoever has a certificate may do what its role can, and can-i says what that is.
    let made = machines.sh(1, "token create --role reader --name ada").ok();
    machines.join(2, &made, "").ok();
    machines.sh(2, "status").ok();
    machines.sh(2, "can-i status").ok();
    let no = machines.sh(2, "can-i restart web@n1").expect_code(5);
    assert!(no.stdout.contains("no: ada is reader"), "{no:#?}");
    let refused = machines
        .sh(2, "token create --role admin --name ada")
        .expect_code(5);
    assert_eq!(code(&refused), "MS-NOT-ALLOWED", "{refused:#?}");
    machines
        .sh(1, "identity revoke person/ada/reader --reason left --yes")
        .ok();
    let gone = machines.sh(2, "status").expect_code(5);
    assert_eq!(code(&gone), "MS-IDENTITY-REVOKED", "{gone:#?}");
}

// proves: U1
#[test]
fn whoever_is_taken_back_is_gone_at_once_and_comes_again_by_another_token() {
    let mut machines = Machines::new(2);
    machines.init(1, "prod");
    let made = |machines: &Machines, role: &str| {
        let line = format!("token create --role {role} --name ada");
        machines.sh(1, &line).ok()
    };
    let operator = made(&machines, "operator");
    machines.join(2, &operator, "").ok();
    // What was opened before goes on no longer than the right to it.
    let mut following = machines.command(2, &mainstay_tests::mainstay_binary());
    let following = following.args(["events", "-f"]).stdin(Stdio::null());
    let mut following = following
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut first = [0];
    let talk = following.stderr.as_mut().expect("it is piped");
    talk.read_exact(&mut first).expect("it waits, and says so");
    machines
        .sh(1, "identity revoke person/ada/operator --reason left --yes")
        .ok();
    machines.sh(1, "token create --role agent").ok();
    let ended = following.wait().expect("it ends");
    assert!(!ended.success(), "{ended:?}");
    machines.sh(2, "status").expect_code(5);

    let again = machines.join(2, &operator, "").ok();
    assert!(again.stderr.contains("already"), "{again:#?}");
    let reader = made(&machines, "reader");
    machines.join(2, &reader, "").ok();
    machines.sh(2, "status").ok();
    let who = machines.sh(2, "can-i restart web@n1").expect_code(5);
    assert!(who.stdout.contains("no: ada is reader"), "{who:#?}");
}

// proves: U1
#[test]
fn who_has_seen_a_token_and_not_the_key_is_given_nothing() {
    let mut machines = Machines::new(2);
    machines.init(1, "prod");
    let made = machines.sh(1, "token create --role station -o json").ok();
    let token: JoinToken = made.json()["token"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a token");
    let line = format!("mainstay join 10.0.0.1:7600 --token {}", token.text());
    let joining = Run {
        stdout: format!("{line} --listen HOST:PORT"),
        ..made
    };
    let dir = machines.data(2, "station");
    machines.join(2, &joining, &dir).ok();
    let key = Keep::at(machines.dir(2).join("station/identity")).credentials();
    let key = key.expect("it is kept").key;

    // The token from somebody's history, the public key from the certificate that is shown to everybody.
    let ask = |proof: Option<&NodeKey>| {
        let mut request = JoinRequest {
            id: token.id.clone(),
            secret: Hidden(token.secret()),
            public_key: hex(&key.public()),
            kind: "station".to_owned(),
            node: None,
            wall_ms: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            proof: String::new(),
        };
        if let Some(key) = proof {
            request.proof = hex(&key.sign(&request.said()).expect("a key signs"));
        }
        let stranger = tls::stranger(token.authority).expect("a fingerprint is enough");
        let at = "10.0.0.1:7600".parse().expect("an address");
        let client = Client::at(vec![at], Some(Arc::new(stranger)));
        let there = machines.place(2);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| there.within(client.join(&request)));
            asking.join().expect("it is answered")
        })
    };
    let other = NodeKey::mint().expect("a key is minted");
    for proof in [None, Some(&other)] {
        let refused = ask(proof).expect_err("it has not the key");
        assert!(refused.why.contains("does not prove"), "{refused:?}");
    }
    assert!(ask(Some(&key)).is_ok(), "the same one is told the same");
}

// proves: U1
#[test]
fn what_is_secret_is_in_no_log_no_answer_and_no_list_of_processes() {
    let mut machines = Machines::new(2);
    let dir = machines.data(1, "station");
    machines
        .sh(1, &format!("init --name prod --listen 10.0.0.1:7600 {dir}"))
        .ok();
    machines.start(1, &format!("station run {dir} --profile dev --log trace"));
    machines.until_running(1, 1);
    let mut secrets = Vec::new();
    for role in ["agent", "admin --name ada"] {
        let made = machines.sh(1, &format!("token create --role {role}")).ok();
        let token = made.stdout.split_whitespace().nth(4);
        let token: JoinToken = token.and_then(|text| text.parse().ok()).expect("a token");
        secrets.push(token.secret());
        let dir = format!(
            "--dir {}",
            machines.dir(2).join(role.replace(' ', "-")).display()
        );
        machines.join(2, &made, &dir).ok();
    }
    let agent = machines.dir(2).join("agent").display().to_string();
    machines.start(2, &format!("agent run --dir {agent} --log trace"));
    machines.until_online(1, 1);
    let mut setting = machines.command(2, &mainstay_tests::mainstay_binary());
    let mut setting = setting
        .args(["secret", "set", "db"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut input = setting.stdin.take().expect("it is piped");
    input.write_all(b"very-hidden-word").expect("it listens");
    drop(input);
    assert!(setting.wait().expect("it ends").success());
    secrets.push("very-hidden-word".to_owned());
    for file in ["station/identity/seal.key", "station/identity/key.pem"] {
        let text = std::fs::read_to_string(machines.dir(1).join(file)).expect("it is kept");
        let line = text.lines().find(|line| !line.starts_with('-'));
        secrets.push(line.expect("it has a line").trim().to_owned());
    }

    let mut said = vec![
        ("the station's log".to_owned(), machines.log(1, "station")),
        ("the agent's log".to_owned(), machines.log(2, "agent")),
    ];
    for line in [
        "status",
        "secret list",
        "token list",
        "identity list",
        "describe secret/db",
        "graph",
        "events",
        "decisions",
        "settings get",
    ] {
        for form in ["table", "json"] {
            let run = machines.sh(2, &format!("{line} -v -o {form}")).ok();
            said.push((line.to_owned(), format!("{run:?}")));
        }
    }
    let processes = outside::processes();
    let arguments: Vec<String> = processes.into_iter().map(|one| one.arguments).collect();
    said.push(("the list of processes".to_owned(), arguments.join("\n")));
    assert!(said[0].1.contains(" DEBUG "), "all is logged");
    for (what, text) in &said {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{what} has {secret}");
        }
    }
}

// proves: S17, U1
#[test]
fn a_station_that_was_removed_or_lost_its_store_has_no_say_any_more() {
    let mut machines = Machines::new(4);
    machines.init(1, "prod");
    for machine in [2, 3, 4] {
        machines.add_station(machine);
        machines.until_running(1, machine);
    }
    let kept = machines
        .sh(1, "identity revoke station/s3 --reason sold --yes")
        .expect_code(10);
    assert!(
        kept.stderr.contains("removing it takes its vote"),
        "{kept:#?}"
    );
    machines.sh(1, "station remove s4 --yes").ok();
    let refused = machines.sh(4, "token create --role admin --name eve");
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    let tokens = machines.list(1, "token list");
    assert!(
        tokens.iter().all(|one| one["admits"] == "station"),
        "{tokens:#?}"
    );

    // All that s3 had promised to the others is gone, and who it was is not.
    machines.signal(3, "station", Signal::KILL);
    let dir = machines.dir(3).join("station");
    for entry in std::fs::read_dir(&dir)
        .expect("it has a directory")
        .flatten()
    {
        let path = entry.path();
        if path.ends_with("identity") {
            continue;
        }
        match path.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        }
        .expect("it can be removed");
    }
    let run = format!("station run {}", machines.data(3, "station"));
    let forgot = machines.sh(3, &run).expect_code(4);
    assert!(
        forgot.stderr.contains("s3 had a store here and it is gone"),
        "{forgot:#?}"
    );
}

// proves: S17, U1
#[test]
fn what_was_dark_for_longer_than_its_certificates_stand_comes_back_by_itself() {
    let mut machines = Machines::new(3);
    let ago = with_clock("-4d");
    let dir = |machines: &Machines, machine| machines.data(machine, "station");
    let listen = machines.station_address(1);
    let line = format!("init --name prod --listen {listen} {}", dir(&machines, 1));
    machines.run(1, &ago, &line).ok();
    for machine in 1..=3 {
        if machine > 1 {
            let made = machines.run(1, &ago, "token create --role station").ok();
            let line = made.stdout.trim().replace("mainstay ", "");
            let listen = machines.station_address(machine);
            let line = line.replace("HOST:PORT", &listen);
            let line = format!("{line} {}", dir(&machines, machine));
            machines.run(machine, &ago, &line).ok();
        }
        let line = format!("station run --profile dev {}", dir(&machines, machine));
        machines.start_behind(machine, &ago, &line);
        machines.until_running(1, machine);
    }
    let agent = machines.data(3, "agent");
    let made = machines.run(1, &ago, "token create --role agent").ok();
    let line = made.stdout.trim().replace("mainstay ", "");
    machines
        .run(3, &ago, &format!("{line} --node n3 {agent}"))
        .ok();
    machines.start_behind(3, &ago, &format!("agent run {agent}"));
    machines.until_online(1, 1);

    for machine in 1..=3 {
        machines.signal(machine, "station", Signal::KILL);
    }
    machines.signal(3, "agent", Signal::KILL);
    // Four days later, and nobody types a thing.
    machines.start(3, &format!("agent run {agent}"));
    for machine in 1..=3 {
        let line = format!("station run --profile dev {}", dir(&machines, machine));
        machines.start(machine, &line);
    }
    machines.until_running(2, 3);
    machines.until_online(2, 1);
    // The graph remembers the node as it was: that it came is in its own log.
    for (machine, daemon, says) in [
        (1, "station", "the station's certificate is renewed"),
        (3, "agent", "the certificate is renewed"),
    ] {
        until(
            "a certificate is renewed",
            || machines.log(machine, daemon),
            |log| log.contains(says),
        );
    }
    until(
        "the agent is asked",
        || machines.sh(2, "check supervisor/n3"),
        |run| run.code == Some(0),
    );
}
