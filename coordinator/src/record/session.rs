//! Sessions: an agent introduces itself, or is gone. Facts about the node, and about what lives on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::{Order, StopWhy};
use mainstay_protocol::health::Health;
use mainstay_protocol::report::{
    DigestEntry, LiveInstance, LiveState, NodeUp, Presence, Report, TypeDeclaration,
};
use mainstay_protocol::{
    AgentRunId, Incarnation, InstanceKey, NodeEpoch, NodeId, NodeName, Sequence, Timestamp, limits,
};
use mainstay_resource_graph::{
    Away, Desired, Instance, InstanceState, Key, Node, NodeState, Outbox, Relation, ServiceType,
    Sightings, Stray, Supervisor, SupervisorState, Txn, Vertex, View, ViewExt,
};

use super::{Outcome, epoch, outbox, report, word};
use crate::env::Env;
use crate::event::GoneWhy;
use crate::lease;
use crate::runs;
use crate::verb;
use crate::watching;

pub fn node_up(txn: &mut Txn<'_>, up: &NodeUp, minted: NodeId, env: &Env) -> Outcome {
    let known = txn.node(&up.node).is_some();
    let same_run = txn
        .node(&up.node)
        .is_some_and(|node| node.agent_run == up.agent_run);
    let node_id = node(txn, up, minted);
    // Since a new epoch began it was not here yet.
    let anew = known && outbox(txn, &up.node).is_none();
    let file_goes_on =
        outbox(txn, &up.node).is_some_and(|known| up.node_epoch == Some(known.node_epoch));
    let (node_epoch, watermark) = outbox_of(txn, up);
    declare(txn, up);
    // What guards saw of an agent before is not of this one.
    let before = txn.supervisor(&up.node).filter(|_| same_run);
    let silent = before.as_ref().is_some_and(|before| {
        before.state == SupervisorState::Silent && before.incarnation == up.supervisor
    });
    let supervisor = Supervisor {
        state: match silent {
            true => SupervisorState::Silent,
            false => SupervisorState::Running,
        },
        incarnation: up.supervisor,
        watches: up
            .digest
            .values()
            .filter(|entry| entry.live.is_some())
            .count() as u32,
        seen: before.map(|before| before.seen).unwrap_or_default(),
    };
    txn.put(
        Key::Supervisor(up.node.clone()),
        Vertex::Supervisor(supervisor),
    )
    .expect("a supervisor has no transitions");
    let mut orders = orders_by_instance(txn, &up.node);
    for key in txn.instances_on(&up.node) {
        if anew && epoch::taken_in(txn, &key, up, env) {
            continue;
        }
        let instance = txn.instance(&key).expect("the index named it");
        if instance.state.may_be_live() {
            let mut open = orders.remove(&key).unwrap_or_default();
            open.retain(|order| order.instance().1 == instance.incarnation);
            let believed = Believed {
                instance: &instance,
                open: &open,
            };
            let entry = up.digest.get(&key);
            compare(txn, &key, believed, entry, file_goes_on, env);
            lease::forget_end(txn, &key);
        }
    }
    if !file_goes_on {
        drop_past_starts(txn, &up.node);
        runs::forsaken(txn, &up.node, env);
    }
    note_strays(txn, up);
    Outcome::Welcome {
        node: up.node.clone(),
        agent_run: up.agent_run,
        node_id,
        node_epoch,
        watermark,
    }
}

fn node(txn: &mut Txn<'_>, up: &NodeUp, minted: NodeId) -> NodeId {
    let known = txn.node(&up.node);
    let id = known
        .as_ref()
        .map_or(up.node_id.unwrap_or(minted), |node| node.id);
    let mut sysinfo = up.sysinfo.clone();
    if let Some(known) = known.as_ref().filter(|known| known.boot_id == up.boot_id) {
        // A boot has one moment, however often the clock is set afterwards.
        sysinfo.booted_ms = known.sysinfo.booted_ms;
    }
    let care = known
        .as_ref()
        .map(|node| node.care.clone())
        .unwrap_or_default();
    let vertex = Node {
        id,
        state: NodeState::Online,
        reason: None,
        address: up.address.clone(),
        build: up.build.clone(),
        boot_id: up.boot_id.clone(),
        agent_run: up.agent_run,
        labels: care.over(&up.sysinfo.labels),
        sysinfo,
        care,
        provides: up
            .provides
            .iter()
            .map(|declared| (declared.name.clone(), declared.version.clone()))
            .collect(),
        restart: known.as_ref().and_then(|node| node.restart.clone()),
        strays: known.map(|node| node.strays).unwrap_or_default(),
        away: None,
        lost_at: None,
    };
    txn.put(Key::Node(up.node.clone()), Vertex::Node(vertex))
        .expect("every state of a node leads to Online");
    id
}

/// The file's own epoch goes on; a new file gets the next one, and begins at 1.
fn outbox_of(txn: &mut Txn<'_>, up: &NodeUp) -> (NodeEpoch, Sequence) {
    let known = outbox(txn, &up.node);
    if let Some(known) = &known
        && up.node_epoch == Some(known.node_epoch)
    {
        return (known.node_epoch, known.watermark);
    }
    let newest = known
        .map(|outbox| outbox.node_epoch)
        .max(up.node_epoch)
        .unwrap_or_default();
    let fresh = Outbox {
        node_epoch: newest.next(),
        watermark: Sequence(0),
    };
    txn.put(Key::Outbox(up.node.clone()), Vertex::Outbox(fresh.clone()))
        .expect("an outbox has no transitions");
    (fresh.node_epoch, fresh.watermark)
}

/// The types an agent has: the newest declaration of each stands for all.
fn declare(txn: &mut Txn<'_>, up: &NodeUp) {
    let node = Key::Node(up.node.clone());
    let mut provided = BTreeSet::new();
    for declared in &up.provides {
        let key = Key::Type(declared.name.clone());
        if is_news(txn, declared) {
            let vertex = ServiceType {
                declaration: declared.clone(),
            };
            txn.put(key.clone(), Vertex::Type(vertex))
                .expect("a type has no transitions");
        }
        txn.link(node.clone(), Relation::Provides, key.clone())
            .expect("both ends exist");
        provided.insert(key);
    }
    for edge in txn.edges_from(&node, Relation::Provides) {
        if !provided.contains(&edge.to) {
            txn.unlink(&node, Relation::Provides, &edge.to);
        }
    }
}

fn is_news(txn: &Txn<'_>, declared: &TypeDeclaration) -> bool {
    txn.service_type(&declared.name).is_none_or(|known| {
        known.declaration != *declared && known.declaration.version <= declared.version
    })
}

/// What the graph has of an instance, with the orders about this incarnation that are not answered.
#[derive(Clone, Copy)]
struct Believed<'a> {
    instance: &'a Instance,
    open: &'a [Order],
}

/// What the graph believes of an instance, beside what its node says now. If the node's file goes on, what became of an
/// instance that the digest lacks is in the reports that follow, in its own words; if the file is void, nobody can say,
/// and `node_return` decides.
fn compare(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    believed: Believed<'_>,
    entry: Option<&DigestEntry>,
    file_goes_on: bool,
    env: &Env,
) {
    let instance = believed.instance;
    let live = entry
        .and_then(|entry| entry.live.as_ref())
        .filter(|live| live.incarnation == instance.incarnation);
    if let Some(live) = live {
        restore(txn, key, believed, live, env);
        return;
    }
    let was = known_life(instance);
    // The Start never reached the node: its command is still open and will. What began and ended has raised the floor
    // above itself; the end of the incarnation before has raised it to this one.
    let undelivered =
        was == LiveState::Starting && entry.is_none_or(|entry| entry.floor <= instance.incarnation);
    if undelivered && has_start(believed.open) {
        match lease::in_the_way(txn, key, env.now) {
            None => starting_again(txn, key, env),
            // Another began meanwhile, or may: this one has not, and is not to.
            Some(_) => not_begun(txn, key),
        }
        return;
    }
    if !file_goes_on || ended_with_its_file(instance) {
        let text = format!("{} came back without what it hosted", key.node);
        cut_off(
            txn,
            key,
            instance,
            Reason::new(code::AGENT_ENDED, text),
            env,
        );
        return;
    }
    if instance.state.out_of_sight().is_none() {
        return;
    }
    match stop_among(believed.open) {
        // It is answered, also if nothing is left to stop.
        Some(why) => stopping_again(txn, key, why, env),
        None => {
            let text = format!("{} is back; its reports say what became of this", key.node);
            let reason = Reason::new(code::NODE_RETURNED, text).about(Key::Node(key.node.clone()));
            verb::change(txn, key, |instance| instance.reason = Some(reason));
        }
    }
}

/// Its node came back with a void file: it is gone, whatever the node says later of what it has by then.
fn ended_with_its_file(instance: &Instance) -> bool {
    instance.state.out_of_sight().is_some()
        && instance
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code::AGENT_ENDED)
}

fn known_life(instance: &Instance) -> LiveState {
    match instance.state {
        InstanceState::Unknown { was } | InstanceState::Lost { was } => was,
        InstanceState::Starting => LiveState::Starting,
        InstanceState::Stopping { .. } => LiveState::Stopping,
        InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Stopped { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined => LiveState::Running,
    }
}

/// It lived on while the node was cut off.
fn restore(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    Believed { instance, open }: Believed<'_>,
    live: &LiveInstance,
    env: &Env,
) {
    if instance.state.out_of_sight().is_none() {
        return;
    }
    let stop = stop_among(open);
    match (live.state, stop) {
        (LiveState::Stopping, stop) => {
            let why = stop.unwrap_or_else(|| likely_why(instance));
            stopping_again(txn, key, why, env);
        }
        // The Stop never reached the node: its command is still open and will.
        (LiveState::Running | LiveState::Starting, Some(why)) => {
            stopping_again(txn, key, why, env);
        }
        (LiveState::Starting, None) => starting_again(txn, key, env),
        // Its Started is among the reports that follow.
        (LiveState::Running, None) if known_life(instance) == LiveState::Starting => {
            starting_again(txn, key, env);
        }
        (LiveState::Running, None) => verb::change(txn, key, |instance| {
            instance.deadline = None;
            running_again(instance, live.health, env);
        }),
    }
}

/// Running as its node's last Check says; that health is not reported again until it changes.
pub(super) fn running_again(instance: &mut Instance, health: Health, env: &Env) {
    instance.health = health;
    instance.reason = report::unwell(health, &instance.health_detail);
    match health {
        Health::Ok => {
            instance.state = InstanceState::Running;
            instance.healthy_since = Some(env.now);
        }
        Health::Unknown => instance.state = InstanceState::Running,
        Health::Degraded | Health::Failed => instance.state = InstanceState::Degraded,
        Health::Unresponsive => {
            let limit = env.settings.check_misses_max;
            instance.state = InstanceState::Unresponsive { missed: 1, limit };
        }
    }
}

fn stopping_again(txn: &mut Txn<'_>, key: &InstanceKey, why: StopWhy, env: &Env) {
    let deadline_ms = txn
        .instance(key)
        .and_then(|instance| txn.service_type(&instance.service_type))
        .map_or(10_000, |found| found.declaration.stop_deadline_ms);
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Stopping { why, stuck: false };
        instance.reason = Some(Reason::new(code::STOPPING, "its stop goes on"));
        instance.deadline =
            Some(env.now + Duration::from_millis(deadline_ms) + env.settings.answer_margin());
    });
}

/// Its Start never reached the node, and is taken back.
fn not_begun(txn: &mut Txn<'_>, key: &InstanceKey) {
    verb::forget_orders(txn, key);
    verb::free_name(txn, key);
    verb::change(txn, key, |instance| {
        verb::quiet(instance);
        instance.state = InstanceState::Pending;
        instance.reason = Some(Reason::new(
            code::WANTED,
            "its start never reached the node",
        ));
    });
    lease::forget_end(txn, key);
}

fn starting_again(txn: &mut Txn<'_>, key: &InstanceKey, env: &Env) {
    let deadline_ms = txn
        .instance(key)
        .and_then(|instance| txn.service_type(&instance.service_type))
        .map_or(30_000, |found| found.declaration.start_deadline_ms);
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Starting;
        instance.reason = Some(Reason::new(code::STARTING, "its start goes on"));
        instance.deadline =
            Some(env.now + Duration::from_millis(deadline_ms) + env.settings.answer_margin());
    });
}

/// Why an instance was to be stopped: its open Stop says so; without one, what is wanted does.
pub fn stop_why(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> StopWhy {
    stop_among(&open_orders(txn, key, instance)).unwrap_or_else(|| likely_why(instance))
}

fn stop_among(orders: &[Order]) -> Option<StopWhy> {
    orders.iter().find_map(|order| match order {
        Order::Stop(stop) => Some(stop.why),
        Order::Start(_)
        | Order::Reconfigure(_)
        | Order::Answer(_)
        | Order::Adopt(_)
        | Order::Work(_)
        | Order::TakeBack(_) => None,
    })
}

fn likely_why(instance: &Instance) -> StopWhy {
    if instance.desired == Desired::Running {
        StopWhy::Restart
    } else {
        StopWhy::NotWanted
    }
}

fn has_start(orders: &[Order]) -> bool {
    orders.iter().any(|order| matches!(order, Order::Start(_)))
}

/// A node's unanswered orders, looked up once for all its instances.
fn orders_by_instance(txn: &Txn<'_>, node: &NodeName) -> BTreeMap<InstanceKey, Vec<Order>> {
    let mut orders: BTreeMap<InstanceKey, Vec<Order>> = BTreeMap::new();
    for key in txn.commands_for(node) {
        if let Some(command) = txn.command(&key) {
            let instance = command.order.instance().0.clone();
            orders.entry(instance).or_default().push(command.order);
        }
    }
    orders
}

fn open_orders(txn: &Txn<'_>, key: &InstanceKey, instance: &Instance) -> Vec<Order> {
    let mut orders = orders_by_instance(txn, &key.node)
        .remove(key)
        .unwrap_or_default();
    orders.retain(|order| order.instance().1 == instance.incarnation);
    orders
}

/// A node whose file is void has no floors: it would carry out a Start whose incarnation is over, beside the next one.
/// Only what is still Starting is asked for again.
fn drop_past_starts(txn: &mut Txn<'_>, node: &NodeName) {
    for key in txn.commands_for(node) {
        let command = txn.command(&key).expect("the index named it");
        let Order::Start(start) = &command.order else {
            continue;
        };
        let goes_on = txn.instance(&start.instance).is_some_and(|instance| {
            instance.incarnation == start.incarnation && instance.state == InstanceState::Starting
        });
        if !goes_on {
            txn.remove(&key);
        }
    }
}

/// What the digest has and the graph does not: the rule `stray` judges it. What was judged stays judged.
fn note_strays(txn: &mut Txn<'_>, up: &NodeUp) {
    let mut strays = BTreeMap::new();
    for (key, entry) in &up.digest {
        let Some(live) = entry.live.as_ref().filter(|_| key.node == up.node) else {
            continue;
        };
        let expected = txn.instance(key).is_some_and(|instance| {
            instance.incarnation == live.incarnation && instance.state.may_be_live()
        });
        if expected || strays.len() >= limits::STRAYS_PER_NODE_MAX {
            continue;
        }
        let stray = stray_of(live, entry);
        strays.insert(key.placement.clone(), stray);
    }
    txn.update_node(&up.node, |node| {
        for (name, stray) in &mut strays {
            let before = node.strays.get(name);
            if let Some(before) = before.filter(|it| it.incarnation == stray.incarnation) {
                stray.held = before.held.clone();
            }
        }
        node.strays = strays;
    })
    .expect("Online leads to Online");
}

/// What was left as it was has ended.
pub(super) fn about_stray(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    incarnation: Incarnation,
    report: &Report,
    env: &Env,
) {
    let over = match report {
        Report::Ended { .. } | Report::CouldNotStart { .. } | Report::NameTaken { .. } => true,
        Report::Failed { presence, .. } => *presence == Presence::Gone,
        _ => false,
    };
    let is_it = txn.node(&key.node).is_some_and(|node| {
        node.strays
            .get(&key.placement)
            .is_some_and(|stray| stray.incarnation == incarnation)
    });
    if !is_it {
        return;
    }
    if !over {
        return word::refuse_stray(txn, key, incarnation, report, env);
    }
    txn.update_node(&key.node, |node| {
        node.strays.remove(&key.placement);
    })
    .expect("the node was just read");
}

pub fn agent_gone(
    txn: &mut Txn<'_>,
    name: &NodeName,
    run: Option<AgentRunId>,
    why: GoneWhy,
    env: &Env,
) {
    let Some(node) = txn.node(name) else {
        return;
    };
    if node.state != NodeState::Online || run.is_some_and(|run| run != node.agent_run) {
        return;
    }
    let (code, text) = match why {
        GoneWhy::SessionClosed => (code::NODE_SUSPECT, "its agent's session closed"),
        GoneWhy::Silent => (code::NODE_SUSPECT, "its agent's heartbeats stopped"),
        GoneWhy::NotHeard => (
            code::NOT_HEARD_YET,
            "not heard since the coordinator started",
        ),
    };
    txn.update_node(name, |node| {
        node.state = NodeState::Suspect;
        node.reason = Some(Reason::new(code, text));
        node.away = Some(Away {
            since: env.now,
            why: text.to_owned(),
            closed: why == GoneWhy::SessionClosed,
            seen: None,
            finding: None,
            found: env.now,
        });
        // Until somebody has seen more of it. What people work on is not given up.
        let wait = Duration::from_millis(env.settings.lost_silent_ms);
        node.lost_at = node.care.maintenance.is_none().then(|| env.now + wait);
    })
    .expect("Online leads to Suspect");
    for key in txn.instances_on(name) {
        let instance = txn.instance(&key).expect("the index named it");
        if instance.state.may_be_live() && !ended_with_its_file(&instance) {
            let text = format!("{name} is away: {text}");
            let reason = Reason::new(code::NODE_AWAY, text).about(Key::Node(name.clone()));
            cut_off(txn, &key, &instance, reason, env);
        }
    }
    // In its next session it says anew what it sees.
    for key in watching::watched_from(txn, name) {
        let has_said = |one: &Instance| one.seen_from.contains_key(name);
        if txn.instance(&key).as_ref().is_some_and(has_said) {
            verb::change(txn, &key, |one| _ = one.seen_from.remove(name));
        }
    }
    let Some(supervisor) = txn.supervisor(name) else {
        return;
    };
    let unknown = Supervisor {
        state: SupervisorState::Unknown,
        ..supervisor
    };
    txn.put(Key::Supervisor(name.clone()), Vertex::Supervisor(unknown))
        .expect("a supervisor has no transitions");
}

/// Somebody looked for it. What was seen of another absence says nothing of this one.
pub fn sighted(txn: &mut Txn<'_>, name: &NodeName, since: Timestamp, seen: &Sightings) {
    let away = txn.node(name).and_then(|node| node.away);
    if away.is_none_or(|away| away.since != since) {
        return;
    }
    txn.update_node(name, |node| {
        if let Some(away) = &mut node.away {
            away.seen = Some(seen.clone());
        }
    })
    .expect("every state of a node may follow itself");
}

fn cut_off(txn: &mut Txn<'_>, key: &InstanceKey, instance: &Instance, reason: Reason, env: &Env) {
    let was = known_life(instance);
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Unknown { was };
        instance.reason = Some(reason);
        instance.health = Health::Unknown;
        verb::end_health(instance, env);
        // Whoever watches it looks anew once it is known to run.
        instance.seen_from.clear();
        instance.deadline = None;
        instance.refusals.clear();
        lease::not_renewed(instance, env);
    });
}

/// What a node has of an instance, as a stray; whether it is one, others judge.
pub(super) fn stray_of(live: &LiveInstance, entry: &DigestEntry) -> Stray {
    Stray {
        incarnation: live.incarnation,
        state: live.state,
        health: live.health,
        service_type: live.service_type.clone(),
        overtaken: entry.floor > live.incarnation,
        held: None,
    }
}
