//! The check schedule, step by step.

use mainstay_protocol::{NodeName, PlacementName};

use super::*;

const SCHEDULE: CheckSchedule = CheckSchedule {
    first_ms: 1_000,
    interval_ms: 5_000,
    deadline_ms: 2_000,
    misses_max: 3,
};

fn key(placement: &str) -> InstanceKey {
    InstanceKey::new(
        NodeName::new("n1").unwrap(),
        PlacementName::new(placement).unwrap(),
    )
}

fn table() -> (CheckTable, InstanceKey, Incarnation) {
    let mut table = CheckTable::default();
    let incarnation = Incarnation::default().next();
    table.add(key("web"), incarnation, SCHEDULE, 0);
    (table, key("web"), incarnation)
}

/// Carries the next Check out with this answer and gives what it says, and when it was.
fn answer(table: &mut CheckTable, health: Health, detail: &str) -> (u64, Vec<Observation>) {
    let at = table.next_due().unwrap();
    let due = table.due(at).remove(0);
    let seen = table.answered(
        &due.instance,
        due.incarnation,
        health,
        detail.to_owned(),
        at,
    );
    (at, seen)
}

fn miss(table: &mut CheckTable) -> Vec<Observation> {
    let at = table.next_due().unwrap();
    let due = table.due(at).remove(0);
    table.missed(&due.instance, due.incarnation, at + due.deadline_ms)
}

#[test]
fn the_first_check_is_at_once_and_the_distance_doubles_up_to_the_interval() {
    let (mut table, _, _) = table();
    let times: Vec<u64> = (0..6)
        .map(|_| answer(&mut table, Health::Ok, "").0)
        .collect();
    assert_eq!(times[0], 0);
    for (pair, gap) in times.windows(2).zip([1_000, 2_000, 4_000, 5_000, 5_000]) {
        let between = pair[1] - pair[0];
        assert!(
            (gap * 8 / 10..=gap).contains(&between),
            "{between} for {gap}"
        );
    }
}

#[test]
fn the_jitter_is_the_same_every_time_and_differs_between_instances() {
    let run = |placement| {
        let mut table = CheckTable::default();
        table.add(key(placement), Incarnation::default(), SCHEDULE, 0);
        (0..5)
            .map(|_| answer(&mut table, Health::Ok, "").0)
            .collect::<Vec<_>>()
    };
    assert_eq!(run("web"), run("web"));
    assert_ne!(run("web"), run("database"));
}

#[test]
fn instances_begun_at_any_time_come_to_be_checked_together() {
    const INSTANCES: u64 = 200;
    let mut table = CheckTable::default();
    for number in 0..INSTANCES {
        let instance = key(&format!("p{number}"));
        table.add(instance, Incarnation::default(), SCHEDULE, number * 37);
    }
    let (settled_ms, ends_ms) = (60_000, 120_000);
    let (mut looks, mut checks) = (0, 0);
    while let Some(at_ms) = table.next_due().filter(|at_ms| *at_ms < ends_ms) {
        for due in table.due(at_ms) {
            table.answered(
                &due.instance,
                due.incarnation,
                Health::Ok,
                String::new(),
                at_ms,
            );
            checks += u64::from(at_ms >= settled_ms);
        }
        looks += u64::from(at_ms >= settled_ms);
    }
    assert!(checks >= INSTANCES * 12, "{checks} checks in a minute");
    assert!(
        looks <= 60 * 1_000 / MARK_MS_MAX,
        "{looks} looks in a minute"
    );
}

#[test]
fn at_most_one_check_of_an_instance_is_under_way() {
    let (mut table, web, incarnation) = table();
    assert_eq!(table.due(0).len(), 1);
    assert_eq!(table.due(1_000_000).len(), 0);
    assert_eq!(table.next_due(), None);
    table.answered(&web, incarnation, Health::Ok, String::new(), 1_000_000);
    assert!(table.next_due().is_some());
}

// proves: S10
// case: services 24
#[test]
fn only_a_change_of_health_is_said() {
    let (mut table, web, incarnation) = table();
    let changed = |health, detail: &str| {
        vec![Observation::Seen(Report::HealthChanged {
            instance: web.clone(),
            incarnation,
            health,
            detail: detail.to_owned(),
        })]
    };
    assert_eq!(
        answer(&mut table, Health::Ok, "").1,
        changed(Health::Ok, "")
    );
    assert_eq!(answer(&mut table, Health::Ok, "").1, []);
    assert_eq!(
        answer(&mut table, Health::Degraded, "slow disk").1,
        changed(Health::Degraded, "slow disk")
    );
    assert_eq!(answer(&mut table, Health::Degraded, "slower disk").1, []);
    assert_eq!(
        answer(&mut table, Health::Ok, "").1,
        changed(Health::Ok, "")
    );
}

#[test]
fn a_probe_that_says_failed_twice_in_a_row_has_failed_once() {
    let (mut table, _, _) = table();
    assert_eq!(answer(&mut table, Health::Failed, "no disk").1.len(), 1);
    let seen = answer(&mut table, Health::Failed, "no disk").1;
    let [
        Observation::Seen(Report::Failed {
            kind,
            presence,
            evidence,
            ..
        }),
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (*kind, *presence),
        (FailureKind::Reported, Presence::Living)
    );
    assert_eq!(evidence.text, "no disk");
    assert_eq!(answer(&mut table, Health::Failed, "no disk").1, []);
}

#[test]
fn one_failed_answer_between_good_ones_is_a_change_of_health_only() {
    let (mut table, _, _) = table();
    answer(&mut table, Health::Failed, "x");
    answer(&mut table, Health::Ok, "");
    let seen = answer(&mut table, Health::Failed, "x").1;
    assert!(
        matches!(&seen[..], [Observation::Seen(Report::HealthChanged { .. })]),
        "{seen:?}"
    );
}

// case: services 24
#[test]
fn misses_are_said_at_the_first_and_at_the_limit_and_an_answer_ends_them() {
    let (mut table, _, _) = table();
    answer(&mut table, Health::Ok, "");
    let said: Vec<Option<u32>> = (0..5)
        .map(|_| match &miss(&mut table)[..] {
            [
                Observation::Seen(Report::Unresponsive {
                    missed, limit: 3, ..
                }),
            ] => Some(*missed),
            [] => None,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(said, [Some(1), None, Some(3), None, None]);
    let seen = answer(&mut table, Health::Ok, "").1;
    assert!(matches!(
        &seen[..],
        [Observation::Seen(Report::HealthChanged {
            health: Health::Ok,
            ..
        })]
    ));
    assert_eq!(miss(&mut table).len(), 1);
}

#[test]
fn a_late_answer_of_an_older_incarnation_is_nothing() {
    let (mut table, web, old) = table();
    table.due(0);
    table.add(web.clone(), old.next(), SCHEDULE, 10);
    assert_eq!(table.answered(&web, old, Health::Ok, String::new(), 20), []);
    assert_eq!(table.missed(&web, old, 20), []);
    assert_eq!(table.due(20)[0].incarnation, old.next());
}

#[test]
fn a_removed_instance_is_not_checked() {
    let (mut table, web, _) = table();
    table.remove(&web);
    assert_eq!(table.next_due(), None);
    assert_eq!(table.due(1_000_000), []);
}

// proves: S11
#[test]
fn what_was_under_way_when_its_supervisor_died_is_due_again() {
    let (mut table, web, incarnation) = table();
    table.due(0);
    table.forget_under_way(500);
    assert_eq!(table.due(500).len(), 1);
    assert_eq!(
        table
            .answered(&web, incarnation, Health::Ok, String::new(), 600)
            .len(),
        1
    );
}

#[test]
fn ages_count_from_the_last_answer() {
    let (mut table, web, _) = table();
    assert!(table.checked_ages(100).is_empty());
    answer(&mut table, Health::Ok, "");
    assert_eq!(table.checked_ages(700), BTreeMap::from([(web, 700)]));
}
