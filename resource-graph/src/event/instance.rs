//! What became of an instance. One entry may hold a failure and the restart it led to: both are told.

use mainstay_protocol::code;

use super::{Event, Told};
use crate::vertex::{
    Cause, Desired, Failure, FailureCause, Instance, InstanceState, Record, Vertex,
};

pub(super) fn became(old: Option<&Record>, new: &Record, now: &Instance, events: &mut Vec<Event>) {
    let was = old.and_then(|record| match &record.vertex {
        Vertex::Instance(instance) => Some(instance),
        _ => None,
    });
    let told = [
        wish(was, new, now),
        failure(was, new, now),
        state(was, new, now),
        stuck(was, new, now),
        seen(was, new, now),
    ];
    events.extend(told.into_iter().flatten().map(|told| told.event));
}

fn wish(was: Option<&Instance>, new: &Record, now: &Instance) -> Option<Told> {
    let key = &new.key;
    let Some(was) = was else {
        let message = format!("{key} is wanted {}", now.desired.as_str());
        let told = Told::new(key, "instance.created", Some(&new.cause), message);
        return Some(told.with("type", &now.service_type).with("name", &now.name));
    };
    if !was.restart_asked && now.restart_asked {
        let message = format!("a restart of {key} is asked for");
        return Some(Told::new(
            key,
            "instance.restart_asked",
            Some(&new.cause),
            message,
        ));
    }
    if was.desired == now.desired {
        return None;
    }
    let kind = match now.desired {
        Desired::Running => "instance.wanted_running",
        Desired::Stopped => "instance.wanted_stopped",
        Desired::Absent => "instance.wanted_absent",
    };
    let message = format!("{key} is wanted {}", now.desired.as_str());
    Some(Told::new(key, kind, Some(&new.cause), message))
}

fn failure(was: Option<&Instance>, new: &Record, now: &Instance) -> Option<Told> {
    let failure = now.failure.as_ref()?;
    if was.and_then(|was| was.failure.as_ref()) == Some(failure) {
        return None;
    }
    let message = format!("{} failed: {}", new.key, in_words(failure));
    let cause = reported_by(failure.cause).unwrap_or_else(|| new.cause.clone());
    let told = Told::new(&new.key, "instance.failed", Some(&cause), message)
        .with("incarnation", failure.incarnation)
        .with("failure", failure.cause.words())
        .with("text", &failure.evidence.text)
        .with("ran_ms", failure.evidence.ran_ms)
        .with_some("location", failure.evidence.location.as_ref())
        .with_some("exit_code", failure.evidence.exit_code)
        .with_some("signal", failure.evidence.signal);
    Some(told)
}

/// The report that told of the failure: a rule that answered it in the same entry did not bring it about.
fn reported_by(cause: FailureCause) -> Option<Cause> {
    let name = match cause {
        FailureCause::Failed(_) => "failed",
        FailureCause::CouldNotStart(_) => "could_not_start",
        FailureCause::NameTaken => "name_taken",
        // Judged by rules, which are the record's own cause.
        FailureCause::Unresponsive | FailureCause::StartDeadline => return None,
    };
    Some(Cause::Report(name.to_owned()))
}

/// `panic: boom (incarnation 3)`.
fn in_words(failure: &Failure) -> String {
    let words = failure.cause.words();
    let incarnation = failure.incarnation;
    match failure.evidence.text.as_str() {
        "" => format!("{words} (incarnation {incarnation})"),
        text => format!("{words}: {text} (incarnation {incarnation})"),
    }
}

fn state(was: Option<&Instance>, new: &Record, now: &Instance) -> Option<Told> {
    // A new instance's first state is told by its creation, unless more happened to it already.
    let moved = match was {
        None => now.state != InstanceState::Pending,
        Some(was) => {
            was.state.as_str() != now.state.as_str()
                || was.incarnation != now.incarnation
                || (explains(&now.state) && code_of(was) != code_of(now))
        }
    };
    let told_as_failure = matches!(now.state, InstanceState::Failed { .. })
        && now.failure.is_some()
        && was.is_none_or(|was| was.failure != now.failure);
    if !moved || told_as_failure {
        return None;
    }
    let told = Told::new(
        &new.key,
        kind(&now.state),
        Some(&new.cause),
        message(new, now),
    )
    .with("state", now.state.as_str())
    .with("incarnation", now.incarnation)
    .with("desired", now.desired.as_str())
    .with("health", now.health.as_str())
    .with_some("from", was.map(|was| was.state.as_str()))
    .with_some("code", code_of(now))
    .with_some("next_try", now.next_try)
    .with_some("deadline", now.deadline);
    Some(told)
}

/// A stop that cannot succeed is not a change of state, and must be heard of.
fn stuck(was: Option<&Instance>, new: &Record, now: &Instance) -> Option<Told> {
    let stuck =
        |instance: &Instance| matches!(instance.state, InstanceState::Stopping { stuck: true, .. });
    if !stuck(now) || was.is_some_and(stuck) {
        return None;
    }
    let message = format!("{} will not end; restart its agent", new.key);
    Some(Told::new(
        &new.key,
        "instance.will_not_end",
        Some(&new.cause),
        message,
    ))
}

/// Whoever watches it from elsewhere sees it, or does not any more. That it is seen at first is no news.
fn seen(was: Option<&Instance>, new: &Record, now: &Instance) -> Option<Told> {
    let was_seen = |node| {
        let was = was.and_then(|was| was.seen_from.get(node));
        was.is_none_or(|seen| seen.sight.is_of_it())
    };
    let mut seen_from = now.seen_from.iter();
    let (node, seen) = seen_from.find(|(node, seen)| was_seen(*node) != seen.sight.is_of_it())?;
    let message = format!("{}: {node} {}", new.key, seen.sight);
    Some(Told::new(&new.key, "instance.seen", Some(&new.cause), message).with("from", node))
}

fn code_of(instance: &Instance) -> Option<&str> {
    instance.reason.as_ref().map(|reason| reason.code.as_str())
}

/// States in which another reason is news.
fn explains(state: &InstanceState) -> bool {
    match state {
        InstanceState::Pending | InstanceState::Blocked | InstanceState::Stopped { .. } => true,
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Quarantined
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => false,
    }
}

fn kind(state: &InstanceState) -> String {
    format!("instance.{}", state.as_str().to_lowercase())
}

fn message(new: &Record, now: &Instance) -> String {
    let key = &new.key;
    let incarnation = now.incarnation;
    let what = match &now.state {
        InstanceState::Pending => format!("{key} is pending"),
        InstanceState::Blocked => format!("{key} is blocked"),
        InstanceState::Starting => format!("{key} is starting (incarnation {incarnation})"),
        InstanceState::Running => format!("{key} is running (incarnation {incarnation})"),
        InstanceState::Degraded => format!("{key} is degraded"),
        InstanceState::Unresponsive { missed, limit } => {
            format!("{key} is unresponsive: {missed} of {limit} Checks missed")
        }
        InstanceState::Stopping { .. } => format!("{key} is stopping (incarnation {incarnation})"),
        InstanceState::Stopped { by_itself: false } => format!("{key} is stopped"),
        InstanceState::Stopped { by_itself: true } => format!("{key} ended by itself"),
        InstanceState::Failed { .. } => format!("{key} failed"),
        InstanceState::Backoff { attempt, of } => {
            format!("{key} waits before attempt {attempt} of {of}")
        }
        InstanceState::Quarantined => format!("{key} is quarantined"),
        InstanceState::Unknown { was } => format!("{key} is unknown; it was {}", live(*was)),
        InstanceState::Lost { was } => {
            format!("{key} is lost with its node; it was {}", live(*was))
        }
    };
    match &now.reason {
        // The words of a start are the incarnation again.
        Some(reason) if reason.code == code::STARTING => what,
        Some(reason) if !reason.text.is_empty() => format!("{what}: {}", reason.text),
        Some(_) | None => what,
    }
}

fn live(state: mainstay_protocol::report::LiveState) -> &'static str {
    use mainstay_protocol::report::LiveState;
    match state {
        LiveState::Starting => "starting",
        LiveState::Running => "running",
        LiveState::Stopping => "stopping",
    }
}
