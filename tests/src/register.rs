//! One placement that nothing runs for, as a register that several clients change at once, each change based on the generation
//! it knows and with a value of its own; and the judgement whether what they were told, all together, can be true.
//!
//! A change that is acknowledged on generation G has made G + 1, so every acknowledged change says where in the order it stands,
//! and no search is needed: a history is sound where no place is taken twice, no place stands before one that was acknowledged
//! before it was asked for, and whoever looks sees in a place the value of the change that took it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use mainstay_api::types::{PlacementSpec, TargetSpec};
use mainstay_api::{Client, Problem};
use mainstay_protocol::code;
use serde_json::{Map, Value};

const NAME: &str = "register";
/// Far above what a change and a look at it take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the value stands in its configuration.
const VALUE: &str = "witness";

/// One thing that was asked, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    pub asked: Instant,
    pub answered: Instant,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The value at a generation, of whichever station: it may be an old one, and never a wrong one.
    Seen { generation: u64, value: String },
    /// A change that is based on a generation.
    Changed {
        on: u64,
        value: String,
        outcome: Outcome,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With the revision it has in the graph.
    Acknowledged(u64),
    /// Another one had been made on that generation.
    Past,
    /// It was not made, nor will it be.
    Refused,
    /// It may be made, now or later, or not.
    Unknown,
}

/// One that changes the register, with what it knows of it.
pub struct Hand {
    client: Client,
    name: String,
    count: u64,
    /// The newest generation it has heard of.
    knows: u64,
    pub done: Vec<Done>,
}

impl Hand {
    pub fn new(client: Client, name: &str) -> Self {
        Self {
            client,
            name: name.to_owned(),
            count: 0,
            knows: 0,
            done: Vec::new(),
        }
    }

    /// Looks, and changes what it knows; whether that was acknowledged.
    pub async fn step(&mut self) -> bool {
        self.look().await;
        let on = self.knows;
        self.count += 1;
        let value = format!("{}-{}", self.name, self.count);
        let asked = Instant::now();
        let answer = self.client.put_placement(&spec(&value), Some(on)).await;
        let outcome = match &answer {
            Ok(accepted) if accepted.changed => Outcome::Acknowledged(accepted.revision),
            Ok(accepted) => panic!("nobody else has {value}, and it was there: {accepted:?}"),
            Err(problem) => outcome(problem),
        };
        if let Outcome::Acknowledged(_) = outcome {
            self.knows = on + 1;
        }
        let what = What::Changed { on, value, outcome };
        self.note(asked, what);
        matches!(outcome, Outcome::Acknowledged(_))
    }

    /// Changes it once more, and looks whether that is what is there.
    pub async fn see_the_end(&mut self) {
        let begun = Instant::now();
        // A station that follows may show an older one for a moment.
        while !self.step().await {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.done.last());
        }
        let made = self.knows;
        loop {
            self.look().await;
            let seen = self.done.last().map(|done| &done.what);
            if matches!(seen, Some(What::Seen { generation, .. }) if *generation >= made) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{made} is not seen: {seen:?}");
        }
    }

    /// What any station shows.
    async fn look(&mut self) {
        let asked = Instant::now();
        // Nobody answers, or it is not there yet.
        let Ok(placement) = self.client.placement(NAME).await else {
            return;
        };
        let value = placement.config[VALUE].as_str().unwrap_or_default();
        let what = What::Seen {
            generation: placement.generation,
            value: value.to_owned(),
        };
        self.knows = self.knows.max(placement.generation);
        self.note(asked, what);
    }

    fn note(&mut self, asked: Instant, what: What) {
        self.done.push(Done {
            asked,
            answered: Instant::now(),
            what,
        });
    }
}

fn spec(value: &str) -> PlacementSpec {
    let nobody = BTreeMap::from([("role".to_owned(), "nobody".to_owned())]);
    PlacementSpec {
        name: NAME.to_owned(),
        service_type: "flaky".to_owned(),
        holds: None,
        target: TargetSpec {
            all: Some(nobody),
            ..TargetSpec::default()
        },
        config: Map::from_iter([(VALUE.to_owned(), Value::from(value))]),
        policy: Default::default(),
        depends_on: Vec::new(),
        update: Default::default(),
        restart_group: None,
        singleton: None,
        needs: Default::default(),
        minimum: 0,
    }
}

fn outcome(problem: &Problem) -> Outcome {
    let codes = |of: &[code::Code]| of.contains(&problem.code);
    if codes(&[code::GENERATION_PAST]) {
        Outcome::Past
    } else if codes(&[code::NO_QUORUM, code::OVERLOADED]) {
        Outcome::Refused
    } else if codes(&[code::ANSWER_LOST, code::TIMEOUT, code::NO_SERVER]) {
        Outcome::Unknown
    } else {
        panic!("no change of the register is answered so: {problem:?}")
    }
}

/// What cannot be true together; nothing, where all of it can. What was seen last is to be among it.
pub fn contradictions(all: &[Done]) -> Vec<String> {
    let changes: Vec<Made<'_>> = all.iter().filter_map(Made::of).collect();
    let mut found = Vec::new();
    let mut places: BTreeMap<u64, Made<'_>> = BTreeMap::new();
    for made in changes.iter().filter(|made| made.revision().is_some()) {
        if let Some(other) = places.insert(made.place(), *made) {
            found.push(format!("{made} and {other} were acknowledged in one place"));
        }
    }
    out_of_order(&places, &mut found);
    seen_wrongly(all, &changes, &places, &mut found);
    without_a_winner(&changes, &mut found);
    lost(all, &places, &mut found);
    found
}

/// A change among the rest.
#[derive(Clone, Copy)]
struct Made<'a> {
    done: &'a Done,
    on: u64,
    value: &'a str,
    outcome: Outcome,
}

impl<'a> Made<'a> {
    fn of(done: &'a Done) -> Option<Self> {
        match &done.what {
            What::Changed { on, value, outcome } => Some(Self {
                done,
                on: *on,
                value,
                outcome: *outcome,
            }),
            What::Seen { .. } => None,
        }
    }

    /// The generation it made, or would have.
    fn place(&self) -> u64 {
        self.on + 1
    }

    fn revision(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Acknowledged(revision) => Some(revision),
            Outcome::Past | Outcome::Refused | Outcome::Unknown => None,
        }
    }

    fn may_be_made(&self) -> bool {
        matches!(self.outcome, Outcome::Acknowledged(_) | Outcome::Unknown)
    }
}

impl fmt::Display for Made<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ({:?})", self.value, self.place(), self.outcome)
    }
}

/// Places, revisions and the times of those who asked tell one order.
fn out_of_order(places: &BTreeMap<u64, Made<'_>>, found: &mut Vec<String>) {
    let mut asked_last: Option<Made<'_>> = None;
    for made in places.values() {
        let Some(before) = asked_last else {
            asked_last = Some(*made);
            continue;
        };
        if made.done.answered < before.done.asked {
            found.push(format!("{made} was acknowledged before {before} was asked"));
        }
        if before.done.asked < made.done.asked {
            asked_last = Some(*made);
        }
    }
    for ((_, before), (_, made)) in places.iter().zip(places.iter().skip(1)) {
        if made.revision() <= before.revision() {
            found.push(format!("{made} has no later revision than {before}"));
        }
    }
}

/// Whoever looks sees what was asked for by then, one value in each place, and never what was refused.
fn seen_wrongly(
    all: &[Done],
    changes: &[Made<'_>],
    places: &BTreeMap<u64, Made<'_>>,
    found: &mut Vec<String>,
) {
    let by_value: BTreeMap<&str, Made<'_>> =
        changes.iter().map(|made| (made.value, *made)).collect();
    let mut values: BTreeMap<u64, &str> = places
        .iter()
        .map(|(place, made)| (*place, made.value))
        .collect();
    for done in all {
        let What::Seen { generation, value } = &done.what else {
            continue;
        };
        let place = values.entry(*generation).or_insert(value);
        if place != value {
            found.push(format!("{generation} is {place} and was seen as {value}"));
        }
        match by_value.get(value.as_str()) {
            Some(made)
                if made.may_be_made()
                    && made.place() == *generation
                    && made.done.asked <= done.answered => {}
            Some(made) => found.push(format!("{value} was seen at {generation}, and is {made}")),
            None => found.push(format!("{value} was seen, and nobody asked for it")),
        }
    }
}

/// One that came too late came after another.
fn without_a_winner(changes: &[Made<'_>], found: &mut Vec<String>) {
    let mut first_asked: BTreeMap<u64, Instant> = BTreeMap::new();
    for made in changes.iter().filter(|made| made.may_be_made()) {
        let asked = first_asked.entry(made.on).or_insert(made.done.asked);
        *asked = made.done.asked.min(*asked);
    }
    for made in changes.iter().filter(|made| made.outcome == Outcome::Past) {
        let won = first_asked.get(&made.on);
        if won.is_none_or(|asked| *asked > made.done.answered) {
            found.push(format!("{made} came too late, and nobody was earlier"));
        }
    }
}

/// At the end the newest place is shown.
fn lost(all: &[Done], places: &BTreeMap<u64, Made<'_>>, found: &mut Vec<String>) {
    let seen = all.iter().rev().find_map(|done| match done.what {
        What::Seen { generation, .. } => Some(generation),
        What::Changed { .. } => None,
    });
    if let Some((place, made)) = places.last_key_value()
        && seen.unwrap_or(0) < *place
    {
        found.push(format!("{made} was acknowledged, and {seen:?} is the end"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        use std::sync::LazyLock;
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        *BEGIN + Duration::from_millis(millis)
    }

    fn changed(asked: u64, answered: u64, on: u64, value: &str, outcome: Outcome) -> Done {
        let value = value.to_owned();
        Done {
            asked: at(asked),
            answered: at(answered),
            what: What::Changed { on, value, outcome },
        }
    }

    fn seen(when: u64, generation: u64, value: &str) -> Done {
        let value = value.to_owned();
        Done {
            asked: at(when),
            answered: at(when),
            what: What::Seen { generation, value },
        }
    }

    fn wrong(all: &[Done], says: &str) {
        let found = contradictions(all);
        assert!(
            found.iter().any(|one| one.contains(says)),
            "{says}: {found:?}"
        );
    }

    const ACKED: fn(u64) -> Outcome = Outcome::Acknowledged;

    #[test]
    fn what_can_be_true_is_let_be() {
        let all = [
            changed(0, 1, 0, "a", ACKED(7)),
            // Its answer was lost, and it was made.
            changed(2, 3, 1, "b", Outcome::Unknown),
            changed(2, 9, 1, "c", Outcome::Past),
            changed(4, 5, 2, "d", ACKED(9)),
            changed(4, 6, 2, "e", Outcome::Refused),
            // An old picture, of another station.
            seen(7, 1, "a"),
            seen(8, 2, "b"),
            seen(10, 3, "d"),
        ];
        assert_eq!(contradictions(&all), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_is_told() {
        let first = changed(0, 1, 0, "a", ACKED(7));
        let end = seen(20, 2, "b");
        let second = changed(2, 3, 1, "b", ACKED(8));
        let twice = changed(2, 3, 0, "c", ACKED(8));
        wrong(&[first.clone(), twice], "in one place");
        let too_early = changed(2, 3, 1, "b", ACKED(6));
        wrong(&[first.clone(), too_early], "no later revision");
        let late = changed(5, 6, 0, "a", ACKED(7));
        wrong(&[late, second.clone(), end.clone()], "before a at 1");
        wrong(
            &[first.clone(), second.clone(), seen(9, 1, "a")],
            "is the end",
        );
        wrong(
            &[first.clone(), second.clone(), seen(9, 1, "b")],
            "was seen as b",
        );
        let refused = changed(2, 3, 1, "b", Outcome::Refused);
        wrong(
            &[first.clone(), refused, end.clone()],
            "and is b at 2 (Refused)",
        );
        let later = changed(30, 31, 1, "b", Outcome::Unknown);
        wrong(&[first.clone(), later, end], "was seen at 2");
        wrong(&[first.clone(), seen(9, 2, "x")], "nobody asked for it");
        let past = changed(2, 3, 1, "c", Outcome::Past);
        wrong(&[first, past, seen(9, 1, "a")], "nobody was earlier");
    }
}
