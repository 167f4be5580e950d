//! `move`: an instance that somebody moves ends where it was once another serves where it is to be; else it stays.
//!
//! ```text
//!   asked for --place makes the other--> both there --the other is healthy--> the first ends
//!                                           |
//!                                           '--the other failed, or its time is up--> the other ends
//! ```
//! Of the only one in the cluster there are never two: the first ends before the other begins, and begins again if that
//! comes to nothing: where it was, or where there is a place by then.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Timestamp};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Move, NodeRefusal, Placement, Standing, Target, Txn,
    View, ViewExt,
};

use crate::candidates;
use crate::env::Env;
use crate::record;
use crate::room::{Question, There, taken_by_others};
use crate::rule::{Rule, Verdict, Watch};
use crate::rules::{could_not_start, place};
use crate::verb;

pub struct Moving;

impl Rule for Moving {
    const NAME: &'static str = "move";
    const ABOUT: &'static str = "Ends an instance that somebody moves once another serves in its place, or leaves it where it is.";
    type Subject = PlacementName;

    fn watches() -> Watch {
        Watch::placements(|placement| !placement.moves.is_empty())
    }

    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<PlacementName> {
        match changed {
            Key::Instance(key) if moves(view, &key.placement) => vec![key.placement.clone()],
            // It is lost, or is to be empty.
            Key::Node(node) => {
                let placements = view.instances_on(node).into_iter().map(|key| key.placement);
                placements.filter(|name| moves(view, name)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: PlacementName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(placement) = txn.placement(&subject) else {
            return Verdict::Nothing;
        };
        if placement.standing == Standing::Leaving {
            return Verdict::Nothing;
        }
        // One at a time: what becomes of it changes the placement, which is then judged again.
        for (from, one) in &placement.moves {
            let pair = Pair {
                from: InstanceKey::new(from.clone(), subject.clone()),
                to: InstanceKey::new(one.to.clone(), subject.clone()),
            };
            match outcome(&pair, one, &placement, txn, env) {
                Outcome::Goes => {}
                Outcome::Settles(at) if one.settles == Some(at) => {}
                Outcome::Settles(at) => settles(&pair, at, txn),
                Outcome::Done => return done(&pair, txn),
                Outcome::Overtaken(why) => return overtaken(&pair, why, txn),
                Outcome::Failed(why) => return failed(&pair, &why, txn, env),
            }
        }
        Verdict::Nothing
    }
}

fn moves(view: &dyn View, name: &PlacementName) -> bool {
    view.look_at_placement(name, |placement| !placement.moves.is_empty())
        .unwrap_or(false)
}

struct Pair {
    from: InstanceKey,
    to: InstanceKey,
}

enum Outcome {
    /// It is under way.
    Goes,
    /// The other is healthy, and has to be for a while.
    Settles(Timestamp),
    Done,
    /// Something else happened to what was to be moved.
    Overtaken(&'static str),
    Failed(String),
}

fn outcome(pair: &Pair, one: &Move, placement: &Placement, txn: &Txn<'_>, env: &Env) -> Outcome {
    let is_single = placement.wish.singleton.is_some();
    let from = txn.instance(&pair.from);
    let node = txn.node(&pair.from.node);
    let is_left = node.is_none_or(|node| candidates::is_left(&node));
    let is_gone = from.as_ref().is_some_and(candidates::is_lost) || is_left;
    if is_gone && !is_single {
        return Outcome::Overtaken("its node is lost, or is to be empty");
    }
    match from.as_ref().map(|from| from.desired) {
        Some(Desired::Running) => {}
        // The only one ends first.
        Some(Desired::Absent) | None if is_single => {}
        Some(Desired::Stopped) => return Outcome::Overtaken("somebody stopped it"),
        Some(Desired::Absent) | None => {
            return Outcome::Overtaken("it is not wanted there any more");
        }
    }
    // What runs there ends as well, and something else is made for it.
    if txn
        .node(&pair.to.node)
        .is_none_or(|node| candidates::is_left(&node))
    {
        return Outcome::Failed(format!("{} is lost, or is to be empty", pair.to.node));
    }
    let time_is_up = one.until <= env.now;
    let to = txn.instance(&pair.to);
    if let Some(to) = to.filter(|to| to.desired == Desired::Running) {
        // As an update waits before it goes on: what ends at once was healthy, too.
        let wait = Duration::from_millis(placement.wish.update.wait_ms);
        match to.healthy_since.filter(|_| verb::is_healthy(&to)) {
            Some(since) if since + wait > env.now && !time_is_up => {
                return Outcome::Settles(since + wait);
            }
            Some(_) => return Outcome::Done,
            None if time_is_up && to.state.is_serving() => return Outcome::Done,
            None => {}
        }
        if to.state == InstanceState::Quarantined || could_not_start::is_final(&to) || time_is_up {
            return Outcome::Failed(said(&to));
        }
        return Outcome::Goes;
    }
    match time_is_up {
        true => Outcome::Failed("it did not get there".to_owned()),
        false => Outcome::Goes,
    }
}

fn settles(pair: &Pair, at: Timestamp, txn: &mut Txn<'_>) {
    let name = &pair.from.placement;
    let mut placement = txn.placement(name).expect("the judge read it");
    if let Some(one) = placement.moves.get_mut(&pair.from.node) {
        one.settles = Some(at);
    }
    record::write(txn, name, placement);
}

fn said(to: &Instance) -> String {
    let state = to.state.as_str();
    match &to.reason {
        Some(reason) => format!("{state}: {}", reason.text),
        None => state.to_owned(),
    }
}

fn done(pair: &Pair, txn: &mut Txn<'_>) -> Verdict {
    let mut placement = forget(pair, txn);
    if placement.wish.on_nodes.remove(&pair.from.node).is_some() {
        record::write(txn, &pair.from.placement, placement);
    }
    let text = format!("{} serves in its place", pair.to);
    let is_wanted = |one: Instance| one.desired != Desired::Absent;
    if txn.instance(&pair.from).is_some_and(is_wanted) {
        verb::want_absent(txn, &pair.from);
    }
    Verdict::did(code::MOVED, format!("{} has moved: {text}", pair.from))
}

/// What there is now is for `place` to judge.
fn overtaken(pair: &Pair, why: &str, txn: &mut Txn<'_>) -> Verdict {
    forget(pair, txn);
    let text = format!("{} is not moved any more: {why}", pair.from);
    Verdict::did(code::MOVE_FAILED, text)
}

fn failed(pair: &Pair, why: &str, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    let until = env.now + Duration::from_millis(env.settings.restart_window_ms);
    let (from, to) = (&pair.from.node, &pair.to.node);
    let name = &pair.to.placement;
    let mut placement = forget(pair, txn);
    if let Target::Nodes(nodes) = &placement.wish.target {
        let mut wish = placement.wish.clone();
        wish.target = Target::Nodes(with(nodes, from, to));
        wish.on_nodes.remove(to);
        let dropped = Reason::new(code::MOVE_FAILED, format!("{}: {why}", pair.to));
        record::retarget(txn, name, placement, wish, Some(dropped));
    } else {
        let refusal = NodeRefusal {
            code: code::FAILED_THERE,
            said: format!("{to} does not take it: {why}"),
            until,
        };
        placement.refused_by.insert(to.clone(), refusal);
        record::write(txn, name, placement);
    }
    if txn.instance(&pair.to).is_some() {
        verb::want_absent(txn, &pair.to);
    }
    let becomes = match txn.instance(&pair.from) {
        Some(_) => {
            verb::want_again(txn, &pair.from);
            "stays"
        }
        // The only one has ended already.
        None if goes_back(&pair.from, txn, env) => "has ended, and begins again where it was",
        None => "has ended, and is placed anew",
    };
    let text = format!("{} {becomes}: {} did not serve: {why}", pair.from, pair.to);
    Verdict::did(code::MOVE_FAILED, text)
}

/// It is made again where it was, unless there is no place for it any more: then where there is one.
fn goes_back(from: &InstanceKey, txn: &mut Txn<'_>, env: &Env) -> bool {
    let name = &from.placement;
    let placement = txn.placement(name).expect("the judge read it");
    if placement.wish.target.count().is_none() {
        // Its target says so.
        return true;
    }
    let Some(node) = txn.node(&from.node) else {
        return false;
    };
    let there = There {
        key: &from.node,
        node: &node,
        taken: taken_by_others(txn, from),
    };
    let takes_it = Question::of(txn, name, &placement)
        .noes(txn, there)
        .is_empty();
    if takes_it {
        place::have(txn, from, &placement, env);
    }
    takes_it
}

fn with(nodes: &BTreeSet<NodeName>, from: &NodeName, to: &NodeName) -> BTreeSet<NodeName> {
    let mut nodes = nodes.clone();
    nodes.remove(to);
    nodes.insert(from.clone());
    nodes
}

fn forget(pair: &Pair, txn: &mut Txn<'_>) -> Placement {
    let name = &pair.from.placement;
    let mut placement = txn.placement(name).expect("the judge read it");
    placement.moves.remove(&pair.from.node);
    record::write(txn, name, placement.clone());
    placement
}
