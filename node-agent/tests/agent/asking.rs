//! Questions: Check, Status, messages, the supervisor's own, and the refusals.

use mainstay_protocol::code;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::Report;
use mainstay_protocol::request::{Answer, Ask, ChaosAct, ChaosTarget};

use crate::station::{Cluster, incarnation, instance};

fn greeter() -> Cluster {
    let cluster = Cluster::new();
    cluster.start("greeter", "greeter", 1, r#"{"greeting":"Hi"}"#);
    cluster.started("greeter", 1);
    cluster
}

#[test]
fn check_status_and_messages_are_answered() {
    // proves: S13
    // case: services 24, 25
    let cluster = greeter();
    let Answer::Health {
        health,
        incarnation: of,
        ..
    } = cluster.ask(Ask::Check {
        instance: instance("greeter"),
    })
    else {
        panic!("no health")
    };
    assert_eq!((health, of), (Health::Ok, incarnation(1)));
    for count in 1..=3 {
        let Answer::Reply { body } = cluster.call("greeter", "greet", r#"{"name":"Ada"}"#) else {
            panic!("no reply")
        };
        assert_eq!(body, format!(r#"{{"count":{count},"text":"Hi, Ada!"}}"#));
    }
    let Answer::Status { text } = cluster.ask(Ask::Status {
        instance: instance("greeter"),
    }) else {
        panic!("no status")
    };
    assert_eq!(text, "greets with \"Hi\"; 3 greetings so far");
}

#[test]
fn the_supervisor_answers_for_itself() {
    // proves: S10
    let cluster = greeter();
    let Answer::Health { health, detail, .. } = cluster.ask(Ask::SupervisorCheck) else {
        panic!("no health")
    };
    assert_eq!(health, Health::Ok, "{detail}");
    let Answer::Status { text } = cluster.ask(Ask::SupervisorStatus) else {
        panic!("no status")
    };
    assert!(text.contains('1'), "{text}");
}

#[test]
fn what_cannot_be_answered_is_refused_with_what_would_be_right() {
    let cluster = greeter();
    let message = |placement: &str, message: &str, body: &str| Ask::Message {
        instance: instance(placement),
        message: message.to_owned(),
        body: body.to_owned(),
    };
    let refusal = cluster.refusal(message("greeter", "gret", "{}"));
    assert_eq!(
        (refusal.code, refusal.nearest),
        (code::UNKNOWN_MESSAGE, vec!["greet".to_owned()])
    );
    let refusal = cluster.refusal(message("greeter", "greet", r#"{"nam":1}"#));
    assert_eq!(refusal.code, code::BAD_REQUEST);
    assert!(
        refusal.text.contains("missing field `name`"),
        "{}",
        refusal.text
    );
    let refusal = cluster.refusal(message("greter", "greet", r#"{"name":"Ada"}"#));
    assert_eq!(
        (refusal.code, refusal.nearest),
        (code::NOT_RUNNING, vec!["greeter@n1".to_owned()])
    );
    let refusal = cluster.refusal(Ask::Chaos {
        target: ChaosTarget::Supervisor,
        act: ChaosAct::Hang,
    });
    assert_eq!(refusal.code, code::BAD_REQUEST);
}

#[test]
fn an_agent_that_may_not_be_broken_refuses_chaos() {
    let cluster = Cluster::agent_alone(false).with_station();
    for target in [
        ChaosTarget::Agent,
        ChaosTarget::Supervisor,
        ChaosTarget::Instance(instance("x")),
    ] {
        let refusal = cluster.refusal(Ask::Chaos {
            target,
            act: ChaosAct::Kill,
        });
        assert_eq!(refusal.code, code::REFUSED_BY_SAFETY);
    }
}

#[test]
fn every_toggle_of_health_is_a_report() {
    let cluster = Cluster::new();
    cluster.start("noisy", "noisy", 1, "{}");
    cluster.started("noisy", 1);
    let changes = |wanted: Option<Health>| move |report: &Report| matches!(report, Report::HealthChanged { health, .. } if wanted.is_none_or(|w| w == *health));
    cluster.report("its first Check", changes(Some(Health::Ok)));
    let Answer::Reply { body } = cluster.call("noisy", "emit", r#"{"n":5}"#) else {
        panic!("no reply")
    };
    assert_eq!(body, r#"{"emitted":5}"#);
    let Answer::Health { health, detail, .. } = cluster.ask(Ask::Check {
        instance: instance("noisy"),
    }) else {
        panic!("no health")
    };
    assert_eq!(
        (health, detail.as_str()),
        (Health::Degraded, "toggled 5 times")
    );
    let seen = cluster.wait("the last change", |heard| {
        let mut seen: Vec<Health> = heard
            .reports
            .iter()
            .filter_map(|(_, report)| match report {
                Report::HealthChanged { health, .. } => Some(*health),
                _ => None,
            })
            .collect();
        seen.dedup();
        (seen.last() == Some(&Health::Degraded)).then_some(seen)
    });
    // Unsent ones may have been replaced by newer ones; sent ones alternate.
    assert!(seen.len() >= 2 && seen.len() <= 6, "{seen:?}");
    assert_eq!(seen[0], Health::Ok);
}
