//! What is planned from what is seen; above all, that it goes on wherever it stopped.

use mainstay_identity::Membership;
use serde_json::json;

use super::super::look::{Daemon, Kind, Place, cluster_of, troubles};
use super::*;

const ID: &str = "0c6f6a34-6f0e-4c0f-9e0b-2d7f5a3c1b22";

fn cluster() -> Cluster {
    let machine = |n: u32, roles: &[&str]| json!({"name": format!("m{n}"), "address": format!("10.0.0.{n}"), "roles": roles});
    Cluster::of(&json!({
        "name": "prod",
        "daemons": "setsid",
        "machines": [
            machine(1, &["station", "agent"]),
            machine(2, &["station"]),
            {"name": "m3", "address": "10.0.0.3", "node": "n3", "labels": {"zone": "a b"}},
        ],
    }))
    .unwrap()
}

fn person() -> Person {
    Person {
        name: "ada".to_owned(),
        context: "prod".to_owned(),
    }
}

fn nobody(cluster: &Cluster) -> Vec<Seen> {
    let seen = Seen {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Seen::default()
    };
    vec![seen; cluster.machines.len()]
}

fn member(name: &str, cluster: &str, id: &str) -> Daemon {
    let membership: Membership = serde_json::from_value(json!({
        "name": name, "cluster": id, "cluster_name": cluster, "listen": null, "stations": {}
    }))
    .unwrap();
    Daemon {
        place: Place::Member(Box::new(membership)),
        runs: false,
    }
}

fn titles(steps: &[Step]) -> Vec<String> {
    let titles = steps.iter();
    titles
        .map(|step| format!("{}: {}", step.machine, step.title))
        .collect()
}

/// What machines say once a step was carried out.
fn after(step: &Step, cluster: &Cluster, seen: &mut [Seen]) {
    let Some(at) = step.at else { return };
    let script = step.script.as_str();
    let is_station = !script.contains("/agent");
    let stations = seen
        .iter()
        .filter(|one| one.station.member().is_some())
        .count();
    let name = match is_station {
        true => format!("station/s{}", stations + 1),
        false => format!("agent/{}", cluster.machines[at].node),
    };
    let daemon = match is_station {
        true => &mut seen[at].station,
        false => &mut seen[at].agent,
    };
    if step.token == Token::Shown || script.contains(" init ") {
        *daemon = member(&name, "prod", ID);
    }
    if script.contains("setsid ") {
        daemon.runs = true;
    }
    let known = daemon
        .member()
        .map(|known| known.name.clone())
        .unwrap_or_default();
    if script.contains("state=Running") {
        let states = seen.iter_mut().filter(|one| one.station.runs);
        for one in states {
            one.states.insert(known.clone(), "Running".to_owned());
        }
    }
    if script.contains("state=Online") {
        for node in ["node/m1", "node/n3"] {
            let online = (node.to_owned(), "Online".to_owned());
            seen[0].states.extend([online]);
        }
    }
}

// proves: S16
#[test]
fn a_new_cluster_is_founded_joined_started_and_known_here() {
    let cluster = cluster();
    let steps = steps(&cluster, &nobody(&cluster), Some(&person()));
    assert_eq!(
        titles(&steps),
        [
            "m1: found cluster prod",
            "m1: start the station",
            "m1: wait until the station is Running",
            "m1: make a token for a station",
            "m2: join as a station",
            "m2: start the station",
            "m2: wait until the station is Running",
            "m1: make a token for node m1",
            "m1: join as node m1",
            "m1: start the agent",
            "m1: make a token for node n3",
            "m3: join as node n3",
            "m3: start the agent",
            "m1: wait until 2 nodes are Online",
            "m1: make a token for admin ada",
            "here: join as admin ada",
        ]
    );
    assert_eq!(
        shell::typed(&cluster.machines[2].via, &steps[11].script),
        "ssh -o BatchMode=yes -o ConnectTimeout=10 root@10.0.0.3 -- sh <<'STEP'\n\
         mainstay join 10.0.0.1:7600 --token - --node n3 --dir /var/lib/mainstay/agent --timeout 60s <<'TOKEN'\n\
         TOKEN-OF-THE-STEP-BEFORE\nTOKEN\nSTEP\n"
    );
    assert!(
        steps[12]
            .script
            .contains("--label 'zone=a b' </dev/null >>/var/lib/mainstay/agent.log")
    );
    assert!(!steps[9].script.contains("--label"));
    for step in &steps {
        let shows = step.script.contains(shell::TOKEN);
        assert_eq!(shows, step.token == Token::Shown, "{step:?}");
    }
}

// proves: S16
#[test]
fn wherever_it_stopped_it_goes_on_with_what_is_left() {
    let cluster = cluster();
    let whole = steps(&cluster, &nobody(&cluster), None);
    for stopped in 0..=whole.len() {
        let mut seen = nobody(&cluster);
        for step in &whole[..stopped] {
            after(step, &cluster, &mut seen);
        }
        // A token that was made and not shown is made again.
        let from = match stopped.checked_sub(1).map(|last| whole[last].token) {
            Some(Token::Made) => stopped - 1,
            Some(Token::None | Token::Shown) | None => stopped,
        };
        let left = steps(&cluster, &seen, None);
        assert_eq!(
            titles(&left),
            titles(&whole[from..]),
            "after {stopped} steps"
        );
        assert_eq!(left, whole[from..], "after {stopped} steps");
        assert_eq!(troubles(&cluster, &seen), [], "after {stopped} steps");
    }
}

#[test]
fn a_first_machine_that_lost_its_disk_joins_the_others_and_founds_nothing() {
    let cluster = cluster();
    let mut seen = nobody(&cluster);
    seen[1].station = member("station/s2", "prod", ID);
    seen[1].station.runs = true;
    seen[1]
        .states
        .insert("station/s2".to_owned(), "Running".to_owned());
    let steps = steps(&cluster, &seen, None);
    assert_eq!(
        titles(&steps)[..4],
        [
            "m2: make a token for a station",
            "m1: join as a station",
            "m1: start the station",
            "m1: wait until the station is Running",
        ]
    );
    assert!(
        steps[1].script.contains("join 10.0.0.2:7600"),
        "{:?}",
        steps[1]
    );
}

/// After a power failure, say, where nothing starts them by itself.
#[test]
fn stations_that_all_ended_are_all_started_before_one_is_waited_for() {
    let cluster = cluster();
    let mut seen = nobody(&cluster);
    for step in steps(&cluster, &seen, None) {
        after(&step, &cluster, &mut seen);
    }
    for one in &mut seen {
        one.station.runs = false;
        one.states.clear();
    }
    let left = titles(&steps(&cluster, &seen, None));
    assert_eq!(
        left[..4],
        [
            "m1: start the station",
            "m2: start the station",
            "m1: wait until the station is Running",
            "m2: wait until the station is Running",
        ]
    );
}

#[test]
fn a_node_that_is_away_and_runs_is_waited_for() {
    let cluster = cluster();
    let mut seen = nobody(&cluster);
    for step in steps(&cluster, &seen, None) {
        after(&step, &cluster, &mut seen);
    }
    let away = ("node/n3".to_owned(), "AgentDown".to_owned());
    seen[0].states.extend([away]);
    assert_eq!(
        titles(&steps(&cluster, &seen, None)),
        ["m1: wait until node n3 is Online"]
    );
}

#[test]
fn all_that_speaks_against_it_is_told_of_every_machine() {
    let cluster = cluster();
    let other = "00000000-0000-4000-8000-000000000000";
    let mut seen = nobody(&cluster);
    seen[0].station = member("station/s1", "prod", ID);
    seen[0].agent = member("agent/n9", "prod", ID);
    seen[1].station = member("station/s1", "test", other);
    seen[1].version = Some("0.0.1".to_owned());
    seen[2].agent.place = Place::Taken;
    seen[2].version = None;
    assert_eq!(cluster_of(&cluster, &seen).as_deref(), Some(ID));
    let told = troubles(&cluster, &seen);
    let said = [
        "m1: /var/lib/mainstay/agent is agent/n9, and the file wants node m1 there",
        "m2: its mainstay is 0.0.1, and this one",
        "m2: /var/lib/mainstay/station is station/s1 of another cluster, test",
        "m3: there is no program mainstay on it",
        "m3: /var/lib/mainstay/agent is not empty, and of no cluster",
    ];
    assert_eq!(told.len(), said.len(), "{told:#?}");
    for (one, said) in told.iter().zip(said) {
        assert!(one.text.starts_with(said), "{one:?}");
    }
    let kinds: Vec<Kind> = told.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Taken,
            Kind::Version,
            Kind::Taken,
            Kind::Version,
            Kind::Taken
        ]
    );

    // A node of a cluster none of whose stations is there, and two that are called alike.
    let mut seen = nobody(&cluster);
    seen[2].agent = member("agent/n3", "prod", other);
    assert!(
        troubles(&cluster, &seen)[0]
            .text
            .contains("none of whose stations is in the file")
    );
    seen[0].station = member("station/s1", "prod", ID);
    assert!(
        troubles(&cluster, &seen)[0]
            .text
            .contains("called prod as well")
    );
}

#[test]
fn what_a_machine_says_is_read_behind_its_greeting() {
    let answer = format!(
        "Welcome!\n== version\nmainstay 1.2.3\n== station\n{{\"name\": \"station/s1\", \"cluster\": \"{ID}\",\n\
         \"cluster_name\": \"prod\", \"listen\": null, \"stations\": {{}}}}\n\n== station runs\nyes\n== agent\nempty\n\n\
         == agent runs\n== status\n{{\"quorum\": true}}\n== stations\n[{{\"id\": \"s1\", \"state\": \"Running\"}}]\n== nodes\nerror\n"
    );
    let seen = Seen::read(&answer).unwrap();
    assert_eq!(seen.version.as_deref(), Some("1.2.3"));
    assert_eq!(seen.station.member().unwrap().name, "station/s1");
    assert!(seen.station.runs && !seen.agent.runs);
    assert!(seen.agent.member().is_none());
    assert_eq!(seen.states.len(), 1);
    assert!(Seen::read("This account is currently not available.\n").is_none());
    let torn = Seen::read("== station\n{\"name\": \n").unwrap();
    assert!(matches!(torn.station.place, Place::Unclear(_)));
}

// proves: S16
#[test]
fn nobody_who_lives_is_shut_out_and_no_dead_vote_is_left_behind() {
    let cluster = cluster();
    let mut seen = nobody(&cluster);
    seen[0].station = member("station/s1", "prod", ID);
    seen[0].station.runs = true;
    let states = [
        ("station/s1", "Running"),
        ("station/s2", "Away"),
        ("node/n3", "Online"),
    ];
    seen[0].states = states
        .map(|(reference, state)| (reference.to_owned(), state.to_owned()))
        .into();
    let s2 = ("station/s2".to_owned(), "10.0.0.2:7600".to_owned());
    seen[0].addresses = [s2].into();
    seen[2].lacks = vec!["flock".to_owned()];
    let found = troubles(&cluster, &seen);
    let told: Vec<&str> = found.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].contains("m2: its address is that of s2"),
        "{told:#?}"
    );
    assert!(told[1].contains("m3: it lacks flock"), "{told:#?}");
    assert!(told[2].contains("m3: node/n3 is Online"), "{told:#?}");

    seen[0]
        .states
        .insert("station/s2".to_owned(), "Removed".to_owned());
    seen[0]
        .states
        .insert("node/n3".to_owned(), "AgentDown".to_owned());
    seen[2].lacks.clear();
    assert_eq!(troubles(&cluster, &seen), []);
    seen[1].station = member("station/s2", "prod", ID);
    let found = troubles(&cluster, &seen);
    assert!(
        matches!(found.as_slice(), [one] if one.text.contains("s2 was removed")),
        "{found:#?}"
    );
}

#[test]
fn what_is_remembered_without_a_leader_is_no_news() {
    let answer = |quorum: &str| {
        format!(
            "hello\n== version\nmainstay 1\n== lacks\nflock\n== station\nempty\n\n== station runs\nyes\n== status\n{{\"quorum\": {quorum}}}\n\
             == stations\n[{{\"id\": \"s1\", \"state\": \"Running\", \"address\": \"10.0.0.1:7600\"}}]\n\
             == identities\n[{{\"name\": \"person/ada/admin\", \"state\": \"admitted\"}}]\n"
        )
    };
    let seen = Seen::read(&answer("true")).unwrap();
    assert_eq!(seen.states["station/s1"], "Running");
    assert_eq!(seen.states["identity/person/ada/admin"], "admitted");
    assert_eq!(seen.addresses["station/s1"], "10.0.0.1:7600");
    assert_eq!(seen.lacks, ["flock"]);
    assert!(seen.station.runs);
    for nobody in ["false", "null"] {
        assert!(Seen::read(&answer(nobody)).unwrap().states.is_empty());
    }
}
