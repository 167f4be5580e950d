//! The course of the matrix: runs are brought to their points, somebody is killed, they are let go, somebody is killed amid
//! that, and all of them come to their ends.
//!
//! ```text
//!   begin all -> each at its point -> kill -9 -> back -> what stays has stayed
//!                                                          |  outside says its word; scripts are let go
//!     ends, effects, calls  <- back <- kill -9 amid that --+
//! ```

mod point;
mod script;
mod victim;

use std::collections::BTreeMap;

use mainstay_tests::{Cluster, DevOptions, outside, signal, until};
use point::{LATE, Point, SHOP};
use rustix::process::Signal;
use script::{Script, TYPES};
use serde_json::{Value, json};
use victim::NODES;
pub use victim::Victim;

struct Course {
    cluster: Cluster,
    script: Script,
    victim: Victim,
    /// So many were killed.
    struck: usize,
}

/// Runs at every commit point, with two deaths.
pub fn survives(victim: Victim) {
    let cluster = Cluster::with(&DevOptions {
        nodes: NODES.len(),
        stations: victim.stations(),
        ..DevOptions::default()
    });
    let script = Script::new(cluster.home());
    let mut course = Course {
        cluster,
        script,
        victim,
        struck: 0,
    };
    course.defines();
    let parked = course.stands();
    course.first_death();
    let token = course.stayed(&parked);
    course.goes_on(&token);
    course.second_death();
    course.ends();
}

impl Course {
    fn given(&self, line: &str, said: &Value) {
        let file = self.cluster.home().join("given.json");
        std::fs::write(&file, said.to_string()).expect("a directory of its own");
        self.cluster
            .sh(&format!("{line} -f {}", file.display()))
            .ok();
    }

    /// Instances on all nodes of a role, or on every one, that do what this provider provides.
    fn worker(&self, name: &str, provider: &str, on: &Value) {
        let config = json!({"hands": 32, "activities": {provider: self.script.way()}});
        let target = json!({"all": on});
        self.given(
            "apply",
            &json!({"kind": "Placement", "name": name, "type": "activity-agent", "target": target, "config": config}),
        );
    }

    fn defines(&self) {
        self.worker("worker", SHOP, &json!({}));
        // It is said who will do it, and nobody does yet.
        self.worker("late", LATE, &json!({"role": "late"}));
        let retry = json!({"maxAttempts": 1000, "first": "50ms", "max": "500ms"});
        let types = TYPES.map(|name| (name, SHOP));
        for (name, provider) in types.into_iter().chain([("late", LATE)]) {
            let activity = json!({"type": name, "provider": provider, "retry": retry});
            self.given("activity apply", &activity);
        }
        for point in Point::ALL {
            self.given("orchestration apply", &point.definition());
        }
    }

    fn begins(&self, point: Point) {
        let id = point.id();
        self.cluster
            .sh(&format!("run start {id} --id {id} --no-wait"))
            .ok();
    }

    fn shown(&self, id: &str) -> Value {
        let shown = self.cluster.sh(&format!("run show {id} -o json"));
        match shown.code {
            Some(0) => shown.json(),
            _ => Value::Null,
        }
    }

    /// Waits until the run is at its point, and returns it as it is there.
    fn reaches(&self, point: Point) -> Value {
        let (run, step) = point.shown();
        let shown = until(
            &format!("{point:?} is reached"),
            || self.shown(point.id()),
            |shown| shown["run"]["state"] == run && last_step(shown)["state"] == step,
        );
        if let Some(key) = point.begun() {
            until(
                &format!("{key} has begun"),
                || self.script.begun(),
                |begun| begun.contains_key(&key),
            );
        }
        shown
    }

    /// Every run stands at its point. Returns how often the calls of what is complete have begun.
    fn stands(&mut self) -> BTreeMap<String, usize> {
        for point in Point::ALL {
            if point != Point::HandedOut {
                self.begins(point);
            }
        }
        for point in Point::ALL {
            if point != Point::HandedOut {
                self.reaches(point);
            }
        }
        self.complete()
    }

    /// By key, how often the calls of complete steps have begun: no more than that, whatever comes.
    fn complete(&self) -> BTreeMap<String, usize> {
        // First what is complete, then the calls: a later one of those would be one too many.
        let mut keys = Vec::new();
        let ids = Point::ALL.map(|point| point.id().to_owned());
        let undoing = format!("{}~dispose", Point::Compensating.id());
        for id in ids.iter().chain([&undoing]) {
            let shown = self.shown(id);
            let steps = shown["steps"].as_array().cloned().unwrap_or_default();
            for step in steps.iter().filter(|step| step["state"] == "Completed") {
                keys.push(key(id, step));
            }
        }
        let begun = self.script.begun();
        keys.into_iter()
            .map(|key| (key.clone(), begun.get(&key).copied().unwrap_or_default()))
            .collect()
    }

    /// While the agents stand still, so that one run is given out and not taken.
    fn first_death(&mut self) {
        let agents = NODES.map(|node| self.cluster.agent_pid(node));
        for agent in agents {
            signal(agent, Signal::STOP);
        }
        self.begins(Point::HandedOut);
        self.reaches(Point::HandedOut);
        let killed = self.strikes();
        assert!(!killed.is_empty(), "there is nobody to be killed");
        for agent in agents {
            signal(agent, Signal::CONT);
        }
        self.until_back(&killed);
    }

    fn strikes(&mut self) -> Vec<u32> {
        let pids = self.victim.find(&self.cluster, &self.script, self.struck);
        self.struck += 1;
        for pid in &pids {
            signal(*pid, Signal::KILL);
        }
        pids
    }

    fn until_back(&self, killed: &[u32]) {
        until(
            "the killed are gone",
            || killed.iter().filter(|pid| lives(**pid)).count(),
            |left| *left == 0,
        );
        until(
            "a station answers and the nodes are online",
            || self.cluster.sh("get nodes -o json"),
            |run| {
                let online = |node: &Value| node["state"] == "Online";
                run.code == Some(0)
                    && run
                        .json()
                        .as_array()
                        .is_some_and(|all| all.iter().all(online))
            },
        );
    }

    /// What nothing hastens is as it was, and nothing that was complete was begun again. Returns the token of the one that waits.
    fn stayed(&self, parked: &BTreeMap<String, usize>) -> String {
        for point in Point::ALL.into_iter().filter(|point| point.stays()) {
            self.reaches(point);
        }
        self.begun_no_more(parked);
        let waiting = self.shown(Point::Waiting.id());
        let token = last_step(&waiting)["token"].as_str().map(str::to_owned);
        token.expect("who waits has a token")
    }

    fn begun_no_more(&self, complete: &BTreeMap<String, usize>) {
        let begun = self.script.begun();
        for (key, times) in complete {
            let now = begun.get(key).copied().unwrap_or_default();
            assert_eq!(now, *times, "{key} was complete, and was begun again");
        }
    }

    /// Everybody says what is to be said, and scripts are let go.
    fn goes_on(&self, token: &str) {
        let waiting = Point::Waiting.id();
        self.cluster
            .sh(&format!("run complete {waiting} b --token {token}"))
            .ok();
        self.script.mends();
        let failed = Point::Failed.id();
        self.cluster
            .sh(&format!("run retry {failed} --no-wait"))
            .ok();
        self.worker("late", LATE, &json!({}));
        self.script.opens();
    }

    /// As soon as one more effect is seen: others are at their commits.
    fn second_death(&mut self) {
        let before = self.script.effects().len();
        let wanted: usize = Point::ALL.map(|point| point.effects().len()).iter().sum();
        until(
            "something goes on",
            || self.script.effects().len(),
            |now| *now > before || *now == wanted,
        );
        let killed = self.strikes();
        self.until_back(&killed);
    }

    fn ends(&self) {
        let complete = self.complete();
        for point in Point::ALL {
            let over = until(
                &format!("{point:?} comes to its end"),
                || self.shown(point.id()),
                |shown| shown["run"]["state"] == point.end(),
            );
            self.called_rightly(point.id(), &over);
        }
        let undoing = format!("{}~dispose", Point::Compensating.id());
        let undone = self.shown(&undoing);
        assert_eq!(undone["run"]["state"], "Completed", "{undone:#}");
        self.called_rightly(&undoing, &undone);
        self.begun_no_more(&complete);
        let mut wanted: Vec<String> = Point::ALL
            .iter()
            .flat_map(|point| point.effects())
            .collect();
        wanted.sort();
        let effects: Vec<String> = self.script.effects().into_iter().collect();
        assert_eq!(effects, wanted, "all of it is done, and nothing else");
    }

    /// No call was made more often than it was given out; and once, where nobody who works was hurt.
    fn called_rightly(&self, id: &str, shown: &Value) {
        let begun = self.script.begun();
        for step in shown["steps"].as_array().expect("a list") {
            let key = key(id, step);
            let began = begun.get(&key).copied().unwrap_or_default();
            let calls = step["calls"].as_u64().expect("a number");
            assert!(began as u64 <= calls, "{key} began {began} times: {step:#}");
            let asks_again = ["schedules", "retries", "mended"].map(Value::from);
            let handed_out = id == Point::HandedOut.id();
            if self.victim.spares_work() && !handed_out && !asks_again.contains(&step["type"]) {
                assert_eq!(
                    (began, calls),
                    (1, 1),
                    "{key} was done by nobody who was killed: {step:#}"
                );
            }
        }
    }
}

/// The last that is no longer pending, or was passed over.
fn last_step(shown: &Value) -> &Value {
    let steps = shown["steps"].as_array();
    let begun = steps.into_iter().flatten();
    let mut begun = begun.filter(|step| step["state"] != "Pending" && step["state"] != "Skipped");
    begun.next_back().unwrap_or(&Value::Null)
}

/// The idempotency key of a step.
fn key(id: &str, step: &Value) -> String {
    let activity = step["activity"].as_str().unwrap_or_default();
    let compensating = Point::Compensating.id();
    match id.strip_prefix(compensating) {
        Some("") => format!("{id}/{activity}/deploy"),
        Some(_) => format!("{id}/{activity}/dispose"),
        None => format!("{id}/{activity}"),
    }
}

fn lives(pid: u32) -> bool {
    outside::process(pid).is_some_and(|process| process.state != 'Z')
}
