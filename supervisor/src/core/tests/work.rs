//! Activities of runs: taken, answered whenever that is, and concluded when who had them is gone.

use mainstay_protocol::command::TakeBack;
use mainstay_protocol::work::{Changes, Skill, Work, WorkAnswer};
use mainstay_protocol::{Json, RunId, StepKey, WorkName};

use super::*;

fn work(placement: &str, count: u64, activity: &str) -> Order {
    let name = |text: &str| WorkName::new(text).unwrap();
    Order::Work(Box::new(Work {
        instance: key(placement),
        incarnation: incarnation(count),
        step: StepKey::new(RunId::new("r1").unwrap(), name(activity)),
        skill: Skill {
            provider: "p".to_owned(),
            activity: name("echo"),
        },
        discriminator: None,
        attempt: 1,
        call: 1,
        inputs: Json::empty_object(),
        scratch: Json::empty_object(),
        context: Json::empty_object(),
        time_ms: None,
    }))
}

fn complete(command: u64) -> Observation {
    Observation::Worked {
        command: CommandId(command),
        answer: WorkAnswer::Complete {
            output: Json::empty_object(),
            context: Changes::default(),
        },
    }
}

fn running() -> Agent {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.run_web(1, 1);
    agent.acknowledge(2);
    agent
}

// proves: O4
#[test]
fn an_activity_is_taken_at_once_and_answered_when_it_is_done() {
    let mut agent = running();
    assert_eq!(
        done(&agent.command(2, work("web", 1, "a"))),
        ["work web:1 r1/a"]
    );
    assert_eq!(agent.outbox(), [""; 0]);
    // Once more, and before and after that is committed: it has it.
    assert_eq!(done(&agent.command(2, work("web", 1, "a"))), [""; 0]);
    assert_eq!(agent.outbox(), ["command_done 2 Done"]);
    assert_eq!(done(&agent.command(2, work("web", 1, "a"))), [""; 0]);
    agent.acknowledge(3);
    assert_eq!(done(&agent.command(2, work("web", 1, "a"))), [""; 0]);
    agent.acknowledge(4);
    agent.seen(complete(2));
    agent.seen(complete(2));
    assert_eq!(agent.outbox(), ["worked web:1 r1/a complete"]);
}

// proves: O4
#[test]
fn what_is_done_soon_is_told_with_that_it_was_taken() {
    let mut agent = running();
    agent.command(2, work("web", 1, "a"));
    agent.seen(complete(2));
    let both = ["command_done 2 Done", "worked web:1 r1/a complete"];
    assert_eq!(agent.outbox(), both);
    assert!(!agent.core.has_unsaid());
    // It comes again before that is committed: it is done no second time.
    assert_eq!(done(&agent.command(2, work("web", 1, "a"))), [""; 0]);
    assert_eq!(agent.outbox(), both);
}

// proves: O4
#[test]
fn what_takes_longer_is_told_in_time_also_where_who_had_it_is_gone() {
    let mut agent = running();
    agent.command(2, work("web", 1, "a"));
    let late = limits::TAKEN_UNTOLD_MS;
    agent.step_at(late / 2, Input::Tick);
    assert_eq!(agent.outbox(), [""; 0]);
    assert!(agent.core.has_unsaid(), "it wants to be woken");
    agent.step_at(late, Input::Tick);
    assert_eq!(agent.outbox(), ["command_done 2 Done"]);
    agent.command(3, work("web", 1, "b"));
    agent.seen(ended("web", 1));
    agent.step_at(2 * late, Input::Tick);
    let last = agent.outbox().pop();
    assert_eq!(last.as_deref(), Some("command_done 3 Done"));
    assert!(!agent.core.has_unsaid());
}

#[test]
fn what_does_not_run_takes_nothing() {
    let mut agent = running();
    assert_eq!(done(&agent.command(2, work("web", 2, "a"))), [""; 0]);
    assert_eq!(done(&agent.command(3, work("other", 1, "a"))), [""; 0]);
    assert_eq!(
        agent.outbox(),
        ["command_done 2 NotRunning", "command_done 3 NotRunning"]
    );
}

// proves: O7
#[test]
fn who_had_it_is_gone_and_what_it_says_later_is_dropped() {
    let mut agent = running();
    agent.command(2, work("web", 1, "a"));
    agent.acknowledge(3);
    agent.seen(ended("web", 1));
    agent.seen(complete(2));
    assert!(agent.core.state.works.is_empty());
    assert!(!agent.outbox().iter().any(|one| one.starts_with("worked")));
}

// proves: O7
#[test]
fn a_life_of_the_agent_that_ended_is_answered_for_by_the_next() {
    let mut agent = running();
    agent.command(2, work("web", 1, "a"));
    agent.command(3, work("web", 1, "b"));
    agent.acknowledge(4);
    agent.seen(complete(3));
    let survivor = match start("web", "web", 1) {
        Order::Start(start) => Survivor::Lives(start),
        other => unreachable!("{other:?}"),
    };
    let survivors = Survivors::from([(key("web"), survivor)]);
    let (agent, _) = Agent::adopting(agent.file, survivors);
    assert_eq!(
        agent.outbox(),
        [
            "command_done 3 Done",
            "worked web:1 r1/b complete",
            "command_done 2 Done",
            "worked web:1 r1/a retry"
        ]
    );
    assert_eq!(replay(&agent.file).state, agent.core.state);
}

fn take_back(placement: &str, count: u64, work: u64) -> Order {
    Order::TakeBack(TakeBack {
        instance: key(placement),
        incarnation: incarnation(count),
        work: CommandId(work),
    })
}

// proves: O11
#[test]
fn what_is_taken_back_is_answered_when_nothing_of_it_is_at_work() {
    let mut agent = running();
    agent.command(2, work("web", 1, "a"));
    assert_eq!(
        done(&agent.command(3, take_back("web", 1, 2))),
        ["take back 2 of web:1"]
    );
    // It comes again: whoever has it is told again, in case it was not heard.
    assert_eq!(
        done(&agent.command(3, take_back("web", 1, 2))),
        ["take back 2 of web:1"]
    );
    assert_eq!(agent.outbox(), [""; 0]);
    agent.seen(complete(2));
    let all = [
        "command_done 2 Done",
        "worked web:1 r1/a complete",
        "command_done 3 Done",
    ];
    assert_eq!(agent.outbox(), all);
    assert_eq!(done(&agent.command(3, take_back("web", 1, 2))), [""; 0]);
    assert_eq!(agent.outbox(), all);
}

// proves: O11
#[test]
fn what_nobody_has_is_given_back_at_once() {
    let mut agent = running();
    assert_eq!(done(&agent.command(3, take_back("web", 1, 2))), [""; 0]);
    assert_eq!(agent.outbox(), ["command_done 3 Done"]);
    agent.command(4, work("web", 1, "a"));
    agent.command(5, take_back("web", 1, 4));
    agent.seen(ended("web", 1));
    assert_eq!(done(&agent.command(5, take_back("web", 1, 4))), [""; 0]);
    let last = agent.outbox().pop();
    assert_eq!(last.as_deref(), Some("command_done 5 Done"));
    assert!(agent.core.taken_back.is_empty());
}
