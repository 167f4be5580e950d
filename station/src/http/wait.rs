//! Waiting for a state: looked at after every committed entry, ended at once by what cannot come right by itself.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use mainstay_api::Problem;
use mainstay_api::present::{Present, find};
use mainstay_api::time::span;
use mainstay_api::types::{self, Until, WaitAnswer, WaitRequest};
use mainstay_coordinator::{candidates, is_run_over};
use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::report::Presence;
use mainstay_protocol::{InstanceKey, PlacementName, limits};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Relation, Standing, Vertex, ViewExt,
};

use super::Api;
use super::reply::{Failure, Reply, body, json, place};

pub async fn wait(api: Api, bytes: Bytes) -> Reply {
    let request: WaitRequest = body("wait", &bytes)?;
    let key = find::parse(&request.reference)?;
    possible(&key, &request)?;
    // What the graph remembers of them is no news while nobody decides.
    if matches!(key, Key::Node(_) | Key::Station(_)) && !api.shared.leads() {
        let why = api.shared.no_leader();
        return Err(Problem::new(code::NO_QUORUM, what(&request), why).into());
    }
    let why = "too many requests wait already";
    let _place = place(&api.waiters, what(&request), why)?;
    let started = Instant::now();
    let timeout = Duration::from_millis(request.timeout_ms.min(limits::WAIT_MS_MAX));
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let mut changes = api.shared.standing.subscribe();
    let mut stop = api.stop.clone();
    loop {
        changes.borrow_and_update();
        let seen = look(&api, &key, &request).await?;
        match seen {
            Seen::There(mut answer) => {
                answer.waited_ms = started.elapsed().as_millis() as u64;
                return json(&answer);
            }
            Seen::Never(problem) => return Err(Failure(problem)),
            seen @ (Seen::NotYet(_) | Seen::Short) => {
                let (in_time, stopped) = tokio::select! {
                    changed = changes.changed() => (true, changed.is_err()),
                    _ = stop.wait_for(|stop| *stop) => (true, true),
                    () = &mut deadline => (false, false),
                };
                if !in_time {
                    let state = match seen {
                        Seen::NotYet(state) => state,
                        _ => shortage(&api, &key).await?,
                    };
                    return Err(timed_out(&request, &state, timeout).into());
                }
                if stopped {
                    let why = "the station stops; ask again";
                    return Err(Problem::new(code::NO_QUORUM, what(&request), why).into());
                }
            }
        }
    }
}

fn what(request: &WaitRequest) -> String {
    let wanted = match &request.until {
        Until::State(state) => state.clone(),
        Until::Settled(_) => "settled".to_owned(),
        until @ (Until::Running | Until::Healthy | Until::Gone) => until.to_string(),
    };
    format!("wait for {} to be {wanted}", request.reference)
}

/// What has no state, does not run, or has no such state would be waited for in vain, or be there at once without
/// meaning anything.
fn possible(key: &Key, request: &WaitRequest) -> Result<(), Failure> {
    let runs = matches!(key, Key::Instance(_) | Key::Placement(_));
    let states = types::states_of(key.kind());
    let why = match &request.until {
        Until::Running | Until::Healthy | Until::Gone | Until::Settled(_) if runs => return Ok(()),
        Until::State(state) if states.contains(&state.as_str()) => return Ok(()),
        Until::State(state) if !states.is_empty() => format!(
            "{} is never {state}; it can be {}",
            key.kind().as_str(),
            states.join(", ")
        ),
        Until::Running | Until::Healthy | Until::Gone | Until::Settled(_) | Until::State(_) => {
            "instances and placements can be waited for; nodes, stations, supervisors and runs with state=STATE"
                .to_owned()
        }
    };
    Err(Problem::new(code::BAD_REQUEST, what(request), why)
        .to_do("mainstay wait --help")
        .into())
}

fn timed_out(request: &WaitRequest, state: &str, timeout: Duration) -> Problem {
    let why = format!("after {} {state}", span(timeout));
    Problem::new(code::TIMEOUT, what(request), why)
        .to_do(format!("mainstay why {}", request.reference))
}

enum Seen {
    There(WaitAnswer),
    /// In words: "web@n1 is Starting".
    NotYet(String),
    /// Of so many some have no node. What the nodes say of it takes long to find out, and is told in the end alone.
    Short,
    Never(Box<Problem>),
}

async fn look(api: &Api, key: &Key, request: &WaitRequest) -> Result<Seen, Failure> {
    let (key, request) = (key.clone(), request.clone());
    api.read(move |present| Ok(judge(present, &key, &request)))
        .await
}

fn judge(present: &Present<'_>, key: &Key, request: &WaitRequest) -> Seen {
    if present.view.revision().0 < request.after_revision {
        return Seen::NotYet("the change is not applied here yet".to_owned());
    }
    let instances = match key {
        Key::Instance(instance) => vec![instance.clone()],
        Key::Placement(placement) => present.view.instances_of(placement),
        _ => return judge_other(present, key, request),
    };
    let found: Vec<(InstanceKey, Instance)> = instances
        .into_iter()
        .filter_map(|key| Some((key.clone(), present.view.instance(&key)?)))
        .collect();
    if request.until == Until::Gone {
        return judge_gone(present, &found, request);
    }
    if let (Key::Placement(name), Until::Settled(Some(generation))) = (key, &request.until)
        && let Some(seen) = judge_generation(present, name, *generation, request)
    {
        return seen;
    }
    let wanted: Vec<&(InstanceKey, Instance)> = match key {
        // Instances somebody stopped do not keep their placement from being as wanted.
        Key::Placement(_) => found
            .iter()
            .filter(|(_, instance)| {
                instance.desired == Desired::Running || matches!(request.until, Until::State(_))
            })
            .collect(),
        _ => found.iter().collect(),
    };
    let is_short = is_short(present, key, request);
    if wanted.is_empty() && !is_short {
        return judge_none(present, (key, &found), request);
    }
    let mut waiting = None;
    for (key, instance) in wanted {
        let is_given = !matches!(request.until, Until::Settled(_)) || is_given(present, key);
        if is_given && reached(instance, &request.until) {
            continue;
        }
        if let Some(problem) = never(key, instance, request) {
            return Seen::Never(Box::new(problem));
        }
        waiting.get_or_insert_with(|| in_words(key, instance));
    }
    match waiting {
        Some(text) => Seen::NotYet(text),
        None if is_short => Seen::Short,
        None => there(present, &found, request),
    }
}

/// Of so many, some have no node.
fn is_short(present: &Present<'_>, key: &Key, request: &WaitRequest) -> bool {
    let Key::Placement(name) = key else {
        return false;
    };
    let runs = !matches!(request.until, Until::State(_) | Until::Gone);
    let short = |placement| candidates::missing(present.view, name, &placement) > 0;
    runs && present.view.placement(name).is_some_and(short)
}

/// With what every node says of that.
async fn shortage(api: &Api, key: &Key) -> Result<String, Failure> {
    let Key::Placement(name) = key.clone() else {
        return Ok(String::new());
    };
    api.read(move |present| {
        let placement = present.view.placement(&name);
        let text = placement
            .and_then(|placement| candidates::shortage_of(present.view, &name, &placement));
        Ok(match text {
            Some(text) => format!("{name} has too few nodes: {text}"),
            None => format!("{name} had too few nodes"),
        })
    })
    .await
}

/// Nothing of it is wanted to run: that may be what was wished for.
fn judge_none(
    present: &Present<'_>,
    (key, found): (&Key, &[(InstanceKey, Instance)]),
    request: &WaitRequest,
) -> Seen {
    let reference = &request.reference;
    let Key::Placement(name) = key else {
        return Seen::NotYet(format!("there is no {reference}"));
    };
    let Some(placement) = present.view.placement(name) else {
        return Seen::NotYet(format!("there is no {reference}"));
    };
    let (mut open, mut cordoned) = (false, None);
    let of_count = placement.wish.target.count().is_some();
    for node in present.view.node_names().into_iter().filter(|_| !of_count) {
        let own = InstanceKey::new(node.clone(), name.clone());
        let labels = present.view.node(&node).map(|node| node.labels);
        let is_meant = labels.is_some_and(|labels| placement.wish.target.includes(&node, &labels));
        if !is_meant || present.view.instance(&own).is_some() {
            continue;
        }
        match present.view.cordon_against(&own) {
            None => open = true,
            Some(cordon) => {
                cordoned = Some(format!("{reference} has no instance: {node} {cordon}"))
            }
        }
    }
    let is_short = candidates::missing(present.view, name, &placement) > 0;
    match (&request.until, cordoned) {
        (_, _) if open => Seen::NotYet(format!("{reference} has no instance yet")),
        (Until::Settled(_), _) => there(present, found, request),
        // As it is shown.
        (Until::State(state), _) if is_short && state.eq_ignore_ascii_case("Pending") => {
            there(present, found, request)
        }
        (_, Some(cordoned)) => Seen::NotYet(cordoned),
        (_, None) if is_short => Seen::Short,
        (_, None) if found.is_empty() => Seen::NotYet(format!("{reference} wants no instance")),
        (_, None) => Seen::NotYet(format!("nothing of {reference} is wanted to run")),
    }
}

/// Another wish in the place of the one that is waited for: it will not settle any more.
fn judge_generation(
    present: &Present<'_>,
    name: &PlacementName,
    generation: u64,
    request: &WaitRequest,
) -> Option<Seen> {
    let never = |code: Code, why: String| {
        let problem = Problem::new(code, what(request), why);
        let look = match present.view.placement(name) {
            Some(_) => format!("mainstay why {name}"),
            None => "mainstay get placements".to_owned(),
        };
        Some(Seen::Never(Box::new(problem.to_do(look))))
    };
    let Some(placement) = present.view.placement(name) else {
        return never(code::NOT_FOUND, format!("{name} was deleted meanwhile"));
    };
    if placement.standing == Standing::Leaving {
        return never(code::LEAVING, format!("{name} is being deleted"));
    }
    let (now, by) = (placement.generation.0, &placement.made.by);
    if now == generation {
        // What is under way may still turn out to be no good.
        let rollout = placement.rollout.as_ref()?;
        return match &rollout.halted {
            None => Some(Seen::NotYet(format!("the update of {name} is under way"))),
            Some(reason) => never(code::TARGET_FAILED, reason.text.clone()),
        };
    }
    let dropped = placement.history.iter().rev();
    let dropped = dropped
        .filter(|past| past.generation.0 == generation)
        .find_map(|past| past.dropped.as_ref());
    match dropped {
        Some(reason) => never(
            code::TARGET_FAILED,
            format!("generation {generation} was taken back: {}", reason.text),
        ),
        None => never(
            code::GENERATION_PAST,
            format!("it is in generation {now} by now, by {by}"),
        ),
    }
}

/// It runs with what is wanted.
fn is_given(present: &Present<'_>, key: &InstanceKey) -> bool {
    let key = Key::Instance(key.clone());
    present.view.linked(&key, Relation::Wants).is_none()
}

fn judge_gone(
    present: &Present<'_>,
    found: &[(InstanceKey, Instance)],
    request: &WaitRequest,
) -> Seen {
    let left: Vec<_> = found
        .iter()
        .filter(|(_, instance)| !is_gone(instance))
        .collect();
    if let Some(problem) = left
        .iter()
        .find_map(|(key, instance)| never(key, instance, request))
    {
        return Seen::Never(Box::new(problem));
    }
    match left.first() {
        Some((key, instance)) => Seen::NotYet(in_words(key, instance)),
        None => there(present, found, request),
    }
}

/// Nodes, stations and supervisors have a state.
fn judge_other(present: &Present<'_>, key: &Key, request: &WaitRequest) -> Seen {
    let state = present.view.record(key).map(|record| match &record.vertex {
        Vertex::Node(node) => node.state.as_str(),
        Vertex::Supervisor(supervisor) => supervisor.state.as_str(),
        Vertex::Station(station) => station.state.as_str(),
        Vertex::Run(run) => run.state.as_str(),
        _ => "there",
    });
    let reached = match (&request.until, state) {
        (Until::State(wanted), Some(state)) => wanted.eq_ignore_ascii_case(state),
        (
            Until::Running | Until::Healthy | Until::Gone | Until::Settled(_) | Until::State(_),
            _,
        ) => false,
    };
    let now = format!("{} is {}", request.reference, state.unwrap_or("not there"));
    match reached {
        true => there(present, &[], request),
        false if is_over(present, key) => {
            let why = format!("{now}, and that is its end");
            let problem = Problem::new(code::TARGET_FAILED, what(request), why);
            Seen::Never(Box::new(
                problem.to_do(format!("mainstay why {}", request.reference)),
            ))
        }
        false => Seen::NotYet(now),
    }
}

/// Of a run: nothing becomes of it any more, unless somebody tries it again.
fn is_over(present: &Present<'_>, key: &Key) -> bool {
    let Key::Run(id) = key else { return false };
    let run = present.view.run(id);
    run.is_some_and(|run| is_run_over(present.view, id, &run))
}

fn there(present: &Present<'_>, found: &[(InstanceKey, Instance)], request: &WaitRequest) -> Seen {
    Seen::There(WaitAnswer {
        reference: request.reference.clone(),
        waited_ms: 0,
        instances: found
            .iter()
            .filter_map(|(key, _)| present.instance(key))
            .collect(),
    })
}

fn reached(instance: &Instance, until: &Until) -> bool {
    match until {
        // An operator's restart that has not begun must not be taken for done. One that is not well runs, too.
        Until::Running => {
            matches!(
                instance.state,
                InstanceState::Running | InstanceState::Degraded
            ) && !instance.restart_asked
        }
        Until::Healthy => instance.is_healthy() && !instance.restart_asked,
        Until::Settled(_) => instance.state.is_up() && !instance.restart_asked,
        Until::Gone => is_gone(instance),
        Until::State(state) => state.eq_ignore_ascii_case(instance.state.as_str()),
    }
}

/// Nothing of it exists, and nothing is going to.
fn is_gone(instance: &Instance) -> bool {
    !instance.state.may_be_live() && instance.desired != Desired::Running
}

/// What will not come without a person: it rests in a state that nothing else leaves.
fn never(key: &InstanceKey, instance: &Instance, request: &WaitRequest) -> Option<Problem> {
    if let Some(why) = overtaken(instance, request) {
        let why = format!("{}; {why}", in_words(key, instance));
        let problem = Problem::new(code::OVERTAKEN, what(request), why);
        return Some(problem.to_do(format!("mainstay decisions {key}")));
    }
    let code = match request.until {
        Until::Running | Until::Healthy | Until::Settled(_) | Until::State(_) => {
            rests(instance, request)?
        }
        // A wish to stop may come yet, whatever it rests in; only what cannot be ended never goes.
        Until::Gone if is_stuck(instance) => code::TARGET_FAILED,
        Until::Gone => return None,
    };
    let problem = Problem::new(code, what(request), in_words(key, instance));
    Some(problem.to_do(format!("mainstay why {key}")))
}

/// Whoever waits for the outcome of a change of its own waits in vain once another change wants the opposite.
fn overtaken(instance: &Instance, request: &WaitRequest) -> Option<&'static str> {
    if request.after_revision == 0 {
        return None;
    }
    let wants_running = instance.desired == Desired::Running;
    match &request.until {
        Until::Running | Until::Healthy | Until::Settled(_) if !wants_running => {
            Some("another change wants it stopped by now")
        }
        Until::Gone if wants_running => Some("another change wants it running by now"),
        Until::State(state) if state == "Stopped" && wants_running => {
            Some("another change wants it running by now")
        }
        Until::Running | Until::Healthy | Until::Gone | Until::Settled(_) | Until::State(_) => None,
    }
}

fn is_stuck(instance: &Instance) -> bool {
    matches!(instance.state, InstanceState::Stopping { stuck: true, .. })
}

fn rests(instance: &Instance, request: &WaitRequest) -> Option<Code> {
    match instance.state {
        InstanceState::Quarantined
        | InstanceState::Failed {
            presence: Presence::Gone,
        }
        | InstanceState::Stopping { stuck: true, .. } => Some(code::TARGET_FAILED),
        // Between the end with the old configuration and the start with the new one.
        InstanceState::Stopped { by_itself: false }
            if matches!(request.until, Until::Settled(_))
                && instance.desired == Desired::Running =>
        {
            None
        }
        InstanceState::Stopped { .. } if !instance.restart_asked => Some(code::TARGET_FAILED),
        InstanceState::Blocked => match instance.reason.as_ref().map(|reason| &reason.code) {
            Some(code) if *code == code::NAME_HELD && request.unless_blocked => {
                Some(code::NAME_HELD)
            }
            Some(code) if *code == code::CONFIG_REFUSED => Some(code::TARGET_FAILED),
            Some(_) | None => None,
        },
        InstanceState::Pending
        | InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { stuck: false, .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Failed {
            presence: Presence::Living,
        }
        | InstanceState::Backoff { .. }
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => None,
    }
}

fn in_words(key: &InstanceKey, instance: &Instance) -> String {
    let state = instance.state.as_str();
    match &instance.reason {
        Some(Reason { text, .. }) if !text.is_empty() => format!("{key} is {state}: {text}"),
        Some(_) | None => format!("{key} is {state}"),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::Incarnation;

    use super::*;

    fn waiting(until: Until, after_revision: u64) -> WaitRequest {
        WaitRequest {
            reference: "web@n1".to_owned(),
            until,
            timeout_ms: 1000,
            unless_blocked: true,
            after_revision,
        }
    }

    // case: services 19
    #[test]
    fn who_waits_for_a_change_is_told_when_another_wants_the_opposite() {
        let key = InstanceKey::new("n1".parse().unwrap(), "web".parse().unwrap());
        let mut instance = Instance::wanted(
            "flaky".parse().unwrap(),
            "web".parse().unwrap(),
            Incarnation::default(),
        );
        let stopped = || Until::State("Stopped".to_owned());
        for (desired, until, overtaken) in [
            (Desired::Running, stopped(), true),
            (Desired::Running, Until::Gone, true),
            (Desired::Running, Until::Running, false),
            (Desired::Stopped, Until::Running, true),
            (Desired::Stopped, Until::Healthy, true),
            (Desired::Stopped, stopped(), false),
        ] {
            instance.desired = desired;
            let problem = never(&key, &instance, &waiting(until.clone(), 7));
            let is_overtaken = problem.is_some_and(|problem| problem.code == code::OVERTAKEN);
            assert_eq!(is_overtaken, overtaken, "{desired:?} {until}");
            let other = never(&key, &instance, &waiting(until, 0));
            assert!(
                other.is_none_or(|problem| problem.code != code::OVERTAKEN),
                "who did not ask for a change waits on"
            );
        }
    }
}
