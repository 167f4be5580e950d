//! One course of one pair, with one death or none, and all that must be so behind it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use mainstay_tests::answers::roots;
use mainstay_tests::{Cluster, Random, signal, until};
use rustix::process::Signal;
use serde_json::Value;

use super::course::Course;
use super::moment::{Moment, Rhythm, Watch};
use super::pair::Pair;
use super::victim::{Places, Victim, lives};
use super::witness::{self, EXIT_CODE};

pub struct Round<'a> {
    cluster: &'a Cluster,
    places: &'a Places,
    course: Course,
    pair: Pair,
    /// The highest incarnation that was ever seen of each.
    highest: Mutex<BTreeMap<String, u64>>,
}

/// What was there when the course began.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    pid: Option<u32>,
    incarnations: [u64; 2],
}

impl<'a> Round<'a> {
    pub fn new(cluster: &'a Cluster, places: &'a Places, course: Course, number: usize) -> Self {
        Self {
            cluster,
            places,
            course,
            pair: Pair::of_round(number),
            highest: Mutex::default(),
        }
    }

    /// The course as it is, and how long it takes.
    pub fn undisturbed(&self) -> Rhythm {
        let before = self.prepare();
        let begun = Instant::now();
        self.order(&before);
        self.until_as_wished(&before, None);
        let length = begun.elapsed();
        self.finish(&before, None);
        Rhythm {
            length,
            without_agent: self.course.begins_without_agent(),
        }
    }

    /// The course with one death in it, if there was somebody to be killed.
    pub fn with_death(
        &self,
        victim: Victim,
        moment: Moment,
        rhythm: &Rhythm,
        random: &mut Random,
    ) -> Option<u32> {
        let before = self.prepare();
        let mut watch = self.watch(victim);
        let begun = Instant::now();
        let killed = thread::scope(|scope| {
            scope.spawn(|| self.order(&before));
            rhythm.wait(moment, &mut watch, begun, random);
            self.strike(victim, begun, rhythm)
        });
        if let Some(killed) = killed {
            victim.until_back(self.cluster, killed);
        }
        let struck = killed.map(|_| victim);
        self.until_as_wished(&before, struck);
        self.finish(&before, struck);
        killed
    }

    fn watch(&self, victim: Victim) -> Watch {
        Watch::new(self.places.written_by(victim, &self.pair))
    }

    /// Kills whoever there is, else the first that comes.
    fn strike(&self, victim: Victim, begun: Instant, rhythm: &Rhythm) -> Option<u32> {
        loop {
            let found = victim.find(self.cluster, self.places, &self.pair);
            if let Some(pid) = found {
                signal(pid, Signal::KILL);
                return found;
            }
            if begun.elapsed() > rhythm.late() {
                return None;
            }
            thread::yield_now();
        }
    }

    fn prepare(&self) -> Before {
        if !self.course.begins_running() {
            return Before::default();
        }
        for words in self.pair.starts(self.cluster, self.course) {
            self.cluster.run(&words).ok();
        }
        for reference in self.pair.references() {
            self.cluster.until_state(&reference, "Running");
        }
        Before {
            pid: witness::newest(self.cluster, &self.pair.process).map(|(pid, _)| pid),
            incarnations: self.pair.references().map(|one| self.incarnation(&one)),
        }
    }

    /// Returns when all of it was taken, by whatever life of the station.
    fn order(&self, before: &Before) {
        let [process, actor] = self.pair.references();
        match self.course {
            Course::Start => {
                for words in self.pair.starts(self.cluster, self.course) {
                    self.until_taken(&words);
                }
            }
            Course::Stop => {
                self.say(&format!("stop {process} --no-wait"));
                self.say(&format!("stop {actor} --no-wait"));
            }
            Course::Restart => {
                self.say(&format!("restart {process} --no-wait"));
                self.say(&format!("restart {actor} --no-wait"));
            }
            Course::Reconfigure => {
                let Pair { process, actor } = &self.pair;
                self.say(&format!("reconfigure {process} env.SIZE=two --no-wait"));
                self.say(&format!("reconfigure {actor} greeting=Ahoy --no-wait"));
            }
            Course::Adoption => self.kill_agent(),
            Course::ExitInTheGap => {
                // With its parent held, no other agent comes.
                signal(self.cluster.parent_pid(), Signal::STOP);
                self.kill_agent();
                let pid = before.pid.expect("it runs");
                signal(pid, Signal::USR1);
                until("it has exited", || lives(pid), |lives| !lives);
                signal(self.cluster.parent_pid(), Signal::CONT);
            }
        }
    }

    fn kill_agent(&self) {
        // Where it is the victim, too, it may be gone already.
        let agent = Victim::Agent.find(self.cluster, self.places, &self.pair);
        let Some(agent) = agent else { return };
        signal(agent, Signal::KILL);
        until("the agent is gone", || lives(agent), |lives| !lives);
    }

    fn say(&self, line: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        self.until_taken(&words);
    }

    /// What was not acknowledged is said again: each of these can be repeated.
    fn until_taken(&self, words: &[String]) {
        until(
            &format!("{words:?} is taken"),
            || self.cluster.run(words),
            |run| run.code == Some(0),
        );
    }

    /// Looks at it, and at its incarnation, which never goes back.
    fn instance(&self, reference: &str) -> Option<Value> {
        let instance = self.cluster.instance(reference)?;
        let now = instance["incarnation"].as_u64().unwrap_or_default();
        let mut highest = self.highest.lock().expect("nobody panics with it");
        let before = highest.entry(reference.to_owned()).or_default();
        let back = now < *before;
        *before = (*before).max(now);
        drop(highest);
        assert!(!back, "its incarnation went back: {instance:#}");
        Some(instance)
    }

    fn incarnation(&self, reference: &str) -> u64 {
        let instance = self.instance(reference).expect("it is there");
        instance["incarnation"].as_u64().unwrap_or_default()
    }

    fn until_as_wished(&self, before: &Before, killed: Option<Victim>) {
        until(
            &format!("{:?} comes to its end with {killed:?} killed", self.course),
            || self.not_as_wished(before, killed),
            Vec::is_empty,
        );
    }

    /// What is not yet as it was wished, in the cluster's word, the instances' own, and the outsiders'.
    fn not_as_wished(&self, before: &Before, killed: Option<Victim>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (reference, first) in self.pair.references().iter().zip(before.incarnations) {
            let Some(instance) = self.instance(reference) else {
                wrong.push(format!("there is no {reference}"));
                continue;
            };
            let state = instance["state"].as_str().unwrap_or_default();
            if state != self.course.ends_in() {
                wrong.push(format!("{reference} is {state}: {}", instance["reason"]));
            } else if state == "Running" {
                let check = self.cluster.sh(&format!("check {reference}"));
                if check.code != Some(0) {
                    wrong.push(format!("{reference} is not well: {check:?}"));
                }
            }
            let now = instance["incarnation"].as_u64();
            if self.course == Course::Restart && now <= Some(first) {
                wrong.push(format!("{reference} still is {now:?}"));
            }
        }
        wrong.extend(self.process_is_not_as_wished(before, killed));
        wrong
    }

    fn process_is_not_as_wished(&self, before: &Before, killed: Option<Victim>) -> Option<String> {
        let name = &self.pair.process;
        let (carriers, holds) = (self.places.carriers(name), self.places.holds(name));
        if self.course.ends_in() == "Stopped" {
            let none = carriers.is_empty() && holds.is_empty();
            return (!none).then(|| format!("{carriers:?}, {holds:?} are left"));
        }
        let Some((pid, size)) = witness::newest(self.cluster, name) else {
            return Some("it has not begun".to_owned());
        };
        let shells = carriers.iter().filter(|one| one.pid == pid).count();
        if shells != 1 || holds.len() != 1 {
            return Some(format!("{pid} is not alone: {carriers:?}, {holds:?}"));
        }
        let again = Some(pid) != before.pid;
        match self.course {
            Course::Reconfigure if size != "two" => Some(format!("it runs with {size}")),
            Course::ExitInTheGap if !again => Some("it still is the one that exited".to_owned()),
            Course::Adoption => {
                assert!(
                    !again || killed == Some(Victim::Hold),
                    "it was not taken over: {before:?}, now {pid}"
                );
                None
            }
            _ => None,
        }
    }

    /// What must be so once everything is as wished; then nothing may be left of the pair.
    fn finish(&self, before: &Before, killed: Option<Victim>) {
        witness::assert_books_are_right(self.cluster, &self.pair);
        let found = self.cluster.list("graph check");
        assert!(found.is_empty(), "{found:#?}");
        for reference in self.pair.references() {
            let why = self.cluster.why(&reference);
            let answers = roots(&why).iter().all(|root| {
                let texts = [&root["reason"]["text"], &root["evidence"]];
                let said = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
                texts.into_iter().any(said)
            });
            assert!(answers, "{why:#}");
        }
        if self.course == Course::Reconfigure {
            self.assert_configured();
        }
        if self.course == Course::ExitInTheGap {
            self.assert_exit_is_told(before, killed);
        }
        for name in [&self.pair.process, &self.pair.actor] {
            self.cluster.sh(&format!("delete {name}")).ok();
        }
        let name = &self.pair.process;
        let left = (self.places.carriers(name), self.places.holds(name));
        assert!(left.0.is_empty() && left.1.is_empty(), "{left:#?} are left");
    }

    /// Deaths are no reason to take a change back.
    fn assert_configured(&self) {
        let [process, actor] = self.pair.references().map(|one| self.instance(&one));
        let process = process.expect("it runs");
        assert_eq!(process["config"]["env"]["SIZE"], "two", "{process:#}");
        let actor = actor.expect("it runs");
        assert_eq!(actor["config"]["greeting"], "Ahoy", "{actor:#}");
        for wanted in [&process, &actor].map(|one| &one["config_wanted"]) {
            assert!(wanted.is_null(), "{wanted:#}");
        }
        let reference = &self.pair.references()[1];
        let greet = format!("call {reference} greet '{{\"name\":\"Ada\"}}'");
        let answer = self.cluster.sh(&greet).ok().stdout;
        assert!(answer.contains("Ahoy, Ada!"), "{answer}");
    }

    /// Once, of the incarnation that exited, with its code; unless its hold was killed before it could say it.
    fn assert_exit_is_told(&self, before: &Before, killed: Option<Victim>) {
        let reference = &self.pair.references()[0];
        let told: Vec<Value> = self
            .cluster
            .list("events --since 10m")
            .into_iter()
            .filter(|event| event["subject"] == **reference && event["type"] == "instance.failed")
            .filter(|event| event["data"]["incarnation"] == before.incarnations[0])
            .collect();
        let code = format!("exited with code {EXIT_CODE}");
        let words = told.first().map(|event| event["message"].to_string());
        let said = words.is_some_and(|words| words.contains(&code));
        assert!(
            told.len() == 1 && (said || killed == Some(Victim::Hold)),
            "{told:#?}"
        );
    }
}
