//! Follows one hold to its end: what it says, and then that nothing is left.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use mainstay_hold::{Event, Exit, ProcessId, Request, processes};
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::line::Line;
use super::{Held, Over};

/// A hold that lives and closed the line is asked again after this.
const AGAIN: Duration = Duration::from_millis(10);
/// Between two looks whether a hold that said its last word is gone: from, to.
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(500);
/// What is still there after so many looks is cleared by us.
const LOOKS_BEFORE_CLEARING: u32 = 12;
/// Killed processes are gone within moments, unless the kernel cannot let them go.
const CLEARED_WITHIN: Duration = Duration::from_secs(2);

/// Returns when nothing is left; that is said then, and not before.
pub(super) async fn follow(held: Arc<Held>, hold: ProcessId) {
    let mut exit = None;
    while exit.is_none() {
        exit = listen(&held).await;
        if exit.is_none() && !processes::lives(hold) {
            break;
        }
        if exit.is_none() {
            sleep(AGAIN).await;
        }
    }
    let exit = exit.or_else(|| written(&held));
    if exit.is_none() {
        clear(&held, hold).await;
    }
    until_free(&held, hold).await;
    // Written just before it was killed.
    let exit = exit.or_else(|| written(&held));
    let over = exit.map_or(Over::HoldLost, |exit| Over::Exit(Box::new(exit)));
    held.over.send_replace(Some(over));
}

/// Until the line closes; its last word, if it had one.
async fn listen(held: &Held) -> Option<Exit> {
    let mut line = Line::connect(&held.slot).ok()?;
    line.say(&Request::Subscribe).await.ok()?;
    loop {
        match line.hear().await.ok()? {
            Event::State(state) => {
                held.state.send_replace(Some(state));
            }
            Event::Exit(exit) => return Some(exit).filter(|exit| is_of(held, exit)),
            Event::Usage { .. } | Event::Ok | Event::Error(_) => {}
        }
    }
}

fn written(held: &Held) -> Option<Exit> {
    let exit = held.slot.exit().ok()??;
    is_of(held, &exit).then_some(exit)
}

fn is_of(held: &Held, exit: &Exit) -> bool {
    exit.incarnation == held.incarnation
        && processes::boot_id().is_ok_and(|boot| boot == exit.boot_id)
}

/// The hold has ended and the lock is free; or somebody else has it by now.
async fn until_free(held: &Held, hold: ProcessId) {
    until_ended(hold).await;
    let mut pause = LOOK_MIN;
    let mut looks = 0;
    loop {
        match held.slot.lock() {
            Ok(Some(_)) => return,
            Ok(None) if is_anothers(held, hold) => return,
            Ok(None) => {}
            // Without a directory there is no name to be held.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(slot = %held.slot.path().display(), %error, "its lock cannot be tried");
            }
        }
        looks += 1;
        if looks >= LOOKS_BEFORE_CLEARING {
            clear(held, hold).await;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}

/// The kernel tells, so that what ended is not waited for longer than it takes.
async fn until_ended(hold: ProcessId) {
    if let Some(told) = processes::handle(hold).and_then(watched) {
        // Where it cannot tell, or says so early, it is looked.
        let _ = told.readable().await;
    }
    let mut pause = LOOK_MIN;
    while processes::lives(hold) {
        sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, and asks for no more than a descriptor that is ours"
)]
fn watched(handle: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::new(handle).ok()
}

/// Somebody took the name the moment it was free: what runs there now is theirs.
fn is_anothers(held: &Held, hold: ProcessId) -> bool {
    let state = held.slot.state().ok().flatten();
    state.is_some_and(|state| state.hold != hold && processes::lives(state.hold))
}

async fn clear(held: &Held, hold: ProcessId) {
    if is_anothers(held, hold) {
        return;
    }
    let slot = held.slot.path().to_owned();
    let cleared = spawn_blocking(move || processes::clear(&slot, Some(hold), CLEARED_WITHIN)).await;
    if let Ok(left) = cleared
        && !left.is_empty()
    {
        let slot = held.slot.path().display();
        tracing::error!(%slot, ?left, "what a dead hold left behind does not end");
    }
}
