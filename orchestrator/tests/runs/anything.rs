//! Anything may happen, in any order: what must hold is looked at after each act.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_orchestrator::No;
use mainstay_protocol::work::{Changes, Outside, WorkAnswer};
use mainstay_protocol::{CommandId, Json, WorkName};
use mainstay_resource_graph::{RunState, Step, StepState};
use proptest::prelude::*;

use crate::seeded::config;
use crate::world::{self, World, complete, fatal, name, plan, retry};

/// What may happen; steps and tokens by number.
#[derive(Debug, Clone)]
enum Act {
    Take(usize),
    Answer {
        of: usize,
        with: u8,
    },
    /// By a token of before.
    Late {
        of: usize,
        with: u8,
    },
    Lost(usize),
    Outside {
        of: usize,
        well: bool,
    },
    Passes(u16),
    Pause,
    Resume,
    Cancel,
    Retry,
}

fn act() -> impl Strategy<Value = Act> {
    let of = 0usize..6;
    prop_oneof![
        6 => of.clone().prop_map(Act::Take),
        6 => (of.clone(), 0u8..6).prop_map(|(of, with)| Act::Answer { of, with }),
        2 => (of.clone(), 0u8..6).prop_map(|(of, with)| Act::Late { of, with }),
        2 => of.clone().prop_map(Act::Lost),
        2 => (of, any::<bool>()).prop_map(|(of, well)| Act::Outside { of, well }),
        3 => (0u16..40_000).prop_map(Act::Passes),
        1 => Just(Act::Pause),
        2 => Just(Act::Resume),
        1 => Just(Act::Retry),
        1 => (0u8..4).prop_map(|n| if n == 0 { Act::Cancel } else { Act::Resume }),
    ]
}

fn answer(with: u8) -> WorkAnswer {
    match with {
        0 | 1 => complete("{}"),
        2 => WorkAnswer::Wait,
        3 => WorkAnswer::Schedule {
            after: Duration::from_millis(5),
            scratch: Changes::default(),
        },
        4 => retry("busy"),
        _ => fatal("no"),
    }
}

fn carry_out(world: &mut World, act: &Act, old: &mut Vec<(usize, CommandId)>) {
    let id = |of: usize| name(&format!("n{of}"));
    let token = |world: &World, of: usize| world.steps[&id(of)].token();
    match act {
        Act::Take(of) => {
            world.taken += 1;
            let token = CommandId(world.taken);
            let taken = world.machine().take(&id(*of), token, world::worker());
            if taken.is_ok() {
                old.push((*of, token));
            }
        }
        Act::Answer { of, with } => {
            if let Some(token) = token(world, *of) {
                world
                    .machine()
                    .answered(&id(*of), token, answer(*with))
                    .ok();
            }
        }
        Act::Late { of, with } => {
            let Some((of, late)) = old.get(*of).cloned() else {
                return;
            };
            if token(world, of) != Some(late) {
                let before = (world.run.clone(), world.steps.clone());
                let said = world.machine().answered(&id(of), late, answer(*with));
                assert_eq!(said, Err(No::Stale));
                assert_eq!(before, (world.run.clone(), world.steps.clone()));
            }
        }
        Act::Lost(of) => {
            if let Some(token) = token(world, *of) {
                world.machine().lost(&id(*of), token, "gone").ok();
            }
        }
        Act::Outside { of, well } => {
            if let Some(token) = token(world, *of) {
                let said = match well {
                    true => Outside::Complete {
                        output: Json::empty_object(),
                    },
                    false => Outside::Fail {
                        error: "no".to_owned(),
                    },
                };
                world.machine().from_outside(&id(*of), token, said).ok();
            }
        }
        Act::Passes(millis) => world.passes(Duration::from_millis((*millis).into())),
        Act::Pause => _ = world.machine().pause(),
        Act::Resume => _ = world.machine().resume(),
        Act::Cancel => _ = world.machine().cancel(),
        Act::Retry => _ = world.machine().retry(),
    }
}

fn sound(world: &World) {
    let mut places = BTreeMap::new();
    for (id, step) in &world.steps {
        if let StepState::Completed { place } = step.state {
            assert_eq!(places.insert(place, id), None, "{place} is of two");
        }
    }
    let complete: BTreeSet<&WorkName> = places.values().copied().collect();
    assert_eq!(world.run.done as usize, complete.len(), "done twice");
    assert_eq!(
        (world.run.left + world.run.done) as usize,
        world.steps.len()
    );
    for (id, step) in &world.steps {
        let on = &world.plan.steps[id].waits_for;
        let left = on.iter().filter(|on| !complete.contains(on)).count();
        assert_eq!(step.output.is_some(), complete.contains(id));
        match &step.state {
            StepState::Pending { left: told } => {
                assert_eq!(*told as usize, left);
                // One that is due in a run that is paused waits for nothing but that.
                assert!(
                    world.run.state == RunState::Paused || left > 0 && world.run.state.is_open(),
                    "{id}: {:?}",
                    world.run.state
                );
            }
            StepState::Queued { .. } => {
                assert!(left == 0 && world.run.state == RunState::Running, "{id}");
            }
            StepState::Scheduled { .. } | StepState::Retrying { .. } => {
                assert!(
                    left == 0 && world.run.state.is_open(),
                    "{id}: {:?}",
                    world.run.state
                );
            }
            StepState::Running { .. } => assert_eq!(left, 0),
            StepState::Waiting { .. } => assert!(world.run.state.is_open()),
            StepState::Failed => assert!(world.run.errors.contains_key(id)),
            StepState::Completed { .. } | StepState::Skipped | StepState::Cancelled => {}
        }
    }
    match world.run.state {
        RunState::Completed => assert_eq!(world.run.left, 0),
        RunState::Errored => assert!(!world.run.errors.is_empty()),
        RunState::Running | RunState::Paused => {
            assert!(world.run.errors.is_empty());
            let goes_on = |step: &Step| {
                step.due().is_some()
                    || step.token().is_some()
                    || matches!(
                        step.state,
                        StepState::Queued { .. } | StepState::Pending { left: 0 }
                    )
            };
            assert!(
                world.steps.values().any(goes_on),
                "nothing brings it on: {:#?}",
                world.steps
            );
        }
        _ => {}
    }
}

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runs/seeds.txt");

proptest! {
    #![proptest_config(config(SEEDS))]

    /// Nothing is done twice, nothing begins before its time, and no run is left where nothing brings it on.
    #[test]
    fn whatever_happens_a_run_stays_sound(
        edges in prop::collection::vec((0usize..6, 0usize..6), 0..9),
        acts in prop::collection::vec(act(), 0..120),
    ) {
        let on = |place: usize| -> Vec<String> {
            let on: BTreeSet<usize> = edges
                .iter()
                .filter(|(from, to)| *from == place && to < from)
                .map(|(_, to)| *to)
                .collect();
            on.into_iter().map(|to| format!("n{to}")).collect()
        };
        let ids: Vec<String> = (0..6).map(|place| format!("n{place}")).collect();
        let on: Vec<Vec<String>> = (0..6).map(on).collect();
        let on: Vec<Vec<&str>> =
            on.iter().map(|all| all.iter().map(String::as_str).collect()).collect();
        let more = r#","attemptTimeout":"20s","waitTimeout":"30s""#;
        let activities: Vec<(&str, &[&str], &str)> =
            (0..6).map(|place| (ids[place].as_str(), on[place].as_slice(), more)).collect();
        let mut world = World::new(plan(&activities, "compensate"));
        let mut old = Vec::new();
        sound(&world);
        for act in &acts {
            carry_out(&mut world, act, &mut old);
            sound(&world);
        }
        if world.run.state == RunState::Errored {
            let out = world.steps.values();
            let out = out.filter(|step| matches!(step.state, StepState::Running { .. })).count();
            let undo = world.machine().to_undo();
            prop_assert_eq!(undo.is_some(), out == 0);
            if let Some(undo) = undo {
                let ran = world.steps.values().filter(|step| step.may_have_run()).count();
                prop_assert_eq!(undo.len(), ran);
            }
        }
    }
}
