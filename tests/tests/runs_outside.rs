//! The same runs where a queue outside says whose turn it is, a NATS server; and that server stopped, started again and
//! wiped in the middle of them.

mod ledger;
mod runs_suite;

use ledger::Ledger;
use mainstay_tests::{Cluster, NatsServer, until};
use runs_suite::{cluster, run, shop};
use serde_json::Value;

const NATS: bool = true;

fn nats(cluster: &mut Cluster) -> &mut NatsServer {
    cluster.nats.as_mut().expect("it was asked for")
}

fn begin(cluster: &Cluster, ids: impl Iterator<Item = String>) -> Vec<String> {
    let ids: Vec<String> = ids.collect();
    for id in &ids {
        let start = format!("run start order item=1 --id {id} --no-wait");
        until(
            "it has begun",
            || cluster.sh(&start).code,
            |code| *code == Some(0),
        );
    }
    ids
}

/// Each is complete, and each of its effects is there once.
fn all_end_right(cluster: &Cluster, ledger: &Ledger, ids: &[String]) {
    for id in ids {
        until(
            &format!("{id} comes to its end"),
            || cluster.sh(&format!("run show {id} -o json")),
            |shown| shown.code == Some(0) && shown.json()["run"]["over"] == true,
        );
        let whole = run(cluster, id);
        assert_eq!(whole["run"]["state"], "Completed", "{whole:#}");
        for activity in ["reserve", "pay", "ship"] {
            let key = format!("{id}/{activity}");
            assert_eq!(
                ledger.begun_of(&key),
                1,
                "nobody was killed: {key} is done once"
            );
            assert!(ledger.effects().contains(&key), "{key}");
        }
    }
}

fn problems(cluster: &Cluster) -> Vec<String> {
    let shown = cluster.sh("status -o json");
    let problems = match shown.code {
        Some(0..=3) => shown.json()["problems"].clone(),
        _ => Value::Null,
    };
    let problems = problems.as_array().cloned().unwrap_or_default();
    let codes = problems
        .iter()
        .filter_map(|one| one["reason"]["code"].as_str());
    codes.map(str::to_owned).collect()
}

fn has(problems: &[String], code: &str) -> bool {
    problems.iter().any(|one| one == code)
}

// acceptance: issue 6, line 2
// proves: O9
#[test]
fn a_queue_that_is_stopped_and_wiped_in_the_middle_of_runs_loses_none_of_them() {
    let mut cluster = cluster(2, 1);
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    let mut ids = begin(&cluster, (0..12).map(|n| format!("before-{n}")));
    until(
        "work is under way",
        || ledger.begun().len(),
        |begun| *begun >= 3,
    );
    nats(&mut cluster).kill();
    until(
        "it is told",
        || problems(&cluster),
        |told| has(told, "MS-QUEUE-AWAY"),
    );
    // Runs are begun, and what was out comes back.
    ids.extend(begin(&cluster, (0..4).map(|n| format!("away-{n}"))));
    for asked in ["why run/away-0", "why"] {
        let why = cluster.sh(asked).ok().stdout;
        assert!(why.contains("MS-QUEUE-AWAY"), "{asked}: {why}");
    }
    nats(&mut cluster).start_again();
    until(
        "it is there again",
        || problems(&cluster),
        |told| !has(told, "MS-QUEUE-AWAY"),
    );
    ids.extend(begin(&cluster, (0..12).map(|n| format!("between-{n}"))));
    let before = ledger.begun().len();
    until(
        "work goes on",
        || ledger.begun().len(),
        |begun| *begun > before + 3,
    );
    nats(&mut cluster).kill();
    nats(&mut cluster).wipe();
    nats(&mut cluster).start_again();
    ids.extend(begin(&cluster, (0..4).map(|n| format!("after-{n}"))));
    all_end_right(&cluster, &ledger, &ids);
}

/// Somebody at the server takes the stream, or what is in it, away, while everything is connected.
// acceptance: issue 6, line 2
// proves: O9
#[test]
fn a_stream_that_is_purged_or_deleted_under_way_is_made_and_filled_anew() {
    let mut cluster = cluster(2, 1);
    let servers = nats(&mut cluster).servers();
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let streams = || {
        runtime.block_on(async {
            use futures::TryStreamExt;
            let client = async_nats::connect(&servers).await.expect("it listens");
            let context = async_nats::jetstream::new(client);
            let names: Vec<String> = context.stream_names().try_collect().await.expect("names");
            (context, names)
        })
    };
    let mut ids = begin(&cluster, (0..12).map(|n| format!("first-{n}")));
    until(
        "work is under way",
        || ledger.begun().len(),
        |begun| *begun >= 3,
    );
    let (context, names) = streams();
    let [name] = names.as_slice() else {
        panic!("one stream of one cluster: {names:?}");
    };
    runtime.block_on(async {
        let stream = context.get_stream(name).await.expect("a stream");
        stream.purge().await.expect("it can be purged");
    });
    ids.extend(begin(&cluster, (0..12).map(|n| format!("second-{n}"))));
    let before = ledger.begun().len();
    until(
        "work goes on",
        || ledger.begun().len(),
        |begun| *begun > before + 3,
    );
    runtime
        .block_on(context.delete_stream(name))
        .expect("it can be deleted");
    all_end_right(&cluster, &ledger, &ids);
    let (_, again) = streams();
    assert_eq!(&again, &names, "it was made again");
}

// acceptance: issue 6, line 2
// proves: O7, O9
#[test]
fn whoever_leads_next_goes_on_with_the_queue_at_once() {
    let cluster = cluster(2, 3);
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    let ids = begin(&cluster, (0..24).map(|n| format!("r{n}")));
    until(
        "work is under way",
        || ledger.begun().len(),
        |begun| *begun >= 3,
    );
    let status = cluster.json("status");
    let leader = status["leader"]
        .as_str()
        .expect("somebody leads")
        .to_owned();
    mainstay_tests::signal(
        cluster.station_pids()[&leader],
        rustix::process::Signal::KILL,
    );
    all_end_right(&cluster, &ledger, &ids);
}

/// What is written of a station's queue is looked at when it starts.
// proves: O9
#[test]
fn a_queue_that_cannot_be_is_refused_when_the_station_starts() {
    let cluster = Cluster::dev();
    let home = cluster.home().join("other");
    for (words, why) in [
        ("--nats http://127.0.0.1", "write nats://HOST:PORT"),
        ("--nats nats://ada:secret@127.0.0.1", "a file does that"),
        (
            "--nats nats://127.0.0.1 --nats-login /nowhere",
            "/nowhere cannot be read",
        ),
        (
            "--nats nats://127.0.0.1 --nats-ca /etc/hostname",
            "holds no certificates",
        ),
    ] {
        let run = cluster.sh(&format!(
            "station run --dir {} --cluster other {words}",
            home.display()
        ));
        assert_eq!(run.code, Some(2), "{words}: {}", run.stderr);
        assert!(run.stderr.contains(why), "{words}: {}", run.stderr);
        assert!(!run.stderr.contains("secret"), "{}", run.stderr);
    }
}
