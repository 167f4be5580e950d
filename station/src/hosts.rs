//! Has an agent run a command about a machine, and tells the coordinator what came of it (RFC 0024).

use std::sync::Arc;
use std::time::Duration;

use mainstay_coordinator::{AskHost, Event};
use mainstay_protocol::code;
use mainstay_protocol::request::{Answer, Ask};
use mainstay_resource_graph::HostOutcome;

use crate::shared::{Shared, Submitted};

/// For the way there and back.
const MARGIN: Duration = Duration::from_secs(1);

/// Whoever restarts its own machine does not answer any more: that is no failure, and its step has a time.
pub async fn ask(shared: Arc<Shared>, ask: AskHost) {
    let AskHost { on, command } = ask;
    let id = command.id.clone();
    let restarts_itself = command.only.is_some();
    let within = Duration::from_millis(command.within_ms) + MARGIN;
    let answer = shared
        .sessions
        .ask(&on, Ask::HostCommand(command), within)
        .await;
    let outcome = match answer {
        Answer::Done { .. } => HostOutcome::Done,
        Answer::Refused(refusal) if restarts_itself && refusal.code != code::COMMAND_FAILED => {
            return;
        }
        Answer::Refused(refusal) => HostOutcome::Failed(refusal.text),
        other => HostOutcome::Failed(format!("its agent answered something else: {other:?}")),
    };
    let ran = Submitted {
        event: Event::HostCommandRan { id, outcome },
        answer: None,
    };
    // With the station's end nobody needs to know.
    drop(shared.inbox.send(ran).await);
}
