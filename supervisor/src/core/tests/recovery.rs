//! A new life on an old file.

use mainstay_protocol::report::LiveState;

use super::*;
use crate::file::FileRecord;

/// An agent amid everything: one running, one starting, one being stopped with its successor waiting.
fn busy() -> Agent {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.run_web(1, 1);
    agent.command(2, start("slow", "slow", 1));
    agent.command(3, start("old", "old", 1));
    agent.seen(started("old", 1));
    agent.command(4, stop("old", 1));
    agent.command(5, start("old", "old", 2));
    agent.acknowledge(2);
    agent
}

// proves: S12
// acceptance: 5
#[test]
fn what_had_begun_is_reported_as_failed_with_its_agent() {
    let (mut agent, actions) = Agent::on(busy().file, "boot-1");
    assert_eq!(done(&actions), [""; 0]);
    assert_eq!(
        agent.outbox(),
        [
            "started old:1",
            "command_done 3 Done",
            "failed old:1 AgentEnded Gone",
            "failed slow:1 AgentEnded Gone",
            "failed web:1 AgentEnded Gone",
            "command_done 2 Done",
            "command_done 4 NotRunning",
            "command_done 5 MS-AGENT-ENDED",
        ]
    );
    assert!(
        agent
            .core
            .digest()
            .values()
            .all(|entry| entry.live.is_none())
    );
    assert_eq!(numbers(&agent.up(1, 2)), (3..=10).collect::<Vec<_>>());
    assert_eq!(
        done(&agent.command(6, start("web", "web", 2))),
        ["start web:2"]
    );
}

// proves: S12
#[test]
fn what_ends_with_an_agent_that_was_asked_to_end_is_told_apart_from_what_a_kill_took() {
    let mut agent = busy();
    agent.step(Input::Farewell);
    let told = |agent: &Agent| -> Vec<String> {
        let mut outbox = agent.outbox();
        outbox.retain(|said| said.starts_with("failed"));
        outbox
    };
    let stopped = [
        "failed old:1 AgentStopped Gone",
        "failed slow:1 AgentStopped Gone",
        "failed web:1 AgentStopped Gone",
    ];
    // Also where the new life is cut short while it writes what it found.
    let at_farewell = agent.file.len();
    let (mut agent, _) = Agent::on(agent.file, "boot-1");
    assert_eq!(told(&agent), stopped);
    for cut in at_farewell..agent.file.len() {
        let (again, _) = Agent::on(agent.file[..cut].to_vec(), "boot-1");
        assert_eq!(told(&again), stopped, "cut at {cut}");
    }
    // The farewell was of that life alone: the next one is killed.
    agent.up(1, 2);
    agent.command(6, start("web", "web", 2));
    agent.seen(started("web", 2));
    let (agent, _) = Agent::on(agent.file, "boot-1");
    assert_eq!(
        told(&agent)[3..],
        ["failed web:2 AgentEnded Gone".to_owned()]
    );
}

// proves: S26
#[test]
fn a_process_that_somebody_asked_to_end_after_the_farewell_ended_with_its_agent() {
    let asked = || {
        let ended = |placement: &str| Report::Ended {
            instance: key(placement),
            incarnation: incarnation(1),
            ending: Ending::Asked,
        };
        Survivors::from([
            (key("web"), Survivor::Ended(ended("web"))),
            (key("old"), Survivor::Ended(ended("old"))),
        ])
    };
    let told = |agent: &Agent| -> Vec<String> {
        let mut outbox = agent.outbox();
        outbox.retain(|said| said.ends_with("Gone") || said.ends_with("Asked"));
        outbox
    };
    let mut agent = busy();
    let killed = agent.file.clone();
    agent.step(Input::Farewell);
    // `old` was being stopped: its end is what its Stop asked for.
    let (agent, _) = Agent::adopting(agent.file, asked());
    assert_eq!(
        told(&agent),
        [
            "ended old:1 Asked",
            "failed slow:1 AgentStopped Gone",
            "failed web:1 AgentStopped Gone",
        ]
    );
    // Without a farewell nobody knows on whose behalf it was asked.
    let (agent, _) = Agent::adopting(killed, asked());
    assert_eq!(told(&agent)[2], "ended web:1 Asked");
}

#[test]
fn a_second_recovery_says_nothing_twice() {
    let (first, _) = Agent::on(busy().file, "boot-1");
    let before = first.outbox();
    let (second, _) = Agent::on(first.file, "boot-1");
    assert_eq!(second.outbox(), before);
}

#[test]
fn a_repeated_command_is_still_known_after_a_restart() {
    let mut agent = Agent::new();
    agent.run_web(1, 1);
    let (mut agent, _) = Agent::on(agent.file, "boot-1");
    assert_eq!(agent.command(1, start("web", "web", 1)), []);
    assert_eq!(done(&agent.command(2, start("web", "web", 1))), [""; 0]);
    assert_eq!(agent.outbox().last().unwrap(), "command_done 2 Stale");
}

#[test]
fn another_boot_voids_all_but_the_nodes_id() {
    let (agent, _) = Agent::on(busy().file, "boot-2");
    let up = agent.core.node_up();
    assert_eq!(up.node_epoch, None);
    assert_eq!(up.node_id, Some(welcome(1, 0).node_id));
    assert!(up.digest.is_empty());
    assert_eq!(agent.outbox(), [""; 0]);
    let (again, _) = Agent::on(agent.file, "boot-2");
    assert_eq!(again.core.node_up(), up);
}

#[test]
fn a_damaged_head_voids_the_file() {
    let mut file = busy().file;
    file[9] ^= 0xff;
    let (agent, _) = Agent::on(file, "boot-1");
    assert_eq!(agent.core.node_up().node_id, None);
    assert!(agent.core.digest().is_empty());
}

#[test]
fn damage_further_in_keeps_the_floors_and_takes_a_new_epoch() {
    let mut file = busy().file;
    let last = file.len() - 1;
    file[last] ^= 0xff;
    let (mut agent, _) = Agent::on(file, "boot-1");
    let up = agent.core.node_up();
    assert_eq!(up.node_epoch, None);
    assert_eq!(up.digest[&key("web")].floor, incarnation(2));
    assert_eq!(done(&agent.command(9, start("web", "web", 1))), [""; 0]);
    let (again, _) = Agent::on(agent.file.clone(), "boot-1");
    assert_eq!(again.core.digest(), agent.core.digest());
}

// acceptance: 9
#[test]
fn a_file_cut_at_any_byte_is_a_file_of_an_earlier_moment() {
    let whole = busy().file;
    let mut ends = vec![0];
    while let Some(record) = whole
        .get(ends[ends.len() - 1]..)
        .filter(|rest| !rest.is_empty())
    {
        let length = u32::from_be_bytes(record[..4].try_into().unwrap()) as usize;
        ends.push(ends[ends.len() - 1] + 8 + length);
    }
    for cut in 0..=whole.len() {
        let recovered = replay(&whole[..cut]);
        let last_whole = *ends.iter().rfind(|end| **end <= cut).unwrap();
        assert_eq!(recovered.valid_len, last_whole as u64);
        assert_eq!(recovered.torn, last_whole != cut);
        assert!(!recovered.damaged);
        assert_eq!(recovered.state, replay(&whole[..last_whole]).state);
        let (agent, _) = Agent::on(whole[..cut].to_vec(), "boot-1");
        assert!(agent.core.state.living.is_empty());
        assert_eq!(agent.core.state.ledger.open_entries().count(), 0);
        assert_eq!(replay(&agent.file).state, agent.core.state);
    }
}

#[test]
fn the_file_says_what_the_core_knows() {
    let agent = busy();
    assert_eq!(replay(&agent.file).state, agent.core.state);
}

#[test]
fn the_shorter_file_leads_to_the_same_recovery() {
    let agent = busy();
    let short: Vec<u8> = agent
        .core
        .snapshot_records()
        .iter()
        .flat_map(encode_record)
        .collect();
    assert!(short.len() < agent.file.len());
    let (from_short, _) = Agent::on(short, "boot-1");
    let (from_long, _) = Agent::on(agent.file, "boot-1");
    assert_eq!(from_short.core.state, from_long.core.state);
}

#[test]
fn a_file_that_begins_with_anything_but_a_head_is_not_ours() {
    let record = FileRecord::Acknowledged { up_to: Sequence(1) };
    let recovered = replay(&encode_record(&record));
    assert!(recovered.damaged);
    assert_eq!(recovered.valid_len, 0);
}

fn lives(placement: &str) -> (InstanceKey, Survivor) {
    match start(placement, placement, 1) {
        Order::Start(start) => (start.instance.clone(), Survivor::Lives(start)),
        Order::Stop(_)
        | Order::Reconfigure(_)
        | Order::Answer(_)
        | Order::Adopt(_)
        | Order::Work(_)
        | Order::TakeBack(_) => {
            unreachable!("a start is asked for")
        }
    }
}

/// How `busy` is found by a life that finds outside processes: web and old live, slow has ended.
fn survivors() -> Survivors {
    let ended = Report::Failed {
        instance: key("slow"),
        incarnation: incarnation(1),
        kind: FailureKind::Exit,
        presence: Presence::Gone,
        evidence: Evidence::default(),
    };
    Survivors::from([
        lives("web"),
        lives("old"),
        (key("slow"), Survivor::Ended(ended)),
    ])
}

fn live_states(agent: &Agent) -> Vec<(String, LiveState)> {
    let digest = agent.core.digest();
    let live = |(key, entry): (&InstanceKey, &DigestEntry)| {
        let live = entry.live.as_ref()?;
        Some((key.placement.to_string(), live.state))
    };
    digest.iter().filter_map(live).collect()
}

// proves: S26
// acceptance: 2
#[test]
fn what_lives_goes_on_and_what_ended_meanwhile_is_told_once_in_its_own_words() {
    let (agent, actions) = Agent::adopting(busy().file, survivors());
    assert_eq!(
        done(&actions),
        ["adopt old:1 Started", "stop old:1", "adopt web:1 Started"]
    );
    assert_eq!(
        agent.outbox(),
        [
            "started old:1",
            "command_done 3 Done",
            "failed slow:1 Exit Gone",
            "command_done 2 Done",
            "command_done 5 MS-AGENT-ENDED",
        ]
    );
    let live = [
        ("old".to_owned(), LiveState::Stopping),
        ("web".to_owned(), LiveState::Running),
    ];
    assert_eq!(live_states(&agent), live);
    // Once more, with the exit still lying there: nothing is said twice.
    let before = agent.outbox();
    let (mut agent, _) = Agent::adopting(agent.file, survivors());
    assert_eq!(agent.outbox(), before);
    agent.seen(ended("old", 1));
    assert_eq!(agent.outbox().last().unwrap(), "command_done 4 Done");
    let (agent, actions) = Agent::adopting(agent.file, survivors());
    assert_eq!(done(&actions), ["adopt web:1 Started"]);
    assert_eq!(
        live_states(&agent),
        [("web".to_owned(), LiveState::Running)]
    );
}

// proves: S26
#[test]
fn a_start_under_way_goes_on_after_a_restart_of_the_agent() {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.command(1, start("web", "web", 1));
    let web = || Survivors::from([lives("web")]);
    let (mut agent, actions) = Agent::adopting(agent.file, web());
    assert_eq!(done(&actions), ["adopt web:1 Begun"]);
    assert_eq!(agent.outbox(), [""; 0]);
    agent.seen(started("web", 1));
    assert_eq!(agent.outbox(), ["started web:1", "command_done 1 Done"]);
    // Also after the file was written anew, which keeps no report that is committed.
    agent.up(1, 2);
    let short: Vec<u8> = agent
        .core
        .snapshot_records()
        .iter()
        .flat_map(encode_record)
        .collect();
    let (agent, actions) = Agent::adopting(short, web());
    assert_eq!(done(&actions), ["adopt web:1 Started"]);
    assert_eq!(
        live_states(&agent),
        [("web".to_owned(), LiveState::Running)]
    );
}

// proves: S9, S26
#[test]
fn what_lives_without_a_record_is_taken_in_unless_it_is_past_or_its_name_is_held() {
    // The file is lost.
    let (mut agent, actions) = Agent::adopting(Vec::new(), survivors());
    assert_eq!(done(&actions), ["adopt old:1 Begun", "adopt web:1 Begun"]);
    assert_eq!(agent.outbox(), [""; 0], "nobody asked for what ended");
    agent.seen(started("web", 1));
    assert_eq!(agent.outbox(), ["started web:1"]);
    // The file knows better.
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.command(1, stop("web", 1));
    agent.command(2, start("other", "old", 1));
    let mut found = survivors();
    let (other, found_other) = lives("other");
    found.insert(other, found_other);
    let (_, actions) = Agent::adopting(agent.file, found);
    assert_eq!(done(&actions), ["adopt other:1 Begun"]);
}

// proves: S26, S22
#[test]
fn a_start_that_was_told_and_not_answered_when_its_agent_died_is_answered_by_the_next() {
    let mut agent = Agent::new();
    agent.up(1, 0);
    agent.command(1, start("web", "web", 1));
    let begun = agent.file.len();
    agent.seen(started("web", 1));
    let mut torn = 0;
    for cut in begun..=agent.file.len() {
        let survivors = Survivors::from([lives("web")]);
        let (mut next, _) = Agent::adopting(agent.file[..cut].to_vec(), survivors);
        torn += usize::from(next.outbox() == ["started web:1", "command_done 1 Done"]);
        next.seen(started("web", 1));
        assert_eq!(
            next.outbox(),
            ["started web:1", "command_done 1 Done"],
            "cut at {cut}"
        );
    }
    assert!(torn > 1, "some cuts fall between the two words");
}

// proves: S9, S26
#[test]
fn a_start_of_what_was_found_alive_joins_it_and_is_answered_with_it() {
    let survivors = Survivors::from([lives("web")]);
    // The file is lost: nobody knows who asked for it.
    let (mut agent, _) = Agent::adopting(Vec::new(), survivors);
    agent.up(1, 0);
    assert_eq!(done(&agent.command(1, start("web", "web", 1))), [""; 0]);
    assert_eq!(agent.outbox(), [""; 0], "it is under way");
    agent.seen(started("web", 1));
    assert_eq!(agent.outbox(), ["started web:1", "command_done 1 Done"]);
}
