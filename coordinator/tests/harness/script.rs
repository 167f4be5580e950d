//! Scripts: blocks of verbs, a blank line, what came of them indented by four. `UPDATE=1` writes what came instead of
//! comparing it.
//!
//! ```text
//! # comments stay
//! up n1
//! start flaky web on n1
//!
//!     answer: web@n1 is to start
//! ```
//! Verbs are in `verbs` below; each is one call of the world.

use std::path::Path;

use mainstay_coordinator::Operation;
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{CommandOutcome, Ending, Manner, Presence, Report, TypedFailure};
use mainstay_protocol::{Incarnation, InstanceKey, QuestionId, code};
use mainstay_resource_graph::{Key, ParkedId};

use super::care;
use super::hosts;
use super::print;
use super::sights;
use super::types::{at, key, node_name, slot};
use super::wishes;
use super::work;
use super::world::{World, is_change, is_start, is_stop, start};

/// Runs a script; fails with a diff, or rewrites it under `UPDATE=1`.
pub fn run(path: &Path, mut world: World) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut got = String::new();
    let mut lines = text.lines().peekable();
    while lines.peek().is_some() {
        let mut block = false;
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            assert!(
                !line.starts_with(' '),
                "{}: output without verbs: {line}",
                path.display()
            );
            got.push_str(line);
            got.push('\n');
            if !line.starts_with('#') {
                block = true;
                let said = verb(&mut world, line);
                world.said.extend(said);
            }
        }
        while lines
            .next_if(|line| line.trim().is_empty() || line.starts_with("    "))
            .is_some()
        {}
        let came = world.take_said();
        assert!(block || came.is_empty());
        if !came.is_empty() {
            got.push('\n');
            came.iter()
                .for_each(|line| got.push_str(&format!("    {}\n", line.replace('\n', "\\n"))));
        }
        if lines.peek().is_some() {
            got.push('\n');
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, got).unwrap();
    } else if got != text {
        panic!(
            "{} (UPDATE=1 rewrites it):\n{}",
            path.display(),
            difference(&text, &got)
        );
    }
}

/// The lines that differ, with those before them.
fn difference(want: &str, got: &str) -> String {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let same = want.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let tail = want[same..]
        .iter()
        .rev()
        .zip(got[same..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let mut text = String::new();
    want[same.saturating_sub(4)..same]
        .iter()
        .for_each(|line| text.push_str(&format!("  {line}\n")));
    want[same..want.len() - tail]
        .iter()
        .for_each(|line| text.push_str(&format!("- {line}\n")));
    got[same..got.len() - tail]
        .iter()
        .for_each(|line| text.push_str(&format!("+ {line}\n")));
    text
}

/// The words of a verb; `tail` is what is left of the line behind some of them.
pub struct Words<'a> {
    pub line: &'a str,
    pub words: Vec<&'a str>,
}

impl<'a> Words<'a> {
    pub fn get(&self, number: usize) -> &'a str {
        self.words
            .get(number)
            .unwrap_or_else(|| panic!("a word is missing: {}", self.line))
    }

    pub fn find(&self, word: &str) -> Option<&'a str> {
        let place = self.words.iter().position(|one| *one == word)?;
        self.words.get(place + 1).copied()
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn tail(&self, number: usize) -> String {
        self.words.get(number..).unwrap_or_default().join(" ")
    }
}

/// Carries out one verb; returns what it has to show itself.
fn verb(world: &mut World, line: &str) -> Vec<String> {
    let words = Words {
        line,
        words: line.split_whitespace().collect(),
    };
    let name = words.get(0);
    let known = looks(world, &words, name)
        .or_else(|| nodes(world, &words, name).then(Vec::new))
        .or_else(|| hosts::verb(world, &words.words).then(Vec::new))
        .or_else(|| work::verb(world, &words.words).then(Vec::new))
        .or_else(|| people(world, &words, name).then(Vec::new))
        .or_else(|| reports(world, &words, name).then(Vec::new))
        .or_else(|| times(world, &words, name).then(Vec::new));
    known.unwrap_or_else(|| panic!("no such verb: {line}"))
}

fn looks(world: &World, words: &Words<'_>, name: &str) -> Option<Vec<String>> {
    let (view, now) = (world.graph(), world.log_now());
    Some(match name {
        "show" => print::show(view, words.words.get(1).map(|text| key(text)).as_ref(), now),
        "commands" => print::commands(view),
        "why" => print::why(view, &key(words.get(1)), now),
        "status" => print::status(view),
        "runs" => work::runs(world),
        "lookup" => print::lookup(view, words.get(1), words.get(3)),
        _ => return None,
    })
}

fn nodes(world: &mut World, words: &Words<'_>, name: &str) -> bool {
    match name {
        "up" => {
            if let Some(types) = words.find("types") {
                world.scripted(words.get(1)).types = types.split(',').map(str::to_owned).collect();
            }
            if let Some((label, value)) = words.find("labels").and_then(|one| one.split_once('=')) {
                let labels = &mut world.scripted(words.get(1)).labels;
                labels.insert(label.to_owned(), value.to_owned());
            }
            if let Some(address) = words.find("at") {
                world.scripted(words.get(1)).address = address.to_owned();
            }
            if let Some(offers) = words.find("offers") {
                world.scripted(words.get(1)).offers = wishes::room(offers);
            }
            world.up(words.get(1));
        }
        // `sees n1 station nothing n2 agent n3 silent`: what there is to be seen of it from now on.
        "sees" => sights::sees(world, words),
        // `guard-saw n2 n1 agent 1`: its guard n2 reports.
        "guard-saw" => {
            let report = Report::GuardSaw {
                guarded: node_name(words.get(2)),
                sight: sights::sight(words.get(3), words.words.get(4))
                    .expect("a guard has seen something"),
            };
            world.report(report, words.get(1));
        }
        // `watcher-saw n2 web@n1 ok`: n2 reports what it sees of it; of the incarnation of today, or of another one.
        "watcher-saw" => sights::watcher_saw(world, words),
        "gone" => world.gone(words.get(1)),
        // A backup is taken; and restored, under whatever the nodes know by then.
        "keep" => world.keep(),
        "restore" => world.restore(),
        "mute" => world.scripted(words.get(1)).muted = true,
        "deaf" => world.scripted(words.get(1)).deaf = true,
        "hears" => world.scripted(words.get(1)).deaf = false,
        // The agent process was restarted: `file-kept`, or `file-lost` as after a reboot.
        "agent-restarts" => world.agent_restarts(words.get(1), words.has("file-kept")),
        "answers" => {
            let outcome = outcome(words.get(3), words.tail(4));
            let which = match words.get(2) {
                "start" => is_start,
                "change" => is_change,
                _ => is_stop,
            };
            world.answer(words.get(1), &outcome, which);
        }
        "again" => world.send_again(words.get(1)),
        "sends" => world.send_what_is_left(words.get(1)),
        "supervisor" => {
            let incarnation = words.get(2).parse().unwrap();
            let report = Report::SupervisorChanged {
                incarnation,
                watches: 0,
                why: "test".to_owned(),
            };
            world.report(report, words.get(1));
        }
        _ => return false,
    }
    true
}

fn outcome(word: &str, text: String) -> CommandOutcome {
    match word {
        "done" => CommandOutcome::Done,
        "not-running" => CommandOutcome::NotRunning,
        "stale" => CommandOutcome::Stale,
        "will-not-end" => CommandOutcome::WillNotEnd,
        "no-good" => CommandOutcome::Refused {
            code: code::BAD_CONFIG,
            text,
        },
        "no-room" => CommandOutcome::Refused {
            code: code::NO_ROOM,
            text,
        },
        "refused" => CommandOutcome::Refused {
            code: code::OVERLOADED,
            text,
        },
        _ => panic!("no such outcome: {word}"),
    }
}

fn people(world: &mut World, words: &Words<'_>, name: &str) -> bool {
    let operation = match name {
        "start" => {
            let config = words
                .line
                .find(['{', '['])
                .map_or("", |begin| &words.line[begin..]);
            let on = words.find("on").expect("on NODES or on all");
            start(words.get(1), words.get(2), on, words.find("holds"), config)
        }
        "stop" => Operation::Stop {
            instance: at(words.get(1)),
        },
        "restart" => Operation::Restart {
            instance: at(words.get(1)),
        },
        "clear" => Operation::Clear {
            instance: at(words.get(1)),
        },
        "requeue" => Operation::Requeue {
            parked: ParkedId(words.get(1).to_owned()),
        },
        "disable" => Operation::DisableRule {
            rule: words.get(1).to_owned(),
            by: words.get(2).to_owned(),
            why: words.tail(3),
        },
        "enable" => Operation::EnableRule {
            rule: words.get(1).to_owned(),
        },
        "drop" => Operation::Drop {
            parked: ParkedId(words.get(1).to_owned()),
        },
        "put" | "delete" | "apply" | "reconfigure" | "rollback" | "safe-start" | "move" => {
            wishes::operation(words.line)
        }
        _ => match care::operation(words.line) {
            Some(operation) => operation,
            None => return false,
        },
    };
    world.ask(operation);
    world.run();
    true
}

/// `VERB web@n1 ...`, of the incarnation the graph has, or of `incarnation N`.
fn reports(world: &mut World, words: &Words<'_>, name: &str) -> bool {
    match name {
        "started" => {
            let (instance, incarnation) = about(world, words);
            if let Some((name, port)) = words.find("on").and_then(|one| one.split_once('=')) {
                let ports = &mut world.scripted(instance.node.as_str()).ports;
                ports.insert(name.to_owned(), port.parse().unwrap());
            }
            if words.has("unanswered") {
                world.says_started(&instance, incarnation);
            } else {
                world.started_as(&instance, incarnation);
            }
        }
        // It took what it was given while it ran.
        "changed" => {
            let (instance, incarnation) = about(world, words);
            let report = Report::ConfigChanged {
                instance,
                incarnation,
                config: words.tail(2),
            };
            world.report(report, node_of(words));
            world.answer(words.get(1), &CommandOutcome::Done, is_change);
        }
        "could-not-start" => {
            let (instance, incarnation) = about(world, words);
            let refused = refused(words.get(2));
            let report = Report::CouldNotStart {
                instance,
                incarnation,
                refused,
                text: words.tail(3),
            };
            world.report(report, node_of(words));
            world.answer(words.get(1), &CommandOutcome::Done, is_start);
        }
        "name-taken" => {
            let (instance, incarnation) = about(world, words);
            let holder = words.find("by").map(at);
            let report = Report::NameTaken {
                instance,
                incarnation,
                name: slot(words.get(2)),
                holder,
            };
            world.report(report, node_of(words));
        }
        "ended" => {
            let (instance, incarnation) = about(world, words);
            let ending = match words.get(2) {
                "by-itself" => Ending::ByItself,
                "asked" => Ending::Asked,
                "killed" => Ending::Killed,
                word => panic!("no such ending: {word}"),
            };
            world.report(
                Report::Ended {
                    instance,
                    incarnation,
                    ending,
                },
                node_of(words),
            );
            world.answer(words.get(1), &CommandOutcome::Done, |_| true);
        }
        _ => return judgements(world, words, name),
    }
    true
}

/// Whom a report speaks of.
fn about(world: &World, words: &Words<'_>) -> (InstanceKey, Incarnation) {
    let instance = at(words.get(1));
    let mut incarnation = world.incarnation(words.get(1));
    if let Some(count) = words.find("incarnation") {
        incarnation = Incarnation {
            count: count.parse().unwrap(),
            ..incarnation
        };
    }
    (instance, incarnation)
}

fn judgements(world: &mut World, words: &Words<'_>, name: &str) -> bool {
    match name {
        "failed" => {
            let (instance, incarnation) = about(world, words);
            world.report(failed(instance, incarnation, words), node_of(words));
        }
        "failed-twice" => {
            let (instance, incarnation) = about(world, words);
            world.report_twice(failed(instance, incarnation, words), node_of(words));
        }
        "health" => {
            let (instance, incarnation) = about(world, words);
            let health = health(words.get(2));
            let report = Report::HealthChanged {
                instance,
                incarnation,
                health,
                detail: words.tail(3),
            };
            world.report(report, node_of(words));
        }
        "missed" => {
            let (instance, incarnation) = about(world, words);
            let (missed, limit) = words.get(2).split_once('/').expect("missed web@n1 1/3");
            let (missed, limit) = (missed.parse().unwrap(), limit.parse().unwrap());
            let detail = words.tail(3);
            world.report(
                Report::Unresponsive {
                    instance,
                    incarnation,
                    missed,
                    limit,
                    detail,
                },
                node_of(words),
            );
        }
        _ => return spoken(world, words, name),
    }
    true
}

/// What an instance says of its own accord.
fn spoken(world: &mut World, words: &Words<'_>, name: &str) -> bool {
    // Here, since whom they speak of has to be there.
    if name == "stray" {
        let count = words.get(2).parse().unwrap();
        world.runs_stray(&at(words.get(1)), count);
        return true;
    }
    if !matches!(
        name,
        "acquires" | "shares" | "releases" | "asks" | "announces" | "records"
    ) {
        return false;
    }
    let (instance, incarnation) = about(world, words);
    let question = || QuestionId(words.get(3).parse().unwrap());
    let resource = || match key(&format!("resource/{}", words.get(2))) {
        Key::Resource(resource) => resource,
        other => panic!("{other} is no resource"),
    };
    let acquired = |manner| Report::Acquired {
        instance: instance.clone(),
        incarnation,
        question: question(),
        resource: resource(),
        manner,
    };
    let report = match name {
        "acquires" => acquired(Manner::Alone),
        "shares" => acquired(Manner::Shared),
        "releases" => Report::Released {
            instance: instance.clone(),
            incarnation,
            resource: resource(),
        },
        "asks" => Report::Asked {
            instance: instance.clone(),
            incarnation,
            question: question(),
            failure: TypedFailure {
                name: words.get(2).to_owned(),
                body: "{}".to_owned(),
            },
            deadline_ms: words.get(4).parse().unwrap(),
        },
        "announces" => Report::Announced {
            instance: instance.clone(),
            incarnation,
            why: words.tail(2),
        },
        _ => Report::Recorded {
            instance: instance.clone(),
            incarnation,
            name: words.get(2).to_owned(),
            body: words.tail(3),
        },
    };
    world.report(report, node_of(words));
    true
}

fn node_of<'a>(words: &Words<'a>) -> &'a str {
    words.get(1).split_once('@').expect("web@n1").1
}

fn failed(instance: InstanceKey, incarnation: Incarnation, words: &Words<'_>) -> Report {
    let kind = match words.get(2) {
        "panic" => FailureKind::Panic,
        "reported" => FailureKind::Reported,
        "vanished" => FailureKind::Vanished,
        "killed" => FailureKind::Killed,
        "agent_ended" => FailureKind::AgentEnded,
        "agent_stopped" => FailureKind::AgentStopped,
        "lease_ran_out" => FailureKind::LeaseRanOut,
        word => panic!("no such failure: {word}"),
    };
    let presence = match words.get(3) {
        "gone" => Presence::Gone,
        "living" => Presence::Living,
        word => panic!("gone or living, not {word}"),
    };
    let text = words.tail(4);
    let text = text
        .split(" incarnation ")
        .next()
        .unwrap_or_default()
        .to_owned();
    Report::Failed {
        instance,
        incarnation,
        kind,
        presence,
        evidence: Evidence::text(text),
    }
}

fn refused(word: &str) -> RefusedStart {
    match word {
        "config" => RefusedStart::Config,
        "not-now" => RefusedStart::NotNow,
        "deadline" => RefusedStart::Deadline,
        "panic" => RefusedStart::Panic,
        "no-such-type" => RefusedStart::NoSuchType,
        "not-here" => RefusedStart::NotHere,
        _ => panic!("no such refusal: {word}"),
    }
}

fn health(word: &str) -> Health {
    match word {
        "ok" => Health::Ok,
        "degraded" => Health::Degraded,
        "failed" => Health::Failed,
        _ => panic!("no such health: {word}"),
    }
}

fn times(world: &mut World, words: &Words<'_>, name: &str) -> bool {
    match name {
        "wait" => world.wait(span(words.get(1))),
        "hold" => world.hold(),
        "release" => world.release(),
        "lose" => world.lose(),
        "run" => world.run(),
        "arrive-late" => world.arrive_late(),
        "fail-over" => world.fail_over(),
        _ => return false,
    }
    true
}

/// `500ms`, `8s`, `10m`.
fn span(text: &str) -> std::time::Duration {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
    let count: u64 = digits
        .parse()
        .unwrap_or_else(|_| panic!("not a span: {text}"));
    match &text[digits.len()..] {
        "ms" => std::time::Duration::from_millis(count),
        "s" => std::time::Duration::from_secs(count),
        "m" => std::time::Duration::from_secs(60 * count),
        unit => panic!("no such unit: {unit}"),
    }
}
