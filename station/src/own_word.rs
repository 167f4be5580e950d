//! What is wrong and stands nowhere in the graph: this process alone knows it, and says so to whoever asks how things are, and
//! why.

use mainstay_api::Time;
use mainstay_api::types::{Status, StatusProblem, Verdict, Why, WhyNode};
use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::Key;

use crate::shared::Shared;
use crate::space;

/// One thing that is wrong.
pub struct Trouble {
    /// What the station has become by it.
    pub state: &'static str,
    pub reason: Reason,
    pub since: Time,
    /// What tells more.
    pub command: &'static str,
    pub holds_up: HoldsUp,
}

/// What does not go on by it, of runs.
#[derive(Debug, Clone, Copy)]
pub enum HoldsUp {
    NoRun,
    /// Steps that nobody has yet.
    WhatIsDue,
    Runs,
}

fn all(shared: &Shared) -> Vec<Trouble> {
    let mut all = Vec::new();
    if let Some(why) = shared.about.rules.suspended() {
        all.push(Trouble {
            state: "runs no rules of users",
            reason: Reason::new(code::RULE_SUSPENDED, why),
            since: shared.about.started,
            command: "mainstay rule list",
            holds_up: HoldsUp::NoRun,
        });
    }
    // Whoever leads uses it.
    let queue = shared.queue.as_ref().filter(|_| shared.leads());
    if let Some((queue, away)) = queue.and_then(|queue| Some((queue, queue.away()?))) {
        let text = format!("the queue at {} cannot be used: {}", queue.at, away.why);
        all.push(Trouble {
            state: "has no queue",
            reason: Reason::new(code::QUEUE_AWAY, text),
            since: away.since,
            command: "mainstay run list --state running",
            holds_up: HoldsUp::WhatIsDue,
        });
    }
    all.extend(space::trouble(shared));
    all
}

pub fn tell(shared: &Shared, status: &mut Status) {
    let reference = station(shared);
    for trouble in all(shared) {
        status.problems.push(StatusProblem {
            reason: Some(trouble.reason),
            root: reference.clone(),
            since: trouble.since,
            why: trouble.command.to_owned(),
            reference: reference.clone(),
        });
        if status.verdict == Verdict::Healthy {
            status.verdict = Verdict::Degraded;
        }
    }
}

/// What is under way of runs, and does not go on.
pub fn explain(shared: &Shared, why: &mut Why) {
    let tree = &mut why.tree;
    let is_queued =
        |node: &WhyNode| node.reference.starts_with("step/") && node.state.starts_with("Queued");
    let is_due = is_queued(tree) || tree.because.iter().any(is_queued);
    let is_of_runs = ["run/", "step/"]
        .iter()
        .any(|kind| tree.reference.starts_with(kind));
    for trouble in all(shared) {
        let holds_it_up = match trouble.holds_up {
            HoldsUp::NoRun => false,
            HoldsUp::WhatIsDue => is_due,
            HoldsUp::Runs => {
                is_of_runs
                    && ["Running", "Queued"]
                        .iter()
                        .any(|begin| tree.state.starts_with(begin))
            }
        };
        if holds_it_up {
            why.you_can.push(trouble.command.to_owned());
            tree.because.push(node(shared, trouble));
            tree.root = false;
        }
    }
}

/// Where nothing in particular was asked for.
pub fn explain_all(shared: &Shared) -> Vec<Why> {
    let whole = |trouble: Trouble| Why {
        affects: Vec::new(),
        system_will: None,
        you_can: vec![trouble.command.to_owned()],
        tree: node(shared, trouble),
    };
    all(shared).into_iter().map(whole).collect()
}

fn node(shared: &Shared, trouble: Trouble) -> WhyNode {
    WhyNode {
        reference: station(shared),
        state: trouble.state.to_owned(),
        reason: Some(trouble.reason),
        since: Some(trouble.since),
        because: Vec::new(),
        evidence: None,
        root: true,
    }
}

fn station(shared: &Shared) -> String {
    Key::Station(shared.about.station).to_string()
}
