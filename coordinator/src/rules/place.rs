//! `place`: a placement's wish becomes one instance on each node it names, or on so many as it asks for; a placement that
//! leaves goes last of all.

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, PlacementName};
use mainstay_resource_graph::{
    Count, Desired, Instance, InstanceState, Key, Kind, NodeRefusal, NodeState, Placement,
    Standing, Target, Txn, Vertex, View, ViewExt, Waits, traverse,
};

use crate::candidates;
use crate::env::Env;
use crate::room::{self, Question, There};
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Place;

impl Rule for Place {
    const NAME: &'static str = "place";
    const ABOUT: &'static str = "Makes one instance of a placement on each node that it names, or on so many as it asks for.";
    type Subject = PlacementName;

    fn watches() -> Watch {
        Watch::placements(|_| true)
    }

    /// A node concerns every placement that names it or labels; a vertex that is gone, whoever waits for it to be gone.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<PlacementName> {
        match changed {
            // It may take instances again.
            Key::Node(node) => view.placements_for(node),
            Key::Instance(key) => {
                let mut concerned = short_for(view, key);
                if view.record(changed).is_none() || is_moving(view, key) {
                    concerned.push(key.placement.clone());
                }
                concerned
            }
            Key::Placement(_) if view.record(changed).is_none() => leaving(view),
            // It is free for whoever found no node for want of it.
            Key::Name(name) if view.record(changed).is_none() => short(view, |of, placement| {
                takes(view, &name.node, (of, placement))
            }),
            _ => Vec::new(),
        }
    }

    fn judge(subject: PlacementName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(placement) = txn.placement(&subject) else {
            return Verdict::Nothing;
        };
        match placement.standing {
            Standing::Wanted => match &placement.wish.target {
                Target::Count(count) => so_many(&subject, &placement, count, txn, env),
                Target::Nodes(_) | Target::All(_) => named(&subject, &placement, txn, env),
            },
            Standing::Leaving => leave(&subject, &placement, txn),
        }
    }
}

fn leaving(view: &dyn View) -> Vec<PlacementName> {
    let leaves = |key: &Key| {
        let record = view.record(key)?;
        match (key, &record.vertex) {
            (Key::Placement(name), Vertex::Placement(placement)) => {
                (placement.standing == Standing::Leaving).then(|| name.clone())
            }
            _ => None,
        }
    };
    view.keys(Kind::Placement)
        .iter()
        .filter_map(leaves)
        .collect()
}

/// One of so many that may go elsewhere: its node is to be left, it was given up, failed too often, or there is no room for
/// it.
fn is_moving(view: &dyn View, key: &InstanceKey) -> bool {
    let leaves = || view.look_at_node(&key.node, candidates::is_left);
    let goes = || {
        view.look_at_instance(key, |one| {
            candidates::is_lost(one)
                || one.waits() == Some(Waits::Room)
                || one.state == InstanceState::Quarantined
        })
    };
    candidates::is_of_so_many(view, &key.placement)
        && (leaves() == Some(true) || goes() == Some(true))
}

/// Placements that found too few nodes, where this instance may have been why: they are its own, or want to be near it, or
/// apart; or it takes nothing now, and its node takes them.
fn short_for(view: &dyn View, key: &InstanceKey) -> Vec<PlacementName> {
    let names_it = |name: &PlacementName, placement: &Placement| {
        let names = |count: &Count| {
            let mut others = count.affinity.iter().chain(&count.anti_affinity);
            others.any(|other| other.placement == key.placement)
        };
        *name == key.placement || placement.wish.target.count().is_some_and(names)
    };
    let frees = || {
        view.look_at_instance(key, Instance::may_free_room)
            .unwrap_or(true)
    };
    short(view, |name, placement| {
        names_it(name, placement) || (frees() && takes(view, &key.node, (name, placement)))
    })
}

/// Of those that found too few nodes the ones that this is true of: with many of them most changes concern none.
fn short(
    view: &dyn View,
    concerns: impl Fn(&PlacementName, &Placement) -> bool,
) -> Vec<PlacementName> {
    let mut short = view.short_placements();
    short.retain(|name| {
        let record = view.record(&Key::Placement(name.clone()));
        record.is_some_and(|record| match &record.vertex {
            Vertex::Placement(placement) => concerns(name, placement),
            _ => false,
        })
    });
    short
}

/// A node would take one more of it.
fn takes(view: &dyn View, key: &NodeName, (name, placement): (&PlacementName, &Placement)) -> bool {
    let one = InstanceKey::new(key.clone(), name.clone());
    view.node(key).is_some_and(|node| {
        let taken = room::taken_by_others(view, &one);
        let node = &node;
        Question::of(view, name, placement).takes(view, There { key, node, taken })
    })
}

fn named(subject: &PlacementName, placement: &Placement, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    let mut wanted = targets(placement, txn);
    // What is moved stays until the other serves.
    wanted.extend(placement.moves.keys().cloned());
    let have: BTreeSet<NodeName> = txn
        .instances_of(subject)
        .into_iter()
        .map(|key| key.node)
        .collect();
    let mut placed = Vec::new();
    let missing: Vec<InstanceKey> = wanted
        .difference(&have)
        .map(|node| InstanceKey::new(node.clone(), subject.clone()))
        .filter(|key| txn.cordon_against(key).is_none())
        .collect();
    for key in missing {
        make(txn, &key, placement, env);
        placed.push(key.to_string());
    }
    let mut done = Vec::new();
    if !placed.is_empty() {
        done.push(format!("placed {}", placed.join(", ")));
    }
    for node in &have {
        let key = InstanceKey::new(node.clone(), subject.clone());
        let is_absent = txn
            .instance(&key)
            .is_some_and(|instance| instance.desired == Desired::Absent);
        match (wanted.contains(node), is_absent) {
            (false, false) => {
                verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
                done.push(format!("{key} is no longer wanted"));
            }
            // It was still on its way out.
            (true, true) => {
                verb::want_again(txn, &key);
                done.push(format!("{key} is wanted again"));
            }
            (true, false) | (false, true) => {}
        }
    }
    if done.is_empty() {
        return Verdict::Nothing;
    }
    Verdict::did(code::WANTED, done.join("; "))
}

/// So many, each where it was as long as it can be there; what its node has lost, or is to lose, is made elsewhere.
fn so_many(
    subject: &PlacementName,
    placement: &Placement,
    count: &Count,
    txn: &mut Txn<'_>,
    env: &Env,
) -> Verdict {
    let mut placement = without_old_refusals(placement, env);
    let mut done = those_that_come(subject, &placement, txn, env);
    let kept = candidates::kept(txn, subject, &placement);
    let mut others = txn.instances_of(subject);
    // What is to take another's place is the rule `move`'s.
    others.retain(|key| !kept.contains(key) && placement.moves_to(&key.node).is_none());
    let best = candidates::best(txn, subject, &placement, (count, &kept));
    let short = (count.count as usize).saturating_sub(kept.len() + best.len());
    let mut missing = short;
    for node in best {
        let key = InstanceKey::new(node, subject.clone());
        // It may be there already: on its way out, or waiting for what there is now.
        others.retain(|other| *other != key);
        done.extend(have(txn, &key, &placement, env));
    }
    let mut going = candidates::surplus(txn, subject, &placement, (count, &kept));
    for key in others {
        let Some(one) = txn
            .instance(&key)
            .filter(|one| one.desired != Desired::Absent)
        else {
            continue;
        };
        let node = txn.node(&key.node);
        let is_lost = candidates::is_lost(&one)
            || node
                .as_ref()
                .is_some_and(|node| node.state == NodeState::Lost);
        let is_meant = node
            .as_ref()
            .is_some_and(|node| placement.wish.target.includes(&key.node, &node.labels));
        if !is_meant {
            going.push(key);
        } else if missing > 0 {
            // Nobody takes its place: it is wanted where it was, should that come back.
            missing -= 1;
        } else if is_lost || !one.state.may_be_live() {
            going.push(key);
        }
        // What still runs on a node that is drained ends when the drain gets to it.
    }
    for key in going {
        if let Some(refusal) = failed_there(txn, &key, &placement, env) {
            placement.refused_by.insert(key.node.clone(), refusal);
        }
        verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
        done.push(format!("{key} is no longer wanted"));
    }
    note(txn, subject, &placement, short);
    if done.is_empty() {
        return Verdict::Nothing;
    }
    Verdict::did(code::WANTED, done.join("; "))
}

/// What takes the place of one that is moved is there while that is.
fn those_that_come(
    subject: &PlacementName,
    placement: &Placement,
    txn: &mut Txn<'_>,
    env: &Env,
) -> Vec<String> {
    let mut done = Vec::new();
    for one in placement.moves.values() {
        let key = InstanceKey::new(one.to.clone(), subject.clone());
        let desired = txn.instance(&key).map(|one| one.desired);
        // What somebody stopped stays so.
        if desired != Some(Desired::Stopped) {
            done.extend(have(txn, &key, placement, env));
        }
    }
    done
}

/// One that is wanted there from now on, and what was done for that.
pub(crate) fn have(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    placement: &Placement,
    env: &Env,
) -> Option<String> {
    match txn.instance(key).map(|one| one.desired) {
        Some(Desired::Running) => None,
        Some(Desired::Stopped | Desired::Absent) => {
            verb::want_again(txn, key);
            Some(format!("{key} is wanted again"))
        }
        None => {
            make(txn, key, placement, env);
            Some(format!("placed {key}"))
        }
    }
}

/// Where it failed too often it is not tried again before its failures are forgotten.
fn failed_there(
    txn: &Txn<'_>,
    key: &InstanceKey,
    placement: &Placement,
    env: &Env,
) -> Option<NodeRefusal> {
    let one = txn.instance(key)?;
    let said = one.reason.as_ref().map_or("", |reason| &reason.text);
    candidates::escalates(placement, &one).then(|| NodeRefusal {
        code: code::FAILED_THERE,
        said: format!("it failed on {} too often: {said}", key.node),
        until: env.now + verb::window(txn, key, env),
    })
}

fn without_old_refusals(placement: &Placement, env: &Env) -> Placement {
    let mut placement = placement.clone();
    placement.forget_refusals(env.now);
    placement
}

/// How many find no node, so that whatever makes room for them is heard.
fn note(txn: &mut Txn<'_>, subject: &PlacementName, placement: &Placement, missing: usize) {
    let mut noted = placement.clone();
    noted.short = u32::try_from(missing).unwrap_or(u32::MAX);
    txn.put(Key::Placement(subject.clone()), Vertex::Placement(noted))
        .expect("a placement has no transitions");
}

/// Whatever depends on it goes first; then its instances; then it.
fn leave(subject: &PlacementName, placement: &Placement, txn: &mut Txn<'_>) -> Verdict {
    if !traverse::standing_on(txn, subject).is_empty() {
        return Verdict::Nothing;
    }
    let left = txn.instances_of(subject);
    if left.is_empty() {
        txn.remove(&Key::Placement(subject.clone()));
        verb::forget_configs(txn, placement.configs().cloned().collect());
        return Verdict::did(code::NOT_WANTED, "deleted: its instances have ended");
    }
    let mut ending = Vec::new();
    for key in left {
        let wanted = txn
            .instance(&key)
            .is_some_and(|instance| instance.desired != Desired::Absent);
        if wanted {
            verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
            ending.push(key.to_string());
        }
    }
    if ending.is_empty() {
        return Verdict::Nothing;
    }
    Verdict::did(
        code::NOT_WANTED,
        format!("to be deleted; first ends {}", ending.join(", ")),
    )
}

fn targets(placement: &Placement, txn: &Txn<'_>) -> BTreeSet<NodeName> {
    match &placement.wish.target {
        Target::Nodes(nodes) => nodes.clone(),
        Target::All(_) | Target::Count(_) => txn
            .node_names()
            .into_iter()
            .filter(|name| {
                txn.node(name)
                    .is_some_and(|node| placement.wish.target.includes(name, &node.labels))
            })
            .collect(),
    }
}

fn make(txn: &mut Txn<'_>, key: &InstanceKey, placement: &Placement, env: &Env) {
    let asked = (&placement.service_type, placement.holds.as_ref());
    let name = candidates::slot_name(txn, &key.placement, asked);
    let before_first = Incarnation {
        epoch: env.leadership.epoch,
        // Its own beginning: a node keeps the floor of a namesake that was here before.
        created: env.revision,
        count: 0,
    };
    let mut instance = Instance::wanted(placement.service_type.clone(), name, before_first);
    instance.reason = Some(Reason::new(code::WANTED, "waits for its first start"));
    instance.needs = placement.wish.needs.clone();
    txn.put(Key::Instance(key.clone()), Vertex::Instance(instance))
        .expect("the instance is new");
    // Not counted where it has no place: others there might wait for it, and it for them.
    let lacking = room::lacking(txn, key, &placement.wish.needs);
    if let Some(reason) = room::no_room(&key.node, &lacking) {
        verb::change(txn, key, |instance| {
            instance.reason = Some(reason);
            instance.has_room = false;
        });
    }
    verb::want_config(txn, key, placement.wish.config_on(&key.node));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mainstay_protocol::report::SysInfo;
    use mainstay_protocol::room::{Needs, Room};
    use mainstay_protocol::{AgentRunId, BootId, NodeId, Revision, Timestamp};
    use mainstay_resource_graph::{Beside, Cause, ConfigHash, Graph, Made, Node, Wish};

    use super::*;
    use crate::testing;

    fn memory(memory_bytes: u64) -> Room {
        Room {
            memory_bytes,
            ..Room::NONE
        }
    }

    fn node() -> Node {
        Node {
            id: NodeId(uuid::Uuid::from_u128(1)),
            state: NodeState::Online,
            reason: None,
            address: "local".to_owned(),
            build: "0.1.0".to_owned(),
            boot_id: BootId("boot".to_owned()),
            agent_run: AgentRunId(uuid::Uuid::from_u128(2)),
            labels: BTreeMap::new(),
            sysinfo: SysInfo {
                offers: memory(100),
                ..SysInfo::default()
            },
            care: Default::default(),
            provides: [("test".parse().unwrap(), "1".to_owned())].into(),
            strays: BTreeMap::new(),
            away: None,
            lost_at: None,
            restart: None,
        }
    }

    /// Of one that is wanted, and found no node.
    fn short_of(needs: u64, near: Option<&str>) -> Vertex {
        let beside = |name: &str| Beside {
            placement: name.parse().unwrap(),
            label: None,
        };
        let count = Count {
            affinity: near.map(beside).into_iter().collect(),
            ..Count::of(1)
        };
        let wish = Wish {
            needs: Needs {
                room: memory(needs),
                ..Needs::default()
            },
            ..Wish::new(Target::Count(count), ConfigHash("aa".to_owned()))
        };
        let made = Made::new(Timestamp(1), "test");
        let mut placement = Placement::new("test".parse().unwrap(), wish, made, Revision(1));
        placement.short = 1;
        Vertex::Placement(placement)
    }

    fn concerned(state: InstanceState) -> Vec<String> {
        let graph = Graph::default();
        let mut txn = graph.begin(Timestamp(1), Cause::Start);
        let mut put = |key: &str, vertex: Vertex| txn.put(key.parse().unwrap(), vertex).unwrap();
        put("node/n1", Vertex::Node(node()));
        put("small", short_of(60, None));
        put("large", short_of(1_000, None));
        put("near", short_of(1_000, Some("other")));
        let mut other = testing::instance(state);
        other.needs.room = memory(50);
        if !other.state.may_be_live() {
            other.desired = Desired::Stopped;
        }
        put("other@n1", Vertex::Instance(other));
        let changed = "other@n1".parse().unwrap();
        let names = Place::subjects_of(&changed, &txn).into_iter();
        names.map(|name| name.to_string()).collect()
    }

    #[test]
    fn what_ends_concerns_of_those_that_found_no_node_the_ones_that_its_node_takes_now() {
        let ended = InstanceState::Stopped { by_itself: false };
        assert_eq!(concerned(ended), ["near", "small"]);
    }

    #[test]
    fn what_begins_frees_nothing_as_long_as_it_takes_what_it_took() {
        assert_eq!(concerned(InstanceState::Starting), ["near"]);
        assert_eq!(concerned(InstanceState::Running), ["near"]);
    }
}
