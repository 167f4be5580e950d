//! What outlived the agent's last life: found in the slots, proven by the kernel's boot and start times.

use std::path::Path;
use std::time::Duration;

use mainstay_hold::{Exit, How, Slot, State, processes};
use mainstay_protocol::command::Start;
use mainstay_protocol::health::RefusedStart;
use mainstay_protocol::report::Report;
use mainstay_protocol::{BootId, NodeName};
use mainstay_supervisor::{Survivor, Survivors};
use rustix::process::Signal;

use crate::held::{self, CHECK_VARIABLE, Over};

/// Killed processes are gone within moments, unless the kernel cannot let them go.
const CLEARED_WITHIN: Duration = Duration::from_secs(5);

/// Looks through every slot. What a dead hold left is cleared on the way, so that nothing of it is left when its end is
/// told. A slot that cannot be read is left alone and said: whoever wants its name finds it held, or not.
pub(crate) fn survey(slots: &Path, node: &NodeName, boot: &BootId) -> Survivors {
    let found = match Slot::all(slots) {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(slots = %slots.display(), %error, "the slots cannot be looked through");
            return Survivors::new();
        }
    };
    let mut survivors = Survivors::new();
    for slot in found {
        match look(&slot, boot) {
            Ok(Some((start, survivor))) if start.instance.node == *node => {
                survivors.insert(start.instance, survivor);
            }
            Ok(Some(_) | None) => {}
            Err(error) => {
                tracing::error!(slot = %slot.path().display(), %error, "a slot cannot be read");
            }
        }
    }
    survivors
}

fn look(slot: &Slot, boot: &BootId) -> std::io::Result<Option<(Start, Survivor)>> {
    let Some(start) = held::read_start(slot)? else {
        return Ok(None);
    };
    let incarnation = held::file_name(start.incarnation);
    let ours = |boot_id: &str, named: &str| boot_id == boot.0 && named == incarnation;
    let state = slot
        .state()?
        .filter(|state| ours(&state.boot_id, &state.incarnation));
    let Some(state) = state else {
        // Never begun, of another boot, or somebody else's by now.
        return Ok(None);
    };
    end_checks(slot);
    if processes::lives(state.hold) {
        tracing::info!(instance = %start.instance, incarnation = %start.incarnation, "is found alive");
        return Ok(Some((start.clone(), Survivor::Lives(start))));
    }
    let exit = slot
        .exit()?
        .filter(|exit| ours(&exit.boot_id, &exit.incarnation));
    if exit.is_none() {
        clear(slot, &state);
    }
    let over = exit.map_or(Over::HoldLost, |exit| Over::Exit(Box::new(exit)));
    let report = told(&start, &over);
    tracing::info!(instance = %start.instance, incarnation = %start.incarnation, ?over, "ended meanwhile");
    Ok(Some((start, Survivor::Ended(report))))
}

/// How it ended while nobody listened.
fn told(start: &Start, over: &Over) -> Report {
    let (instance, incarnation) = (start.instance.clone(), start.incarnation);
    if let Over::Exit(exit) = over
        && let Exit {
            how: How::NotStarted { doing, text, .. },
            ..
        } = &**exit
    {
        return Report::CouldNotStart {
            instance,
            incarnation,
            refused: RefusedStart::NotNow,
            text: format!("{doing}: {text}"),
        };
    }
    let ran_ms = match over {
        Over::Exit(exit) => exit.ran_ms,
        Over::HoldLost | Over::NotBegun => 0,
    };
    let how = held::exit_how(over);
    mainstay_supervisor::ExitFact { how, ran_ms }.report(instance, incarnation)
}

fn clear(slot: &Slot, state: &State) {
    let left = processes::clear(slot.path(), Some(state.hold), CLEARED_WITHIN);
    if !left.is_empty() {
        let slot = slot.path().display();
        tracing::error!(%slot, ?left, "what a dead hold left behind does not end");
    }
}

/// Checks that the last life had under way.
fn end_checks(slot: &Slot) {
    for id in processes::marked(CHECK_VARIABLE, slot.path()) {
        processes::signal(id, Signal::KILL);
    }
}
