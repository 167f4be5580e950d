//! The supervisor on real ractor actors: what it sees, and what its own death changes (nothing).

mod machine;

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::health::{FailureKind, Health};
use mainstay_protocol::report::{Ending, Presence, Report};
use mainstay_protocol::{Incarnation, limits};
use mainstay_supervisor::Observation;

use machine::{ChecksAre, Machine, Told, first, key};

const PATIENCE: Duration = Duration::from_secs(20);

// proves: S10
// case: services 27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_panics_is_reported_once_with_its_own_words() {
    let mut machine = Machine::new().await;
    for text in ["the disk is full", "the moon is down"] {
        let instance = machine.start(text.len() as u64, ChecksAre::Ok).await;
        instance.tell(Told::Panic(text.to_owned()));
        let end = machine.next_end().await;
        let Observation::Seen(Report::Failed {
            kind,
            presence,
            evidence,
            ..
        }) = &end
        else {
            panic!("{end:?}");
        };
        assert_eq!((*kind, *presence), (FailureKind::Panic, Presence::Gone));
        assert!(evidence.text.contains(text), "{evidence:?}");
    }
}

// proves: S10
// case: services 30
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_end_and_a_kill_from_outside_are_told_apart() {
    let mut machine = Machine::new().await;
    let instance = machine.start(1, ChecksAre::Ok).await;
    instance.tell(Told::End);
    assert_eq!(
        machine.next_end().await,
        Observation::Seen(Report::Ended {
            instance: key(1),
            incarnation: first(),
            ending: Ending::ByItself
        })
    );
    let instance = machine.start(2, ChecksAre::Ok).await;
    instance.cell.kill();
    let end = machine.next_end().await;
    assert!(
        matches!(
            end,
            Observation::Seen(Report::Failed {
                kind: FailureKind::Killed,
                ..
            })
        ),
        "{end:?}"
    );
}

// proves: S10, S11, S12
// case: services 32
// acceptance: 5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_is_killed_or_panics_leaves_its_instances_as_they_were() {
    let mut machine = Machine::new().await;
    let mut instances = Vec::new();
    for number in 1..=3 {
        let instance = machine.start(number, ChecksAre::Ok).await;
        for _ in 0..number {
            instance.tell(Told::Count);
        }
        instances.push(instance);
    }
    machine.supervisor.kill_supervisor();
    let (incarnation, watches, why) = machine.next_supervisor().await;
    assert_eq!((incarnation, watches), (2, 3));
    assert!(why.contains("killed"), "{why}");
    machine.supervisor.panic_supervisor();
    let (incarnation, watches, why) = machine.next_supervisor().await;
    assert_eq!((incarnation, watches), (3, 3));
    assert!(why.contains("told to panic"), "{why}");

    for (number, instance) in (1..=3).zip(&instances) {
        assert_eq!(instance.count().await, number);
    }
    instances[1].tell(Told::Panic("later".to_owned()));
    let end = machine.next_end().await;
    let Observation::Seen(Report::Failed {
        instance, evidence, ..
    }) = end
    else {
        panic!("{end:?}")
    };
    assert_eq!(instance, key(2));
    assert!(evidence.text.contains("later"), "{evidence:?}");
    let status = machine
        .supervisor
        .supervisor_status(PATIENCE)
        .await
        .unwrap();
    assert_eq!((status.incarnation, status.watches), (3, 2));
}

// proves: S10, S11
// case: services 29
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_amid_dying_supervisors_are_each_reported_once() {
    const INSTANCES: u64 = 200;
    let mut machine = Machine::new().await;
    let mut instances = Vec::new();
    for number in 0..INSTANCES {
        instances.push(machine.start(number, ChecksAre::Ok).await);
    }
    for (number, instance) in instances.iter().enumerate() {
        // Fewer in all than would make the keeper give up.
        match number % 50 {
            0 => machine.supervisor.kill_supervisor(),
            25 => machine.supervisor.panic_supervisor(),
            _ => tokio::task::yield_now().await,
        }
        instance.tell(Told::Panic(format!("number {number}")));
    }
    let mut ends: BTreeMap<_, u32> = BTreeMap::new();
    while ends.len() < INSTANCES as usize {
        let Observation::Seen(Report::Failed { instance, .. }) = machine.next_end().await else {
            panic!()
        };
        *ends.entry(instance).or_default() += 1;
    }
    // Whatever would come twice has come before the end of one that ends last.
    machine
        .start(INSTANCES, ChecksAre::Ok)
        .await
        .tell(Told::End);
    assert!(matches!(
        machine.next_end().await,
        Observation::Seen(Report::Ended { .. })
    ));
    assert!(ends.values().all(|times| *times == 1));
}

// proves: S10, S11
// case: services 27
// acceptance: 5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_while_there_is_no_supervisor_is_reported_once_by_the_next() {
    const INSTANCES: u64 = 8;
    let mut machine = Machine::new().await;
    let mut instances = Vec::new();
    for number in 0..INSTANCES {
        instances.push(machine.start(number, ChecksAre::Ok).await);
        assert!(matches!(
            machine.next().await,
            Observation::Seen(Report::HealthChanged { .. })
        ));
    }
    machine.without_supervisor().await;
    for (number, instance) in instances.iter().enumerate() {
        instance.tell(Told::Panic(format!("number {number}")));
    }
    for instance in &instances {
        instance.gone().await;
    }
    // All are gone, and nobody has said a word.
    machine.assert_silent();
    let status = machine.supervisor.supervisor_status(PATIENCE).await;
    assert_eq!(status, None, "there is no supervisor");

    machine.gate.open();
    let mut ends = BTreeMap::new();
    let mut succeeded = None;
    while ends.len() < INSTANCES as usize || succeeded.is_none() {
        match machine.next().await {
            Observation::Seen(Report::Failed {
                instance, evidence, ..
            }) => {
                let before = ends.insert(instance, evidence.text);
                assert_eq!(before, None, "said once");
            }
            Observation::Seen(Report::SupervisorChanged {
                incarnation,
                watches,
                ..
            }) => succeeded = Some((incarnation, watches)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(succeeded, Some((2, INSTANCES as u32)));
    for (number, (instance, text)) in (0..).zip(&ends) {
        assert_eq!(*instance, key(number));
        assert!(text.contains(&format!("number {number}")), "{text}");
    }
    // Whatever would come twice comes before the end of one that ends last.
    let last = machine.start(INSTANCES, ChecksAre::Ok).await;
    last.tell(Told::End);
    assert_eq!(machine.next_end_key().await, key(INSTANCES));
}

// proves: S11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_never_lives_is_given_up_after_a_bounded_number_of_tries() {
    let mut machine = Machine::new().await;
    let instance = machine.start(1, ChecksAre::Ok).await;
    for deaths in 1..limits::SUPERVISOR_DEATHS_MAX {
        machine.supervisor.panic_supervisor();
        let (incarnation, watches, why) = machine.next_supervisor().await;
        assert_eq!((incarnation, watches), (u64::from(deaths) + 1, 1));
        assert!(why.contains("told to panic"), "{why}");
        let counted = why.contains(&format!("{deaths} in a row"));
        assert_eq!(counted, deaths > 1, "{why}");
    }
    machine.supervisor.panic_supervisor();
    machine.given_up().await;
    let vacancy = machine.supervisor.vacancy().unwrap();
    assert!(vacancy.contains("10 times in a row"), "{vacancy}");
    assert_eq!(instance.count().await, 0, "that is its agent's business");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_said_only_when_nothing_is_left() {
    let mut machine = Machine::new().await;
    let slow = machine.start_unconfirmed(1).await;
    slow.tell(Told::End);
    slow.cell.wait(None).await.unwrap();
    machine.supervisor.kill_supervisor();
    assert_eq!(machine.next_supervisor().await.1, 1);
    // Its actor is dead, but the host has not confirmed: somebody else's end comes first.
    machine.start(2, ChecksAre::Ok).await.tell(Told::End);
    assert_eq!(machine.next_end_key().await, key(2));
    slow.confirm(Ending::ByItself);
    assert_eq!(machine.next_end_key().await, key(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_lets_go_without_a_word_is_a_vanished_instance() {
    let mut machine = Machine::new().await;
    let lost = machine.start_unconfirmed(1).await;
    lost.tell(Told::End);
    drop(lost);
    let end = machine.next_end().await;
    assert!(
        matches!(
            end,
            Observation::Seen(Report::Failed {
                kind: FailureKind::Vanished,
                ..
            })
        ),
        "{end:?}"
    );
}

// proves: S10
// case: services 24
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_checks_are_said_and_the_neighbours_are_not_held_up() {
    let mut machine = Machine::new().await;
    machine.start(1, ChecksAre::Ok).await;
    machine.start(2, ChecksAre::Hanging).await;
    let mut missed = Vec::new();
    let mut neighbour = Vec::new();
    while missed.len() < 2 {
        match machine.next().await {
            Observation::Seen(Report::Unresponsive {
                instance,
                missed: times,
                limit,
                ..
            }) => {
                assert_eq!(instance, key(2));
                missed.push((times, limit));
            }
            Observation::Seen(Report::HealthChanged {
                instance, health, ..
            }) => {
                assert_eq!(instance, key(1));
                neighbour.push(health);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(missed, [(1, 3), (3, 3)]);
    assert_eq!(neighbour, [Health::Ok]);
    assert!(machine.supervisor.checked_ages().contains_key(&key(1)));
    assert!(!machine.supervisor.checked_ages().contains_key(&key(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_asked_together_each_is_heard_and_a_hanging_one_holds_up_none() {
    const INSTANCES: u64 = 300;
    let mut machine = Machine::new().await;
    machine.start(0, ChecksAre::Hanging).await;
    let mut instances = Vec::new();
    for number in 1..=INSTANCES {
        instances.push(machine.start(number, ChecksAre::Ok).await);
    }
    let mut well = BTreeMap::new();
    while well.len() < INSTANCES as usize {
        if let Observation::Seen(Report::HealthChanged {
            instance, health, ..
        }) = machine.next().await
        {
            assert_eq!(health, Health::Ok);
            *well.entry(instance).or_insert(0) += 1;
        }
    }
    assert!(well.values().all(|times| *times == 1), "{well:?}");
}

// acceptance: 8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_never_yields_is_asked_once_and_missed_ever_after() {
    let mut machine = Machine::new().await;
    let instance = machine.start(1, ChecksAre::Spinning).await;
    loop {
        if let Observation::Seen(Report::Unresponsive { missed: 3, .. }) = machine.next().await {
            break;
        }
    }
    assert_eq!(instance.asked(), 1);
    let deadline = Duration::from_secs(5);
    let answer = machine
        .supervisor
        .check_now(&key(1), deadline)
        .await
        .unwrap();
    assert_eq!(answer.health, Health::Unresponsive);
    instance.let_go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_says_failed_or_panics_is_a_failure_of_the_living() {
    let mut machine = Machine::new().await;
    for (number, checks, words) in [
        (1, ChecksAre::Failed, "no database"),
        (2, ChecksAre::Panicking, "the probe panicked: no luck"),
    ] {
        machine.start(number, checks).await;
        let end = machine.next_end().await;
        let Observation::Seen(Report::Failed {
            presence, evidence, ..
        }) = &end
        else {
            panic!("{end:?}")
        };
        assert_eq!(*presence, Presence::Living);
        assert_eq!(evidence.text, words);
        machine.supervisor.unwatch(&key(number));
    }
}

// case: services 24
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_on_request_answers_within_its_deadline() {
    let mut machine = Machine::new().await;
    machine.start(1, ChecksAre::Ok).await;
    machine.start(2, ChecksAre::Hanging).await;
    let short = Duration::from_millis(30);
    let answer = machine
        .supervisor
        .check_now(&key(1), PATIENCE)
        .await
        .unwrap();
    assert_eq!((answer.health, answer.incarnation), (Health::Ok, first()));
    let answer = machine.supervisor.check_now(&key(2), short).await.unwrap();
    assert_eq!(answer.health, Health::Unresponsive);
    assert_eq!(machine.supervisor.check_now(&key(3), short).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_watched_any_more_ends_without_a_word() {
    let mut machine = Machine::new().await;
    let forgotten = machine.start(1, ChecksAre::Ok).await;
    machine.supervisor.unwatch(&key(1));
    forgotten.tell(Told::Panic("unheard".to_owned()));
    forgotten.cell.wait(None).await.unwrap();
    machine.start(2, ChecksAre::Ok).await.tell(Told::End);
    assert_eq!(machine.next_end_key().await, key(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_incarnation_is_watched_in_the_place_of_the_last() {
    let mut machine = Machine::new().await;
    machine.start(1, ChecksAre::Ok).await.tell(Told::End);
    assert_eq!(machine.next_end_key().await, key(1));
    let again = machine.start_as(1, first().next(), ChecksAre::Ok).await;
    again.tell(Told::End);
    let end = machine.next_end().await;
    let expected: Incarnation = first().next();
    assert!(
        matches!(end, Observation::Seen(Report::Ended { incarnation, .. }) if incarnation == expected)
    );
}
