//! What instances say of their own accord, what they are answered, and what is taken in.

use mainstay_protocol::command::{Adopt, Answer, Answered};
use mainstay_protocol::report::LiveState;
use mainstay_protocol::{QuestionId, TypeName};

use super::*;

fn answer(placement: &str, count: u64) -> Order {
    Order::Answer(Answer {
        instance: key(placement),
        incarnation: incarnation(count),
        question: QuestionId(7),
        answered: Answered::Granted,
    })
}

fn adopt(placement: &str, count: u64) -> Order {
    Order::Adopt(Adopt {
        instance: key(placement),
        incarnation: incarnation(count),
    })
}

fn announced(placement: &str, count: u64) -> Observation {
    Observation::Seen(Report::Announced {
        instance: key(placement),
        incarnation: incarnation(count),
        why: "done".to_owned(),
    })
}

fn told_again(command: u64, placement: &str, count: u64) -> Observation {
    Observation::ToldAgain {
        command: CommandId(command),
        instance: key(placement),
        incarnation: incarnation(count),
        adopted: Some(Box::new(Report::Adopted {
            instance: key(placement),
            incarnation: incarnation(count),
            service_type: TypeName::new("greeter").unwrap(),
            version: "1".to_owned(),
            given: "{}".to_owned(),
            config: "{}".to_owned(),
            process: Vec::new(),
            ports: Default::default(),
            health: Health::Unknown,
            uses: Vec::new(),
        })),
    }
}

// proves: S7
#[test]
fn an_answer_reaches_what_lives_and_is_done_at_once() {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.run_web(1, 1);
    agent.acknowledge(2);
    assert_eq!(
        done(&agent.command(2, answer("web", 1))),
        ["answer web:1 7"]
    );
    assert_eq!(agent.outbox(), ["command_done 2 Done"]);
    // Once more, before that is committed: it is known.
    assert_eq!(done(&agent.command(2, answer("web", 1))), [""; 0]);
    assert_eq!(done(&agent.command(3, answer("web", 2))), [""; 0]);
    assert_eq!(done(&agent.command(4, answer("other", 1))), [""; 0]);
    assert_eq!(
        agent.outbox(),
        [
            "command_done 2 Done",
            "command_done 3 NotRunning",
            "command_done 4 NotRunning"
        ]
    );
}

#[test]
fn what_does_not_live_says_nothing() {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.run_web(1, 1);
    agent.acknowledge(2);
    agent.seen(announced("web", 2));
    agent.seen(announced("other", 1));
    assert_eq!(agent.outbox(), [""; 0]);
    agent.seen(announced("web", 1));
    assert_eq!(agent.outbox(), ["announced web:1 done"]);
}

// proves: S9
#[test]
fn what_is_taken_in_is_told_with_its_health_and_answered_behind_it() {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.run_web(1, 1);
    agent.seen(health("web", 1, Health::Degraded));
    agent.acknowledge(3);
    assert_eq!(
        done(&agent.command(2, adopt("web", 1))),
        ["tell again web:1 2"]
    );
    agent.seen(told_again(2, "web", 1));
    assert_eq!(
        agent.outbox(),
        ["adopted web:1 degraded", "command_done 2 Done"]
    );
    // The command came twice, and so does the telling.
    agent.seen(told_again(2, "web", 1));
    assert_eq!(agent.outbox().len(), 2);
    assert_eq!(done(&agent.command(3, adopt("web", 9))), [""; 0]);
    assert_eq!(agent.outbox().last().unwrap(), "command_done 3 NotRunning");
    let live = agent.core.digest()[&key("web")].live.clone().unwrap();
    assert_eq!(live.state, LiveState::Running);
}

/// It said that it failed before it had started, which answers its Start; a repeat is past.
#[test]
fn a_start_that_failed_and_lives_is_answered_once() {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.command(1, start("web", "web", 1));
    agent.seen(failed("web", 1, Presence::Living));
    agent.acknowledge(2);
    assert_eq!(done(&agent.command(1, start("web", "web", 1))), [""; 0]);
    agent.seen(ended("web", 1));
    assert_eq!(
        agent.outbox(),
        ["command_done 1 Stale", "ended web:1 Asked"]
    );
}
